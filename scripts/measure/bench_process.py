"""Programs to compare, each in a process of its own; one runs at a time.

A `BenchProcess` runs this file in a new Python process. That process creates one object (`module:factory` with JSON
arguments) and calls its methods on request: `{"method": "measure", "arguments": {"updates": 3}}` is answered by
`{"result": ...}`, one line of JSON each. Between two calls the process is stopped by SIGSTOP, since threads that spin
while they wait for work would slow down the process that is measured.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from gluon_lstm.blas import choose_blas_kernels

# environment variables that set the threads of a library; not inherited by a BenchProcess
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "MXNET_CPU_WORKER_NTHREADS", "MXNET_ENGINE_TYPE",
)  # fmt: skip
LIBRARIES = ("numpy", "mxnet", "torch", "numba", "pyppmd")
PR_SET_PDEATHSIG = 1  # prctl(2): signal sent when the parent dies


class MissingLibrary(Exception):
    """A required library is not installed; the message names it."""


class ProcessFailed(ValueError):
    """A call of a BenchProcess failed; the message gives the reason."""


def run_script(name: str, run: Callable[[Any], None], arguments: Any) -> int:
    """Run a script and return its exit code: 0; 2 for an error, printed to stderr in one line; 130 for an interrupt."""
    try:
        run(arguments)
    except (ValueError, OSError, MissingLibrary) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def clean_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment variables of this process without THREAD_VARIABLES, updated with `settings`."""
    return {**{name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}, **(settings or {})}


class BenchProcess:
    """Parent side of a program in a process of its own, which is stopped except during a call."""

    def __init__(
        self, factory: str, settings: Mapping[str, str] | None = None, setup: str = "", **arguments: Any
    ) -> None:
        """Start the process and create its object.

        `setup`: a `module:function` to call before other imports. Raises MissingLibrary or ProcessFailed.
        """
        self.name = str(arguments.get("name", factory))
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._process = subprocess.Popen(
            [sys.executable, __file__, factory, setup, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=clean_environment(settings),
            start_new_session=True,  # Ctrl-C reaches the parent only, which ends the children
            encoding="utf-8",
        )
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> BenchProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the object and return its result. Raises ProcessFailed."""
        self._process.send_signal(signal.SIGCONT)
        try:
            with suppress(BrokenPipeError):  # the process has ended: `_read` raises with the reason
                self._process.stdin.write(json.dumps({"method": method, "arguments": arguments}) + "\n")  # type: ignore[union-attr]
                self._process.stdin.flush()  # type: ignore[union-attr]
            return self._read()
        finally:
            self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._process.wait()

    def _read(self) -> Any:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise ProcessFailed(f"{self.name} ended without an answer: {self._last_stderr_line()}")
        message = json.loads(line)
        if "missing" in message:
            raise MissingLibrary(message["missing"])
        if "error" in message:
            raise ProcessFailed(f"{self.name}: {message['error']}")
        return message["result"]

    def _last_stderr_line(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no message")


def serve(factory: str, setup: str, arguments: Mapping[str, Any]) -> None:
    """Child side: create the object, then answer calls until stdin ends."""
    choose_blas_kernels()
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # printed output of libraries goes to stderr
    die_with_parent()

    def answer(work: Callable[[], Any]) -> Any:
        result, message = None, {}
        try:
            result = work()
            message = {"result": result if isinstance(result, (dict, list, float, int, str)) else None}
        except ImportError as error:
            message = {"missing": str(error)}
        except (ValueError, OSError) as error:
            message = {"error": str(error)}
        out.write(json.dumps(message) + "\n")
        out.flush()
        return result

    def create() -> Any:
        if setup:
            resolve(setup)()
        return resolve(factory)(**arguments)

    program = answer(create)
    for line in sys.stdin:
        request = json.loads(line)
        method = getattr(program, request["method"])
        answer(lambda: method(**request["arguments"]))  # noqa: B023 (called immediately)


def resolve(name: str) -> Any:
    """Return the object named `module:name`."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def die_with_parent() -> None:
    """Have Linux kill this process when its parent dies, even while it is stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes (VmHWM); 0 if unknown."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def environment() -> dict[str, Any]:
    """Return hardware, system and library versions of the measurement."""
    from gluon_lstm.system import available_cores, cpu_name, versions

    system = f"{platform.system()} {platform.release()}"
    hardware = {"cpu": cpu_name(), "cores": available_cores(), "system": system, "python": platform.python_version()}
    return {**hardware, **versions(LIBRARIES)}


def environment_line(environment: Mapping[str, Any]) -> str:
    """Return the values of `environment()` in one line."""
    libraries = ", ".join(f"{name} {environment[name]}" for name in ("python", *LIBRARIES) if name in environment)
    return f"{environment['cpu']}, {environment['cores']} cores, {environment['system']}; {libraries}"


def median_min_max(values: Iterable[float]) -> tuple[float, float, float]:
    """Return median, minimum and maximum."""
    values = list(values)
    return statistics.median(values), min(values), max(values)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; the first column is aligned to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
