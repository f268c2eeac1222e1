"""Programs that take turns on one machine: each a process of its own, of which only one runs at a time.

A `Contestant` starts this file again in a fresh Python. There it makes one object (`module:factory` with JSON
arguments), and then calls the methods it is asked for: `{"do": "turn", "with": {"updates": 3}}` is answered with
`{"answer": ...}`, one line of JSON each way. Between two calls the process is stopped, for threads that spin while they
wait for work would take the cores away from whoever is on turn.
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

# What decides how many threads a library uses. A contestant has its own settings, not those of whoever starts it.
SETTINGS = (
    "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS",
    "MXNET_CPU_WORKER_NTHREADS", "MXNET_ENGINE_TYPE",
)  # fmt: skip
LIBRARIES = ("numpy", "mxnet", "torch", "numba", "pyppmd")
PR_SET_PDEATHSIG = 1  # of prctl(2): the signal to get when the parent dies


class Absent(Exception):
    """A library that is not installed; the message names it."""


class Failed(ValueError):
    """A contestant that could not do what it was asked; the message says why."""


def command(name: str, run: Callable[[Any], None], arguments: Any) -> int:
    """The exit code of a script: 0, 2 for what is told in one sentence on stderr, 130 for an interrupt."""
    try:
        run(arguments)
    except (ValueError, OSError, Absent) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def clean_environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without its thread settings, and with those given."""
    return {**{name: value for name, value in os.environ.items() if name not in SETTINGS}, **(settings or {})}


class Contestant:
    """The parent's side of one program. It is stopped except while it answers."""

    def __init__(
        self, factory: str, settings: Mapping[str, str] | None = None, setup: str = "", **arguments: Any
    ) -> None:
        """`setup`: a `module:function` to be called before anything else is imported. Raises Absent or Failed."""
        self.name = str(arguments.get("name", factory))
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `close`)
        self._process = subprocess.Popen(
            [sys.executable, __file__, factory, setup, json.dumps(arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=clean_environment(settings),
            start_new_session=True,  # Ctrl-C is for the parent, which then ends its children
            encoding="utf-8",
        )
        try:
            self._read()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Contestant:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def do(self, method: str, **arguments: Any) -> Any:
        """What the method returns over there. Raises Failed."""
        self._process.send_signal(signal.SIGCONT)
        try:
            with suppress(BrokenPipeError):  # it is dead: reading says so, and why
                self._process.stdin.write(json.dumps({"do": method, "with": arguments}) + "\n")  # type: ignore[union-attr]
                self._process.stdin.flush()  # type: ignore[union-attr]
            return self._read()
        finally:
            self._process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        """End the process, whatever it is doing; it holds nothing that would be lost."""
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout, self._stderr):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._process.wait()

    def _read(self) -> Any:
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise Failed(f"{self.name} ended before it answered: {self._last_words()}")
        message = json.loads(line)
        if "absent" in message:
            raise Absent(message["absent"])
        if "failed" in message:
            raise Failed(f"{self.name}: {message['failed']}")
        return message["answer"]

    def _last_words(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def serve(factory: str, setup: str, arguments: Mapping[str, Any]) -> None:
    """The child's side: make the object, then answer until nobody asks any more."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    end_with_parent()

    def answer(work: Callable[[], Any]) -> Any:
        result, message = None, {}
        try:
            result = work()
            message = {"answer": result if isinstance(result, (dict, list, float, int, str)) else None}
        except ImportError as error:
            message = {"absent": str(error)}
        except (ValueError, OSError) as error:
            message = {"failed": str(error)}
        out.write(json.dumps(message) + "\n")
        out.flush()
        return result

    def make() -> Any:
        if setup:
            find(setup)()
        return find(factory)(**arguments)

    contestant = answer(make)
    for line in sys.stdin:
        question = json.loads(line)
        method = getattr(contestant, question["do"])
        answer(lambda: method(**question["with"]))  # noqa: B023 (called at once)


def find(name: str) -> Any:
    """The thing that `module:name` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def end_with_parent() -> None:
    """Let the system kill this process when the one that started it is gone: a stopped one would never hear of it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def peak_memory() -> int:
    """The most memory this process has ever held, in bytes (the system's own count, libraries included); 0: unknown."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    from gluon_lstm.system import available_cores, cpu_name, versions

    system = f"{platform.system()} {platform.release()}"
    known = {"cpu": cpu_name(), "cores": available_cores(), "system": system, "python": platform.python_version()}
    return {**known, **versions(LIBRARIES)}


def machine_line(found: Mapping[str, Any]) -> str:
    libraries = ", ".join(f"{name} {found[name]}" for name in ("python", *LIBRARIES) if name in found)
    return f"{found['cpu']}, {found['cores']} cores, {found['system']}; {libraries}"


def spread(values: Iterable[float]) -> tuple[float, float, float]:
    """Median, least and greatest."""
    values = list(values)
    return statistics.median(values), min(values), max(values)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; numbers stand behind the first column, so that is the only one aligned to the left."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
