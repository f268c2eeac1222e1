"""Numba compilation of the kernels of the fast path, at import, with machine code cached on disk.

Guarantee: no cached machine code is stale. Numba compares only the file of the cached function with the one it was
compiled from, but `kernels` contains machine code of `gemm`. Here a cache entry is valid while no compiled source has
changed; Numba itself compares its version and the processor.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from gluon_lstm.lstm.fast.precompile import COMPILED_SOURCES

# contract: fused multiply-add. reassoc: reductions may be vectorized. Neither assumes anything about NaN.
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}


def selected() -> bool:
    """Return whether a kernel is compiled when it is imported: all, except in the processes of `precompile`."""
    return True


@lru_cache(maxsize=1)
def source_digest() -> str:
    """Return the SHA-256 of the compiled sources: 0.1 ms at import."""
    digest = hashlib.sha256()
    for name in COMPILED_SOURCES:
        digest.update(hashlib.sha256(Path(__file__).with_name(name).read_bytes()).digest())
    return digest.hexdigest()


class _CacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    """Numba's choice of the cache directory, with `source_digest` as the stamp of the source."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.locator.get_source_stamp = source_digest


class _Cache(FunctionCache):  # type: ignore[misc]
    """Cache of one function's machine code."""

    _impl_class = _CacheImpl


def jit(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function for one signature, without the GIL, and caches the machine code.

    Numba's cache directory: `__pycache__` next to the source, else in the user's cache directory. Where neither can be
    written, the function is compiled in each process.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**OPTIONS)(function)
        try:
            dispatcher._cache = _Cache(function)
            if not selected():
                return dispatcher  # compiled when another kernel calls it
            dispatcher.compile(signature)
        except (RuntimeError, OSError):  # no cache directory, or a full disk
            dispatcher = njit(signature, **OPTIONS)(function)
        dispatcher.disable_compile()
        return dispatcher

    return decorate
