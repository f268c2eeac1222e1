"""The cell of `scratch`, fast: the same loss and gradients from the same 14 arrays, in NumPy on MXNet's own memory.

What makes it fast, and changes no value beyond rounding: rows of the input weights are gathered for the whole window;
the four gates are one product and, through sigmoid(a) = 0.5 tanh(0.5 a) + 0.5, one tanh; the weight gradients are one
product each over the whole window; every array has a buffer that lives as long as the sizes stay the same.

Gates lie side by side in the order i f o g, so that the three sigmoids are one block.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.model import NAMES

PACKED = "ifog"
ROWS = 128  # of the softmax that are done at once, so that they stay in the processor's cache


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, keep_rows: Any = None, keep_hidden: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c, as `scratch` computes them; call inside `autograd.record()`.

    Ids x, y (T, N), state h, c (N, H), `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H) or None: all NDArrays on the
    CPU in float32.
    """
    window = _Window(x.asnumpy(), y.asnumpy(), keep_rows, keep_hidden)
    return window(*W, h, c)  # MXNet stops handing out gradients at the first input that wants none: those come last


class _Window(mx.autograd.Function):  # type: ignore[misc]
    """Forward and backward over one window, as one operator that autograd knows."""

    def __init__(self, x: np.ndarray, y: np.ndarray, keep_rows: Any, keep_hidden: Any) -> None:
        super().__init__()
        self.x, self.y = x, y
        self.keep_rows = None if keep_rows is None else keep_rows.asnumpy()
        self.keep_hidden = None if keep_hidden is None else keep_hidden.asnumpy()

    def forward(self, *inputs: Any) -> Any:
        *params, h0, c0 = map(view, inputs)
        W = dict(zip(NAMES, params))
        T, N = self.x.shape
        H, V = W["Why"].shape
        self.ctx = inputs[-1].context
        self.buffers = b = _buffers(T, N, H, V, self.ctx)
        _pack(W, b)
        _gather(self.x, W, b, self.keep_rows)
        b.h[0], b.c[0] = h0, c0
        for t in range(T):
            _step(t, b)
        hidden = b.h[1:].reshape(T * N, H)
        if self.keep_hidden is not None:
            hidden = np.multiply(hidden, self.keep_hidden, out=b.dropped)
        self.hidden = hidden
        self.Why = W["Why"]
        np.dot(hidden, W["Why"], out=b.z)
        total = _softmax_gradient(b.z, W["by"], self.y.reshape(-1))
        return tuple(mx.nd.array(a, ctx=self.ctx) for a in ([total / (T * N)], b.h[T], b.c[T]))

    def backward(self, dloss: Any, dh_last: Any, dc_last: Any) -> Any:
        b, (T, N) = self.buffers, self.x.shape
        H = b.h.shape[-1]
        b.z *= dloss.asscalar() / (T * N)  # (T*N, V): dL/dlogits
        grads = b.grads
        np.dot(self.hidden.T, b.z, out=grads["Why"])
        np.dot(b.ones, b.z, out=grads["by"])
        dh = np.dot(b.z, self.Why.T, out=b.dh)  # (T*N, H)
        if self.keep_hidden is not None:
            dh *= self.keep_hidden
        dh = dh.reshape(T, N, H)
        dh[T - 1] += view(dh_last)
        b.dc[:] = view(dc_last)
        for t in reversed(range(T)):
            _step_backward(t, dh, b)
        self._weight_gradients(b)
        dh0 = np.dot(b.a[0], b.Wh.T)
        return (*(b.grad_arrays[name] for name in NAMES), *(mx.nd.array(a, ctx=self.ctx) for a in (dh0, b.dc)))

    def _weight_gradients(self, b: Any) -> None:
        T, N = self.x.shape
        H = b.h.shape[-1]
        dA = b.a.reshape(T * N, 4 * H)  # with respect to what tanh saw: 0.5 times the gate's sum for i, f, o
        dA[:, : 3 * H] *= 0.5
        np.dot(b.h[:T].reshape(T * N, H).T, dA, out=b.dWh)
        db = np.dot(b.ones, dA)
        if self.keep_rows is not None:
            dA *= self.keep_rows.reshape(T * N, 1)
        ids, rows = _sum_by_id(self.x.reshape(-1), dA)
        for k, gate in enumerate(PACKED):
            part = slice(k * H, (k + 1) * H)
            b.grads[f"Wh{gate}"][:] = b.dWh[:, part]
            b.grads[f"b{gate}"][:] = db[part]
            b.grads[f"Wx{gate}"].fill(0)
            b.grads[f"Wx{gate}"][ids] = rows[:, part]


