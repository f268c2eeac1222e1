"""The cell of `scratch`, fast: the same loss and gradients from the same 14 arrays, in NumPy on MXNet's own memory.

What makes it fast, and changes no value beyond rounding: rows of the input weights are gathered for the whole window;
the four gates of a step are one product; with tanh(a) = 2 sigmoid(2a) - 1 they are one exponential, too (NumPy's tanh
takes two to twenty times as long, as the processor has it); the weight gradients are one product each over the whole
window; every array has a buffer that lives as long as the sizes stay the same.

A step's arrays stand upright, (H, N) instead of (N, H): then the gates i f o g lie in one piece each, one upon another,
and the products run faster.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Callable, ClassVar

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.machine import available_cores
from gluon_lstm.model import NAMES, Configuration

PACKED = "ifog"
STEPS = 8  # that are handed to another thread at once
SMALL, LARGE = 1e-20, 1e20  # sums of exponentials between which float32 loses nothing
NOT_FINITE: Any = {"all": "ignore"}  # whether all numbers are finite is the trainer's question, and a gate may be 0
CACHED = 1 << 16  # numbers of a softmax that are done at once, so that they stay in the processor's cache


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, keep_rows: Any = None, keep_hidden: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c, as `scratch` computes them; call inside `autograd.record()`.

    Ids x, y (T, N), state h, c (N, H), `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H) or None: all NDArrays on the
    CPU in float32.
    """
    window = _Window(x.asnumpy(), y.asnumpy(), keep_rows, keep_hidden)
    return window(*W, h, c)  # MXNet stops handing out gradients at the first input that wants none: those come last


class _Window(mx.autograd.Function):  # type: ignore[misc]
    """Forward and backward over one window, as one operator that autograd knows.

    The steps follow one another, so one thread does them. What hangs on a step but on no other is handed to the other
    threads in chunks: the way from h to the logits, their loss and back to dL/dh in `forward`, the weight gradients in
    `backward`. So the gradient of the loss is there, up to a factor, when `forward` ends.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, keep_rows: Any, keep_hidden: Any) -> None:
        super().__init__()
        self.x, self.y = x, y
        self.keep_rows = None if keep_rows is None else keep_rows.asnumpy()
        self.keep_hidden = None if keep_hidden is None else keep_hidden.asnumpy()

    def forward(self, *inputs: Any) -> Any:
        mx.nd.waitall()  # MXNet may still be copying gradients out of the buffers: what NumPy does there, it cannot see
        *params, h0, c0 = map(view, inputs)
        self.W = W = dict(zip(NAMES, params))
        T, N = self.x.shape
        self.ctx = inputs[-1].context
        self.buffers = b = _Buffers.take(T, N, *W["Why"].shape, self.ctx)
        _pack(W, b)
        _gather(self.x, W, b, self.keep_rows)
        b.h[0], b.c[0] = h0.T, c0.T
        with _Others() as others:
            for t in range(T):
                _step(t, b)
                if (t + 1) % STEPS == 0 or t + 1 == T:
                    others.do(self._head, t - t % STEPS, t + 1)
        return tuple(mx.nd.array(a, ctx=self.ctx) for a in ([sum(others.results)], b.h[T].T, b.c[T].T))

    def _head(self, start: int, end: int) -> float:
        """Steps start to end (not included): logits, their share of the loss, and dL/dh through them."""
        b, Why = self.buffers, self.W["Why"]
        H, N = b.h.shape[1:]
        rows = slice(start * N, end * N)
        hidden = b.hidden[rows, :H]
        hidden.reshape(-1, N, H)[:] = b.h[start + 1 : end + 1].transpose(0, 2, 1)
        if self.keep_hidden is not None:
            hidden *= self.keep_hidden[rows]
        loss = _softmax_loss(b.hidden[rows], b.Why_by, self.y.reshape(-1)[rows], b.z[rows], 1 / len(b.z))
        dh = np.dot(b.z[rows], Why.T, out=b.dhidden[rows])
        if self.keep_hidden is not None:
            dh *= self.keep_hidden[rows]
        b.dh[start:end] = dh.reshape(-1, N, H).transpose(0, 2, 1)
        return loss

    def backward(self, dloss: Any, dh_last: Any, dc_last: Any) -> Any:
        b, T = self.buffers, len(self.x)
        factor = dloss.asscalar()  # 1, but where the loss is only a part of another
        b.dh *= factor
        b.dh[T - 1] += view(dh_last).T
        b.dc[:] = view(dc_last).T
        with _Others() as others:
            others.do(self._output_gradients, factor)
            for t in reversed(range(T)):
                _step_backward(t, b)
                if t % STEPS == 0:
                    others.do(self._unfold, t, min(t + STEPS, T))
        with _Others() as others:
            others.do(self._recurrent_gradients)
            others.do(self._input_gradients)
        dh0 = np.dot(b.Wh_back, b.a[0])
        grads = (*(b.grad_arrays[name] for name in NAMES), *(mx.nd.array(a.T, ctx=self.ctx) for a in (dh0, b.dc)))
        b.give_back()
        return grads

    def _output_gradients(self, factor: float) -> None:
        b = self.buffers
        np.dot(b.hidden.T, b.z, out=b.dWhy_by)
        b.dWhy_by *= factor

    def _unfold(self, start: int, end: int) -> None:
        """Steps start to end: dL/d(the gates' sums) and the h they saw, one row for each prediction."""
        b = self.buffers
        H, N = b.h.shape[1:]
        b.dA[start * N : end * N].reshape(-1, N, 4 * H)[:] = b.a[start:end].transpose(0, 2, 1)
        b.h_prev[start * N : end * N].reshape(-1, N, H)[:] = b.h[start:end].transpose(0, 2, 1)

    def _recurrent_gradients(self) -> None:
        b = self.buffers
        H = b.h.shape[1]
        np.dot(b.h_prev.T, b.dA, out=b.dWh)
        db = np.dot(b.ones, b.dA)
        for k, gate in enumerate(PACKED):
            b.grads[f"Wh{gate}"][:] = b.dWh[:, k * H : (k + 1) * H]
            b.grads[f"b{gate}"][:] = db[k * H : (k + 1) * H]

    def _input_gradients(self) -> None:
        b = self.buffers
        H = b.h.shape[1]
        dA = b.dA if self.keep_rows is None else b.dA * self.keep_rows.reshape(-1, 1)
        ids, rows = _sum_by_id(self.x.reshape(-1), dA)
        for k, gate in enumerate(PACKED):
            b.grads[f"Wx{gate}"].fill(0)
            b.grads[f"Wx{gate}"][ids] = rows[:, k * H : (k + 1) * H]


class _Others:
    """The other threads: work handed to them is done when the block ends, by this thread too once it has come there."""

    def __enter__(self) -> _Others:
        self._handed: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._errors = np.errstate(**NOT_FINITE)
        self._errors.__enter__()
        return self

    def do(self, work: Callable[..., Any], *arguments: Any) -> None:
        def quietly() -> Any:
            with np.errstate(**NOT_FINITE):  # which is set for each thread
                return work(*arguments)

        self._handed.append((_threads().submit(quietly), quietly))

    def __exit__(self, *error: Any) -> None:
        # What nobody has begun is taken back, from the end; the rest is waited for.
        mine = {future: work() for future, work in reversed(self._handed) if future.cancel()}
        self.results = [mine[future] if future in mine else future.result() for future, _ in self._handed]
        self._errors.__exit__(*error)


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(available_cores() - 1, 1), "gluon-lstm")


