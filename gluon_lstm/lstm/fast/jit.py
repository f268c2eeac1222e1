"""Numba compilation of the kernels of the fast path, ahead of time and cached on disk."""

from __future__ import annotations

from typing import Any, Callable

from numba import njit


def jit(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles a function for one signature, without the GIL, and caches the machine code.

    The cache is Numba's: it is next to the source or in the user's cache directory; without a writable directory the
    function is compiled in each process.
    """
    # contract: fused multiply-add. reassoc: reductions may be vectorized. Neither assumes anything about NaN.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(signature, cache=True, **options)(function)
        except RuntimeError:  # no writable cache directory
            return njit(signature, **options)(function)

    return decorate
