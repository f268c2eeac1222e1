"""Hardware, library versions and process-wide settings."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # parameters of mallopt(3)


def available_cores() -> int:
    """Return the number of cores this process may use: its CPU affinity, not the cores of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def launched_processes(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of processes that mpirun or srun has started with this one: 1 without them."""
    names = ["PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE"]  # MPICH and its relatives, Open MPI, MVAPICH
    if "PMIX_RANK" in environment:  # srun --mpi=pmix
        names.append("SLURM_STEP_NUM_TASKS")
    return max((int(environment[name]) for name in names if environment.get(name, "").isdecimal()), default=1)


def launched_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of this process among those of `launched_processes`, from 0."""
    names = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")
    return next((int(environment[name]) for name in names if environment.get(name, "").isdecimal()), 0)


def cpu_name() -> str:
    """Return the model name of the processor, or its architecture where the system does not report the name."""
    return cpu_info().get("model name") or platform.processor() or platform.machine()


def cpu_info(path: str = "/proc/cpuinfo") -> dict[str, str]:
    """Return what Linux reports of the first processor, by name; nothing on other systems."""
    found: dict[str, str] = {}
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.strip():
                break
            name, _, value = line.partition(":")
            found[name.strip()] = value.strip()
    return found


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return name -> version of the installed ones among the packages `names`."""
    from importlib.metadata import PackageNotFoundError, version  # takes a tenth of the start of a command

    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def disable_malloc_trim() -> None:
    """Make malloc keep freed memory for later allocations instead of returning it to the system.

    The buffers of a validation or a sample are then mapped once, not at each use. Affects glibc only.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the maximum of glibc on 64-bit systems
        mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)


@contextmanager
def paused_gc() -> Iterator[None]:
    """Pause the cyclic garbage collector, for the import of large libraries.

    Their many new objects start collections that find no garbage: a tenth of the time of the import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def limit_blas_threads() -> None:
    """Limit NumPy's OpenBLAS to one thread, for programs that keep all cores busy with threads of their own.

    Call it before NumPy is imported. A value set by the user in the environment is kept.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
