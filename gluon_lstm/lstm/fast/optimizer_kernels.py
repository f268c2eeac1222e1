"""Kernels of the optimizer, compiled by Numba: the gradient norm, and Adam in one pass over weight and moments.

For contiguous float32 matrices, any shape, and a list of their rows: a window touches few rows of an embedding.
Guarantees: other rows are neither read nor written; the kernels release the GIL; NaN propagates.
"""

from __future__ import annotations

import numpy as np

from gluon_lstm.lstm.fast.jit import jit

ONE = np.float32(1)


@jit("float64(float32[:, ::1], int64[::1])")
def sum_of_squares(grad, rows):  # type: ignore[no-untyped-def]
    """Return the sum of the squares of some rows of `grad`: float32 within a row, float64 over the rows."""
    total = 0.0
    for k in range(len(rows)):
        row = grad[rows[k]]
        row_sum = np.float32(0)
        for j in range(len(row)):
            row_sum += row[j] * row[j]
        total += row_sum
    return total


@jit(f"({', '.join(['float32[:, ::1]'] * 4)}, int64[::1], float32[::1], {', '.join(['float32'] * 5)})")
def adam(param, grad, mean, variance, rows, rates, grad_scale, weight_scale, beta1, beta2, epsilon):  # type: ignore[no-untyped-def]
    """Update some rows of `param` and of its two moments in place, each at its own learning rate in `rates`.

    The gradient is multiplied by `grad_scale` (clipping), the weight by `weight_scale` (decay). Kingma & Ba 2015,
    arXiv:1412.6980, algorithm 1, with the decoupled decay of Loshchilov & Hutter 2019, arXiv:1711.05101.
    """
    for k in range(len(rows)):
        r, rate = rows[k], rates[k]
        p, g, m, v = param[r], grad[r], mean[r], variance[r]
        for j in range(len(p)):
            m[j] += (ONE - beta1) * (grad_scale * g[j] - m[j])
        for j in range(len(p)):
            v[j] += (ONE - beta2) * (grad_scale * g[j] * grad_scale * g[j] - v[j])
        for j in range(len(p)):
            p[j] = weight_scale * p[j] - rate * m[j] / (np.sqrt(v[j]) + epsilon)