class _Buffers:
    """Everything a window of one size needs."""

    def __init__(self, T: int, N: int, H: int, V: int, ctx: Any) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        self.Wh, self.bias = empty(H, 4 * H), empty(4 * H)  # as tanh needs them: i, f, o halved
        self.a = empty(T, N, 4 * H)  # what tanh sees, then the gates, then dL/d(what tanh saw)
        self.gathered = empty(T * N, H)
        self.h, self.c, self.tanh_c = empty(T + 1, N, H), empty(T + 1, N, H), empty(T, N, H)
        self.product, self.one = empty(N, 4 * H), empty(N, H)
        self.dropped, self.z, self.dh = empty(T * N, H), empty(T * N, V), empty(T * N, H)
        self.dc, self.dWh = empty(N, H), empty(H, 4 * H)
        self.ones = np.ones(T * N, np.float32)
        shapes = {"Why": (H, V), "by": (V,)}
        for k in PACKED:
            shapes.update({f"Wx{k}": (V, H), f"Wh{k}": (H, H), f"b{k}": (H,)})
        self.grad_arrays = {name: mx.nd.zeros(shape, ctx) for name, shape in shapes.items()}
        self.grads = {name: view(array) for name, array in self.grad_arrays.items()}


_buffers = lru_cache(maxsize=1)(_Buffers)


def view(array: Any) -> np.ndarray:
    """The memory of a float32 NDArray on the CPU as a NumPy array, without a copy, when all that uses it is done.

    By the pointer: what DLPack gives may only be read.
    """
    array.wait_to_read()
    address = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), array.shape)


def _pack(W: dict[str, np.ndarray], b: Any) -> None:
    H = len(W["bg"])
    for k, gate in enumerate(PACKED):
        part, factor = slice(k * H, (k + 1) * H), np.float32(1 if gate == "g" else 0.5)
        np.multiply(W[f"Wh{gate}"], factor, out=b.Wh[:, part])
        np.multiply(W[f"b{gate}"], factor, out=b.bias[part])


def _gather(x: np.ndarray, W: dict[str, np.ndarray], b: Any, keep: np.ndarray | None) -> None:
    """The input's share of what tanh sees, for all steps."""
    H = len(W["bg"])
    a = b.a.reshape(-1, 4 * H)
    ids = x.reshape(-1)
    for k, gate in enumerate(PACKED):
        rows = np.take(W[f"Wx{gate}"], ids, axis=0, out=b.gathered, mode="clip")
        np.multiply(rows, np.float32(1 if gate == "g" else 0.5), out=a[:, k * H : (k + 1) * H])
    if keep is not None:
        b.a *= keep
    a += b.bias


def _step(t: int, b: Any) -> None:
    H = b.h.shape[-1]
    a = b.a[t]
    a += np.dot(b.h[t], b.Wh, out=b.product)
    np.tanh(a, out=a)
    sigmoids = a[:, : 3 * H]
    sigmoids *= 0.5
    sigmoids += 0.5
    i, f, o, g = (a[:, k * H : (k + 1) * H] for k in range(4))
    c = np.multiply(f, b.c[t], out=b.c[t + 1])
    c += np.multiply(i, g, out=b.one)
    np.multiply(o, np.tanh(c, out=b.tanh_c[t]), out=b.h[t + 1])


def _step_backward(t: int, dh: np.ndarray, b: Any) -> None:
    """Turns the gates of step t into dL/d(what tanh saw), which for i, f, o is twice dL/d(the gate's sum)."""
    H = b.h.shape[-1]
    a, dc, one = b.a[t], b.dc, b.one
    i, f, o, g = (a[:, k * H : (k + 1) * H] for k in range(4))
    d = dh[t]
    if t + 1 < len(dh):
        d += np.dot(b.a[t + 1], b.Wh.T)
    np.multiply(b.tanh_c[t], b.tanh_c[t], out=one)
    np.subtract(1, one, out=one)
    one *= o
    one *= d
    dc += one
    # d sigmoid = s (1 - s), and twice that for the halved argument; d tanh = 1 - g^2
    di, df, do = dc * g, dc * b.c[t], d * b.tanh_c[t]
    dg = dc * i
    dc *= f
    for s, ds in ((i, di), (f, df), (o, do)):
        np.subtract(1, s, out=one)
        one *= s
        one *= 2
        np.multiply(one, ds, out=s)
    np.multiply(g, g, out=one)
    np.subtract(1, one, out=one)
    np.multiply(one, dg, out=g)


def _softmax_gradient(z: np.ndarray, by: np.ndarray, y: np.ndarray) -> float:
    """Turns logits without their bias, z (T*N, V), into softmax minus one-hot in place; returns the summed loss."""
    total = 0.0
    for at in range(0, len(z), ROWS):
        block, targets = z[at : at + ROWS], y[at : at + ROWS]
        block += by
        block -= block.max(axis=1, keepdims=True)
        which = np.arange(len(block))
        picked = block[which, targets]
        np.exp(block, out=block)
        sums = block.sum(axis=1)
        total += float(np.sum(np.log(sums) - picked, dtype=np.float64))
        block /= sums[:, None]
        block[which, targets] -= 1
    return total


def _sum_by_id(ids: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different ids, and for each the sum of its rows."""
    order = np.argsort(ids, kind="stable")
    different, starts = np.unique(ids[order], return_index=True)
    sums = np.empty((len(different), rows.shape[1]), rows.dtype)
    ends: Sequence[int] = [*starts[1:], len(ids)]
    for k, (start, end) in enumerate(zip(starts, ends)):
        np.add.reduce(rows[order[start:end]], axis=0, out=sums[k])
    return different, sums