class _Buffers:
    """Everything a window of one size needs. One set is kept for the next window of the same size."""

    spare: ClassVar[list[_Buffers]] = []

    def __init__(self, T: int, N: int, H: int, V: int, ctx: Any) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        self.size = (T, N, H, V, ctx)
        self.Wh, self.bias = empty(4 * H, H), empty(4 * H, 1)  # times -1, and -2 for g: what the exponential sees
        self.Wh_back = empty(H, 4 * H)
        self.a = empty(T, 4 * H, N)  # what the exponential sees, then the gates, then dL/d(the gates' sums)
        self.gathered, self.dA = empty(T * N, H), empty(T * N, 4 * H)
        self.h, self.c, self.tanh_c = empty(T + 1, H, N), empty(T + 1, H, N), empty(T, H, N)
        self.product, self.one, self.two = empty(4 * H, N), empty(H, N), empty(H, N)
        self.Why_by = empty(H + 1, V)  # one product for h . Why + by: behind each h stands a 1
        self.hidden, self.dhidden, self.h_prev = empty(T * N, H + 1), empty(T * N, H), empty(T * N, H)
        self.hidden[:, H] = 1
        self.z = empty(T * N, V)  # the logits, then dL/d(logits)
        self.dh, self.dc, self.dWh = empty(T, H, N), empty(H, N), empty(H, 4 * H)
        self.ones = np.ones(T * N, np.float32)
        shapes = Configuration(H).shapes(V)
        self.grad_arrays = {name: mx.nd.zeros(shapes[name], ctx) for name in NAMES}
        dWhy_by = mx.nd.zeros((H + 1, V), ctx)
        self.grad_arrays.update(Why=dWhy_by[:H], by=dWhy_by[H])  # which share its memory
        self.grads = {name: view(array) for name, array in self.grad_arrays.items()}
        self.dWhy_by = view(dWhy_by)

    @classmethod
    def take(cls, *size: Any) -> _Buffers:
        spare = cls.spare.pop() if cls.spare else None
        return spare if spare and spare.size == size else cls(*size)

    def give_back(self) -> None:
        self.spare[:] = [self]


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
        part, factor = slice(k * H, (k + 1) * H), _factor(gate)
        np.multiply(W[f"Wh{gate}"].T, factor, out=b.Wh[part])
        np.multiply(W[f"b{gate}"], factor, out=b.bias[part, 0])
        b.Wh_back[:, part] = W[f"Wh{gate}"]
    b.Why_by[:H], b.Why_by[H] = W["Why"], W["by"]


