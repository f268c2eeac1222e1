"""What the fast cell does number by number, compiled by Numba: one pass where NumPy needs ten.

The equations are those of `scratch` and `reference`, and every array is float32. The matrices of the cell lie in
`panels`: in each panel the rows of a time step are one piece, over which a loop runs at once, and it does not matter
where in it a row begins. `A`, `c` and so on are then (P, R * WIDTH), and `at` is where the piece begins, `size` its
length. A loop writes one or two arrays only, for the compiler to see that it may do many numbers at once. Nothing here
holds the interpreter's lock.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gluon_lstm.lstm.fast.gemm import NR, P, gemm
from gluon_lstm.lstm.fast.jit import jit

ONE, TWO = np.float32(1), np.float32(2)
ROWS = 32  # of logits, that stay near the core from the first look at them to the last
PIECES = "float32[:, ::1]"


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


@jit(f"(float32[:, ::1], int32[::1], float32[::1], float32[::1], {P}, int64, int64)")
def embed(Wx, x, keep, b, out, panel, row):  # type: ignore[no-untyped-def]
    """The input's share of what is inside a gate, x . Wx + b: for each id of x (R,) its row of Wx, times its `keep`.

    Into the rows from `row` on of the panels from `panel` on.
    """
    whole, rest = divmod(len(b), NR)
    for r in range(len(x)):
        Wx_r, keep_r = Wx[x[r]], keep[r]
        for p in range(whole):
            for j in range(NR):
                out[panel + p, row + r, j] = Wx_r[p * NR + j] * keep_r + b[p * NR + j]
        for j in range(rest):
            out[panel + whole, row + r, j] = Wx_r[whole * NR + j] * keep_r + b[whole * NR + j]


@jit(f"(int64, int64, {', '.join([PIECES] * 4)}, {P}, boolean)")
def step(at, size, a, c, s, h, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """A step: what is inside the gates i f o g, one upon another in `a`, becomes the gates; then c, s and h behind it.

    `s` is what the output gate lets through, tanh(c) or c. Wc: the peepholes of i f o (3, P, WIDTH), or none (0, ...).
    In c and h each step stands one further than in the others: before the first is the state that it begins with.
    """
    H = len(h)  # in panels
    now, then = slice(at, at + size), slice(at + size, at + 2 * size)
    for p in range(H):
        i, f, o, g = a[p, now], a[H + p, now], a[2 * H + p, now], a[3 * H + p, now]
        c_prev, c_p, s_p, h_p = c[p, now], c[p, then], s[p, now], h[p, then]
        if len(Wc):
            for n in range(0, size, NR):
                for j in range(NR):
                    i[n + j] += c_prev[n + j] * Wc[0, p, j]
                    f[n + j] += c_prev[n + j] * Wc[1, p, j]
        for n in range(size):
            i[n] = sigmoid(i[n])
        for n in range(size):
            f[n] = sigmoid(f[n])
        for n in range(size):
            g[n] = tanh(g[n])
        for n in range(size):
            c_p[n] = f[n] * c_prev[n] + i[n] * g[n]
        if len(Wc):
            for n in range(0, size, NR):
                for j in range(NR):
                    o[n + j] += c_p[n + j] * Wc[2, p, j]
        for n in range(size):
            o[n] = sigmoid(o[n])
        if output_tanh:
            for n in range(size):
                s_p[n] = tanh(c_p[n])
        else:
            s_p[:] = c_p
        for n in range(size):
            h_p[n] = o[n] * s_p[n]


@jit(f"(int64, int64, {', '.join([PIECES] * 5)}, {P}, boolean)")
def step_backward(at, size, a, c, s, dh, dc, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """A step: the gates become dL/d(what was inside them), and dc (P, size) behind the step becomes dc before it."""
    H = len(dc)
    now = slice(at, at + size)
    through_tanh = ONE if output_tanh else np.float32(0)
    for p in range(H):
        i, f, o, g = a[p, now], a[H + p, now], a[2 * H + p, now], a[3 * H + p, now]
        c_prev, s_p, dh_p, dc_p = c[p, now], s[p, now], dh[p, now], dc[p]
        for n in range(size):
            dc_p[n] += dh_p[n] * o[n] * (ONE - through_tanh * s_p[n] * s_p[n])
        for n in range(size):
            o[n] = dh_p[n] * s_p[n] * o[n] * (ONE - o[n])
        if len(Wc):
            for n in range(0, size, NR):
                for j in range(NR):
                    dc_p[n + j] += o[n + j] * Wc[2, p, j]
        for n in range(size):
            i_n = i[n]
            i[n] = dc_p[n] * g[n] * i_n * (ONE - i_n)
            g[n] = dc_p[n] * i_n * (ONE - g[n] * g[n])
        for n in range(size):
            f_n = f[n]
            f[n] = dc_p[n] * c_prev[n] * f_n * (ONE - f_n)
            dc_p[n] *= f_n
        if len(Wc):
            for n in range(0, size, NR):
                for j in range(NR):
                    dc_p[n + j] += i[n + j] * Wc[0, p, j] + f[n + j] * Wc[1, p, j]


@jit(f"(int64, int64, {PIECES}, {PIECES}, {PIECES})")
def step_rnn(at, size, a, c, h):  # type: ignore[no-untyped-def]
    """A step of a simple recurrent network: h behind it from what is inside the tanh, and c as it was."""
    for p in range(len(h)):
        c[p, at + size : at + 2 * size] = c[p, at : at + size]
        a_p, h_p = a[p, at : at + size], h[p, at + size : at + 2 * size]
        for n in range(size):
            h_p[n] = tanh(a_p[n])


@jit(f"(int64, int64, {PIECES}, {PIECES}, {PIECES})")
def step_rnn_backward(at, size, a, h, dh):  # type: ignore[no-untyped-def]
    """A step: a becomes dL/d(what was inside the tanh)."""
    for p in range(len(h)):
        a_p, h_p, dh_p = a[p, at : at + size], h[p, at + size : at + 2 * size], dh[p, at : at + size]
        for n in range(size):
            a_p[n] = dh_p[n] * (ONE - h_p[n] * h_p[n])


@jit(f"(int64, int64, int64, {', '.join([P] * 6)}, boolean)")
def forward_steps(begin, end, N, Wh, a, c, s, h, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """The steps from `begin` to `end`, of N rows each; in `a` is the input's share of what is inside the gates."""
    size = N * NR
    flat_a, flat_c, flat_s, flat_h = (
        a.reshape(len(a), -1), c.reshape(len(c), -1), s.reshape(len(s), -1), h.reshape(len(h), -1),
    )  # fmt: skip
    for t in range(begin, end):
        gemm(h, t * N, N, Wh, a, a, t * N)
        if len(a) == len(h):
            step_rnn(t * size, size, flat_a, flat_c, flat_h)
        else:
            step(t * size, size, flat_a, flat_c, flat_s, flat_h, Wc, output_tanh)


