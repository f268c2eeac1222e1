"""The cell of `scratch`, fast: the same loss and gradients from the same 14 arrays, on MXNet's own memory.

What makes it fast, and changes no value beyond rounding:

- A row of an input weight is looked up, and its gradient is the sum over the places where its id occurs.
- A product adds to what is there already, and is scaled on its way; those of the time steps are prepared once.
- What is done number by number is done in one pass (`kernels`).
- The steps follow one another, so one thread does them; all that hangs on a step but on no other is a job for the
  other threads: look-ups before it, logits and softmax behind it. The weight gradients are one product each, or a few.
- Every array has a buffer that lives as long as the sizes stay the same.

The gates of a prediction lie side by side: one product gives all four.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm import kernels
from gluon_lstm.lstm.blas import multiply, product
from gluon_lstm.lstm.jobs import Job, Jobs
from gluon_lstm.lstm.operator import Operator, view
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.machine import available_cores
from gluon_lstm.model import NAMES

STACKED = "ifog"  # the gates in the order in which they lie side by side
SHORTEST, LONGEST = 4, 16  # steps of a job
COLUMNS = 1024  # of a product, at least: a narrower one spends too much of its time on rearranging its factors


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, keep_rows: Any = None, keep_hidden: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c, as `scratch` computes them; call inside `autograd.record()`.

    Ids x, y (T, N), `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H) or None: NumPy or NDArrays; state h, c (N, H):
    NDArrays on the CPU in float32.
    """
    return _Window(*map(_numpy, (x, y, keep_rows, keep_hidden)))(*W, h, c)


def _numpy(array: Any) -> Any:
    return array.asnumpy() if isinstance(array, mx.nd.NDArray) else array


class _Window(Operator):
    """Forward and backward over one window, as one operator that autograd knows."""

    def __init__(self, x: np.ndarray, y: np.ndarray, keep_rows: Any, keep_hidden: Any) -> None:
        super().__init__()
        self.T, self.N = x.shape
        self.x, self.y = (np.array(ids, np.int32).reshape(-1) for ids in (x, y))  # copies: a text may be read-only
        if keep_rows is None:
            keep_rows = np.ones(x.size)
        self.keep_rows = np.ascontiguousarray(keep_rows, np.float32).reshape(-1)
        self.keep_hidden = keep_hidden
        self.buffers: Any = None  # from forward to backward

    def forward(self, *inputs: Any) -> Any:
        *params, h0, c0 = map(view, inputs)
        self.W = W = dict(zip(NAMES, params))
        V = len(W["by"])
        if min(self.x.min(), self.y.min()) < 0 or max(self.x.max(), self.y.max()) >= V:
            raise ValueError(f"an id is not one of the vocabulary: they are 0 to {V - 1}")
        self.buffers = b = _Buffers.take(self.T, self.N, *W["Why"].shape)
        b.h[0], b.c[0] = h0, c0
        with Jobs() as jobs:
            looked_up = [jobs.do(self._look_up, rows) for rows in b.rows]
            jobs.do(b.pack_back, W)
            b.pack(W)
            losses = []
            for k, steps in enumerate(b.chunks):
                jobs.result(looked_up[k])
                for t in range(steps.start, steps.stop):
                    b.recurrence[t]()
                    kernels.step(t, b.a, b.c, b.tanh_c, b.h)
                losses.append(jobs.do(self._softmax, k))
            loss = sum(map(jobs.result, losses)) / len(self.x)
        return tuple(mx.nd.array(array, ctx=inputs[-1].context) for array in ([loss], b.h[self.T], b.c[self.T]))

    def _look_up(self, rows: slice) -> None:
        """The input's share of what is inside the gates, for some rows."""
        W, inputs = self.W, (self.x[rows], self.keep_rows[rows])
        for gate, A in zip(STACKED, self.buffers.gates):
            kernels.look_up(W[f"Wx{gate}"], *inputs, W[f"b{gate}"], A[rows])

    def _softmax(self, k: int) -> float:
        """Chunk k: logits, their summed loss, and in their place dL/d(logits) times T*N."""
        b, rows = self.buffers, self.buffers.rows[k]
        hidden, z = b.hidden[rows], b.z[rows]
        if self.keep_hidden is not None:
            hidden = np.multiply(hidden, self.keep_hidden[rows], out=b.dropped[rows])
        z[:] = self.W["by"]
        multiply(hidden, self.W["Why"], z, beta=1)
        return float(kernels.softmax_loss(z, self.y[rows], b.dby[k]))

    def backward(self, gradients: Any, dloss: Any, dh_last: Any, dc_last: Any) -> None:
        if self.buffers is None:
            raise ValueError("the gradients of this window were computed before: call the loss again")
        *grads, dh0, dc0 = gradients
        self.grads = dict(zip(NAMES, grads))
        b = self.buffers
        scale = float(dloss.asscalar()) / len(self.x)
        b.dc[:] = view(dc_last)
        with Jobs() as jobs:
            through_logits: dict[int, Job] = {}
            for k in reversed(range(len(b.chunks))):
                through_logits[k] = jobs.do(self._dhidden, b.rows[k], scale)
            self._output_gradients(jobs, scale)
            for k, steps in reversed(list(enumerate(b.chunks))):
                jobs.result(through_logits[k])
                for t in reversed(range(steps.start, steps.stop)):
                    if t + 1 == self.T:
                        b.dh[t] += view(dh_last)
                    else:
                        b.recurrence_back[t]()
                    kernels.step_backward(t, b.a, b.c, b.tanh_c, b.dh, b.dc)
            self._gate_gradients(jobs)
            multiply(b.A[: self.N], b.Wh_back, dh0)
            dc0[:] = b.dc
        b.give_back()
        self.buffers = None  # what was in them is used up

    def _dhidden(self, rows: slice, scale: float) -> None:
        """dL/dh through the logits, for some rows."""
        dh = self.buffers.dhidden[rows]
        multiply(self.buffers.z[rows], self.W["Why"].T, dh, alpha=scale)
        if self.keep_hidden is not None:
            dh *= self.keep_hidden[rows]

    def _output_gradients(self, jobs: Jobs, scale: float) -> None:
        b = self.buffers
        np.multiply(b.dby.sum(axis=0), scale, out=self.grads["by"])
        hidden = b.hidden if self.keep_hidden is None else b.dropped
        for columns in _parts(len(self.grads["by"])):
            jobs.do(multiply, hidden.T, b.z[:, columns], self.grads["Why"][:, columns], scale)

    def _gate_gradients(self, jobs: Jobs) -> None:
        b = self.buffers
        for gate, dA in zip(STACKED, b.gates):
            jobs.do(multiply, b.h_prev.T, dA, self.grads[f"Wh{gate}"])
        for gate, dA in zip(STACKED, b.gates):
            jobs.do(kernels.sum_rows, dA, self.x, self.keep_rows, self.grads[f"Wx{gate}"], self.grads[f"b{gate}"])


