"""What the fast cell does number by number, compiled by Numba: one pass where NumPy needs ten.

The equations are those of `scratch` and `reference`, and every array is float32. A loop writes one or two arrays only,
for the compiler to see that it may do eight numbers at once. Nothing here holds the interpreter's lock.
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
    """e^x to 1e-7 of its value: 2^k times a polynomial (Moshier, Cephes 2.2, expf.c), which can be vectorized."""
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


@njit(inline="always", error_model="numpy")
def maximum(row):  # type: ignore[no-untyped-def]
    """The largest number of a row. As integers, whose order is that of the floats once the negative ones are turned
    over, because a maximum of floats, which asks about NaN each time, is not vectorized.
    """
    bits = row.view(np.int32)
    largest = np.int32(-(2**31))
    for j in range(len(bits)):
        largest = max(largest, np.int32(bits[j] ^ ((bits[j] >> np.int32(31)) & np.int32(2**31 - 1))))
    return np.int32(largest ^ ((largest >> np.int32(31)) & np.int32(2**31 - 1))).view(np.float32)


@compiled("(float32[:, ::1], int32[::1], float32[::1], float32[::1], float32[:, :])")
def look_up(Wx, x, keep, b, out):  # type: ignore[no-untyped-def]
    """The input's share of what is inside a gate, x . Wx + b: for each id of x (R,) its row of Wx, times its `keep`."""
    for r in range(len(x)):
        row, out_r = Wx[x[r]], out[r]
        for j in range(len(b)):
            out_r[j] = row[j] * keep[r] + b[j]


