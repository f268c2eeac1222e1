"""Loss and gradients of one window, fast: those of `scratch`, from the same arrays, in MXNet's own memory.

For float32 arrays on the CPU, any T, N, H, V and number of layers. Guarantees: values and gradients agree with the
float64 `reference` within the tolerances of `agreement`; the result does not depend on the number of threads; repeated
calls return the same bits. Truncated backpropagation through time (Werbos 1990, doi:10.1109/5.58337) with these means:

- The input projection is an embedding: rows of `Wx` named by the ids. Its gradient adds rows of the same id.
- Matrices are packed for the microkernel by the kernel that writes them (`gemm`).
- Elementwise operations are fused (`kernels`).
- The steps depend on each other, so one thread computes them, in chunks. Everything else is a task for all threads:
  embedding before a chunk, logits and softmax after it; the gradient of each weight is one task, or a few.
- Buffers are reused by the next window of the same size (`_Buffers`).

docs/fast.md has the timeline of the tasks and the contents of each buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm.fast import kernels
from gluon_lstm.lstm.fast.gemm import NR, gemm, num_panels, pack, pack_transposed, packed_zeros
from gluon_lstm.lstm.fast.inplace_function import InplaceFunction
from gluon_lstm.lstm.fast.layer import FastLayer, submit_gemm_tn
from gluon_lstm.lstm.fast.tasks import Task, TaskGroup
from gluon_lstm.lstm.parameters import Parameters

CHUNK_ROWS = 256  # rows of a chunk: more rows make a product faster, fewer let the other threads start earlier


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, input_mask: Any = None, hidden_mask: Any = None) -> Any:
    """Return the loss of one window (nats per token) and the last h, c, as `scratch` does, inside `autograd.record()`.

    Ids x, y (T, N), `input_mask` (T, N, 1) and `hidden_mask` (T*N, H) or None: NumPy or NDArrays; state h, c (N, H):
    float32 NDArrays on the CPU; for L layers as in `scratch.lstm`. Raises ValueError for a variant that only
    `scratch` implements, for other arrays and for ids outside the vocabulary.
    """
    if W.config.cell.scratch_only:
        raise ValueError(f"`variant` {W.config.variant}: only the scratch implementation has it")
    return _Window(W.config, *map(_numpy, (x, y, input_mask, hidden_mask)))(*W, h, c)


def _numpy(array: Any) -> Any:
    return array.asnumpy() if isinstance(array, mx.nd.NDArray) else array


class _Window(InplaceFunction):
    """Forward and backward over one window as one function of autograd."""

    def __init__(self, config: ModelConfig, x: np.ndarray, y: np.ndarray, input_mask: Any, hidden_mask: Any) -> None:
        super().__init__()
        self.config = config
        self.T, self.N = x.shape
        self.x, self.y = (np.array(ids, np.int32).reshape(-1) for ids in (x, y))  # copies: ids may be read-only
        if input_mask is None:
            input_mask = np.ones(x.size)
        self.input_mask = np.ascontiguousarray(input_mask, np.float32).reshape(-1)
        self.hidden_mask: list[Any] = [None] * config.layers
        if hidden_mask is not None:
            self.hidden_mask = np.split(np.ascontiguousarray(hidden_mask, np.float32), config.layers)
        self.buffers: Any = None  # from forward to backward
        self.backward_tasks = TaskGroup()  # forward submits the first of them
        self.logits_backward: dict[int, Task] = {}  # by chunk

    def forward(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        *params, h0, c0 = inputs
        self.W = W = dict(zip(self.config.shapes(1), params))
        V = len(W["by"])
        if min(self.x.min(), self.y.min()) < 0 or max(self.x.max(), self.y.max()) >= V:
            raise ValueError(f"an id is outside the vocabulary: use 0 to {V - 1}")
        self.buffers = b = _Buffers.acquire(self.config, self.T, self.N, V)
        last_h, last_c = np.empty_like(h0), np.empty_like(c0)
        h0, c0, layer_h, layer_c = (np.split(state, len(b.layers)) for state in (h0, c0, last_h, last_c))
        with TaskGroup() as tasks:
            packing = [tasks.submit(layer.load_weights_and_state, W, h0[k], c0[k]) for k, layer in enumerate(b.layers)]
            inputs_ready = [
                tasks.submit(b.layers[0].embed, W, self.x[rows], self.input_mask[rows], rows) for rows in b.rows
            ]
            packing += [tasks.submit(b.pack_output_weights, W, rows) for rows in b.weight_rows]
            for layer in b.layers:
                tasks.submit(layer.pack_transposed, W)
            tasks.result(packing[0])
            for k, layer in enumerate(b.layers):
                outputs = []
                for chunk, steps in enumerate(b.chunks):
                    tasks.result(inputs_ready[chunk])
                    layer.forward(steps)
                    while packing:  # `_forward_chunk` needs all of these weights
                        tasks.result(packing.pop())
                    outputs.append(tasks.submit(self._forward_chunk, k, chunk))
                inputs_ready = outputs
            for k, layer in enumerate(b.layers):
                layer.store_state(layer_h[k], layer_c[k])
            loss = sum(map(tasks.result, outputs)) / len(self.x)
        return np.array([loss]), last_h, last_c

    def _forward_chunk(self, k: int, chunk: int) -> float:
        """Pass the hidden states of layer k on: as input projections to layer k + 1, or to the logits.

        At the top layer, return the summed loss; dL/d(logits) replaces the logits.
        """
        b, rows = self.buffers, self.buffers.rows[chunk]
        hidden, first = b.layers[k].masked_output(rows, self.hidden_mask[k])
        if k + 1 < len(b.layers):
            b.layers[k + 1].project_input(hidden, first, rows)
            return 0.0
        gemm(hidden, first, rows.stop - rows.start, b.Why, b.by, b.z, rows.start)
        V, scale = len(self.W["by"]), np.float32(1 / len(self.x))
        loss = kernels.softmax_cross_entropy(b.z, rows.start, self.y[rows], V, scale, b.dby[chunk])
        if self.recording:
            self.logits_backward[chunk] = self.backward_tasks.submit(self._backward_logits, chunk)
        return float(loss)

    def backward(
        self, gradients: Sequence[np.ndarray], dloss: np.ndarray, dh_last: np.ndarray, dc_last: np.ndarray
    ) -> None:
        if self.buffers is None:
            raise ValueError("the gradients of this window are already computed: compute its loss again first")
        b, L = self.buffers, len(self.buffers.layers)
        *weight_gradients, dh0, dc0 = gradients
        grads = dict(zip(self.W, weight_gradients))
        dh_last, dc_last, dh0, dc0 = (np.split(array, L) for array in (dh_last, dc_last, dh0, dc0))
        scale = float(dloss[0])
        with self.backward_tasks as tasks:
            outputs_ready = self.logits_backward
            if scale != 1:
                tasks.results()
                for array in (b.z, b.dby, b.layers[-1].dh):
                    array *= np.float32(scale)
            self._submit_output_gradients(tasks, grads)
            for k in reversed(range(L)):
                layer, inputs_ready = b.layers[k], {}
                layer.load_state_gradient(dh_last[k], dc_last[k])
                for chunk in reversed(range(len(b.chunks))):
                    tasks.result(outputs_ready[chunk])
                    layer.backward(b.chunks[chunk])
                    if k:
                        inputs_ready[chunk] = tasks.submit(self._backward_chunk, k, chunk)
                outputs_ready = inputs_ready
                below = b.layers[k - 1].output(self.hidden_mask[k - 1]) if k else None
                layer.submit_gradients(tasks, grads, self.x, self.input_mask, below)
                layer.store_state_gradient(dh0[k], dc0[k])
        b.release()
        self.buffers = None  # the gradients have overwritten what a second backward would need

    def _backward_logits(self, chunk: int) -> None:
        """Write dL/dh of the top layer's output from dL/d(logits), for dL/d(loss) = 1."""
        b, rows = self.buffers, self.buffers.rows[chunk]
        top = b.layers[-1]
        gemm(b.z, rows.start, rows.stop - rows.start, b.Why_t, top.zero_bias, top.dh, rows.start)
        self._mask_gradient(len(b.layers) - 1, rows)

    def _backward_chunk(self, k: int, chunk: int) -> None:
        """Write dL/dh of the layer below layer k."""
        b, rows = self.buffers, self.buffers.rows[chunk]
        b.layers[k].input_gradient(rows, b.layers[k - 1].dh)
        self._mask_gradient(k - 1, rows)

    def _mask_gradient(self, k: int, rows: slice) -> None:
        if self.hidden_mask[k] is not None:
            dh = self.buffers.layers[k].dh
            kernels.apply_mask(dh, rows.start, self.hidden_mask[k][rows], dh, rows.start)

    def _submit_output_gradients(self, tasks: TaskGroup, grads: dict[str, np.ndarray]) -> None:
        b = self.buffers
        grads["by"][:] = b.dby.sum(axis=0).reshape(-1)[: len(grads["by"])]
        hidden, first = b.layers[-1].output(self.hidden_mask[-1])
        submit_gemm_tn(tasks, hidden, first, b.z, 0, grads["Why"])


