"""One layer of the fast path: its buffers for windows of one size, and its forward and backward over chunks of steps.

Input and output are ids or packed matrices with a row for each prediction, row t * N + n for step t and lane n. The
panels of the gates follow each other in one array, so that one product computes all gates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gluon_lstm.config import PEEPHOLE_GATES, ModelConfig
from gluon_lstm.lstm.fast import kernels
from gluon_lstm.lstm.fast.gemm import NR, gemm, gemm_tn, num_panels, pack, pack_transposed, packed_zeros, unpack
from gluon_lstm.lstm.fast.tasks import TaskGroup

TASK_FLOPS = 1 << 27  # floating point operations of a task, about a millisecond of one core
Arrays = dict[str, np.ndarray]  # under the names of the model


class FastLayer:
    """Layer `number` (from 1) of a window of T steps and N lanes. All matrices are packed (`gemm`)."""

    def __init__(self, config: ModelConfig, number: int, T: int, N: int) -> None:
        self.names, self.cell = config.names(number), config.cell
        self.T, self.N, self.H = T, N, config.hidden
        self.gate_panels = {  # the first panel of each gate
            gate: k * num_panels(self.H) for k, gate in enumerate(self.cell.fused_gate_order)
        }
        G = len(self.gate_panels)
        self.is_rnn = G == 1

        def gate_zeros(rows: int) -> np.ndarray:
            return np.concatenate([packed_zeros(rows, self.H)] * G)

        H = num_panels(self.H) * NR  # with padding
        self.Wh, self.Wh_t = gate_zeros(H), packed_zeros(G * H, self.H)
        self.first = number == 1
        if not self.first:
            self.Wx, self.Wx_t, self.b = gate_zeros(H), packed_zeros(G * H, self.H), gate_zeros(1)
        self.Wc = np.zeros((len(PEEPHOLE_GATES) if self.cell.peepholes else 0, num_panels(self.H), NR), np.float32)
        self.gates = gate_zeros(T * N)  # pre-activations, then the gates, then dL/d(pre-activations)
        self.h, self.c = packed_zeros((T + 1) * N, self.H), packed_zeros((T + 1) * N, self.H)  # first N rows: h0, c0
        self.tanh_c = packed_zeros(T * N, self.H)
        self.h_masked = packed_zeros(T * N, self.H)  # hidden states after dropout
        self.dh, self.dh_last = packed_zeros(T * N, self.H), packed_zeros(N, self.H)
        self.dc = packed_zeros(N, self.H)
        self.zero_bias = packed_zeros(1, self.H)

    def _array(self, arrays: Arrays, name: str) -> np.ndarray:
        """Return this layer's array of the given name in the equations (`Whg`)."""
        return arrays[self.names[name]]

    def load_weights_and_state(self, W: Arrays, h: np.ndarray, c: np.ndarray) -> None:
        """Pack the weights of the forward pass and the initial state h, c (N, H)."""
        for gate, panel in self.gate_panels.items():
            pack(self._array(W, f"Wh{gate}"), self.Wh, panel, 0)
            if not self.first:
                pack(self._array(W, f"Wx{gate}"), self.Wx, panel, 0)
                pack(self._array(W, f"b{gate}")[None], self.b, panel, 0)
        for k in range(len(self.Wc)):
            pack(self._array(W, f"Wc{PEEPHOLE_GATES[k]}")[None], self.Wc[k][:, None], 0, 0)
        pack(h, self.h, 0, 0)
        pack(c, self.c, 0, 0)

    def pack_transposed(self, W: Arrays) -> None:
        """Pack the transposed weights of the backward pass."""
        for gate, panel in self.gate_panels.items():
            pack_transposed(self._array(W, f"Wh{gate}"), self.Wh_t, 0, panel * NR)
            if not self.first:
                pack_transposed(self._array(W, f"Wx{gate}"), self.Wx_t, 0, panel * NR)

    def embed(self, W: Arrays, x: np.ndarray, input_mask: np.ndarray, rows: slice) -> None:
        """Write the input projections of ids x (R,) into some rows of `gates`."""
        for gate, panel in self.gate_panels.items():
            Wx, b = self._array(W, f"Wx{gate}"), self._array(W, f"b{gate}")
            kernels.embed(Wx, x, input_mask, b, self.gates, panel, rows.start)

    def project_input(self, below: np.ndarray, first: int, rows: slice) -> None:
        """Write the input projections of the layer below's output, its rows from `first` on, into rows of `gates`."""
        gemm(below, first, rows.stop - rows.start, self.Wx, self.b, self.gates, rows.start)

    def forward(self, steps: slice) -> None:
        """Compute some steps from the input projections in `gates`."""
        if self.is_rnn:
            from gluon_lstm.lstm.fast import variant_kernels

            variant_kernels.forward_steps_rnn(
                steps.start, steps.stop, self.N, self.Wh, self.gates, self.c, self.h
            )  # fmt: skip
        else:
            kernels.forward_steps(
                steps.start, steps.stop, self.N, self.Wh, self.gates, self.c, self.tanh_c, self.h, self.Wc,
                self.cell.output_tanh,
            )  # fmt: skip

    def masked_output(self, rows: slice, hidden_mask: Any) -> tuple[np.ndarray, int]:
        """Return (matrix, first row) of the hidden states passed to the next layer, with dropout applied.

        hidden_mask: (T*N, H) or None.
        """
        if hidden_mask is None:
            return self.h, self.N + rows.start
        kernels.apply_mask(self.h, self.N + rows.start, hidden_mask[rows], self.h_masked, rows.start)
        return self.h_masked, rows.start

    def output(self, hidden_mask: Any) -> tuple[np.ndarray, int]:
        """Return (matrix, first row) of all hidden states passed to the next layer, after `masked_output` of each."""
        return (self.h, self.N) if hidden_mask is None else (self.h_masked, 0)

    def store_state(self, h: np.ndarray, c: np.ndarray) -> None:
        """Write the state after the last step into h, c (N, H)."""
        unpack(self.h, self.T * self.N, h)
        unpack(self.c, self.T * self.N, c)

    def load_state_gradient(self, dh: np.ndarray, dc: np.ndarray) -> None:
        """Pack dL/dh and dL/dc of the last step, each (N, H)."""
        pack(dh, self.dh_last, 0, 0)
        pack(dc, self.dc, 0, 0)

    def backward(self, steps: slice) -> None:
        """Compute dL/d(pre-activations) of some steps from the dL/dh of the layer above in `dh`."""
        if steps.stop == self.T:
            self.dh[:, -self.N :] += self.dh_last
        if self.is_rnn:
            from gluon_lstm.lstm.fast import variant_kernels

            variant_kernels.backward_steps_rnn(
                steps.start, steps.stop, self.N, self.Wh_t, self.gates, self.h, self.dh
            )  # fmt: skip
        else:
            kernels.backward_steps(
                steps.start, steps.stop, self.N, self.Wh_t, self.gates, self.c, self.tanh_c, self.dh, self.dc, self.Wc,
                self.cell.output_tanh,
            )  # fmt: skip

    def input_gradient(self, rows: slice, dx: np.ndarray) -> None:
        """Write dL/d(output of the layer below) of some rows into the same rows of `dx`."""
        gemm(self.gates, rows.start, rows.stop - rows.start, self.Wx_t, self.zero_bias, dx, rows.start)

    def store_state_gradient(self, dh: np.ndarray, dc: np.ndarray) -> None:
        """Write dL/dh and dL/dc of the initial state into dh, dc (N, H)."""
        dh0 = packed_zeros(self.N, self.H)
        gemm(self.gates, 0, self.N, self.Wh_t, self.zero_bias, dh0, 0)
        unpack(dh0, 0, dh)
        unpack(self.dc, 0, dc)

    def submit_gradients(
        self, tasks: TaskGroup, grads: Arrays, x: np.ndarray, input_mask: np.ndarray, below: Any
    ) -> None:
        """Submit the tasks that compute the gradients of the layer's arrays.

        The input was ids x (T*N,) with their mask where `below` is None, else `below`: (matrix, first row).
        """
        for gate, panel in self.gate_panels.items():
            submit_gemm_tn(tasks, self.h, 0, self.gates, panel, self._array(grads, f"Wh{gate}"))
        for gate, panel in self.gate_panels.items():
            dWx, db = self._array(grads, f"Wx{gate}"), self._array(grads, f"b{gate}")
            if below is None:
                tasks.submit(kernels.embedding_gradient, self.gates, panel, x, input_mask, dWx, db)
            else:
                submit_gemm_tn(tasks, below[0], below[1], self.gates, panel, dWx)
                tasks.submit(kernels.sum_columns, self.gates, panel, db)
        if not len(self.Wc):
            return
        from gluon_lstm.lstm.fast import variant_kernels

        for k, c_row in enumerate((0, 0, self.N)):  # i, f: the previous c; o: the new c
            gate = PEEPHOLE_GATES[k]
            dWc = self._array(grads, f"Wc{gate}")
            tasks.submit(variant_kernels.peephole_gradient, self.gates, self.gate_panels[gate], self.c, c_row, dWc)


def submit_gemm_tn(tasks: TaskGroup, A: np.ndarray, a_row: int, B: np.ndarray, b_panel: int, out: np.ndarray) -> None:
    """Submit `gemm_tn`, split by columns of `out` into tasks of about TASK_FLOPS."""
    columns = max(TASK_FLOPS // (2 * len(A) * NR * B.shape[1] * NR), 1) * NR
    for at in range(0, out.shape[1], columns):
        tasks.submit(gemm_tn, A, a_row, B, b_panel + at // NR, out[:, at : at + columns])
