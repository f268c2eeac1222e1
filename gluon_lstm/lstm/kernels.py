"""What the fast cell does number by number, compiled by Numba: one pass where NumPy needs ten.

The equations are those of `scratch` and `reference`. Every array is float32 in one piece; the numbers of a step, (N, H),
are one row of N*H. A loop writes one or two arrays only, for the compiler to see that it may do eight numbers at once.
Nothing here holds the interpreter's lock.
"""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np
from numba import njit

ONE, TWO = np.float32(1), np.float32(2)


def compiled(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Machine code for `signature`, kept for the next start where a folder can be written."""
    # contract, reassoc: a product and a sum in one instruction, sums in any order. Nothing is assumed about NaN.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}

    def compile_(function: Callable[..., Any]) -> Any:
        try:
            return njit(signature, cache=True, **options)(function)
        except RuntimeError:  # no such folder
            return njit(signature, **options)(function)

    return compile_


@njit(inline="always", error_model="numpy")
def exp(x):  # type: ignore[no-untyped-def]
    """e^x to 1e-7 of its value: 2^k times a polynomial (Moshier, Cephes 2.2, expf.c), which the compiler can vectorize."""
    x = min(max(x, np.float32(-87)), np.float32(88))
    k = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - k * np.float32(0.693359375) + k * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + ONE
    return p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(inline="always", error_model="numpy")
def sigmoid(x):  # type: ignore[no-untyped-def]
    return ONE / (ONE + exp(-x))


@njit(inline="always", error_model="numpy")
def tanh(x):  # type: ignore[no-untyped-def]
    return TWO / (ONE + exp(-TWO * x)) - ONE


@compiled("(float32[:, ::1], int32[::1], float32[::1], float32[::1], float32[:, ::1])")
def look_up(Wx, x, keep, b, out):  # type: ignore[no-untyped-def]
    """The input's share of a gate's sum, x . Wx + b: one row of Wx for each id of x, times its `keep`."""
    for r in range(len(x)):
        row = Wx[x[r]]
        for j in range(len(b)):
            out[r, j] = row[j] * keep[r] + b[j]


@compiled("(int64, float32[:, :, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1])")
def step(t, a, c, tanh_c, h):  # type: ignore[no-untyped-def]
    """Step t: the sums inside the gates, a (4, T, N*H) in the order i f o g, become the gates; then c and h behind it."""
    i, f, o, g = a[0, t], a[1, t], a[2, t], a[3, t]
    c_prev, c_t, tanh_c_t, h_t = c[t], c[t + 1], tanh_c[t], h[t + 1]
    for k in range(len(i)):
        i[k] = sigmoid(i[k])
    for k in range(len(f)):
        f[k] = sigmoid(f[k])
    for k in range(len(o)):
        o[k] = sigmoid(o[k])
    for k in range(len(g)):
        g[k] = tanh(g[k])
    for k in range(len(g)):
        c_t[k] = f[k] * c_prev[k] + i[k] * g[k]
    for k in range(len(g)):
        tanh_c_t[k] = tanh(c_t[k])
    for k in range(len(g)):
        h_t[k] = o[k] * tanh_c_t[k]


@compiled("(int64, float32[:, :, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[::1])")
def step_backward(t, a, c, tanh_c, dh, dc):  # type: ignore[no-untyped-def]
    """Step t: the gates become dL/d(the sums inside them), and dc behind the step becomes dc before it."""
    i, f, o, g = a[0, t], a[1, t], a[2, t], a[3, t]
    c_prev, tanh_c_t, dh_t = c[t], tanh_c[t], dh[t]
    for k in range(len(dc)):
        dc[k] += dh_t[k] * o[k] * (ONE - tanh_c_t[k] * tanh_c_t[k])
    for k in range(len(dc)):
        o[k] = dh_t[k] * tanh_c_t[k] * o[k] * (ONE - o[k])
    for k in range(len(dc)):
        i_k = i[k]
        i[k] = dc[k] * g[k] * i_k * (ONE - i_k)
        g[k] = dc[k] * i_k * (ONE - g[k] * g[k])
    for k in range(len(dc)):
        f_k = f[k]
        f[k] = dc[k] * c_prev[k] * f_k * (ONE - f_k)
        dc[k] *= f_k


@compiled("float64(float32[:, ::1], int32[::1], float32[::1], float32[::1])")
def softmax_loss(z, y, largest, dby):  # type: ignore[no-untyped-def]
    """Logits z (R, V) become softmax minus one-hot, the gradient of their summed cross-entropy, which is returned.

    `largest` (R,) has the largest logit of each row; the columns of the gradient are summed in `dby` (V,).
    """
    loss = 0.0
    dby[:] = 0
    for r in range(len(z)):
        row = z[r]
        log_p = row[y[r]] - largest[r]
        total = np.float32(0)
        for j in range(len(row)):
            e = exp(row[j] - largest[r])
            row[j] = e
            total += e
        loss += math.log(np.float64(total)) - log_p
        scale = ONE / total
        for j in range(len(row)):
            row[j] *= scale
        row[y[r]] -= ONE
        for j in range(len(row)):
            dby[j] += row[j]
    return loss


@compiled("(float32[:, ::1], int32[::1], int32[::1], float32[::1], float32[:, ::1], float32[::1])")
def sum_rows(dA, x, x_before, keep, dWx, db):  # type: ignore[no-untyped-def]
    """dWx = x' . dA with x' one-hot, and db: each row of dA is added to the row of its id. Rows of `x_before` were not 0."""
    for r in range(len(x_before)):
        dWx[x_before[r]] = 0
    db[:] = 0
    for r in range(len(x)):
        row = dWx[x[r]]
        for j in range(len(db)):
            row[j] += dA[r, j] * keep[r]
        for j in range(len(db)):
            db[j] += dA[r, j]
