"""What this machine offers."""

from __future__ import annotations

import os


def available_cores() -> int:
    """The cores this process may use, which on a shared machine can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def one_thread_a_product() -> None:
    """Give one thread to each product of NumPy, for what keeps all cores busy by itself.

    To be called before NumPy is loaded. What the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