class _Buffers:
    """Everything a window of one size needs. One set is kept for the next window of the same size."""

    spare: ClassVar[list[_Buffers]] = []

    def __init__(self, T: int, N: int, H: int, V: int) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        self.size = (T, N, H, V)
        self.chunks = _chunks(T)
        self.rows = [slice(steps.start * N, steps.stop * N) for steps in self.chunks]
        self.Wh, self.Wh_back = empty(H, 4 * H), empty(4 * H, H)
        self.a = empty(T, N, 4 * H)  # what is inside the gates, then the gates, then dL/d(what was inside)
        self.h, self.c, self.tanh_c = empty(T + 1, N, H), empty(T + 1, N, H), empty(T, N, H)
        self.z = empty(T * N, V)  # the logits, then dL/d(logits) times T*N
        self.dby = empty(len(self.chunks), V)
        self.dh, self.dc = empty(T, N, H), empty(N, H)
        # the same as rows, one for each prediction
        self.A = self.a.reshape(T * N, 4 * H)
        self.gates = [self.A[:, k * H : (k + 1) * H] for k in range(4)]
        self.hidden, self.h_prev = self.h[1:].reshape(-1, H), self.h[:-1].reshape(-1, H)
        self.dhidden, self.dropped = self.dh.reshape(-1, H), empty(T * N, H)
        # the products of the time steps, ready to be called
        self.recurrence = [product(h, self.Wh, a, beta=1) for h, a in zip(self.h, self.a)]
        self.recurrence_back = [product(a, self.Wh_back, dh, beta=1) for a, dh in zip(self.a[1:], self.dh)]

    @classmethod
    def take(cls, *size: int) -> _Buffers:
        spare = cls.spare.pop() if cls.spare else None
        return spare if spare and spare.size == size else cls(*size)

    def give_back(self) -> None:
        self.spare[:] = [self]

    def pack(self, W: dict[str, np.ndarray]) -> None:
        """The recurrent weights side by side."""
        np.concatenate([W[f"Wh{gate}"] for gate in STACKED], axis=1, out=self.Wh)

    def pack_back(self, W: dict[str, np.ndarray]) -> None:
        """The same for the way back, transposed, because so a product is faster."""
        np.concatenate([W[f"Wh{gate}"].T for gate in STACKED], out=self.Wh_back)


def _parts(V: int) -> list[slice]:
    """The columns of Why, cut into slices that keep all cores busy."""
    count = max(min(V // COLUMNS, 4 * available_cores()), 1)
    return _between({V * k // count for k in range(count + 1)})


def _chunks(T: int) -> list[slice]:
    """Steps that are handed on together: few at both ends, where others wait for work; many between, where products
    are the faster the more rows they have.
    """
    few, more = SHORTEST, 3 * SHORTEST
    ends = {0, few, T - few, *range(more, T - more, LONGEST), T - more, T}
    return _between({end for end in ends if 0 <= end <= T})


def _between(ends: set[int]) -> list[slice]:
    ordered = sorted(ends)
    return [slice(start, end) for start, end in zip(ordered, ordered[1:])]
