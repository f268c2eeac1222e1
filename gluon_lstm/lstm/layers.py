"""The LSTM as a layer, as notes 001 have it, and over a window; how its packed weights become those of others.

The code of the notes is that of chapter 6 of "Deep Learning from Scratch 2" (Saito 2018): the four gates lie side by
side, f g i o, in one array for each role. With row vectors and * element by element, a step is

    f, g, i, o = the quarters of x Wx + h_prev Wh + b, behind a sigmoid, a tanh, a sigmoid, a sigmoid
    c_next = f * c_prev + g * i
    h_next = o * tanh(c_next)

Sizes: N rows of a batch, T time steps, D numbers of an input, H hidden units. All is computed in the floating-point
type of the weights, and what is passed in is turned into it. What forward is given is kept for backward without a copy:
leave those arrays, and the weights, as they are until then. `docs/notes-001.md` shows the layers at work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gluon_lstm.config import GATES, require_arrays

ORDER = "fgio"  # of the gates in the packed weights of the notes
ROLES = ("Wx", "Wh", "b")


def _sigmoid(a: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * a) + 0.5  # never overflows


class _Step(NamedTuple):
    """What a time step leaves for the way back; every array is (N, H)."""

    h_prev: np.ndarray
    c_prev: np.ndarray
    f: np.ndarray
    g: np.ndarray
    i: np.ndarray
    o: np.ndarray
    tanh_c: np.ndarray


def _step(A: np.ndarray, h_prev: np.ndarray, c_prev: np.ndarray) -> tuple[np.ndarray, np.ndarray, _Step]:
    """What is inside the gates A (N, 4H), and the state before -> h, c, and what `_step_backward` needs."""
    f, g, i, o = np.split(A, 4, axis=1)
    f, g, i, o = _sigmoid(f), np.tanh(g), _sigmoid(i), _sigmoid(o)
    c = f * c_prev + g * i
    tanh_c = np.tanh(c)
    return o * tanh_c, c, _Step(h_prev, c_prev, f, g, i, o, tanh_c)


def _step_backward(s: _Step, dh: np.ndarray, dc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dL/dh and dL/dc behind a step -> dL/dA (N, 4H), and dL/dc before the step."""
    dc = dc + dh * s.o * (1 - s.tanh_c**2)
    df = dc * s.c_prev * s.f * (1 - s.f)
    dg = dc * s.i * (1 - s.g**2)
    di = dc * s.g * s.i * (1 - s.i)
    do = dh * s.tanh_c * s.o * (1 - s.o)
    return np.concatenate((df, dg, di, do), axis=1), dc * s.f


