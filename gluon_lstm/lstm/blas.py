"""Products of float32 matrices where they stand: OpenBLAS, by its own interface.

NumPy's `dot` cannot add to what is there, and the OpenBLAS inside NumPy 1.26 needs a third more time for the thin
matrices of a time step. Each product is one thread's work: the fast cell has several of them going at once.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Callable

import numpy as np

CORE_TYPE, KERNELS = "OPENBLAS_CORETYPE", "Zen"
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112  # of the C interface, cblas.h


def multiply(A: np.ndarray, B: np.ndarray, out: np.ndarray, alpha: float = 1.0, beta: float = 0.0) -> None:
    """out = alpha A B + beta out, for A (m, k), B (k, n), out (m, n); A and B may be transposed views."""
    product(A, B, out, alpha, beta)()


def product(
    A: np.ndarray, B: np.ndarray, out: np.ndarray, alpha: float = 1.0, beta: float = 0.0
) -> Callable[[], None]:
    """`multiply`, ready to be called as often as wanted on whatever is then in these three places.

    The memory must outlive the product. Raises ValueError where the arrays are not float32 matrices that fit, or lie
    in memory in a way that OpenBLAS cannot follow.
    """
    (m, k), n = A.shape, B.shape[1]
    if B.shape[0] != k or out.shape != (m, n) or {A.dtype, B.dtype, out.dtype} != {np.dtype(np.float32)}:
        raise ValueError(f"cannot multiply {A.dtype} {A.shape} by {B.dtype} {B.shape} into {out.dtype} {out.shape}")
    (transA, lda), (transB, ldb), (by_columns, ldc) = _layout(A), _layout(B), _layout(out)
    if by_columns == TRANSPOSED:
        raise ValueError(f"cannot multiply into a matrix that lies in memory by columns: strides {out.strides}")
    return partial(
        _sgemm(), ROW_MAJOR, transA, transB, m, n, k,
        alpha, A.ctypes.data, lda, B.ctypes.data, ldb, beta, out.ctypes.data, ldc,
    )  # fmt: skip


def _layout(a: np.ndarray) -> tuple[int, int]:
    """Whether a matrix lies in memory by rows or by columns, and how many numbers lie from one to the next."""
    (m, n), (to_row, to_column) = a.shape, (stride // a.itemsize for stride in a.strides)
    if (to_column == 1 or n == 1) and (to_row >= n or m == 1):
        return PLAIN, max(to_row, n)
    if (to_row == 1 or m == 1) and (to_column >= m or n == 1):
        return TRANSPOSED, max(to_column, m)
    raise ValueError(f"a matrix {a.shape} with strides {a.strides} has neither rows nor columns in one piece")


def has_halved_avx512(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this is a Zen 3 or Zen 4 (AMD, family 25): it does 512 bits in two halves, where there are any.

    OpenBLAS takes its kernels for AVX-512 all the same; those for AVX2 need 20 % less time for the thin matrices of a
    time step, 5 % for the large ones (measured on a Zen 4).
    """
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    about = dict(re.split(r"\s*:\s*", line, maxsplit=1) for line in reversed(lines) if ":" in line)
    return (about.get("vendor_id"), about.get("cpu family")) == ("AuthenticAMD", "25")


@contextmanager
def kernels(name: str | None) -> Iterator[None]:
    """Have OpenBLAS, when it is loaded, take the kernels `name`, unless the user has said which."""
    if name is None or CORE_TYPE in os.environ:
        yield
        return
    os.environ[CORE_TYPE] = name
    try:
        yield
    finally:
        del os.environ[CORE_TYPE]


@lru_cache(maxsize=1)
def _sgemm() -> Any:
    import scipy_openblas32 as wheel  # OpenBLAS as NumPy and SciPy take it, in a wheel of its own

    with kernels(KERNELS if has_halved_avx512() else None):
        openblas = ctypes.CDLL(str(Path(wheel.get_lib_dir(), wheel.get_library(fullname=True))))
    openblas.scipy_openblas_set_num_threads(1)
    sgemm = openblas.scipy_cblas_sgemm
    i, f, p = ctypes.c_int, ctypes.c_float, ctypes.c_void_p
    sgemm.argtypes, sgemm.restype = [i, i, i, i, i, i, f, p, i, p, i, f, p, i], None
    return sgemm
