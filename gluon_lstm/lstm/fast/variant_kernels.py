"""Kernels of the simple RNN and of peepholes, compiled by Numba.

Most runs have neither. A run that has imports this module, so that the first start of the others does not compile
it.
"""

from __future__ import annotations

from numba import njit

from gluon_lstm.lstm.fast.gemm import NR, PACKED, gemm
from gluon_lstm.lstm.fast.jit import OPTIONS, jit
from gluon_lstm.lstm.fast.kernels import ONE, tanh


@njit(inline="always", **OPTIONS)
def step_rnn(t, gates, c, h):  # type: ignore[no-untyped-def]
    """Compute step t of a simple RNN: h = tanh(pre-activations in `gates`); c is copied."""
    for p in range(len(h)):
        a_p, c_prev, c_p, h_p = gates[p, t], c[p, t], c[p, t + 1], h[p, t + 1]
        for n in range(len(a_p)):
            c_p[n] = c_prev[n]
        for n in range(len(a_p)):
            h_p[n] = tanh(a_p[n])


@njit(inline="always", **OPTIONS)
def step_rnn_backward(t, gates, h, dh):  # type: ignore[no-untyped-def]
    """Compute the gradients of step t of a simple RNN: `gates` becomes dL/d(pre-activations)."""
    for p in range(len(h)):
        a_p, h_p, dh_p = gates[p, t], h[p, t + 1], dh[p, t]
        for n in range(len(a_p)):
            a_p[n] = dh_p[n] * (ONE - h_p[n] * h_p[n])


@jit(f"(int64, int64, int64, {', '.join([PACKED] * 4)})")
def forward_steps_rnn(begin, end, N, Wh, gates, c, h):  # type: ignore[no-untyped-def]
    """Compute steps of a simple RNN as `kernels.forward_steps` does those of an LSTM."""
    size = N * NR
    gates_t, c_t, h_t = gates.reshape(len(gates), -1, size), c.reshape(len(c), -1, size), h.reshape(len(h), -1, size)
    for t in range(begin, end):
        gemm(h, t * N, N, Wh, gates, gates, t * N)
        step_rnn(t, gates_t, c_t, h_t)


@jit(f"(int64, int64, int64, {', '.join([PACKED] * 4)})")
def backward_steps_rnn(begin, end, N, Wh_t, gates, h, dh):  # type: ignore[no-untyped-def]
    """Compute the gradients of steps of a simple RNN as `kernels.backward_steps` does those of an LSTM."""
    size = N * NR
    gates_t, h_t, dh_t = gates.reshape(len(gates), -1, size), h.reshape(len(h), -1, size), dh.reshape(len(dh), -1, size)
    for t in range(end - 1, begin - 1, -1):
        if (t + 1) * N < gates.shape[1]:
            gemm(gates, (t + 1) * N, N, Wh_t, dh, dh, t * N)
        step_rnn_backward(t, gates_t, h_t, dh_t)


@jit(f"({PACKED}, int64, {PACKED}, int64, float32[::1])")
def peephole_gradient(dgates, panel, c, c_row, dWc):  # type: ignore[no-untyped-def]
    """Write dWc (H,) of one gate: the column sums of dgates * c, elementwise.

    dgates: all rows, the panels of the gate from `panel` on. c: as many rows from `c_row` on.
    """
    for begin in range(0, len(dWc), NR):
        dgates_p, c_p, sums = dgates[panel + begin // NR], c[begin // NR, c_row:], dWc[begin : begin + NR]
        sums[:] = 0
        for r in range(len(dgates_p)):
            for j in range(len(sums)):
                sums[j] += dgates_p[r, j] * c_p[r, j]
