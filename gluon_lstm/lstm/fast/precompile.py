"""Compilation of the kernels in two other processes: the first start after an installation.

Numba compiles one function at a time in a process. The processes fill its cache on disk while this one reads the text
and imports MXNet; then it imports the kernels from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

COMPILED_SOURCES = ("gemm.py", "jit.py", "kernels.py", "optimizer_kernels.py")  # sources of machine code
FIRST_HALF = ("gemm", "step", "step_rnn", "forward_steps")  # kernels that take half of the compile time
_HERE = Path(__file__).parent
_PROGRAM = """
import sys
sys.path[:] = {path!r}
from gluon_lstm.lstm.fast import jit
jit.selected = lambda name: (name in {first_half!r}) == {is_first!r}
import gluon_lstm.lstm.fast.kernels, gluon_lstm.lstm.fast.optimizer_kernels
"""


def start() -> list[subprocess.Popen[bytes]]:
    """Start the processes, if the machine code next to the sources is missing or older than these.

    Elsewhere Numba keeps it in the user's cache directory, and this process compiles what is missing there.
    """
    if os.environ.get("NUMBA_CACHE_DIR") or not sys.executable or not os.access(_HERE, os.W_OK) or is_compiled():
        return []
    processes: list[subprocess.Popen[bytes]] = []
    with suppress(OSError):
        for is_first in (True, False):
            code = _PROGRAM.format(path=list(map(str, sys.path)), first_half=FIRST_HALF, is_first=is_first)
            command = [sys.executable, "-c", code]
            processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    return processes


def is_compiled(folder: Path = _HERE) -> bool:
    """Return whether there is machine code of every source, for this Python and newer than the sources."""
    tag = f"py{sys.version_info.major}{sys.version_info.minor}"
    newest = max((folder / name).stat().st_mtime for name in COMPILED_SOURCES)
    for kernel in ("kernels.forward_steps", "kernels.backward_steps", "optimizer_kernels.adam"):
        found = [index.stat().st_mtime for index in (folder / "__pycache__").glob(f"{kernel}-*.{tag}.nbi")]
        if not found or max(found) < newest:
            return False
    return True


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes. What they have compiled so far stays in the cache."""
    for process in processes:
        process.kill()
        process.wait()


def wait(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait until the processes have ended. What one has not compiled is compiled where it is imported."""
    for process in processes:
        process.wait()
