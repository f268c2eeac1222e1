"""One layer of the fast cell: its buffers for a window of one size, and its way over the steps and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from gluon_lstm.configuration import PEEPHOLES, Configuration
from gluon_lstm.lstm import kernels
from gluon_lstm.lstm.blas import multiply, product
from gluon_lstm.lstm.jobs import Jobs

Arrays = dict[str, np.ndarray]  # under the names of the model


class FastLayer:
    """Layer `number` (from 1). The gates of a prediction lie side by side: one product gives them all."""

    def __init__(self, configuration: Configuration, number: int, T: int, N: int) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        H = configuration.hidden
        self.names, self.cell = configuration.names(number), configuration.cell
        self.stacked = self.cell.stacked
        G = len(self.stacked)
        self.N = N
        self.Wh, self.Wh_back = empty(H, G * H), empty(G * H, H)
        self.Wc = empty(len(PEEPHOLES) if self.cell.peepholes else 0, H)
        self.a = empty(T, N, G * H)  # what is inside the gates, then the gates, then dL/d(what was inside)
        self.h, self.c, self.s = empty(T + 1, N, H), empty(T + 1, N, H), empty(T, N, H)
        self.dh, self.dc = empty(T, N, H), empty(N, H)
        # the same as rows, one for each prediction
        self.A = self.a.reshape(T * N, G * H)
        self.gates = [self.A[:, k * H : (k + 1) * H] for k in range(G)]
        self.hidden, self.h_prev = self.h[1:].reshape(-1, H), self.h[:-1].reshape(-1, H)
        self.dhidden, self.dropped = self.dh.reshape(-1, H), empty(T * N, H)
        # the products of the time steps, ready to be called
        self.recurrence = [product(h, self.Wh, a, beta=1) for h, a in zip(self.h, self.a)]
        self.recurrence_back = [product(a, self.Wh_back, dh, beta=1) for a, dh in zip(self.a[1:], self.dh)]

    def _of(self, arrays: Arrays, name: str) -> np.ndarray:
        """The array of this layer that has `name` in the equations."""
        return arrays[self.names[name]]

    def begin(self, W: Arrays, h: np.ndarray, c: np.ndarray) -> None:
        """Lay the recurrent weights side by side, and start from the state h, c (N, H)."""
        np.concatenate([self._of(W, f"Wh{gate}") for gate in self.stacked], axis=1, out=self.Wh)
        for k in range(len(self.Wc)):
            self.Wc[k] = self._of(W, f"Wc{PEEPHOLES[k]}")
        self.h[0], self.c[0] = h, c

    def pack_back(self, W: Arrays) -> None:
        """The recurrent weights for the way back, transposed, because so a product is faster."""
        np.concatenate([self._of(W, f"Wh{gate}").T for gate in self.stacked], out=self.Wh_back)

    def look_up(self, W: Arrays, x: np.ndarray, keep: np.ndarray, rows: slice) -> None:
        """What ids x (R,) give inside the gates, for some rows."""
        for gate, A in zip(self.stacked, self.gates):
            kernels.look_up(self._of(W, f"Wx{gate}"), x, keep, self._of(W, f"b{gate}"), A[rows])

    def read(self, W: Arrays, below: np.ndarray, rows: slice) -> None:
        """What the layer below (R, H) gives inside the gates, for some rows."""
        for gate, A in zip(self.stacked, self.gates):
            A[rows] = self._of(W, f"b{gate}")
            multiply(below, self._of(W, f"Wx{gate}"), A[rows], beta=1)

    def run(self, steps: slice) -> None:
        for t in range(steps.start, steps.stop):
            self.recurrence[t]()
            if self.stacked == "h":
                kernels.step_rnn(t, self.a, self.h)
                self.c[t + 1] = self.c[t]
            else:
                kernels.step(t, self.a, self.c, self.s, self.h, self.Wc, self.cell.output_tanh)

    def give(self, rows: slice, keep: Any) -> np.ndarray:
        """The hidden states (R, H) of some rows on their way up, times `keep` (T*N, H) where given."""
        if keep is None:
            return self.hidden[rows]
        return np.multiply(self.hidden[rows], keep[rows], out=self.dropped[rows])

    def given(self, keep: Any) -> np.ndarray:
        """All that `give` gave, (T*N, H)."""
        return self.hidden if keep is None else self.dropped

    def begin_backward(self, dh: np.ndarray, dc: np.ndarray) -> None:
        """dL/d(last h) and dL/d(last c), each (N, H)."""
        self.dh_last, self.dc[:] = dh, dc

    def run_backward(self, steps: slice) -> None:
        """Over steps whose dL/dh from above is there."""
        for t in reversed(range(steps.start, steps.stop)):
            if t + 1 == len(self.a):
                self.dh[t] += self.dh_last
            else:
                self.recurrence_back[t]()
            if self.stacked == "h":
                kernels.step_rnn_backward(t, self.a, self.h, self.dh)
            else:
                kernels.step_backward(t, self.a, self.c, self.s, self.dh, self.dc, self.Wc, self.cell.output_tanh)

    def give_back(self, W: Arrays, rows: slice, out: np.ndarray) -> None:
        """dL/d(what was read from the layer below), for some rows."""
        for k, (gate, dA) in enumerate(zip(self.stacked, self.gates)):
            multiply(dA[rows], self._of(W, f"Wx{gate}").T, out, beta=min(k, 1))

    def end_backward(self, dh: np.ndarray, dc: np.ndarray) -> None:
        """dL/dh and dL/dc before the first step, into dh, dc (N, H)."""
        multiply(self.A[: self.N], self.Wh_back, dh)
        dc[:] = self.dc

    def gradients(self, jobs: Jobs, grads: Arrays, x: np.ndarray, keep_rows: np.ndarray, below: Any) -> None:
        """Of the layer's arrays; it read ids x (T*N,) with their mask, or `below` (T*N, H)."""
        H = self.hidden.shape[1]
        for gate, dA in zip(self.stacked, self.gates):
            jobs.do(multiply, self.h_prev.T, dA, self._of(grads, f"Wh{gate}"))
        for gate, dA in zip(self.stacked, self.gates):
            dWx, db = self._of(grads, f"Wx{gate}"), self._of(grads, f"b{gate}")
            if below is None:
                jobs.do(kernels.sum_rows, dA, x, keep_rows, dWx, db)
            else:
                jobs.do(multiply, below.T, dA, dWx)
                jobs.do(np.sum, dA, 0, None, db)
        for k, c in zip(range(len(self.Wc)), (self.c[:-1], self.c[:-1], self.c[1:])):
            jobs.do(kernels.sum_of_products, self.gates[k], c.reshape(-1, H), self._of(grads, f"Wc{PEEPHOLES[k]}"))
