"""One layer of the fast cell: its buffers for a window of one size, and its way over the steps and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gluon_lstm.config import PEEPHOLE_GATES, ModelConfig
from gluon_lstm.lstm.fast import kernels
from gluon_lstm.lstm.fast.gemm import NR, count, gemm, gemm_tn, pack, panels, unpack
from gluon_lstm.lstm.fast.tasks import TaskGroup

TASK_FLOPS = 1 << 27  # multiplications and additions, about a thousandth of a second of a core
Arrays = dict[str, np.ndarray]  # under the names of the model


class FastLayer:
    """Layer `number` (from 1). All matrices are in panels (`panels`), with a row for each prediction; those of the
    gates lie one behind another, so that one product gives them all.
    """

    def __init__(self, config: ModelConfig, number: int, T: int, N: int) -> None:
        self.names, self.cell = config.names(number), config.cell
        self.T, self.N, self.H = T, N, config.hidden
        self.gate_panels = {
            gate: k * count(self.H) for k, gate in enumerate(self.cell.fused_gate_order)
        }  # the first panel of each
        G = len(self.gate_panels)

        def gates(rows: int) -> np.ndarray:
            return np.concatenate([panels(rows, self.H)] * G)

        H = count(self.H) * NR
        self.Wh, self.Wh_back = gates(H), panels(G * H, self.H)
        self.first = number == 1
        if not self.first:
            self.Wx, self.Wx_back, self.b = gates(H), panels(G * H, self.H), gates(1)
        self.Wc = np.zeros((len(PEEPHOLE_GATES) if self.cell.peepholes else 0, count(self.H), NR), np.float32)
        self.a = gates(T * N)  # what is inside the gates, then the gates, then dL/d(what was inside)
        self.h, self.c, self.s = panels((T + 1) * N, self.H), panels((T + 1) * N, self.H), panels(T * N, self.H)
        self.dh, self.dc = panels(T * N, self.H), panels(N, self.H)
        self.h_masked = panels(T * N, self.H)
        self.zero_bias = panels(1, self.H)
        self.forward_args = N, self.Wh, self.a, self.c, self.s, self.h, self.Wc, self.cell.output_tanh
        self.backward_args = (
            N,
            self.Wh_back,
            self.a,
            self.c,
            self.s,
            self.h,
            self.dh,
            self.dc,
            self.Wc,
            self.cell.output_tanh,
        )

    def _of(self, arrays: Arrays, name: str) -> np.ndarray:
        """The array of this layer that has `name` in the equations."""
        return arrays[self.names[name]]

    def begin(self, W: Arrays, h: np.ndarray, c: np.ndarray) -> None:
        """Lay out the weights, and start from the state h, c (N, H)."""
        for gate, panel in self.gate_panels.items():
            pack(self._of(W, f"Wh{gate}"), self.Wh, panel, 0)
            if not self.first:
                pack(self._of(W, f"Wx{gate}"), self.Wx, panel, 0)
                pack(self._of(W, f"b{gate}")[None], self.b, panel, 0)
        for k in range(len(self.Wc)):
            pack(self._of(W, f"Wc{PEEPHOLE_GATES[k]}")[None], self.Wc[k][:, None], 0, 0)
        pack(h, self.h, 0, 0)
        pack(c, self.c, 0, 0)

    def lay_back(self, W: Arrays) -> None:
        """Lay out the weights for the way back, transposed."""
        for gate, panel in self.gate_panels.items():
            pack(self._of(W, f"Wh{gate}").T, self.Wh_back, 0, panel * NR)
            if not self.first:
                pack(self._of(W, f"Wx{gate}").T, self.Wx_back, 0, panel * NR)

    def look_up(self, W: Arrays, x: np.ndarray, keep: np.ndarray, rows: slice) -> None:
        """What ids x (R,) give inside the gates, for some rows."""
        for gate, panel in self.gate_panels.items():
            kernels.embed(self._of(W, f"Wx{gate}"), x, keep, self._of(W, f"b{gate}"), self.a, panel, rows.start)

    def read(self, below: np.ndarray, first: int, rows: slice) -> None:
        """What the rows of the layer below, from `first` on, give inside the gates, for some rows."""
        gemm(below, first, rows.stop - rows.start, self.Wx, self.b, self.a, rows.start)

    def run(self, steps: slice) -> None:
        kernels.forward_steps(steps.start, steps.stop, *self.forward_args)

    def give(self, rows: slice, keep: Any) -> tuple[np.ndarray, int]:
        """Where the hidden states of some rows are on their way up, times `keep` (T*N, H) where given: a matrix, and
        the first of its rows.
        """
        if keep is None:
            return self.h, self.N + rows.start
        kernels.apply_mask(self.h, self.N + rows.start, keep[rows], self.h_masked, rows.start)
        return self.h_masked, rows.start

    def given(self, keep: Any) -> tuple[np.ndarray, int]:
        """The same for all rows, when `give` has been called for them."""
        return (self.h, self.N) if keep is None else (self.h_masked, 0)

    def end(self, h: np.ndarray, c: np.ndarray) -> None:
        """The state behind the last step, into h, c (N, H)."""
        unpack(self.h, self.T * self.N, h)
        unpack(self.c, self.T * self.N, c)

    def begin_backward(self, dh: np.ndarray, dc: np.ndarray) -> None:
        """dL/d(last h) and dL/d(last c), each (N, H)."""
        self.dh_last = panels(*dh.shape)
        pack(dh, self.dh_last, 0, 0)
        pack(dc, self.dc, 0, 0)

    def run_backward(self, steps: slice) -> None:
        """Over steps whose dL/dh from above is there."""
        if steps.stop == self.T:
            self.dh[:, -self.N :] += self.dh_last
        kernels.backward_steps(steps.start, steps.stop, *self.backward_args)

    def give_back(self, rows: slice, out: np.ndarray) -> None:
        """dL/d(what was read from the layer below), for some rows."""
        gemm(self.a, rows.start, rows.stop - rows.start, self.Wx_back, self.zero_bias, out, rows.start)

    def end_backward(self, dh: np.ndarray, dc: np.ndarray) -> None:
        """dL/dh and dL/dc before the first step, into dh, dc (N, H)."""
        before = panels(self.N, self.H)
        gemm(self.a, 0, self.N, self.Wh_back, self.zero_bias, before, 0)
        unpack(before, 0, dh)
        unpack(self.dc, 0, dc)

    def gradients(self, jobs: TaskGroup, grads: Arrays, x: np.ndarray, input_mask: np.ndarray, below: Any) -> None:
        """Of the layer's arrays; it read ids x (T*N,) with their mask, or `below`, a matrix from one of its rows on."""
        for gate, panel in self.gate_panels.items():
            submit_gemm_tn(jobs, self.h, 0, self.a, panel, self._of(grads, f"Wh{gate}"))
        for gate, panel in self.gate_panels.items():
            dWx, db = self._of(grads, f"Wx{gate}"), self._of(grads, f"b{gate}")
            if below is None:
                jobs.do(kernels.embedding_gradient, self.a, panel, x, input_mask, dWx, db)
            else:
                submit_gemm_tn(jobs, below[0], below[1], self.a, panel, dWx)
                jobs.do(kernels.sum_columns, self.a, panel, db)
        for k, first in zip(range(len(self.Wc)), (0, 0, self.N)):
            gate = PEEPHOLE_GATES[k]
            dWc = self._of(grads, f"Wc{gate}")
            jobs.do(kernels.peephole_gradient, self.a, self.gate_panels[gate], self.c, first, dWc)


def submit_gemm_tn(jobs: TaskGroup, A: np.ndarray, first: int, B: np.ndarray, panel: int, out: np.ndarray) -> None:
    """`multiply_transposed`, as many jobs as its length is worth."""
    columns = max(TASK_FLOPS // (2 * len(A) * NR * B.shape[1] * NR), 1) * NR
    for at in range(0, out.shape[1], columns):
        jobs.do(gemm_tn, A, first, B, panel + at // NR, out[:, at : at + columns])
