"""Single-core float32 GEMM on packed matrices: C = c_init + A B (`gemm`) and C = A^T B (`gemm_tn`).

For the thin products of an LSTM window: N rows in each time step, CHUNK_ROWS (`window`) or all T*N rows elsewhere. A
BLAS packs its operands in each call, which takes a third of the time of a product of a step. Here operands and results
have one packed layout, so that the result of one product is an operand of the next without a copy. Only the weights are
packed, once a window.

Packed layout: a matrix (R, C) is an array (ceil(C / NR), R, NR). A panel holds NR columns, contiguous and row by row;
the last panel is padded with zeros. With R = 3, C = 5 and NR = 2:

           panel 0   panel 1  panel 2
          +-------+---------+--------+      packed[0]          packed[1]            packed[2]
    row 0 |  0  1 |  2   3  |  4   . |
    row 1 |  5  6 |  7   8  |  9   . |      0 1  5 6  10 11    2 3  7 8  12 13      4 .  9 .  14 .
    row 2 | 10 11 | 12  13  | 14   . |
          +-------+---------+--------+      in this order in memory; `.` is a zero of the padding

The microkernel computes MR rows of one panel of C. Its MR * NR sums stay in registers over KC terms:

            B, one panel
            NR floats
           +---------+
           |         |      each k: load row k of the panel of B as NR_VECTORS vectors,
         k |=========|              broadcast MR elements of A, MR * NR_VECTORS multiply-adds
           |         |
      k    +---------+
    +---#---+---------+
    |   #   |         |  MR
    +---#---+---------+
       A      C

Guarantee: each element of a product is summed in the order of its terms k, in runs of KC, and the sum of a run is added
to c_init or to the sum of the runs before. So the result does not depend on MR, NR or the threads, and it is the same
to the bit on all machines with fused multiply-add.

Loops, names and sizes: Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34:3);
Van Zee & van de Geijn 2015, "BLIS: A Framework for Rapidly Instantiating BLAS Functionality" (ACM TOMS 41:3). Unlike in
BLIS, A is not packed by rows: it has the layout of B and C. See docs/fast.md.
"""

from __future__ import annotations

from functools import partial
from platform import machine
from typing import Any, Callable

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from gluon_lstm.lstm.fast.jit import jit

FEATURES = binding.get_host_cpu_features()
SIMD_WIDTH = 16 if FEATURES.get("avx512f") else 8 if FEATURES.get("avx") else 4  # floats of a vector register
# MR rows of the microtile, NR_VECTORS vectors in each: MR * NR_VECTORS accumulators, NR_VECTORS vectors of B and a
# broadcast element of A fit in the 32 (AVX-512, NEON) or 16 (AVX, SSE) vector registers.
MR, NR_VECTORS = (8, 2) if FEATURES.get("avx512f") or machine() in ("aarch64", "arm64") else (4, 3)
NR = NR_VECTORS * SIMD_WIDTH  # columns of a panel and of the microtile; a multiple of MR
KC = 384  # terms summed in registers; a multiple of each NR, so that all machines add the same runs
MC = 256  # rows of A that stay in the L2 cache while all panels of B pass
CACHE_LINE = 16  # floats of a cache line
PACKED = "float32[:, :, ::1]"  # Numba type of a packed matrix
F32, I64, I32, BYTE_POINTER = ir.FloatType(), ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
VECTOR = ir.VectorType(F32, SIMD_WIDTH)


def packed_zeros(R: int, C: int) -> np.ndarray:
    """Return a packed matrix (R, C) of zeros."""
    return np.zeros((num_panels(C), R, NR), np.float32)