class _Buffers:
    """All buffers of a window of one size. One set is kept for the next window of the same size."""

    spare: ClassVar[list[_Buffers]] = []

    def __init__(self, config: ModelConfig, T: int, N: int, V: int) -> None:
        self.size = (config, T, N, V)
        self.chunks = _chunks(T, N)
        self.rows = [slice(steps.start * N, steps.stop * N) for steps in self.chunks]
        H = config.hidden
        self.weight_rows = [slice(at, min(at + NR, H)) for at in range(0, H, NR)]
        self.layers = [FastLayer(config, number, T, N) for number in range(1, config.layers + 1)]
        self.Why, self.by = packed_zeros(num_panels(H) * NR, V), packed_zeros(1, V)
        self.Why_t = packed_zeros(num_panels(V) * NR, H)
        self.z = packed_zeros(T * N, V)  # the logits, then dL/d(logits)
        self.dby = np.zeros((len(self.chunks), num_panels(V), NR), np.float32)

    def pack_output_weights(self, W: dict[str, np.ndarray], rows: slice) -> None:
        """Pack at most NR rows of Why, plain and transposed, and with the first rows by."""
        pack(W["Why"][rows], self.Why, 0, rows.start)
        pack_transposed(W["Why"][rows], self.Why_t, rows.start // NR, 0)
        if not rows.start:
            pack(W["by"][None], self.by, 0, 0)

    @classmethod
    def acquire(cls, *size: Any) -> _Buffers:
        """Return the spare buffers if they have this size, else new ones."""
        spare = cls.spare.pop() if cls.spare else None
        return spare if spare and spare.size == size else cls(*size)

    def release(self) -> None:
        self.spare[:] = [self]


def _chunks(T: int, N: int) -> list[slice]:
    """Split T steps into chunks of about CHUNK_ROWS rows."""
    steps = max(CHUNK_ROWS // N, 1)
    return [slice(at, min(at + steps, T)) for at in range(0, T, steps)]
