"""Training runs to kill or disturb, and checks that no file is damaged and no progress is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from bench_process import BenchProcess, clean_environment, die_with_parent

from gluon_lstm import array_file
from gluon_lstm.model import Model

# options of a small run
SMALL_RUN = ["--hidden", "8", "--batch-size", "2", "--seq-len", "8", "--sample-length", "5", "--sample-every", "2"]
SMALL_RUN += ["--patience", "0", "--from", "none"]
CHECKPOINT_EACH_STEP = ["--checkpoint-minutes", "1e-9"]  # after each update
TIMEOUT = 600.0  # seconds, for one process
KILLED, FINISHED, REFUSED = -9, 0, 2  # allowed exit codes of a process


class CheckFailed(Exception):
    """Data was lost or damaged; the message says what, and in which directory."""


class CrashRun:
    """A training run in `folder`, started by command line, once or more; its output goes to a file next to `folder`."""

    def __init__(self, folder: Path, text: Path, options: Sequence[str]) -> None:
        self.folder, self.log = folder, folder.with_name(folder.name + ".log")
        self.pid = 0  # of the last process
        cache = ["--cache", str(text.parent / "cache")]
        self.arguments = ["train", str(text), "--out", str(folder), *SMALL_RUN, *cache, *options, "--resume"]

    def start(self, log: Any, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start or resume the run in a process that dies with this one. `prefix`: a command that runs the process."""
        command = [*prefix, sys.executable, "-m", "gluon_lstm", *self.arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
        child = subprocess.Popen(
            command, **streams, env=clean_environment(), start_new_session=True, preexec_fn=die_with_parent
        )
        self.pid = child.pid
        return child

    def run(self, prefix: Sequence[str] = ()) -> int:
        """Run a process to its end and return its exit code. Raises CheckFailed for another end than expected."""
        with self.start(subprocess.PIPE, prefix) as child:
            try:
                output, _ = child.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                raise CheckFailed(f"{self.folder}: no end after {TIMEOUT:.0f} s") from None
            finally:
                child.kill()
        self.log.write_bytes(output)
        self.check_exit(child.returncode)
        return child.returncode

    def check_exit(self, code: int) -> None:
        """Raise CheckFailed unless it was killed, finished, or ended with an error in one sentence."""
        output = self.output()
        if "Traceback" in output:
            raise CheckFailed(f"{self.folder}: a traceback (see {self.log})")
        last = output.strip().split("\n")[-1]
        if code not in (KILLED, FINISHED, REFUSED) or (code == REFUSED and not last.startswith("gluon-lstm: ")):
            raise CheckFailed(f"{self.folder}: exit code {code}: {last}")

    def output(self) -> str:
        """Return the output of the last process."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def finish(self) -> None:
        """Resume the run until it is finished."""
        self.check_finished(self.run(), self.output())

    def check_finished(self, code: int, output: str) -> None:
        """Raise CheckFailed unless the exit code is 0."""
        if code:
            raise CheckFailed(f"{self.folder}: cannot be resumed, exit code {code}: {output.strip()}")


class Resumer:
    """Resumes runs in one process, one after another, since starting a process takes seconds."""

    def resume(self, arguments: Sequence[str]) -> dict[str, Any]:
        from gluon_lstm.cli.main import main

        with redirect_stderr(StringIO()) as output:
            code = main(arguments)
        return {"code": code, "output": output.getvalue()}


class SharedResumer:
    """Finishes runs of several threads in one process."""

    def __init__(self, process: BenchProcess) -> None:
        self._process, self._lock = process, Lock()

    def finish(self, run: CrashRun) -> None:
        with self._lock:
            result = self._process.call("resume", arguments=run.arguments)
        run.check_finished(result["code"], result["output"])


@contextmanager
def shared_resumer() -> Iterator[SharedResumer]:
    """Start the process of a SharedResumer, and end it."""
    with BenchProcess("crash_runs:Resumer", setup="gluon_lstm.system:limit_blas_threads") as process:
        yield SharedResumer(process)


def write_posts(work: Path) -> Path:
    """Write text.txt with 300 random posts into `work` and return its path."""
    rng = random.Random(7)
    path = work / "text.txt"
    posts = ["".join(rng.choice("あいうえおかきくけこ") for _ in range(rng.randint(5, 25))) for _ in range(300)]
    path.write_text("\n".join(posts) + "\n", encoding="utf-8")
    return path


# ---- checks


def check_readable(folder: Path) -> None:
    """Raise CheckFailed unless all models and states load and other files are as long as the state says."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            if path.name == "state.safetensors":
                values, _ = array_file.load(path)
                _check_lengths(folder, values["lengths"])
            else:
                Model.load(path)
        except ValueError as error:
            raise CheckFailed(str(error)) from error


def _check_lengths(folder: Path, lengths: dict[str, int]) -> None:
    for name, length in lengths.items():
        size = (folder / name).stat().st_size if (folder / name).exists() else 0
        if size < length:
            raise CheckFailed(f"{folder / name}: {size} bytes, where the state says {length}")


def differences(one: Path, other: Path) -> list[str]:
    """Return the differences between two run directories, except for times."""
    names = {path.name for path in one.iterdir()}
    others = {path.name for path in other.iterdir()}
    found = [f"only one has {name}" for name in sorted(names ^ others)]
    for name in sorted(names & others):
        if name.endswith(".safetensors"):
            found += [f"{name}: {difference}" for difference in _file_differences(one / name, other / name)]
    if "samples.txt" in names & others and (one / "samples.txt").read_bytes() != (other / "samples.txt").read_bytes():
        found.append("samples.txt")
    if "history.jsonl" in names & others and _history(one) != _history(other):
        found.append("history.jsonl")
    return found


def _file_differences(one: Path, other: Path) -> list[str]:
    (values, arrays), (other_values, other_arrays) = array_file.load(one), array_file.load(other)
    names = sorted(arrays.keys() | other_arrays.keys())
    found = [name for name in names if _bits(arrays, name) != _bits(other_arrays, name)]
    steps, other_steps = (value.get("metadata", value)["steps"] for value in (values, other_values))
    return found + [f"step {steps} and {other_steps}"] * (steps != other_steps)


def _bits(arrays: dict[str, np.ndarray], name: str) -> Any:
    """Return dtype, shape and bytes, which distinguish 0 from -0 and NaNs from each other; None without the array."""
    return (arrays[name].dtype, arrays[name].shape, arrays[name].tobytes()) if name in arrays else None


def _history(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


def check_equal(folder: Path, reference: Path) -> None:
    """Raise CheckFailed unless the run directory equals that of an uninterrupted run, `reference`."""
    found = differences(folder, reference)
    if found:
        raise CheckFailed(f"{folder}: differs from an uninterrupted run ({reference}): {', '.join(found[:5])}")
