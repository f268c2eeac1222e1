"""Training runs that something is done to, and what must hold afterwards: nothing is half written, nothing is lost."""

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
from bench_process import Contestant, clean_environment, end_with_parent

from gluon_lstm import array_file
from gluon_lstm.model import Model

SMALL = ["--hidden", "8", "--batch-size", "2", "--seq-len", "8", "--sample-length", "5", "--sample-every", "2"]
SMALL += ["--patience", "0"]
ALWAYS = ["--checkpoint-minutes", "1e-9"]  # behind each update
LOST = 600.0  # seconds after which a process is given up
KILLED, GOOD, BAD = -9, 0, 2  # how a sitting may end


class Failed(Exception):
    """Something was lost; the message says what, and in which folder."""


class Victim:
    """A training run in `folder`, by the command line; what it says is kept beside the folder."""

    def __init__(self, folder: Path, text: Path, options: Sequence[str]) -> None:
        self.folder, self.log = folder, folder.with_name(folder.name + ".log")
        self.pid = 0  # of the last sitting
        cache = ["--cache", str(text.parent / "cache")]
        self.arguments = ["train", str(text), "--out", str(folder), *SMALL, *cache, *options, "--resume"]

    def start(self, log: Any, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """A sitting that ends with this process, if not sooner. `before`: a command that runs another."""
        command = [*before, sys.executable, "-m", "gluon_lstm", *self.arguments]
        quiet = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
        child = subprocess.Popen(
            command, **quiet, env=clean_environment(), start_new_session=True, preexec_fn=end_with_parent
        )
        self.pid = child.pid
        return child

    def run(self, before: Sequence[str] = ()) -> int:
        """The exit code of a whole sitting. Raises Failed when that is not as it should be."""
        with self.start(subprocess.PIPE, before) as child:
            try:
                said, _ = child.communicate(timeout=LOST)
            except subprocess.TimeoutExpired:
                raise Failed(f"{self.folder}: no end after {LOST:.0f} s") from None
            finally:
                child.kill()
        self.log.write_bytes(said)
        self.check_told(child.returncode)
        return child.returncode

    def check_told(self, code: int) -> None:
        """It was killed, or came to its end, or says in a sentence why it did not."""
        said = self.said()
        if "Traceback" in said:
            raise Failed(f"{self.folder}: a traceback (see {self.log})")
        last = said.strip().split("\n")[-1]
        if code not in (KILLED, GOOD, BAD) or (code == BAD and not last.startswith("gluon-lstm: ")):
            raise Failed(f"{self.folder}: exit code {code}: {last}")

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def finish(self) -> None:
        """Go on until the run is over."""
        self.check_over(self.run(), self.said())

    def check_over(self, code: int, said: str) -> None:
        if code:
            raise Failed(f"{self.folder}: cannot be resumed, exit code {code}: {said.strip()}")


class Resumer:
    """Goes on with runs, one after the other, in one process: to start one takes seconds."""

    def resume(self, arguments: Sequence[str]) -> dict[str, Any]:
        from gluon_lstm.cli.main import main

        with redirect_stderr(StringIO()) as said:
            code = main(arguments)
        return {"code": code, "said": said.getvalue()}


class Finisher:
    """Finishes victims of several threads, without a process for each."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant, self._lock = contestant, Lock()

    def finish(self, victim: Victim) -> None:
        with self._lock:
            answer = self._contestant.do("resume", arguments=victim.arguments)
        victim.check_over(answer["code"], answer["said"])


@contextmanager
def a_finisher() -> Iterator[Finisher]:
    with Contestant("crash_runs:Resumer", setup="gluon_lstm.system:limit_blas_threads") as contestant:
        yield Finisher(contestant)


def a_text(work: Path) -> Path:
    """300 posts, each of some letters."""
    rng = random.Random(7)
    path = work / "text.txt"
    posts = ["".join(rng.choice("あいうえおかきくけこ") for _ in range(rng.randint(5, 25))) for _ in range(300)]
    path.write_text("\n".join(posts) + "\n", encoding="utf-8")
    return path


# ---- what must hold


def check_whole(folder: Path) -> None:
    """Every model and state in the folder can be loaded, and what the state says of the other files is there."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            if path.name == "state.safetensors":
                values, _ = array_file.load(path)
                _check_lengths(folder, values["lengths"])
            else:
                Model.load(path)
        except ValueError as error:
            raise Failed(str(error)) from error


def _check_lengths(folder: Path, lengths: dict[str, int]) -> None:
    for name, length in lengths.items():
        there = (folder / name).stat().st_size if (folder / name).exists() else 0
        if there < length:
            raise Failed(f"{folder / name}: {there} bytes, where the state says {length}")


def differences(one: Path, other: Path) -> list[str]:
    """In what two folders of runs differ, which should have come to the same."""
    names = {path.name for path in one.iterdir()}
    others = {path.name for path in other.iterdir()}
    found = [f"only one has {name}" for name in sorted(names ^ others)]
    for name in sorted(names & others):
        if name.endswith(".safetensors"):
            found += [f"{name}: {what}" for what in _differences_of_files(one / name, other / name)]
    if "samples.txt" in names & others and (one / "samples.txt").read_bytes() != (other / "samples.txt").read_bytes():
        found.append("samples.txt")
    if "history.jsonl" in names & others and _history(one) != _history(other):
        found.append("history.jsonl")
    return found


def _differences_of_files(one: Path, other: Path) -> list[str]:
    (values, arrays), (other_values, other_arrays) = array_file.load(one), array_file.load(other)
    names = sorted(arrays.keys() | other_arrays.keys())
    found = [name for name in names if _bits(arrays, name) != _bits(other_arrays, name)]
    steps, other_steps = (value.get("about", value)["steps"] for value in (values, other_values))
    return found + [f"step {steps} and {other_steps}"] * (steps != other_steps)


def _bits(arrays: dict[str, np.ndarray], name: str) -> Any:
    """What tells two arrays apart: also 0 and -0, and two NaNs."""
    return (arrays[name].dtype, arrays[name].shape, arrays[name].tobytes()) if name in arrays else None


def _history(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


def check_same(folder: Path, whole: Path) -> None:
    found = differences(folder, whole)
    if found:
        raise Failed(f"{folder}: not what an uninterrupted run comes to ({whole}): {', '.join(found[:5])}")
