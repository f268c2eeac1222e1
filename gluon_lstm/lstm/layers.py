"""LSTM layers of notes 001 in NumPy, forward and backward: one time step, and a window; conversion of their weights.

The code of the notes is that of chapter 6 of "Deep Learning from Scratch 2" (Saito 2018). The weights of the four gates
are fused, in the order f g i o: one array per role. With row vectors and elementwise *, a step is

    A = x Wx + h_prev Wh + b                                          # pre-activations (N, 4H)
    f, g, i, o = sigmoid(A[f]), tanh(A[g]), sigmoid(A[i]), sigmoid(A[o])
    c_next = f * c_prev + g * i
    h_next = o * tanh(c_next)

Sizes: N batch, T time steps, D numbers of an input, H hidden units. Everything is computed in the floating-point dtype
of the weights; arguments are converted to it. `forward` keeps references to its arguments, not copies: do not modify
them, or the weights, before `backward`. `docs/notes-001.md` has examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gluon_lstm.config import GATES, NOTES_GATE_ORDER, require_arrays
from gluon_lstm.numerics import reorder_gates, sigmoid

ROLES = ("Wx", "Wh", "b")  # the fused arrays of a layer


class _StepCache(NamedTuple):
    """Values of one time step that the backward pass needs; every array is (N, H)."""

    h_prev: np.ndarray
    c_prev: np.ndarray
    f: np.ndarray
    g: np.ndarray
    i: np.ndarray
    o: np.ndarray
    tanh_c: np.ndarray


def _step(A: np.ndarray, h_prev: np.ndarray, c_prev: np.ndarray) -> tuple[np.ndarray, np.ndarray, _StepCache]:
    """Return h, c and the cache for `_step_backward`, from the pre-activations A (N, 4H) and the previous state."""
    f, g, i, o = np.split(A, 4, axis=1)
    f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
    c = f * c_prev + g * i
    tanh_c = np.tanh(c)
    return o * tanh_c, c, _StepCache(h_prev, c_prev, f, g, i, o, tanh_c)


def _step_backward(cache: _StepCache, dh: np.ndarray, dc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return dL/dA (N, 4H) and dL/dc before a step, from dL/dh and dL/dc after it."""
    _, c_prev, f, g, i, o, tanh_c = cache
    dc = dc + dh * o * (1 - tanh_c**2)
    df = dc * c_prev * f * (1 - f)
    dg = dc * i * (1 - g**2)
    di = dc * g * i * (1 - i)
    do = dh * tanh_c * o * (1 - o)
    return np.concatenate((df, dg, di, do), axis=1), dc * f