@jit(f"(int64, int64, int64, {', '.join([P] * 8)}, boolean)")
def backward_steps(begin, end, N, Wh_back, a, c, s, h, dh, dc, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """The same steps from `end` back to `begin`; in `dh` is what comes from above, and for the last of all steps what
    comes from behind it.
    """
    size = N * NR
    flat_a, flat_c, flat_s, flat_h, flat_dh, flat_dc = (
        a.reshape(len(a), -1), c.reshape(len(c), -1), s.reshape(len(s), -1), h.reshape(len(h), -1),
        dh.reshape(len(dh), -1), dc.reshape(len(dc), -1),
    )  # fmt: skip
    for t in range(end - 1, begin - 1, -1):
        if (t + 1) * N < a.shape[1]:
            gemm(a, (t + 1) * N, N, Wh_back, dh, dh, t * N)
        if len(a) == len(h):
            step_rnn_backward(t * size, size, flat_a, flat_h, flat_dh)
        else:
            step_backward(t * size, size, flat_a, flat_c, flat_s, flat_dh, flat_dc, Wc, output_tanh)


@jit(f"({P}, int64, {PIECES}, {P}, int64)")
def apply_mask(A, first, keep, out, row):  # type: ignore[no-untyped-def]
    """Some rows of A times `keep` (R, C), into the rows from `row` on of `out`, which may be A itself."""
    R, C = keep.shape
    for p in range(len(A)):
        begin, end = p * NR, min((p + 1) * NR, C)
        for r in range(R):
            A_r, keep_r, out_r = A[p, first + r], keep[r, begin:end], out[p, row + r]
            for j in range(len(keep_r)):
                out_r[j] = A_r[j] * keep_r[j]


@jit(f"({P}, int64, {P}, int64, float32[::1])")
def peephole_gradient(A, panel, B, first, out):  # type: ignore[no-untyped-def]
    """The columns of A * B, number by number, summed: all rows of A, the panels of it from `panel` on, and as many rows
    of B from `first` on.
    """
    for begin in range(0, len(out), NR):
        A_p, B_p, sums = A[panel + begin // NR], B[begin // NR, first:], out[begin : begin + NR]
        sums[:] = 0
        for r in range(len(A_p)):
            for j in range(len(sums)):
                sums[j] += A_p[r, j] * B_p[r, j]


@jit(f"({P}, int64, float32[::1])")
def sum_columns(A, panel, out):  # type: ignore[no-untyped-def]
    """The columns of A, summed, in the panels from `panel` on."""
    for begin in range(0, len(out), NR):
        A_p, sums = A[panel + begin // NR], out[begin : begin + NR]
        sums[:] = 0
        for r in range(len(A_p)):
            for j in range(len(sums)):
                sums[j] += A_p[r, j]


@jit(f"float64({P}, int64, int32[::1], int64, float32, {PIECES})")
def softmax_cross_entropy(z, first, y, V, scale, dby):  # type: ignore[no-untyped-def]
    """Logits, the rows of z from `first` on, become softmax minus one-hot, times `scale`: the gradient of their summed
    cross-entropy, which is returned, not scaled. The columns of the gradient are summed in `dby` (P, WIDTH).
    """
    loss = 0.0
    dby[:] = 0
    last = len(z) - 1
    width = V - last * NR  # of the last panel: what is beyond is none of the vocabulary
    sides = np.empty((2, ROWS * NR), np.float32)
    for begin in range(0, len(y), ROWS):
        rows = min(ROWS, len(y) - begin)
        largest, total = sides[0, : rows * NR], sides[1, : rows * NR]  # of each row first in WIDTH parts
        largest[:] = -np.inf
        total[:] = 0
        for p in range(last + 1):
            z_p = z[p, first + begin : first + begin + rows].reshape(-1)
            if p == last:
                for r in range(rows):
                    z_p[r * NR + width : (r + 1) * NR] = -np.inf
            for n in range(len(z_p)):
                largest[n] = z_p[n] if z_p[n] > largest[n] else largest[n]
        for r in range(rows):
            parts = largest[r * NR : (r + 1) * NR]
            parts[:] = parts.max()
            target = y[begin + r]
            loss += parts[0] - z[target // NR, first + begin + r, target % NR]
        for p in range(last + 1):
            z_p = z[p, first + begin : first + begin + rows].reshape(-1)
            for n in range(len(z_p)):
                e = exp(z_p[n] - largest[n])
                z_p[n] = e
                total[n] += e
            if p == last:  # exp stops short of 0, at what nothing is added to in `total`
                for r in range(rows):
                    z_p[r * NR + width : (r + 1) * NR] = 0
        for r in range(rows):
            parts = total[r * NR : (r + 1) * NR]
            whole = parts.sum()
            loss += math.log(np.float64(whole))
            parts[:] = scale / whole
        for p in range(last + 1):
            z_p, dby_p = z[p, first + begin : first + begin + rows].reshape(-1), dby[p]
            for n in range(len(z_p)):
                z_p[n] *= total[n]
            for n in range(0, len(z_p), NR):
                for j in range(NR):
                    dby_p[j] += z_p[n + j]
        for r in range(rows):
            target = y[begin + r]
            z[target // NR, first + begin + r, target % NR] -= scale
            dby[target // NR, target % NR] -= scale
    return loss


@jit(f"({P}, int64, int32[::1], float32[::1], float32[:, ::1], float32[::1])")
def embedding_gradient(dA, panel, x, keep, dWx, db):  # type: ignore[no-untyped-def]
    """dWx = x' . dA with x' one-hot, and db: each row of dA, in the panels from `panel` on, is added to the row of dWx
    that its id names, times its `keep`.
    """
    dWx[:] = 0
    db[:] = 0
    for begin in range(0, len(db), NR):
        end = min(begin + NR, len(db))
        dA_p, db_p = dA[panel + begin // NR], db[begin:end]
        for r in range(len(x)):
            dA_r, row = dA_p[r], dWx[x[r], begin:end]
            for j in range(len(db_p)):
                row[j] += dA_r[j] * keep[r]
            for j in range(len(db_p)):
                db_p[j] += dA_r[j]


@jit("float64(float32[:, ::1], int64[::1])")
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


@jit(f"({', '.join(['float32[:, ::1]'] * 4)}, int64[::1], float32[::1], {', '.join(['float32'] * 5)})")
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