@register_jitable  # type: ignore[misc]
def num_panels(C: int) -> int:
    """Return the number of panels of a matrix with C columns."""
    return -(-C // NR)


def _offset(builder: ir.IRBuilder, pointer: Any, stride: Any, times: Any = 1) -> Any:
    """Return the pointer `stride` * `times` elements further."""
    stride, times = (ir.Constant(I64, n) if isinstance(n, int) else n for n in (stride, times))
    return builder.gep(pointer, [builder.mul(stride, times)])


def _vector_pointer(builder: ir.IRBuilder, row: Any, v: int) -> Any:
    """Return a pointer to vector v of a row of a panel."""
    return builder.bitcast(_offset(builder, row, v * SIMD_WIDTH), VECTOR.as_pointer())


def _load(builder: ir.IRBuilder, row: Any, v: int) -> Any:
    return builder.load(_vector_pointer(builder, row, v), align=4)


def _microkernel(rows: int) -> Callable[..., Any]:
    """Return the microkernel for `rows` rows of C, as a Numba intrinsic.

    It is LLVM code because a loop in Python cannot state which values stay in registers.
    """

    @intrinsic  # type: ignore[misc]
    def microkernel(_, a, rs_a, cs_a, ps_a, panels, kc, b, c_init, rs_init, c):  # type: ignore[no-untyped-def]
        """Compute c[r] = c_init[r] + sum over p < panels and k < kc of A[r, p, k] * B[p * kc + k] for each row r.

        A[r, p, k] = a[r * rs_a + p * ps_a + k * cs_a] is a float; rows of B, c_init and c have NR floats. a, b, c_init
        and c are addresses; the strides rs (row), cs (column), ps (panel) count floats; rows of B and c are NR apart.
        """
        return types.void(*[types.intp] * 10), partial(_microkernel_code, rows)

    return microkernel  # type: ignore[no-any-return]


def _microkernel_code(rows: int, context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
    """Emit the LLVM instructions of a microkernel of `rows` rows."""
    a, rs_a, cs_a, ps_a, panels, kc, b, c_init, rs_init, c = arguments
    a, b, c_init, c = (builder.inttoptr(address, F32.as_pointer()) for address in (a, b, c_init, c))

    offset, vector_pointer, load = partial(_offset, builder), partial(_vector_pointer, builder), partial(_load, builder)

    def broadcast(scalar: Any) -> Any:
        """Return a vector whose SIMD_WIDTH elements are the scalar."""
        undefined, zeros = ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.VectorType(I32, SIMD_WIDTH), None)
        return builder.shuffle_vector(builder.insert_element(undefined, scalar, I32(0)), undefined, zeros)

    def llvm_function(name: str, result: Any, *types: Any) -> Any:
        return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, types), name)

    multiply_add = llvm_function(f"llvm.fmuladd.v{SIMD_WIDTH}f32", VECTOR, VECTOR, VECTOR, VECTOR)
    prefetch = llvm_function("llvm.prefetch.p0i8", ir.VoidType(), BYTE_POINTER, I32, I32, I32)

    def prefetch_row(row: Any, for_write: int, locality: int) -> None:
        for column in range(0, NR, CACHE_LINE):
            address = builder.bitcast(offset(row, column), BYTE_POINTER)
            builder.call(prefetch, [address, I32(for_write), I32(locality), I32(1)])

    init_rows, c_rows = [offset(c_init, rs_init, r) for r in range(rows)], [offset(c, NR, r) for r in range(rows)]
    for c_row in c_rows:  # the rows written after the loop
        prefetch_row(c_row, for_write=1, locality=3)
    accumulators = {
        (r, v): cgutils.alloca_once_value(builder, ir.Constant(VECTOR, None))
        for r in range(rows)
        for v in range(NR_VECTORS)
    }
    with cgutils.for_range(builder, panels) as p:
        a_p, b_p = offset(a, p.index, ps_a), offset(b, builder.mul(p.index, kc), NR)
        for r in range(rows):  # the rows of A that the next call reads
            prefetch_row(offset(a_p, rs_a, rows + r), for_write=0, locality=2)
        with cgutils.for_range(builder, kc) as k:
            b_k = offset(b_p, k.index, NR)
            b_vectors = [load(b_k, v) for v in range(NR_VECTORS)]
            a_vectors = [broadcast(builder.load(offset(offset(a_p, rs_a, r), k.index, cs_a))) for r in range(rows)]
            for (r, v), accumulator in accumulators.items():
                total = builder.call(multiply_add, [a_vectors[r], b_vectors[v], builder.load(accumulator)])
                builder.store(total, accumulator)
    for (r, v), accumulator in accumulators.items():
        total = builder.fadd(load(init_rows[r], v), builder.load(accumulator))
        builder.store(total, vector_pointer(c_rows[r], v), align=4)
    return context.get_dummy_value()


def _add_rows(_, a, rows, out):  # type: ignore[no-untyped-def]
    """Add rows of a panel, from the address `a` on, to the NR floats at the address `out`: in order, in registers.

    A loop in Python would load and store the sums for each row, which takes five times as long.
    """
    return types.void(*[types.intp] * 3), _add_rows_code


add_rows: Callable[..., Any] = intrinsic(_add_rows)