class _Layer:
    """Base class: `params`, the arrays Wx, Wh, b themselves, and `grads`, their gradients, updated in place."""

    def __init__(self, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> None:
        self.params = _check_weights(Wx, Wh, b)
        self.grads = [np.zeros_like(param) for param in self.params]
        self._cache: Any = None  # values of the last forward pass

    def _array(self, name: str, value: Any, **sizes: int | None) -> np.ndarray:
        """Return `value` in the dtype of the weights. Raises ValueError unless its axes have `sizes` (None: any)."""
        array = np.asarray(value, dtype=self.params[0].dtype)
        expected = tuple(found if size is None else size for size, found in zip(sizes.values(), array.shape))
        if array.ndim != len(sizes) or array.shape != expected:
            wanted = ", ".join(f"{letter} = {size}" for letter, size in sizes.items() if size is not None)
            raise ValueError(f"{name} has the shape {array.shape}: expected ({', '.join(sizes)}) with {wanted}")
        return array

    def _cached(self) -> Any:
        if self._cache is None:
            raise ValueError("backward needs the values of a forward pass: call forward first")
        return self._cache

    def _write_gradients(self, x: np.ndarray, h_prev: np.ndarray, dA: np.ndarray) -> None:
        """Write the gradients, summed over R rows, into `grads`: x (R, D), h_prev (R, H), dL/dA (R, 4H)."""
        for grad, value in zip(self.grads, (x.T @ dA, h_prev.T @ dA, dA.sum(axis=0))):
            grad[...] = value


class LSTM(_Layer):
    """Layer for one time step: weights Wx (D, 4H), Wh (H, 4H), b (4H,), fused in the order f g i o.

    Raises ValueError for shapes that do not match and for weights that are not of one floating-point dtype.
    """

    def forward(self, x: np.ndarray, h_prev: np.ndarray, c_prev: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return h_next, c_next (N, H) for the input x (N, D) and the state h_prev, c_prev (N, H)."""
        Wx, Wh, b = self.params
        x = self._array("x", x, N=None, D=len(Wx))
        h_prev = self._array("h_prev", h_prev, N=len(x), H=len(Wh))
        c_prev = self._array("c_prev", c_prev, N=len(x), H=len(Wh))
        h_next, c_next, step = _step(x @ Wx + h_prev @ Wh + b, h_prev, c_prev)
        self._cache = x, step
        return h_next, c_next

    def backward(self, dh_next: np.ndarray, dc_next: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return dL/dx (N, D), dL/dh_prev, dL/dc_prev (N, H) of the last forward pass; write dL/d(weights) to `grads`.

        dh_next, dc_next: dL/dh_next, dL/dc_next (N, H). `grads` is overwritten, not added to: use `TimeLSTM` to sum
        over time steps. Raises ValueError before the first forward pass.
        """
        Wx, Wh, _ = self.params
        x, step = self._cached()
        dh_next = self._array("dh_next", dh_next, N=len(x), H=len(Wh))
        dc_next = self._array("dc_next", dc_next, N=len(x), H=len(Wh))
        dA, dc_prev = _step_backward(step, dh_next, dc_next)
        self._write_gradients(x, step.h_prev, dA)
        return dA @ Wx.T, dA @ Wh.T, dc_prev


class TimeLSTM(_Layer):
    """Layer over a window of T steps; with `stateful` each window starts from the last state of the previous one.

    `h`, `c` (N, H): the state after the last window. `dh`, `dc` (N, H), set by `backward`: the gradient of the state
    before the window. It is not propagated to the previous window (truncated backpropagation through time).
    """

    def __init__(self, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, stateful: bool = False) -> None:
        super().__init__(Wx, Wh, b)
        self.stateful = stateful
        self.h: np.ndarray | None = None
        self.c: np.ndarray | None = None
        self.dh: np.ndarray | None = None
        self.dc: np.ndarray | None = None

    def set_state(self, h: np.ndarray, c: np.ndarray | None = None) -> None:
        """Start the next window from h and c (N, H); None: c of zeros. Raises ValueError unless stateful."""
        if not self.stateful:
            raise ValueError("this TimeLSTM starts each window from zeros: create it with stateful=True to set a state")
        H = len(self.params[1])
        h = self._array("h", h, N=None, H=H)
        c = self._array("c", np.zeros_like(h) if c is None else c, N=len(h), H=H)
        self.h, self.c = h, c

    def reset_state(self) -> None:
        """Start the next window from zeros."""
        self.h = self.c = None

    def forward(self, xs: np.ndarray) -> np.ndarray:
        """Return the hidden states hs (N, T, H) for inputs xs (N, T, D)."""
        Wx, Wh, b = self.params
        H = len(Wh)
        xs = self._array("xs", xs, N=None, T=None, D=len(Wx))
        N, T, D = xs.shape
        if not self.stateful or self.h is None:
            h, c = np.zeros((2, N, H), dtype=Wh.dtype)
        else:
            h = self._array("the carried h (see reset_state)", self.h, N=N, H=H)
            c = self._array("the carried c (see reset_state)", self.c, N=N, H=H)
        A = (xs.reshape(N * T, D) @ Wx + b).reshape(N, T, 4 * H)  # input projection of all steps
        hs = np.empty((N, T, H), dtype=Wh.dtype)
        steps = []
        for t in range(T):
            h, c, step = _step(A[:, t] + h @ Wh, h, c)
            hs[:, t] = h
            steps.append(step)
        self.h, self.c = h, c
        self._cache = xs, steps
        return hs

    def backward(self, dhs: np.ndarray) -> np.ndarray:
        """Return dL/dxs (N, T, D) from dL/dhs (N, T, H); write dL/d(weights), summed over time, to `grads`.

        Raises ValueError before the first forward pass.
        """
        Wx, Wh, _ = self.params
        H = len(Wh)
        xs, steps = self._cached()
        N, T, D = xs.shape
        dhs = self._array("dhs", dhs, N=N, T=T, H=H)
        dA = np.empty((N, T, 4 * H), dtype=Wh.dtype)
        h_prev = np.empty((N, T, H), dtype=Wh.dtype)
        dh, dc = np.zeros((2, N, H), dtype=Wh.dtype)
        for t in reversed(range(T)):
            dA[:, t], dc = _step_backward(steps[t], dhs[:, t] + dh, dc)
            dh = dA[:, t] @ Wh.T
            h_prev[:, t] = steps[t].h_prev
        self.dh, self.dc = dh, dc
        dA = dA.reshape(N * T, 4 * H)
        self._write_gradients(xs.reshape(N * T, D), h_prev.reshape(N * T, H), dA)
        return (dA @ Wx.T).reshape(N, T, D)


def fuse_gates(
    arrays: Mapping[str, np.ndarray], order: str = NOTES_GATE_ORDER
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Wx (V, 4H), Wh (H, 4H), b (4H,) with gates in `order`, from the arrays `Wxg` ... `bo` of a model.

    A model reads ids, a layer rows: pass one-hot rows x, with D = V. `Why` and `by` belong to no gate and are ignored.
    Raises ValueError for missing arrays and shapes that do not match.
    """
    names = [f"{role}{k}" for role in ROLES for k in GATES]
    require_arrays(names, arrays)
    for name in names:
        shape, wanted = arrays[name].shape, arrays[name[:-1] + GATES[0]].shape
        if shape != wanted:
            raise ValueError(f"{name} has the shape {shape}: expected {wanted}, the same for all gates")
    Wx, Wh, b = (np.concatenate([arrays[f"{role}{k}"] for k in GATES], axis=-1) for role in ROLES)
    Wx, Wh, b = (reorder_gates(fused, GATES, order) for fused in _check_weights(Wx, Wh, b))
    return Wx, Wh, b


def split_gates(Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, order: str = NOTES_GATE_ORDER) -> dict[str, np.ndarray]:
    """Return the arrays `Wxg` ... `bo` of a model from fused weights (or their gradients) with gates in `order`."""
    arrays = {}
    for role, fused in zip(ROLES, _check_weights(Wx, Wh, b)):
        for k, array in zip(GATES, np.split(reorder_gates(fused, order, GATES), 4, axis=-1)):
            arrays[f"{role}{k}"] = array
    return arrays


def _check_weights(Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """Return fused weights as arrays. Raises ValueError for shapes or dtypes that do not match."""
    Wx, Wh, b = params = [np.asarray(param) for param in (Wx, Wh, b)]
    dtypes = [param.dtype for param in params]
    if len(set(dtypes)) > 1 or not np.issubdtype(dtypes[0], np.floating):
        raise ValueError(f"Wx, Wh, b are {', '.join(map(str, dtypes))}: expected one floating-point dtype")
    H = b.size // 4
    for name, param, wanted in (("b", b, (4 * H,)), ("Wx", Wx, (*Wx.shape[:1], 4 * H)), ("Wh", Wh, (H, 4 * H))):
        if param.shape != wanted:
            all_three = "Wx (D, 4H), Wh (H, 4H), b (4H,) with one H"
            raise ValueError(f"{name} has the shape {param.shape}: expected {all_three}, and b says H = {H}")
    return params
