"""Products of float32 matrices that lie in memory in panels, for one core to take them as fast as it can multiply.

A matrix (R, C) in panels is an array (P, R, WIDTH): its columns in P = ceil(C / WIDTH) groups, one group behind the
other, each with all its rows; what the last group has beyond C is 0. So all that a product reads lies in a row, and
what it writes as well; a library for matrices as they usually lie must first rearrange them, each time anew, and for
the thin products of a time step that takes it a third of its time. The weights are laid so once a window, all else is
made so and stays so.

Every number of a product is summed in the order of its terms, in runs of RUN, whatever the machine and its vectors.
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
SIMD_WIDTH = 16 if FEATURES.get("avx512f") else 8 if FEATURES.get("avx") else 4  # float32 numbers of a vector register
# The numbers of a tile stay in registers, of which there are 32 or 16, and so do a few vectors that are multiplied.
MR, VECTORS = (8, 2) if FEATURES.get("avx512f") or machine() in ("aarch64", "arm64") else (4, 3)
NR = VECTORS * SIMD_WIDTH  # which HEIGHT divides
KC = 384  # terms that are summed in registers; every WIDTH divides it
LINE = 16  # numbers of a cache line
MC = 256  # rows that are read again for each panel, from a cache near the core
F32, I64, I32, BYTES = ir.FloatType(), ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()
VECTOR = ir.VectorType(F32, SIMD_WIDTH)


def panels(R: int, C: int) -> np.ndarray:
    """Room for a matrix (R, C), full of zeros."""
    return np.zeros((count(C), R, NR), np.float32)


@register_jitable  # type: ignore[misc]
def count(C: int) -> int:
    """How many panels C columns take."""
    return -(-C // NR)


def _microkernel(height: int) -> Callable[..., Any]:
    """The heart of a product: `height` rows of one panel of the result.

    It is written in the compiler's own language, because no loop in Python says what is to stay in registers.
    """

    @intrinsic  # type: ignore[misc]
    def microkernel(_, a, row, term, panel, outer, inner, b, start, start_row, c):  # type: ignore[no-untyped-def]
        """c[r] = start[r] + sum over p < outer and k < inner of a[r * row + k * term + p * panel] * b[p * inner + k].

        a, b, start and c are addresses; row, term, panel and start_row, that of the rows of start, distances in
        numbers. A number of a is multiplied with a row of b, WIDTH numbers; so are the rows of start and c.
        """
        return types.void(*[types.intp] * 10), partial(_code, height)

    return microkernel  # type: ignore[no-any-return]


def _code(height: int, context: Any, builder: ir.IRBuilder, _: Any, arguments: Any) -> Any:
    """The instructions of a tile."""
    a, row, term, panel, outer, inner, b, start, start_row, c = arguments
    a, b, start, c = (builder.inttoptr(address, F32.as_pointer()) for address in (a, b, start, c))
    accumulators = [(r, v) for r in range(height) for v in range(VECTORS)]

    def at(pointer: Any, distance: Any, times: Any = 1) -> Any:
        distance, times = (ir.Constant(I64, n) if isinstance(n, int) else n for n in (distance, times))
        return builder.gep(pointer, [builder.mul(distance, times)])

    def vector_at(row: Any, v: int) -> Any:
        return builder.bitcast(at(row, v * SIMD_WIDTH), VECTOR.as_pointer())

    def load(row: Any, v: int) -> Any:
        return builder.load(vector_at(row, v), align=4)

    def broadcast(number: Any) -> Any:
        """A vector of one number."""
        undefined, zeros = ir.Constant(VECTOR, ir.Undefined), ir.Constant(ir.VectorType(I32, SIMD_WIDTH), None)
        return builder.shuffle_vector(builder.insert_element(undefined, number, I32(0)), undefined, zeros)

    def function(name: str, result: Any, *types: Any) -> Any:
        return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, types), name)

    multiply_add = function(f"llvm.fmuladd.v{SIMD_WIDTH}f32", VECTOR, VECTOR, VECTOR, VECTOR)
    prefetch = function("llvm.prefetch.p0i8", ir.VoidType(), BYTES, I32, I32, I32)
    starts, ends = [at(start, start_row, r) for r in range(height)], [at(c, NR, r) for r in range(height)]
    for end in ends:  # what is written at the end comes near meanwhile
        for line in range(0, NR, LINE):
            builder.call(prefetch, [builder.bitcast(at(end, line), BYTES), I32(1), I32(3), I32(1)])
    sums = {place: cgutils.alloca_once_value(builder, ir.Constant(VECTOR, None)) for place in accumulators}
    with cgutils.for_range(builder, outer) as p:
        a_p, b_p = at(a, p.index, panel), at(b, builder.mul(p.index, inner), NR)
        with cgutils.for_range(builder, inner) as k:
            b_k = at(b_p, k.index, NR)
            factors = [load(b_k, v) for v in range(VECTORS)]
            numbers = [broadcast(builder.load(at(at(a_p, row, r), k.index, term))) for r in range(height)]
            for (r, v), total in sums.items():
                builder.store(builder.call(multiply_add, [numbers[r], factors[v], builder.load(total)]), total)
    for (r, v), total in sums.items():
        builder.store(builder.fadd(load(starts[r], v), builder.load(total)), vector_at(ends[r], v), align=4)
    return context.get_dummy_value()


microkernel, microkernel_4, microkernel_2, microkernel_1 = map(
    _microkernel, (MR, 4, 2, 1)
)  # the others for the rows that are left
P = "float32[:, :, ::1]"  # a matrix in panels, in the words of Numba


@jit(f"({P}, int64, int64, {P}, {P}, {P}, int64)")
def gemm(A, first, R, B, start, C, at):  # type: ignore[no-untyped-def]
    """C[at : at + R] = start + A[first : first + R] . B, all in panels; B has a row for each column of A's panels.

    `start` has one row for all, or is C itself, to which the product is then added.
    """
    a, b, c = A.ctypes.data, B.ctypes.data, C.ctypes.data
    terms, run = A.shape[0], KC // NR
    for p in range(0, terms, run):
        outer = min(run, terms - p)
        begin, lines = (C, C.shape[1]) if p else (start, start.shape[1])
        s, begin_row = begin.ctypes.data, NR if lines > 1 else 0
        for block in range(0, R, MC):
            end = min(block + MC, R)
            for j in range(len(B)):
                r = block
                while r < end:
                    a_r = a + 4 * NR * (p * A.shape[1] + first + r)
                    b_j = b + 4 * NR * (j * B.shape[1] + p * NR)
                    s_r = s + 4 * (NR * j * lines + begin_row * (at + r))
                    c_r = c + 4 * NR * (j * C.shape[1] + at + r)
                    pitch = NR * A.shape[1]
                    if end - r >= MR:
                        microkernel(a_r, NR, 1, pitch, outer, NR, b_j, s_r, begin_row, c_r)
                        r += MR
                    elif end - r >= 4:
                        microkernel_4(a_r, NR, 1, pitch, outer, NR, b_j, s_r, begin_row, c_r)
                        r += 4
                    elif end - r >= 2:
                        microkernel_2(a_r, NR, 1, pitch, outer, NR, b_j, s_r, begin_row, c_r)
                        r += 2
                    else:
                        microkernel_1(a_r, NR, 1, pitch, outer, NR, b_j, s_r, begin_row, c_r)
                        r += 1


@jit(f"({P}, int64, float32[:, :])")
def unpack(panels, row, out):  # type: ignore[no-untyped-def]
    """The rows of a matrix in panels from `row` on, into a matrix (R, C)."""
    R, C = out.shape
    for j in range(count(C)):
        columns = out[:, j * NR : min((j + 1) * NR, C)]
        for r in range(R):
            for v in range(columns.shape[1]):
                columns[r, v] = panels[j, row + r, v]


@jit(f"({P}, int64, {P}, int64, float32[:, :])")
def gemm_tn(A, first, B, panel, out):  # type: ignore[no-untyped-def]
    """out = A[first : first + R]^T . B, where B, in panels as A, has R rows; the columns of `out` (m, n), which is no
    such matrix, are those of the panels of B from `panel` on.
    """
    M, R = len(A) * NR, B.shape[1]
    whole = np.zeros((count(out.shape[1]), M, NR), np.float32)
    a, b, c = A.ctypes.data, B.ctypes.data, whole.ctypes.data
    for k in range(0, R, KC):
        for r in range(0, M, MR):
            for j in range(len(whole)):
                a_r = a + 4 * (r // NR * NR * A.shape[1] + NR * (first + k) + r % NR)
                b_k = b + 4 * NR * ((panel + j) * R + k)
                c_r = c + 4 * NR * (j * M + r)
                microkernel(a_r, 1, NR, 0, 1, min(KC, R - k), b_k, c_r, NR, c_r)
    unpack(whole, 0, out)


@jit(f"(float32[:, :], {P}, int64, int64)")
def pack(matrix, out, panel, row):  # type: ignore[no-untyped-def]
    """A matrix (R, C), however it lies, into panels: into the rows from `row` on of the panels from `panel` on."""
    R, C = matrix.shape
    for j in range(count(C)):
        columns = matrix[:, j * NR : min((j + 1) * NR, C)]
        for r in range(R):
            for v in range(columns.shape[1]):
                out[panel + j, row + r, v] = columns[r, v]
