"""The cell of `scratch`, fast: the same loss and gradients from the same arrays, on MXNet's own memory.

What makes it fast, and changes no value beyond rounding:

- A row of an input weight is looked up, and its gradient is the sum over the places where its id occurs.
- Every matrix lies as a product wants it (`panels`), and is made so by what comes before.
- What is done number by number is done in one pass (`kernels`).
- The steps follow one another, so one thread does them; all that hangs on a step but on no other is a job for the
  other threads: look-ups before it, logits and softmax behind it. The weight gradients are one product each, or a few.
- Every array has a buffer that lives as long as the sizes stay the same (`fast_layer`).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm.fast import kernels
from gluon_lstm.lstm.fast.gemm import NR, count, gemm, pack, panels
from gluon_lstm.lstm.fast.inplace_function import InplaceFunction, as_numpy_view, ndarray
from gluon_lstm.lstm.fast.layer import FastLayer, submit_gemm_tn
from gluon_lstm.lstm.fast.tasks import Task, TaskGroup
from gluon_lstm.lstm.parameters import Parameters

CHUNK_ROWS = 256  # that are handed on together: others wait for them, but a product is the faster the more there are
PANELS_PER_TASK = 16  # panels of the output weights that are laid out in one job


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, input_mask: Any = None, hidden_mask: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c, as `scratch` computes them; call inside `autograd.record()`.

    Ids x, y (T, N), `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H) or None: NumPy or NDArrays; state h, c (N, H):
    NDArrays on the CPU in float32; for L layers as in `scratch.lstm`. Raises ValueError for full peepholes, which
    `scratch` has.
    """
    if W.config.cell.peepholes == "full":
        raise ValueError(f"the fast cell has no {W.config.variant}: use --cell scratch")
    return _Window(W.config, *map(_numpy, (x, y, input_mask, hidden_mask)))(*W, h, c)


def _numpy(array: Any) -> Any:
    return array.asnumpy() if isinstance(array, mx.nd.NDArray) else array


