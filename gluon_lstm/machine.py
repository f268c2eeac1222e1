"""What this machine offers."""

from __future__ import annotations

import os


def available_cores() -> int:
    """The cores this process may use, which on a shared machine can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
