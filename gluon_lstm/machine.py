"""What this machine offers."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version


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


def one_thread_a_product() -> None:
    """Give one thread to each product of NumPy, for what keeps all cores busy by itself.

    To be called before NumPy is loaded. What the user has set stays.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