def _add_rows_code(context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
    """Emit the LLVM instructions of `add_rows`."""
    a, rows, out = arguments
    a, out = (builder.inttoptr(address, F32.as_pointer()) for address in (a, out))
    sums = [cgutils.alloca_once_value(builder, _load(builder, out, v)) for v in range(NR_VECTORS)]
    with cgutils.for_range(builder, rows) as r:
        row = _offset(builder, a, r.index, NR)
        for v, total in enumerate(sums):
            builder.store(builder.fadd(builder.load(total), _load(builder, row, v)), total)
    for v, total in enumerate(sums):
        builder.store(builder.load(total), _vector_pointer(builder, out, v), align=4)
    return context.get_dummy_value()


# microkernel_4, _2 and _1: edge kernels for the last rows, fewer than MR. Measured on AVX-512 with H = 256; in brackets
# without _4 and _2: product of a step 76 us (103) at N = 15, 148 us (176) at N = 31, 145 us (145) at N = 32; a training
# step at N = 13 57 ms (66). The compile time, 6 s in all, is the same.
microkernel, microkernel_4, microkernel_2, microkernel_1 = map(_microkernel, (MR, 4, 2, 1))


@jit(f"({PACKED}, int64, int64, {PACKED}, {PACKED}, {PACKED}, int64)")
def gemm(A, a_row, m, B, c_init, C, c_row):  # type: ignore[no-untyped-def]
    """Compute C[c_row : c_row + m] = c_init + A[a_row : a_row + m] B on packed matrices.

    A: any number of rows. B: a row for each column of A, its padding included. c_init: one row, added to each row of C
    (a bias); or C itself, to which the product is added.
    """
    a, b, c = A.ctypes.data, B.ctypes.data, C.ctypes.data
    a_panels, kc_panels = A.shape[0], KC // NR
    for p in range(0, a_panels, kc_panels):
        panels = min(kc_panels, a_panels - p)
        # the first run of KC terms starts from c_init, the others from C
        addend, addend_rows = (C, C.shape[1]) if p else (c_init, c_init.shape[1])
        init, rs_init = addend.ctypes.data, NR if addend_rows > 1 else 0
        for block in range(0, m, MC):
            block_end = min(block + MC, m)
            for j in range(len(B)):
                r = block
                while r < block_end:
                    a_r = a + 4 * NR * (p * A.shape[1] + a_row + r)
                    b_j = b + 4 * NR * (j * B.shape[1] + p * NR)
                    init_r = init + 4 * (NR * j * addend_rows + rs_init * (c_row + r))
                    c_r = c + 4 * NR * (j * C.shape[1] + c_row + r)
                    ps_a = NR * A.shape[1]
                    if block_end - r >= MR:
                        microkernel(a_r, NR, 1, ps_a, panels, NR, b_j, init_r, rs_init, c_r)
                        r += MR
                    elif block_end - r >= 4:
                        microkernel_4(a_r, NR, 1, ps_a, panels, NR, b_j, init_r, rs_init, c_r)
                        r += 4
                    elif block_end - r >= 2:
                        microkernel_2(a_r, NR, 1, ps_a, panels, NR, b_j, init_r, rs_init, c_r)
                        r += 2
                    else:
                        microkernel_1(a_r, NR, 1, ps_a, panels, NR, b_j, init_r, rs_init, c_r)
                        r += 1


@jit(f"({PACKED}, int64, float32[:, :])")
def unpack(packed, row, out):  # type: ignore[no-untyped-def]
    """Copy the rows of a packed matrix from `row` on into out (R, C)."""
    R, C = out.shape
    for j in range(num_panels(C)):
        columns = out[:, j * NR : min((j + 1) * NR, C)]
        for r in range(R):
            for v in range(columns.shape[1]):
                columns[r, v] = packed[j, row + r, v]


@jit(f"({PACKED}, int64, {PACKED}, int64, float32[:, :])")
def gemm_tn(A, a_row, B, b_panel, out):  # type: ignore[no-untyped-def]
    """Compute out = A[a_row : a_row + R]^T B, the gradient of a weight, summed over all rows of a window.

    A: packed. B: packed, R rows, its panels from `b_panel` on. out: (m, n), not packed, any strides.
    """
    M, R = len(A) * NR, B.shape[1]
    C = np.zeros((num_panels(out.shape[1]), M, NR), np.float32)
    a, b, c = A.ctypes.data, B.ctypes.data, C.ctypes.data
    for k in range(0, R, KC):
        for r in range(0, M, MR):
            for j in range(len(C)):
                a_r = a + 4 * (r // NR * NR * A.shape[1] + NR * (a_row + k) + r % NR)
                b_k = b + 4 * NR * ((b_panel + j) * R + k)
                c_r = c + 4 * NR * (j * M + r)
                microkernel(a_r, 1, NR, 0, 1, min(KC, R - k), b_k, c_r, NR, c_r)
    unpack(C, 0, out)


@jit(f"(float32[:, :], {PACKED}, int64, int64)")
def pack(matrix, out, panel, row):  # type: ignore[no-untyped-def]
    """Copy a matrix (R, C), any strides, into the panels of `out` from `panel` on and their rows from `row` on.

    The padding becomes 0: it is not, where the window before was not finite.
    Row by row: the matrix is not in a cache, and memory is read fastest in order.
    """
    R, C = matrix.shape
    full_panels, tail = divmod(C, NR)
    for r in range(R):
        for j in range(full_panels):
            for v in range(NR):
                out[panel + j, row + r, v] = matrix[r, j * NR + v]
        for v in range(tail):
            out[panel + full_panels, row + r, v] = matrix[r, full_panels * NR + v]
        if tail:
            out[panel + full_panels, row + r, tail:] = 0


def pack_transposed(matrix: np.ndarray, out: np.ndarray, panel: int, row: int) -> None:
    """Copy the transpose (C, R) of a matrix (R, C) as `pack` does: NR rows of the matrix, one panel, at a time."""
    for r in range(0, len(matrix), NR):
        pack(matrix[r : r + NR].T, out, panel + r // NR, row)
