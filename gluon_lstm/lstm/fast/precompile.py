"""Compilation of the kernels in two other processes: the first start after an installation.

Numba compiles one function at a time in a process. The processes fill its cache on disk while this one reads the text
and imports MXNet; then it imports the kernels from there.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Callable

COMPILED_SOURCES = (  # sources of machine code
    "gemm.py", "jit.py", "kernels.py", "optimizer_kernels.py", "variant_kernels.py",
)  # fmt: skip
MAX_KERNELS = 256  # kernels are numbered by single bytes
_HERE = Path(__file__).parent
_PROGRAM = """
import sys
sys.path[:] = {path!r}
from gluon_lstm.lstm.fast import precompile
precompile.compile_kernels()
"""


def start() -> subprocess.Popen[bytes] | None:
    """Start the processes, if the machine code next to the sources is missing or older than these.

    Elsewhere Numba keeps it in the user's cache directory, and this process compiles what is missing there. Returns the
    first process, which ends after the second and leads their process group.
    """
    if os.environ.get("NUMBA_CACHE_DIR") or not sys.executable or not os.access(_HERE, os.W_OK) or is_compiled():
        return None
    command = [sys.executable, "-c", _PROGRAM.format(path=list(map(str, sys.path)))]
    with suppress(OSError):
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    return None


def compile_kernels() -> None:
    """Compile the kernels of every run in this process and a fork of it, which need Numba only once. End both.

    Each takes the next kernel when it has compiled one. One that calls another finds it in the cache on disk.
    """
    gc.disable()  # a tenth of the compile time
    from gluon_lstm.lstm.fast import jit

    numbers = kernel_numbers()
    other = os.fork()
    try:
        jit.selected = selection(numbers)
        from gluon_lstm.lstm.fast import kernels, optimizer_kernels  # noqa: F401

        if other:
            os.waitpid(other, 0)
    finally:
        os._exit(0)  # at once: Python takes half a second to release what Numba holds


def kernel_numbers() -> int:
    """Return a pipe with the numbers of the kernels, in order: processes that share it read each number once."""
    numbers, write_end = os.pipe()
    os.write(write_end, bytes(range(MAX_KERNELS)))
    return numbers


def selection(numbers: int) -> Callable[[], bool]:
    """Return a function that is called for each kernel, in order, and returns whether this process compiles it."""
    called, own = -1, -1

    def selected() -> bool:
        nonlocal called, own
        called += 1
        if own < called:  # the last own kernel is compiled
            own = os.read(numbers, 1)[0]
        return own == called

    return selected


def is_compiled(folder: Path = _HERE) -> bool:
    """Return whether the machine code that every run needs exists, for this Python and newer than the sources."""
    tag = f"py{sys.version_info.major}{sys.version_info.minor}"
    newest = max((folder / name).stat().st_mtime for name in COMPILED_SOURCES)
    for kernel in ("kernels.forward_steps", "kernels.backward_steps", "optimizer_kernels.adam"):
        found = [index.stat().st_mtime for index in (folder / "__pycache__").glob(f"{kernel}-*.{tag}.nbi")]
        if not found or max(found) < newest:
            return False
    return True


def stop(process: subprocess.Popen[bytes] | None) -> None:
    """End the processes. What they have compiled so far stays in the cache."""
    if process:
        with suppress(OSError):  # they have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait(process: subprocess.Popen[bytes] | None) -> None:
    """Wait until the processes have ended. What they have not compiled is compiled where it is imported."""
    if process:
        process.wait()
