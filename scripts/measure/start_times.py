"""Seconds from the start of a command to what its user waits for: the first character, the first updates."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_process import BenchProcess, ProcessFailed, clean_environment

import gluon_lstm

Process = subprocess.Popen[bytes]
Event = Callable[[Process], bool]  # reads the output of a process up to the event; False where the output ends before


def first_character(process: Process) -> bool:
    return bool(process.stdout.read(1))  # type: ignore[union-attr]


def first_updates(process: Process) -> bool:
    """Read the log of `train` up to the line with the time left, which follows the third update."""
    return any(line.startswith(b"about ") for line in process.stderr)  # type: ignore[union-attr]


def seconds_until(event: Event, command: Sequence[str], cwd: Path | None = None) -> float:
    """Return seconds from the start of a command to the event; the command is killed then."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment(), bufsize=0, cwd=cwd
    ) as process:
        reached = event(process)
        elapsed = time.perf_counter() - start
        process.kill()
    if not reached:
        raise ProcessFailed(f"{' '.join(command[1:])} ended before the event that is timed")
    return elapsed


def generate_starts(repeats: int, size: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return seconds to the first character of `generate`, and of Python with NumPy alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "model.safetensors"))
        with BenchProcess("generate_programs:Writing", name="ours", **size) as writer:
            writer.call("save", path=path)
        commands = {
            "generate": ["-m", "gluon_lstm", "generate", path, "--length", "1", "--seed", "1"],
            "python with numpy": ["-c", "import numpy; print(1)"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for k in range(repeats + 1):  # the first round fills the page cache
            for name, command in commands.items():
                elapsed = seconds_until(first_character, [sys.executable, *command])
                seconds[name] += [elapsed] if k else []
    return seconds


def train_starts(repeats: int, posts: Path, words: Path) -> dict[str, list[float]]:
    """Return seconds to the first three updates of `train`: on `posts`, and with Janome's words on `words`.

    A first start is that of a copy of the package without Numba's machine code, with an empty cache of texts.
    """
    first: list[float] = []
    later: list[float] = []
    later_words: list[float] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            package = Path(gluon_lstm.__file__).parent
            shutil.copytree(package, folder / package.name, ignore=shutil.ignore_patterns("__pycache__"))
            compileall.compile_dir(folder / package.name, quiet=1)  # as pip does
            for seconds in (first, later):
                seconds.append(_train_start(folder, posts))
            _train_start(folder, words, "--tokenizer", "janome")  # fills the cache of texts
            later_words.append(_train_start(folder, words, "--tokenizer", "janome"))
    return {"train, first start": first, "train, later start": later, "train, words, later start": later_words}


def _train_start(folder: Path, text: Path, *options: str) -> float:
    """Return seconds to the first updates of a new training run by the package in `folder`."""
    out = tempfile.mkdtemp(dir=folder)
    command = ["-m", "gluon_lstm", "train", str(text.resolve()), "--out", out, "--cache", str(folder / "cache")]
    return seconds_until(first_updates, [sys.executable, *command, *options], folder)
