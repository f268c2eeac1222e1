"""What this machine offers."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def available_cores() -> int:
    """The cores this process may use, which on a shared machine can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_name() -> str:
    """The processor in words, as far as the system tells."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Of those of the libraries that are installed."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def disable_malloc_trim() -> None:
    """Let the C library keep what is freed for what comes next, instead of giving it back to the system each time.

    What a validation or a sample needs is then mapped once and not over and over (glibc; elsewhere nothing happens).
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


def limit_blas_threads() -> None:
    """Give one thread to each product of NumPy, for what keeps all cores busy by itself.

    To be called before NumPy is loaded. What the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