class _Window(InplaceFunction):
    """Forward and backward over one window, as one operator that autograd knows."""

    def __init__(self, config: ModelConfig, x: np.ndarray, y: np.ndarray, input_mask: Any, hidden_mask: Any) -> None:
        super().__init__()
        self.config = config
        self.T, self.N = x.shape
        self.x, self.y = (np.array(ids, np.int32).reshape(-1) for ids in (x, y))  # copies: a text may be read-only
        if input_mask is None:
            input_mask = np.ones(x.size)
        self.input_mask = np.ascontiguousarray(input_mask, np.float32).reshape(-1)
        self.hidden_mask: list[Any] = [None] * config.layers
        if hidden_mask is not None:
            self.hidden_mask = np.split(np.ascontiguousarray(hidden_mask, np.float32), config.layers)
        self.buffers: Any = None  # from forward to backward
        self.jobs = TaskGroup()  # of backward, and those that are begun before
        self.from_logits: dict[int, Task] = {}

    def forward(self, *inputs: Any) -> Any:
        *params, h0, c0 = map(as_numpy_view, inputs)
        self.W = W = dict(zip(self.config.shapes(1), params))
        V = len(W["by"])
        if min(self.x.min(), self.y.min()) < 0 or max(self.x.max(), self.y.max()) >= V:
            raise ValueError(f"an id is not one of the vocabulary: they are 0 to {V - 1}")
        self.buffers = b = _Buffers.take(self.config, self.T, self.N, V)
        last_h, last_c = np.empty_like(h0), np.empty_like(c0)
        h0, c0, each_h, each_c = (np.split(state, len(b.layers)) for state in (h0, c0, last_h, last_c))
        with TaskGroup() as jobs:
            ready = [jobs.do(b.layers[0].look_up, W, self.x[rows], self.input_mask[rows], rows) for rows in b.rows]
            laid = [jobs.do(layer.begin, W, h0[k], c0[k]) for k, layer in enumerate(b.layers)]
            laid += [jobs.do(b.lay_output, W, columns) for columns in b.parts]
            for layer in b.layers:
                jobs.do(layer.lay_back, W)
            jobs.result(laid[0])
            for k, layer in enumerate(b.layers):
                passed_on = []
                for chunk, steps in enumerate(b.chunks):
                    jobs.result(ready[chunk])
                    layer.run(steps)
                    while laid:  # from here on they are needed
                        jobs.result(laid.pop())
                    passed_on.append(jobs.do(self._pass_on, k, chunk))
                ready = passed_on
            for k, layer in enumerate(b.layers):
                layer.end(each_h[k], each_c[k])
            loss = sum(map(jobs.result, ready)) / len(self.x)
        return tuple(ndarray(array, inputs[-1].context) for array in (np.array([loss]), last_h, last_c))

    def _pass_on(self, k: int, chunk: int) -> float:
        """What layer k gives: to the layer above, or to logits, their summed loss, and in their place dL/d(logits)."""
        b, rows = self.buffers, self.buffers.rows[chunk]
        hidden, first = b.layers[k].give(rows, self.hidden_mask[k])
        if k + 1 < len(b.layers):
            b.layers[k + 1].read(hidden, first, rows)
            return 0.0
        gemm(hidden, first, rows.stop - rows.start, b.Why, b.by, b.z, rows.start)
        V, share = len(self.W["by"]), np.float32(1 / len(self.x))
        loss = kernels.softmax_cross_entropy(b.z, rows.start, self.y[rows], V, share, b.dby[chunk])
        if self.recording:
            self.from_logits[chunk] = self.jobs.do(self._from_logits, chunk)
        return float(loss)

    def backward(self, gradients: Any, dloss: Any, dh_last: Any, dc_last: Any) -> None:
        if self.buffers is None:
            raise ValueError("the gradients of this window were computed before: call the loss again")
        b, L = self.buffers, len(self.buffers.layers)
        *grads, dh0, dc0 = gradients
        grads = dict(zip(self.W, grads))
        dh_last, dc_last, dh0, dc0 = (
            np.split(array, L) for array in (as_numpy_view(dh_last), as_numpy_view(dc_last), dh0, dc0)
        )
        dloss = float(dloss.asscalar())
        with self.jobs as jobs:
            ready = self.from_logits
            if dloss != 1:
                jobs.results()
                for array in (b.z, b.dby, b.layers[-1].dh):
                    array *= np.float32(dloss)
            self._output_gradients(jobs, grads)
            for k in reversed(range(L)):
                layer, passed_on = b.layers[k], {}
                layer.begin_backward(dh_last[k], dc_last[k])
                for chunk in reversed(range(len(b.chunks))):
                    jobs.result(ready[chunk])
                    layer.run_backward(b.chunks[chunk])
                    if k:
                        passed_on[chunk] = jobs.do(self._pass_down, k, chunk)
                ready = passed_on
                below = b.layers[k - 1].given(self.hidden_mask[k - 1]) if k else None
                layer.gradients(jobs, grads, self.x, self.input_mask, below)
                layer.end_backward(dh0[k], dc0[k])
        b.give_back()
        self.buffers = None  # what was in them is used up

    def _from_logits(self, chunk: int) -> None:
        """dL/dh of the top layer through the logits, for dL/d(loss) = 1."""
        b, rows = self.buffers, self.buffers.rows[chunk]
        top = b.layers[-1]
        gemm(b.z, rows.start, rows.stop - rows.start, b.Why_back, top.zero_bias, top.dh, rows.start)
        self._mask(len(b.layers) - 1, rows)

    def _pass_down(self, k: int, chunk: int) -> None:
        """dL/dh of the layer below layer k."""
        b, rows = self.buffers, self.buffers.rows[chunk]
        b.layers[k].give_back(rows, b.layers[k - 1].dh)
        self._mask(k - 1, rows)

    def _mask(self, k: int, rows: slice) -> None:
        if self.hidden_mask[k] is not None:
            dh = self.buffers.layers[k].dh
            kernels.apply_mask(dh, rows.start, self.hidden_mask[k][rows], dh, rows.start)

    def _output_gradients(self, jobs: TaskGroup, grads: dict[str, np.ndarray]) -> None:
        b = self.buffers
        grads["by"][:] = b.dby.sum(axis=0).reshape(-1)[: len(grads["by"])]
        hidden, first = b.layers[-1].given(self.hidden_mask[-1])
        submit_gemm_tn(jobs, hidden, first, b.z, 0, grads["Why"])


class _Buffers:
    """Everything a window of one size needs. One set is kept for the next window of the same size."""

    spare: ClassVar[list[_Buffers]] = []

    def __init__(self, config: ModelConfig, T: int, N: int, V: int) -> None:
        self.size = (config, T, N, V)
        self.chunks = _chunks(T, N)
        self.rows = [slice(steps.start * N, steps.stop * N) for steps in self.chunks]
        self.parts = [slice(at, min(at + PANELS_PER_TASK * NR, V)) for at in range(0, V, PANELS_PER_TASK * NR)]
        self.layers = [FastLayer(config, number, T, N) for number in range(1, config.layers + 1)]
        H = config.hidden
        self.Why, self.by, self.Why_back = panels(count(H) * NR, V), panels(1, V), panels(count(V) * NR, H)
        self.z = panels(T * N, V)  # the logits, then dL/d(logits)
        self.dby = np.zeros((len(self.chunks), count(V), NR), np.float32)

    def lay_output(self, W: dict[str, np.ndarray], columns: slice) -> None:
        """Some columns of the output weights, and with each its bias."""
        pack(W["Why"][:, columns], self.Why, columns.start // NR, 0)
        pack(W["Why"][:, columns].T, self.Why_back, 0, columns.start)
        pack(W["by"][None, columns], self.by, columns.start // NR, 0)

    @classmethod
    def take(cls, *size: Any) -> _Buffers:
        spare = cls.spare.pop() if cls.spare else None
        return spare if spare and spare.size == size else cls(*size)

    def give_back(self) -> None:
        self.spare[:] = [self]


def _chunks(T: int, N: int) -> list[slice]:
    """Steps that are handed on together."""
    steps = max(CHUNK_ROWS // N, 1)
    return [slice(at, min(at + steps, T)) for at in range(0, T, steps)]
