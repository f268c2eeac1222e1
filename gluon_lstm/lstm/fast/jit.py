"""How the fast cell's inner loops become machine code."""

from __future__ import annotations

from typing import Any, Callable

from numba import njit


def jit(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """Machine code for `signature`, kept for the next start where a folder can be written.

    It is made anew when the file of the function changes. Who changes `panels` alone removes `__pycache__`, for what
    is compiled into `kernels` from there.
    """
    # contract, reassoc: a product and a sum in one instruction, sums in any order. Nothing is assumed about NaN.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc"}}

    def compile_(function: Callable[..., Any]) -> Any:
        try:
            return njit(signature, cache=True, **options)(function)
        except RuntimeError:  # no such folder
            return njit(signature, **options)(function)

    return compile_
