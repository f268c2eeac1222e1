"""Kernels of NumPy's BLAS: which are used, and which the command line chooses on a processor newer than the library."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gluon_lstm.language import _
from gluon_lstm.system import cpu_info, versions

CORETYPE = "OPENBLAS_CORETYPE"  # environment variable of OpenBLAS, read when it is loaded
_AVX2 = {"avx2", "fma"}
_KERNELS = (  # kernels of OpenBLAS, the best first, and the processor flags they need
    ("SkylakeX", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", *_AVX2}),
    ("Haswell", _AVX2),
)
_KERNELS_WITHOUT_AVX2 = {
    "Prescott", "Core2", "Penryn", "Dunnington", "Atom", "Nehalem", "Sandybridge", "Athlon", "Opteron",
    "Opteron_SSE3", "Barcelona", "Bobcat", "Bulldozer", "Nano", "generic", "Generic",
}  # fmt: skip


def choose_blas_kernels() -> None:
    """Choose the kernels of NumPy's OpenBLAS for a processor that it is too old to know.

    On such a processor it falls back to kernels of 2004 without AVX. Call it before NumPy is imported. A value set by
    the user in the environment is kept, and so is the choice of an OpenBLAS that knows every processor (NumPy 2.2).
    """
    kernels = fallback_kernels(cpu_info())
    if kernels and _numpy_version() < (2, 2):
        os.environ.setdefault(CORETYPE, kernels)


def fallback_kernels(cpu: Mapping[str, str]) -> str:
    """Return the OpenBLAS kernels for a processor that OpenBLAS 0.3.23 may not know; "" where it chooses well.

    It knows AMD's families 23 and 25 (Zen 1 to 4). On Intel the choice is that of OpenBLAS for known processors.
    """
    if cpu.get("vendor_id") == "AuthenticAMD" and cpu.get("cpu family") in ("23", "25"):
        return ""
    flags = set(cpu.get("flags", "").split())
    return next((kernels for kernels, needed in _KERNELS if flags >= needed), "")


def blas_kernels() -> tuple[str, str, int]:
    """Return (library with its version, kernels, threads) of NumPy's BLAS; "unknown" for a missing value."""
    import numpy  # noqa: F401  the library must be loaded
    from threadpoolctl import threadpool_info

    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            name = f"{library['internal_api']} {library['version']}"
            return name, library.get("architecture") or "unknown", library["num_threads"]
    return "unknown", "unknown", 0


def poor_kernels() -> str:
    """Return a sentence about kernels that use less than the processor can, with the remedy; "" for good ones."""
    library, kernels = blas_kernels()[:2]
    flags = set(cpu_info().get("flags", "").split())
    if kernels not in _KERNELS_WITHOUT_AVX2 or not flags >= _AVX2:
        return ""
    better = next(name for name, needed in _KERNELS if flags >= needed)
    return _(
        "NumPy's {library} uses its {kernels} kernels, a third as fast as this processor allows: set"
        " {coretype}={better} in the environment, or install numpy>=2.2"
    ).format(library=library, kernels=kernels, coretype=CORETYPE, better=better)


def _numpy_version() -> tuple[int, ...]:
    """Return the version of NumPy without importing it."""
    numbers = versions(("numpy",)).get("numpy", "").split(".")[:2]
    return tuple(int(number) for number in numbers if number.isdecimal())