class _Layer:
    """`params`, the arrays Wx, Wh, b themselves, and `grads`: dL/d(each), always the same three arrays."""

    def __init__(self, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> None:
        self.params = _checked(Wx, Wh, b)
        self.grads = [np.zeros_like(param) for param in self.params]
        self._kept: Any = None  # from forward to backward

    def _array(self, name: str, value: Any, **sizes: int | None) -> np.ndarray:
        """`value` in the type of the weights. Its axes have these sizes (None: any), or a ValueError says so."""
        array = np.asarray(value, dtype=self.params[0].dtype)
        fitting = tuple(found if size is None else size for size, found in zip(sizes.values(), array.shape))
        if array.ndim != len(sizes) or array.shape != fitting:
            wanted = ", ".join(f"{letter} = {size}" for letter, size in sizes.items() if size is not None)
            raise ValueError(f"{name} has the shape {array.shape}: expected ({', '.join(sizes)}) with {wanted}")
        return array

    def _from_forward(self) -> Any:
        if self._kept is None:
            raise ValueError("backward needs what forward computes: call forward first")
        return self._kept

    def _write_gradients(self, x: np.ndarray, h_prev: np.ndarray, dA: np.ndarray) -> None:
        """Rows x (R, D), h_prev (R, H) and dL/d(inside the gates) dA (R, 4H): one product sums over all of them."""
        for grad, value in zip(self.grads, (x.T @ dA, h_prev.T @ dA, dA.sum(axis=0))):
            grad[...] = value


class LSTM(_Layer):
    """One time step: weights Wx (D, 4H), Wh (H, 4H), b (4H,), packed f g i o.

    Raises ValueError where shapes do not fit or the weights are not floating-point numbers of one type.
    """

    def forward(self, x: np.ndarray, h_prev: np.ndarray, c_prev: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Input x (N, D), state h_prev, c_prev (N, H) -> the state h_next, c_next (N, H) behind the step."""
        Wx, Wh, b = self.params
        x = self._array("x", x, N=None, D=len(Wx))
        h_prev = self._array("h_prev", h_prev, N=len(x), H=len(Wh))
        c_prev = self._array("c_prev", c_prev, N=len(x), H=len(Wh))
        h_next, c_next, step = _step(x @ Wx + h_prev @ Wh + b, h_prev, c_prev)
        self._kept = x, step
        return h_next, c_next

    def backward(self, dh_next: np.ndarray, dc_next: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """dL/dh_next, dL/dc_next (N, H) -> dL/dx (N, D), dL/dh_prev, dL/dc_prev (N, H); dL/d(weights) into `grads`.

        Those of the last forward, and they replace what was in `grads`: sum over time steps with `TimeLSTM`. Raises
        ValueError before the first forward.
        """
        Wx, Wh, _ = self.params
        x, step = self._from_forward()
        dh_next = self._array("dh_next", dh_next, N=len(x), H=len(Wh))
        dc_next = self._array("dc_next", dc_next, N=len(x), H=len(Wh))
        dA, dc_prev = _step_backward(step, dh_next, dc_next)
        self._write_gradients(x, step.h_prev, dA)
        return dA @ Wx.T, dA @ Wh.T, dc_prev


class TimeLSTM(_Layer):
    """The same layer over a window of T steps; with `stateful` a window goes on where the one before ended.

    `h`, `c` (N, H) is the state behind the last window, `dh`, `dc` (N, H) after backward the gradient of the state
    before it: through it no gradient passes on (truncated backpropagation through time).
    """

    def __init__(self, Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, stateful: bool = False) -> None:
        super().__init__(Wx, Wh, b)
        self.stateful = stateful
        self.h: np.ndarray | None = None
        self.c: np.ndarray | None = None
        self.dh: np.ndarray | None = None
        self.dc: np.ndarray | None = None

    def set_state(self, h: np.ndarray, c: np.ndarray | None = None) -> None:
        """Begin the next window with h and c (N, H), without c with zeros. Raises ValueError unless stateful."""
        if not self.stateful:
            raise ValueError("this TimeLSTM begins each window with zeros: make it with stateful=True to set a state")
        H = len(self.params[1])
        h = self._array("h", h, N=None, H=H)
        c = self._array("c", np.zeros_like(h) if c is None else c, N=len(h), H=H)
        self.h, self.c = h, c

    def reset_state(self) -> None:
        """Begin the next window with zeros."""
        self.h = self.c = None

    def forward(self, xs: np.ndarray) -> np.ndarray:
        """Inputs xs (N, T, D) -> the hidden states hs (N, T, H)."""
        Wx, Wh, b = self.params
        H = len(Wh)
        xs = self._array("xs", xs, N=None, T=None, D=len(Wx))
        N, T, D = xs.shape
        if not self.stateful or self.h is None:
            h, c = np.zeros((2, N, H), dtype=Wh.dtype)
        else:
            h = self._array("the carried h (see reset_state)", self.h, N=N, H=H)
            c = self._array("the carried c (see reset_state)", self.c, N=N, H=H)
        A = (xs.reshape(N * T, D) @ Wx + b).reshape(N, T, 4 * H)  # all that hangs on no step before
        hs = np.empty((N, T, H), dtype=Wh.dtype)
        steps = []
        for t in range(T):
            h, c, step = _step(A[:, t] + h @ Wh, h, c)
            hs[:, t] = h
            steps.append(step)
        self.h, self.c = h, c
        self._kept = xs, steps
        return hs

    def backward(self, dhs: np.ndarray) -> np.ndarray:
        """dL/dhs (N, T, H) -> dL/dxs (N, T, D); dL/d(weights), summed over time, into `grads`.

        Raises ValueError before the first forward.
        """
        Wx, Wh, _ = self.params
        H = len(Wh)
        xs, steps = self._from_forward()
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


def reorder(packed: np.ndarray, source: str, target: str) -> np.ndarray:
    """A copy of `packed` (..., 4H), whose gates lie in the order `source`, with its gates in the order `target`.

    "fgio" is the order of the notes, "ifgo" that of PyTorch and MXNet (whose weights are the transposed ones, and whose
    two biases add up to b), "ifog" that of the fast cell. Raises ValueError for any but an order of these four gates.
    """
    for order in (source, target):
        if sorted(order) != sorted(GATES):
            raise ValueError(f"gate order {order!r}: name each of the gates f, g, i, o once, as in {ORDER!r}")
    if packed.ndim == 0 or packed.shape[-1] % 4:
        raise ValueError(f"packed has the shape {packed.shape}: expected (..., 4H), four gates side by side")
    gates = packed.reshape(*packed.shape[:-1], 4, packed.shape[-1] // 4)
    return gates[..., [source.index(k) for k in target], :].reshape(packed.shape)


def pack(arrays: Mapping[str, np.ndarray], order: str = ORDER) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wx (V, 4H), Wh (H, 4H), b (4H,) in `order` from the arrays `Wxg` ... `bo` of a model.

    A model looks up the rows that the ids name: x Wx is the same for one-hot rows x, and D is V. `Why` and `by` belong
    to no gate and are left out. Raises ValueError for an array that is missing or does not fit.
    """
    names = [f"{role}{k}" for role in ROLES for k in GATES]
    require_arrays(names, arrays)
    for name in names:
        shape, wanted = arrays[name].shape, arrays[name[:-1] + GATES[0]].shape
        if shape != wanted:
            raise ValueError(f"{name} has the shape {shape}: expected {wanted}, the same for all gates")
    Wx, Wh, b = (np.concatenate([arrays[f"{role}{k}"] for k in GATES], axis=-1) for role in ROLES)
    Wx, Wh, b = (reorder(packed, GATES, order) for packed in _checked(Wx, Wh, b))
    return Wx, Wh, b


def unpack(Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray, order: str = ORDER) -> dict[str, np.ndarray]:
    """The way back: `Wxg` ... `bo`, in the order of a model, from weights (or their gradients) packed in `order`."""
    unpacked = {}
    for role, packed in zip(ROLES, _checked(Wx, Wh, b)):
        for k, array in zip(GATES, np.split(reorder(packed, order, GATES), 4, axis=-1)):
            unpacked[f"{role}{k}"] = array
    return unpacked


def _checked(Wx: np.ndarray, Wh: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    """The packed weights, if they are such. Raises ValueError."""
    Wx, Wh, b = params = [np.asarray(param) for param in (Wx, Wh, b)]
    types = [param.dtype for param in params]
    if len(set(types)) > 1 or not np.issubdtype(types[0], np.floating):
        raise ValueError(f"Wx, Wh, b are {', '.join(map(str, types))}: expected floating-point numbers of one type")
    H = b.size // 4
    for name, param, wanted in (("b", b, (4 * H,)), ("Wx", Wx, (*Wx.shape[:1], 4 * H)), ("Wh", Wh, (H, 4 * H))):
        if param.shape != wanted:
            all_three = "Wx (D, 4H), Wh (H, 4H), b (4H,) with one H"
            raise ValueError(f"{name} has the shape {param.shape}: expected {all_three}, and b says H = {H}")
    return params