def _factor(gate: str) -> np.float32:
    """sigmoid(a) = 1 / (1 + exp(-a)) and tanh(a) = 2 / (1 + exp(-2a)) - 1."""
    return np.float32(-2 if gate == "g" else -1)


def _gather(x: np.ndarray, W: dict[str, np.ndarray], b: Any, keep: np.ndarray | None) -> None:
    """The input's share of what the exponential sees, for all steps."""
    (T, N), H = x.shape, len(W["bg"])
    ids = x.reshape(-1)
    for k, gate in enumerate(PACKED):
        rows = np.take(W[f"Wx{gate}"], ids, axis=0, out=b.gathered, mode="clip").reshape(T, N, H)
        np.multiply(rows.transpose(0, 2, 1), _factor(gate), out=b.a[:, k * H : (k + 1) * H])
    if keep is not None:
        b.a *= keep.transpose(0, 2, 1)
    b.a += b.bias


def _step(t: int, b: Any) -> None:
    a = b.a[t]
    a += np.dot(b.Wh, b.h[t], out=b.product)
    _sigmoid_of_negative(a)
    i, f, o, g = _gates(a)
    g *= 2
    g -= 1
    c = np.multiply(f, b.c[t], out=b.c[t + 1])
    c += np.multiply(i, g, out=b.one)
    tanh_c = np.multiply(c, np.float32(-2), out=b.tanh_c[t])
    _sigmoid_of_negative(tanh_c)
    tanh_c *= 2
    tanh_c -= 1
    np.multiply(o, tanh_c, out=b.h[t + 1])


def _sigmoid_of_negative(a: np.ndarray) -> None:
    """1 / (1 + exp(a)), in place."""
    np.exp(a, out=a)
    a += 1
    np.reciprocal(a, out=a)


def _gates(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    H = len(a) // 4
    return a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]


def _step_backward(t: int, b: Any) -> None:
    """Turns the gates of step t into dL/d(their sums), and dc behind the step into dc before it."""
    i, f, o, g = _gates(b.a[t])
    dh, dc, tanh_c, one, two = b.dh[t], b.dc, b.tanh_c[t], b.one, b.two
    if t + 1 < len(b.dh):
        dh += np.dot(b.Wh_back, b.a[t + 1], out=two)
    # dc += dh o (1 - tanh(c)^2)
    dh_o = np.multiply(dh, o, out=two)
    np.multiply(tanh_c, tanh_c, out=one)
    one *= dh_o
    dc += dh_o
    dc -= one
    # do = dh tanh(c) o (1 - o)
    dh_o *= tanh_c
    np.subtract(1, o, out=o)
    o *= dh_o
    # di = dc g i (1 - i), dg = dc i (1 - g^2)
    dc_i = np.multiply(dc, i, out=one)
    dc_i_g = np.multiply(dc_i, g, out=two)
    np.subtract(1, i, out=i)
    i *= dc_i_g
    dc_i_g *= g
    np.subtract(dc_i, dc_i_g, out=g)
    # df = dc c f (1 - f), and dc f goes on to the step before
    dc *= f
    np.subtract(1, f, out=f)
    f *= dc
    f *= b.c[t]


def _softmax_loss(h: np.ndarray, Why_by: np.ndarray, y: np.ndarray, z: np.ndarray, share: float) -> float:
    """`share` of the summed loss of rows h (R, H + 1), and in z (R, V) of its gradient: softmax minus one-hot."""
    np.dot(h, Why_by, out=z)
    rows = max(CACHED // z.shape[1], 1)
    total = 0.0
    for at in range(0, len(z), rows):
        block, targets = z[at : at + rows], y[at : at + rows]
        which = np.arange(len(block))
        picked = block[which, targets]
        np.exp(block, out=block)
        sums = block.sum(axis=1)
        if not (sums.min() > SMALL and sums.max() < LARGE):  # logits far from 0, which seldom are: with their maximum
            np.dot(h[at : at + rows], Why_by, out=block)
            largest = block.max(axis=1, keepdims=True)
            block -= largest
            picked -= largest[:, 0]
            np.exp(block, out=block)
            sums = block.sum(axis=1)
        total += float(np.sum(np.log(sums) - picked, dtype=np.float64))
        block *= (share / sums)[:, None]
        block[which, targets] -= np.float32(share)
    return total * share


def _sum_by_id(ids: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different ids, and for each the sum of its rows."""
    order = np.argsort(ids, kind="stable")
    different, starts, counts = np.unique(ids[order], return_index=True, return_counts=True)
    sums = rows[order[starts]]  # the first row of each, which for most is the only one
    for k in np.flatnonzero(counts > 1):
        np.add.reduce(rows[order[starts[k] : starts[k] + counts[k]]], axis=0, out=sums[k])
    return different, sums
