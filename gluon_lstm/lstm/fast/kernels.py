"""Fused elementwise kernels of the LSTM step, the embedding, softmax and cross-entropy, compiled by Numba.

Each does in one pass over float32 arrays in cache what takes NumPy about ten. The equations are those of `scratch` and
`reference`.

Shapes: matrices are packed (`gemm`). In a panel the N rows of a time step are contiguous, so that one loop covers a
step: the step kernels get each matrix as (panels, steps, N * NR). The first N rows of c and h are the state before the
window: step t reads its state at t and writes the new one at t + 1. Columns beyond H or V are padding.

Guarantees: all kernels release the GIL. NaN propagates. The error of exp is at most 1.5e-7 of its value (within
[-87, 88]), that of sigmoid 2e-7 and that of tanh 3e-7. A loop writes one or two arrays only, so that LLVM can check
that they do not overlap, and vectorizes the loop. Arrays are copied in loops: `a[:] = b` takes 1.6 s to compile, for
the message of its error.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from gluon_lstm.lstm.fast.gemm import NR, PACKED, add_rows, gemm
from gluon_lstm.lstm.fast.jit import OPTIONS, jit

ONE, TWO = np.float32(1), np.float32(2)
SOFTMAX_ROWS = 32  # rows of logits that stay in the L2 cache from the maximum to the gradient
MATRIX = "float32[:, ::1]"  # Numba type of a contiguous matrix


@njit(**OPTIONS)
def exp(x):  # type: ignore[no-untyped-def]
    """Return e^x with a relative error of 1e-7, x clipped to [-87, 88]: 2^k times a polynomial, which vectorizes.

    Moshier, Cephes 2.2, expf.c.
    """
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


@njit(**OPTIONS)
def sigmoid(x):  # type: ignore[no-untyped-def]
    return ONE / (ONE + exp(-x))


@njit(**OPTIONS)
def tanh(x):  # type: ignore[no-untyped-def]
    return TWO / (ONE + exp(-TWO * x)) - ONE


@jit(f"(float32[:, ::1], int32[::1], float32[::1], float32[::1], {PACKED}, int64, int64)")
def embed(Wx, x, input_mask, b, out, panel, row):  # type: ignore[no-untyped-def]
    """Write the input projection of one gate, x Wx + b for one-hot x: row x[r] of Wx times input_mask[r], plus b.

    Ids x (R,), input_mask (R,), Wx (V, H), b (H,). Into the rows of `out` from `row` on, its panels from `panel` on.
    """
    full_panels, tail = divmod(len(b), NR)
    for r in range(len(x)):
        Wx_r, mask_r = Wx[x[r]], input_mask[r]
        for p in range(full_panels):
            for j in range(NR):
                out[panel + p, row + r, j] = Wx_r[p * NR + j] * mask_r + b[p * NR + j]
        for j in range(tail):
            out[panel + full_panels, row + r, j] = Wx_r[full_panels * NR + j] * mask_r + b[full_panels * NR + j]
        if tail:
            out[panel + full_panels, row + r, tail:] = 0  # the padding of a window that was not finite is not


@njit(inline="always", **OPTIONS)
def step(t, gates, c, tanh_c, h, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """Compute step t of an LSTM: the pre-activations of i f o g in `gates` become the gates; write c, tanh_c and h.

    `gates` holds the panels of i, f, o and g after one another. tanh_c holds what the output gate multiplies: tanh(c),
    or c without `output_tanh`. Wc: the diagonal peepholes of i f o (3, panels, NR), or none (0, ...).
    """
    panels, size = len(h), h.shape[2]
    for p in range(panels):
        i, f, o, g = gates[p, t], gates[panels + p, t], gates[2 * panels + p, t], gates[3 * panels + p, t]
        c_prev, c_p, tanh_c_p, h_p = c[p, t], c[p, t + 1], tanh_c[p, t], h[p, t + 1]
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
                tanh_c_p[n] = tanh(c_p[n])
        else:
            for n in range(size):
                tanh_c_p[n] = c_p[n]
        for n in range(size):
            h_p[n] = o[n] * tanh_c_p[n]


@njit(inline="always", **OPTIONS)
def step_backward(t, gates, c, tanh_c, dh, dc, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """Compute the gradients of step t of an LSTM: `gates` becomes dL/d(pre-activations), and dc[t] becomes dc[t-1].

    dh: dL/dh[t]. dc (panels, N * NR): dL/dc[t] before, dL/dc[t-1] after.
    """
    panels, size = dc.shape
    through_tanh = ONE if output_tanh else np.float32(0)
    for p in range(panels):
        i, f, o, g = gates[p, t], gates[panels + p, t], gates[2 * panels + p, t], gates[3 * panels + p, t]
        c_prev, tanh_c_p, dh_p, dc_p = c[p, t], tanh_c[p, t], dh[p, t], dc[p]
        for n in range(size):
            dc_p[n] += dh_p[n] * o[n] * (ONE - through_tanh * tanh_c_p[n] * tanh_c_p[n])
        for n in range(size):
            o[n] = dh_p[n] * tanh_c_p[n] * o[n] * (ONE - o[n])
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


@jit(f"(int64, int64, int64, {', '.join([PACKED] * 6)}, boolean)")
def forward_steps(begin, end, N, Wh, gates, c, tanh_c, h, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """Compute the steps begin <= t < end of N rows each: gates[t] += h[t-1] Wh, then `step`.

    On entry `gates` holds the input projections of these steps.
    """
    size = N * NR
    gates_t, c_t, tanh_c_t, h_t = (
        gates.reshape(len(gates), -1, size), c.reshape(len(c), -1, size), tanh_c.reshape(len(tanh_c), -1, size),
        h.reshape(len(h), -1, size),
    )  # fmt: skip
    for t in range(begin, end):
        gemm(h, t * N, N, Wh, gates, gates, t * N)
        step(t, gates_t, c_t, tanh_c_t, h_t, Wc, output_tanh)


@jit(f"(int64, int64, int64, {', '.join([PACKED] * 7)}, boolean)")
def backward_steps(begin, end, N, Wh_t, gates, c, tanh_c, dh, dc, Wc, output_tanh):  # type: ignore[no-untyped-def]
    """Compute the gradients of the steps from end - 1 down to begin: dh[t] += dgates[t+1] Wh^T, then `step_backward`.

    On entry `dh` holds the gradient from the layer above, and at the last step of the window also that of the last h.
    """
    size = N * NR
    gates_t, c_t, tanh_c_t, dh_t, dc_t = (
        gates.reshape(len(gates), -1, size), c.reshape(len(c), -1, size), tanh_c.reshape(len(tanh_c), -1, size),
        dh.reshape(len(dh), -1, size), dc.reshape(len(dc), size),
    )  # fmt: skip
    for t in range(end - 1, begin - 1, -1):
        if (t + 1) * N < gates.shape[1]:
            gemm(gates, (t + 1) * N, N, Wh_t, dh, dh, t * N)
        step_backward(t, gates_t, c_t, tanh_c_t, dh_t, dc_t, Wc, output_tanh)


@jit(f"({PACKED}, int64, {MATRIX}, {PACKED}, int64)")
def apply_mask(A, a_row, mask, out, out_row):  # type: ignore[no-untyped-def]
    """Write A[a_row : a_row + R] times mask (R, C), elementwise, into the rows of `out` from `out_row` on.

    `out` may be A.
    """
    R, C = mask.shape
    for p in range(len(A)):
        begin, end = p * NR, min((p + 1) * NR, C)
        for r in range(R):
            A_r, mask_r, out_r = A[p, a_row + r], mask[r, begin:end], out[p, out_row + r]
            for j in range(len(mask_r)):
                out_r[j] = A_r[j] * mask_r[j]


@jit(f"float64({PACKED}, int64, int32[::1], int64, float32, {MATRIX})")
def softmax_cross_entropy(z, z_row, y, V, scale, dby):  # type: ignore[no-untyped-def]
    """Return the summed cross-entropy of logits z[z_row : z_row + R] and ids y (R,); z becomes its gradient.

    The gradient is (softmax - one-hot) * scale; the loss is not scaled. dby (panels, NR): the gradient's column sums.
    """
    loss = 0.0
    dby[:] = 0
    last = len(z) - 1
    last_width = V - last * NR  # columns of the last panel that are in the vocabulary
    panels = z.reshape(len(z), -1)
    scratch = np.empty((2, SOFTMAX_ROWS * NR), np.float32)
    for begin in range(0, len(y), SOFTMAX_ROWS):
        rows = min(SOFTMAX_ROWS, len(y) - begin)
        size, offset = rows * NR, (z_row + begin) * NR
        # NR partial results for each row, one for each column of a panel, then the result of the row in all NR places
        maximum, total = scratch[0, :size], scratch[1, :size]
        for n in range(size):
            maximum[n] = -np.inf
            total[n] = 0
        for r in range(rows):
            for j in range(last_width, NR):
                z[last, z_row + begin + r, j] = -np.inf
        for p in range(len(z)):
            z_p = panels[p, offset : offset + size]
            for n in range(size):
                maximum[n] = z_p[n] if z_p[n] > maximum[n] else maximum[n]
        for r in range(rows):
            partial = maximum[r * NR : (r + 1) * NR]
            row_maximum = partial[0]
            for j in range(NR):
                row_maximum = partial[j] if partial[j] > row_maximum else row_maximum
            partial[:] = row_maximum
            target = y[begin + r]
            loss += row_maximum - z[target // NR, z_row + begin + r, target % NR]
        for p in range(len(z)):
            z_p = panels[p, offset : offset + size]
            for n in range(size):
                e = exp(z_p[n] - maximum[n])
                z_p[n] = e
                total[n] += e
        for r in range(rows):
            for j in range(last_width, NR):  # exp is clipped above 0; these values are too small to change `total`
                z[last, z_row + begin + r, j] = 0
            partial = total[r * NR : (r + 1) * NR]
            row_total = partial.sum()
            loss += math.log(np.float64(row_total))
            partial[:] = scale / row_total
        for p in range(len(z)):
            z_p = panels[p, offset : offset + size]
            for n in range(size):
                z_p[n] *= total[n]
            add_rows(z.ctypes.data + 4 * (p * panels.shape[1] + offset), rows, dby.ctypes.data + 4 * p * NR)
        for r in range(rows):
            target = y[begin + r]
            z[target // NR, z_row + begin + r, target % NR] -= scale
            dby[target // NR, target % NR] -= scale
    return loss


@jit(f"({PACKED}, int64, float32[::1])")
def sum_columns(A, panel, out):  # type: ignore[no-untyped-def]
    """Write the column sums of A, from its panel `panel` on, into out (C,)."""
    sums = np.empty(NR, np.float32)
    for begin in range(0, len(out), NR):
        for j in range(NR):
            sums[j] = 0
        A_p = A.ctypes.data + 4 * NR * (panel + begin // NR) * A.shape[1]
        add_rows(A_p, A.shape[1], sums.ctypes.data)
        for j in range(min(NR, len(out) - begin)):
            out[begin + j] = sums[j]


@jit(f"({PACKED}, int64, int32[::1], float32[::1], float32[:, ::1], float32[::1])")
def embedding_gradient(dgates, panel, x, input_mask, dWx, db):  # type: ignore[no-untyped-def]
    """Write dWx = x^T dgates for one-hot x, and db, of one gate: row r of dgates is added to row x[r] of dWx.

    dgates: the panels of the gate from `panel` on. Ids x (R,); row r counts input_mask[r] times in dWx, once in db.
    """
    dWx[:] = 0
    for begin in range(0, len(db), NR):
        dgates_p = dgates[panel + begin // NR]
        for r in range(len(x)):
            dgates_r, row = dgates_p[r], dWx[x[r], begin : min(begin + NR, len(db))]
            for j in range(len(row)):
                row[j] += dgates_r[j] * input_mask[r]
    sum_columns(dgates, panel, db)
