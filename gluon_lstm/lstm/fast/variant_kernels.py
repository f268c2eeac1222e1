"""Kernels of peepholes and of upper layers, compiled by Numba.

Most runs have neither. A run that has imports this module, so that the first start of the others does not compile it.
"""

from __future__ import annotations

from gluon_lstm.lstm.fast.gemm import NR, PACKED
from gluon_lstm.lstm.fast.jit import jit


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


@jit(f"({PACKED}, int64, float32[::1])")
def sum_columns(A, panel, out):  # type: ignore[no-untyped-def]
    """Write the column sums of A, from its panel `panel` on, into out (C,)."""
    for begin in range(0, len(out), NR):
        A_p, sums = A[panel + begin // NR], out[begin : begin + NR]
        sums[:] = 0
        for r in range(len(A_p)):
            for j in range(len(sums)):
                sums[j] += A_p[r, j]
