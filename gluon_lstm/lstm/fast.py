"""The cell of `scratch`, fast: the same loss and gradients from the same 14 arrays, on MXNet's own memory.

What makes it fast, and changes no value beyond rounding:

- A row of an input weight is looked up, and its gradient is the sum over the places where its id occurs.
- A product adds to what is there already, and is scaled on its way; those of the time steps are prepared once.
- What is done number by number is done in one pass (`kernels`).
- The steps follow one another, so one thread does them; all that hangs on a step but on no other is a job for the
  other threads: look-ups before it, logits and softmax behind it. The weight gradients are one product each, or a few.
- Every array has a buffer that lives as long as the sizes stay the same.

The gates lie apart, each (T, N, H) in one piece: as rows (T*N, H) they are what the products over the window want.
"""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm import kernels
from gluon_lstm.lstm.blas import multiply, product
from gluon_lstm.lstm.jobs import Job, Jobs
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.machine import available_cores
from gluon_lstm.model import NAMES, Configuration

STACKED = "ifog"  # the gates in the order of the buffer that holds them
STEPS = 8  # of a job


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, keep_rows: Any = None, keep_hidden: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c, as `scratch` computes them; call inside `autograd.record()`.

    Ids x, y (T, N), `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H) or None: NumPy or NDArrays; state h, c (N, H):
    NDArrays on the CPU in float32.
    """
    window = _Window(*map(_numpy, (x, y, keep_rows, keep_hidden)))
    return window(*W, h, c)  # MXNet stops handing out gradients at the first input that wants none: those come last


def _numpy(array: Any) -> Any:
    return array.asnumpy() if isinstance(array, mx.nd.NDArray) else array


class _Window(mx.autograd.Function):  # type: ignore[misc]
    """Forward and backward over one window, as one operator that autograd knows."""

    def __init__(self, x: np.ndarray, y: np.ndarray, keep_rows: Any, keep_hidden: Any) -> None:
        super().__init__()
        self.T, self.N = x.shape
        self.x, self.y = (np.ascontiguousarray(ids, np.int32).reshape(-1) for ids in (x, y))
        self.keep_rows = np.ones(x.size, np.float32) if keep_rows is None else keep_rows.reshape(-1)
        self.keep_hidden = keep_hidden

    def forward(self, *inputs: Any) -> Any:
        mx.nd.waitall()  # MXNet may still be copying gradients out of the buffers: what is done there, it cannot see
        *params, h0, c0 = map(view, inputs)
        self.W = W = dict(zip(NAMES, params))
        self.ctx = inputs[-1].context
        self.buffers = b = _Buffers.take(self.T, self.N, *W["Why"].shape, self.ctx)
        b.bind(W)
        b.h[0], b.c[0] = h0.reshape(-1), c0.reshape(-1)
        with Jobs() as jobs:
            looked_up = [jobs.do(self._look_up, rows) for rows in b.rows]
            losses = []
            for k, steps in enumerate(b.chunks):
                jobs.result(looked_up[k])
                for t in range(steps.start, steps.stop):
                    for add in b.recurrence[t]:
                        add()
                    kernels.step(t, b.a, b.c, b.tanh_c, b.h)
                losses.append(jobs.do(self._softmax, k))
            loss = sum(map(jobs.result, losses)) / len(self.x)
        last = (a[self.T].reshape(h0.shape) for a in (b.h, b.c))
        return tuple(mx.nd.array(a, ctx=self.ctx) for a in ([loss], *last))

    def _look_up(self, rows: slice) -> None:
        """The input's share of what is inside the gates, for some rows."""
        for gate, A in zip(STACKED, self.buffers.A):
            kernels.look_up(self.W[f"Wx{gate}"], self.x[rows], self.keep_rows[rows], self.W[f"b{gate}"], A[rows])

    def _softmax(self, k: int) -> float:
        """Chunk k: logits, their summed loss, and in their place dL/d(logits) times T*N."""
        b, rows = self.buffers, self.buffers.rows[k]
        hidden, z = b.hidden[rows], b.z[rows]
        if self.keep_hidden is not None:
            hidden = np.multiply(hidden, self.keep_hidden[rows], out=b.dropped[rows])
        z[:] = self.W["by"]
        multiply(hidden, self.W["Why"], z, beta=1)
        return float(kernels.softmax_loss(z, self.y[rows], z.max(axis=1), b.dby[k]))

    def backward(self, dloss: Any, dh_last: Any, dc_last: Any) -> Any:
        b, N = self.buffers, self.N
        scale = float(dloss.asscalar()) / len(self.x)
        b.dc[:] = view(dc_last).reshape(-1)
        with Jobs() as jobs:
            through_logits: dict[int, Job] = {}
            for k in reversed(range(len(b.chunks))):
                through_logits[k] = jobs.do(self._dhidden, b.rows[k], scale)
            self._output_gradients(jobs, scale)
            for k, steps in reversed(list(enumerate(b.chunks))):
                jobs.result(through_logits[k])
                for t in reversed(range(steps.start, steps.stop)):
                    if t + 1 == self.T:
                        b.dh[t] += view(dh_last).reshape(-1)
                    else:
                        for add in b.recurrence_back[t]:
                            add()
                    kernels.step_backward(t, b.a, b.c, b.tanh_c, b.dh, b.dc)
            self._gate_gradients(jobs)
            dh0 = np.zeros((N, b.H), np.float32)
            for gate, A in zip(STACKED, b.A):
                multiply(A[:N], self.W[f"Wh{gate}"].T, dh0, beta=1)
        b.x = self.x
        b.give_back()
        dc0 = b.dc.reshape(dh0.shape)
        return (*(b.grad_arrays[name] for name in NAMES), *(mx.nd.array(a, ctx=self.ctx) for a in (dh0, dc0)))

    def _dhidden(self, rows: slice, scale: float) -> None:
        """dL/dh through the logits, for some rows."""
        dh = self.buffers.dhidden[rows]
        multiply(self.buffers.z[rows], self.W["Why"].T, dh, alpha=scale)
        if self.keep_hidden is not None:
            dh *= self.keep_hidden[rows]

    def _output_gradients(self, jobs: Jobs, scale: float) -> None:
        b = self.buffers
        np.multiply(b.dby.sum(axis=0), scale, out=b.grads["by"])
        hidden = b.hidden if self.keep_hidden is None else b.dropped
        for columns in _parts(len(b.grads["by"]), 2 * available_cores()):
            jobs.do(multiply, hidden.T, b.z[:, columns], b.grads["Why"][:, columns], scale)

    def _gate_gradients(self, jobs: Jobs) -> None:
        b = self.buffers
        for gate, dA in zip(STACKED, b.A):
            jobs.do(multiply, b.h_prev.T, dA, b.grads[f"Wh{gate}"])
        for gate, dA in zip(STACKED, b.A):
            jobs.do(kernels.sum_rows, dA, self.x, b.x, self.keep_rows, b.grads[f"Wx{gate}"], b.grads[f"b{gate}"])


class _Buffers:
    """Everything a window of one size needs. One set is kept for the next window of the same size."""

    spare: ClassVar[list[_Buffers]] = []

    def __init__(self, T: int, N: int, H: int, V: int, ctx: Any) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        self.size, self.H = (T, N, H, V, ctx), H
        self.chunks = _parts(T, -(-T // STEPS))
        self.rows = [slice(steps.start * N, steps.stop * N) for steps in self.chunks]
        self.a = empty(len(STACKED), T, N * H)  # what is inside the gates, then the gates, then dL/d(what was inside)
        self.h, self.c, self.tanh_c = empty(T + 1, N * H), empty(T + 1, N * H), empty(T, N * H)
        self.z = empty(T * N, V)  # the logits, then dL/d(logits) times T*N
        self.dby = empty(len(self.chunks), V)
        self.dh, self.dc = empty(T, N * H), empty(N * H)
        # the same as rows, one for each prediction
        self.A = self.a.reshape(-1, T * N, H)
        self.hidden, self.h_prev = self.h[1:].reshape(-1, H), self.h[:-1].reshape(-1, H)
        self.dhidden, self.dropped = self.dh.reshape(-1, H), empty(T * N, H)
        self.grad_arrays = {name: mx.nd.zeros(shape, ctx) for name, shape in Configuration(H).shapes(V).items()}
        self.grads = {name: view(array) for name, array in self.grad_arrays.items()}
        self.x = np.empty(0, np.int32)  # whose rows in the gradients of the input weights are not 0
        self._bound: list[int] = []

    @classmethod
    def take(cls, *size: Any) -> _Buffers:
        spare = cls.spare.pop() if cls.spare else None
        return spare if spare and spare.size == size else cls(*size)

    def give_back(self) -> None:
        self.spare[:] = [self]

    def bind(self, W: dict[str, np.ndarray]) -> None:
        """Prepare the products of all time steps, if the weights are not those of the window before."""
        weights = [W[f"Wh{gate}"] for gate in STACKED]
        bound = [Wh.ctypes.data for Wh in weights]
        if bound == self._bound:
            return
        self._bound = bound
        T, N = self.size[:2]
        at = [slice(t * N, (t + 1) * N) for t in range(T)]
        pairs = list(zip(weights, self.A))
        self.recurrence = [[product(self.h_prev[rows], Wh, A[rows], 1, 1) for Wh, A in pairs] for rows in at]
        self.recurrence_back = [
            [product(A[after], Wh.T, self.dhidden[rows], 1, 1) for Wh, A in pairs] for rows, after in zip(at, at[1:])
        ]


def view(array: Any) -> np.ndarray:
    """The memory of a float32 NDArray on the CPU as a NumPy array, without a copy, when all that uses it is done.

    By the pointer: what DLPack gives may only be read.
    """
    array.wait_to_read()
    address = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))
    return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), array.shape)


def _parts(size: int, count: int) -> list[slice]:
    """0 … size cut into at most `count` slices of about the same length."""
    ends = [size * k // count for k in range(count + 1)]
    return [slice(start, end) for start, end in zip(ends, ends[1:]) if start < end]