@compiled(f"(int64, {', '.join(['float32[:, :, ::1]'] * 4)}, float32[:, ::1], boolean)")
def step(t, a, c, s, h, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """Step t: a[t] (N, 4H), what is inside the gates i f o g, becomes the gates; then c, s and h (N, H) behind it.

    `s` is what the output gate lets through, tanh(c) or c. Wc: the peepholes of i f o (3, H), or none (0, H).
    """
    N, H = h[t].shape
    at_once = 2 * H if len(Wc) else 3 * H
    for n in range(N):
        i, f, o, g = a[t, n, :H], a[t, n, H : 2 * H], a[t, n, 2 * H : 3 * H], a[t, n, 3 * H :]
        c_prev, c_n, s_n, h_n = c[t, n], c[t + 1, n], s[t, n], h[t + 1, n]
        i_f_o = a[t, n, : 3 * H]
        if len(Wc):
            for j in range(H):
                i[j] += c_prev[j] * Wc[0, j]
                f[j] += c_prev[j] * Wc[1, j]
        for j in range(at_once):
            i_f_o[j] = sigmoid(i_f_o[j])
        for j in range(H):
            g[j] = tanh(g[j])
        for j in range(H):
            c_n[j] = f[j] * c_prev[j] + i[j] * g[j]
        if len(Wc):
            for j in range(H):
                o[j] = sigmoid(o[j] + c_n[j] * Wc[2, j])
        if output_tanh:
            for j in range(H):
                s_n[j] = tanh(c_n[j])
        else:
            s_n[:] = c_n
        for j in range(H):
            h_n[j] = o[j] * s_n[j]


@compiled(f"(int64, {', '.join(['float32[:, :, ::1]'] * 4)}, float32[:, ::1], float32[:, ::1], boolean)")
def step_backward(t, a, c, s, dh, dc, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """Step t: the gates become dL/d(what was inside them), and dc (N, H) behind the step becomes dc before it."""
    N, H = dc.shape
    through_tanh = ONE if output_tanh else np.float32(0)
    for n in range(N):
        i, f, o, g = a[t, n, :H], a[t, n, H : 2 * H], a[t, n, 2 * H : 3 * H], a[t, n, 3 * H :]
        c_prev, s_n, dh_n, dc_n = c[t, n], s[t, n], dh[t, n], dc[n]
        for j in range(H):
            dc_n[j] += dh_n[j] * o[j] * (ONE - through_tanh * s_n[j] * s_n[j])
        for j in range(H):
            o[j] = dh_n[j] * s_n[j] * o[j] * (ONE - o[j])
        if len(Wc):
            for j in range(H):
                dc_n[j] += o[j] * Wc[2, j]
        for j in range(H):
            i_j = i[j]
            i[j] = dc_n[j] * g[j] * i_j * (ONE - i_j)
            g[j] = dc_n[j] * i_j * (ONE - g[j] * g[j])
        for j in range(H):
            f_j = f[j]
            f[j] = dc_n[j] * c_prev[j] * f_j * (ONE - f_j)
            dc_n[j] *= f_j
        if len(Wc):
            for j in range(H):
                dc_n[j] += i[j] * Wc[0, j] + f[j] * Wc[1, j]


@compiled("(int64, float32[:, :, ::1], float32[:, :, ::1])")
def step_rnn(t, a, h):  # type: ignore[no-untyped-def]
    """Step t of a simple recurrent network: h (N, H) behind it from a[t] (N, H), what is inside the tanh."""
    for n in range(a.shape[1]):
        a_n, h_n = a[t, n], h[t + 1, n]
        for j in range(len(a_n)):
            h_n[j] = tanh(a_n[j])


@compiled("(int64, float32[:, :, ::1], float32[:, :, ::1], float32[:, :, ::1])")
def step_rnn_backward(t, a, h, dh):  # type: ignore[no-untyped-def]
    """Step t: a[t] becomes dL/d(what was inside the tanh)."""
    for n in range(a.shape[1]):
        a_n, h_n, dh_n = a[t, n], h[t + 1, n], dh[t, n]
        for j in range(len(a_n)):
            a_n[j] = dh_n[j] * (ONE - h_n[j] * h_n[j])


@compiled("(float32[:, :], float32[:, ::1], float32[::1])")
def sum_of_products(A, B, out):  # type: ignore[no-untyped-def]
    """The columns of A * B (R, H), number by number, summed."""
    out[:] = 0
    for r in range(len(A)):
        A_r, B_r = A[r], B[r]
        for j in range(len(out)):
            out[j] += A_r[j] * B_r[j]


@compiled("float64(float32[:, ::1], int32[::1], float32[::1])")
def softmax_loss(z, y, dby):  # type: ignore[no-untyped-def]
    """Logits z (R, V) become softmax minus one-hot, the gradient of their summed cross-entropy, which is returned.

    The columns of the gradient are summed in `dby` (V,).
    """
    loss = 0.0
    dby[:] = 0
    for r in range(len(z)):
        row, target = z[r], y[r]
        largest = maximum(row)
        log_p = row[target] - largest
        total = np.float32(0)
        for j in range(len(row)):
            e = exp(row[j] - largest)
            row[j] = e
            total += e
        loss += math.log(np.float64(total)) - log_p
        scale = ONE / total
        for j in range(len(row)):
            p = row[j] * scale
            row[j] = p
            dby[j] += p
        row[target] -= ONE
        dby[target] -= ONE
    return loss


@compiled("(float32[:, :], int32[::1], float32[::1], float32[:, ::1], float32[::1])")
def sum_rows(dA, x, keep, dWx, db):  # type: ignore[no-untyped-def]
    """dWx = x' . dA with x' one-hot, and db: each row of dA (R, H) is added to the row of dWx that its id names."""
    dWx[:] = 0
    db[:] = 0
    for r in range(len(x)):
        dA_r, row = dA[r], dWx[x[r]]
        for j in range(len(db)):
            row[j] += dA_r[j] * keep[r]
        for j in range(len(db)):
            db[j] += dA_r[j]


@compiled("float64(float32[:, ::1], int64[::1])")
def sum_of_squares(grad, rows):  # type: ignore[no-untyped-def]
    """Of the numbers in some rows of `grad`."""
    total = 0.0
    for k in range(len(rows)):
        row = grad[rows[k]]
        part = np.float32(0)  # of one row, which is short
        for j in range(len(row)):
            part += row[j] * row[j]
        total += part
    return total


@compiled(f"({', '.join(['float32[:, ::1]'] * 4)}, int64[::1], float32[::1], {', '.join(['float32'] * 5)})")
def adam(param, grad, mean, variance, rows, rates, scale, keep, beta1, beta2, epsilon):  # type: ignore[no-untyped-def]
    """Some rows of `param` and the two moments, changed in place, a rate for each; the gradient counts `scale` times,
    the weight `keep` times.

    Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with the decay of Loshchilov & Hutter 2019, arXiv:1711.05101.
    """
    for k in range(len(rows)):
        r, rate = rows[k], rates[k]
        p, g, m, v = param[r], grad[r], mean[r], variance[r]
        for j in range(len(p)):
            m[j] += (ONE - beta1) * (scale * g[j] - m[j])
        for j in range(len(p)):
            v[j] += (ONE - beta2) * (scale * g[j] * scale * g[j] - v[j])
        for j in range(len(p)):
            p[j] = keep * p[j] - rate * m[j] / (np.sqrt(v[j]) + epsilon)
