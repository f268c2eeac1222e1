"""Training runs that are killed, struck by failing disks, and left alone for long: is anything lost?

    python scripts/torture.py kills     [--kills 200] [--seed S]    SIGKILL at random moments, resuming each time
    python scripts/torture.py calls     [--every K]                 SIGKILL at each system call that touches the run
    python scripts/torture.py faults    [--every K]                 an error at each of them in turn
    python scripts/torture.py full                                  a disk that is full, for ever smaller ones
    python scripts/torture.py soak      [--minutes 15] FILE         is resident memory flat?
    python scripts/torture.py fuzz      [--minutes 10] ...          scripts/fuzz.py

After each blow every model and state in the folder must be whole; at the end the resumed run must equal one that
nothing happened to: each array to the last bit, the samples to the last byte, the history but for its seconds. `calls`
and `faults` need strace (Linux), `full` a tmpfs, which only root may mount. The exit code is 1 when something was lost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from turns import table

from gluon_lstm import sealed
from gluon_lstm.machine import available_cores
from gluon_lstm.model import Model

SMALL = ["--hidden", "8", "--batch-size", "2", "--seq-len", "8", "--sample-length", "5", "--sample-every", "2"]
SMALL += ["--patience", "0"]
ALWAYS = ["--checkpoint-minutes", "1e-9"]  # behind each update
LOST = 300.0  # seconds after which a process is given up
CALLS = "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,ftruncate,truncate,unlink,close,mkdir,flock"
ERRORS = {  # what can happen to a call
    "openat": ("EACCES", "ENOSPC", "EROFS"), "write": ("ENOSPC", "EIO"), "fsync": ("EIO", "ENOSPC"),
    "rename": ("EIO", "EROFS"), "ftruncate": ("EIO",), "mkdir": ("EACCES",), "flock": ("EIO",), "close": ("EIO",),
}  # fmt: skip
LINE = re.compile(r"(\d+) +(\w+)\((.*)")  # of strace: process, call, arguments and result


class Failed(Exception):
    """Something was lost; the message says what, and in which folder."""


class Victim:
    """A training run in `folder`, by the command line, on a text of our own."""

    def __init__(self, folder: Path, text: Path, options: Sequence[str]) -> None:
        self.folder = folder
        cache = ["--cache", str(text.parent / "cache")]
        arguments = ["train", str(text), "--out", str(folder), *SMALL, *cache, *options]
        self.command = [sys.executable, "-m", "gluon_lstm", *arguments, "--resume"]
        self.log = folder.with_name(folder.name + ".log")

    def start(self, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        with open(self.log, "wb") as log:
            return subprocess.Popen([*before, *self.command], stdout=log, stderr=log, start_new_session=True)

    def run(self, before: Sequence[str] = ()) -> int:
        """The exit code of one sitting; Failed when it does not end, or ends in a traceback."""
        child = self.start(before)
        try:
            code = child.wait(LOST)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.folder}: no end after {LOST:.0f} s") from None
        finally:
            child.kill()
        if "Traceback" in self.said():
            raise Failed(f"{self.folder}: a traceback (see {self.log})")
        return code

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def finish(self) -> None:
        code = self.run()
        if code:
            raise Failed(f"{self.folder}: cannot be resumed, exit code {code}: {self.said().strip().splitlines()[-1]}")


# ---- what must hold


def check_whole(folder: Path) -> None:
    """Every model and every state in the folder can be loaded."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            if path.name == "state.safetensors":
                sealed.load(path)
            else:
                Model.load(path)
        except ValueError as error:
            raise Failed(str(error)) from error


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
    (values, arrays), (other_values, other_arrays) = sealed.load(one), sealed.load(other)
    names = sorted(arrays.keys() | other_arrays.keys())
    found = [name for name in names if not np.array_equal(arrays.get(name), other_arrays.get(name))]
    steps, other_steps = (value.get("about", value)["steps"] for value in (values, other_values))
    return found + [f"step {steps} and {other_steps}"] * (steps != other_steps)


def _history(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [{**json.loads(line), "seconds": None} for line in lines]


def check_same(folder: Path, whole: Path) -> None:
    found = differences(folder, whole)
    if found:
        raise Failed(f"{folder}: not what an uninterrupted run comes to ({whole}): {', '.join(found[:5])}")


# ---- killed at random moments


class Killed(NamedTuple):
    kills: int
    in_training: int  # of them, behind the first update of their sitting
    runs: int


def kills(work: Path, count: int, seed: int, steps: int = 2000, longest: float = 2.0) -> Killed:
    """Kill runs of so many steps `count` times; each is resumed until it is over, and compared."""
    text = a_text(work)
    options = ["--steps", str(steps), *ALWAYS]
    whole = Victim(work / "whole", text, ["--steps", str(steps)])  # with hardly a checkpoint
    whole.finish()

    def one_side(k: int) -> Killed:
        (work / f"side-{k}").mkdir()
        rng = random.Random(f"{seed} {k}")
        return _kill_again_and_again(work / f"side-{k}", text, options, whole.folder, (count + k) // 2, rng, longest)

    with ThreadPoolExecutor(2) as threads:
        return Killed(*map(sum, zip(*threads.map(one_side, range(2)))))


def _kill_again_and_again(
    side: Path, text: Path, options: Sequence[str], whole: Path, count: int, rng: random.Random, longest: float
) -> Killed:
    done = in_training = runs = 0
    while True:
        victim = Victim(side / f"run-{runs}", text, options)
        while done < count:
            child = victim.start()
            begun = _wait_for_training(victim, child, rng.random() < 0.9)
            time.sleep(rng.uniform(0, longest))
            child.kill()
            if child.wait() == 0:  # it was over before
                break
            done += 1
            in_training += begun
            check_whole(victim.folder)
        victim.finish()
        check_same(victim.folder, whole)
        shutil.rmtree(victim.folder)
        runs += 1
        if done >= count:
            return Killed(done, in_training, runs)


def _wait_for_training(victim: Victim, child: subprocess.Popen[bytes], wait: bool) -> bool:
    """Whether the first update is near: the last of the opening lines is in the log."""
    end = time.monotonic() + LOST
    while wait and child.poll() is None and "in nats a token" not in victim.said():
        if time.monotonic() > end:
            child.kill()
            raise Failed(f"{victim.folder}: has not begun after {LOST:.0f} s")
        time.sleep(0.01)
    return wait


# ---- killed, or struck by an error, at each system call


class Call(NamedTuple):
    """The `number`-th call of its name in the main thread."""

    name: str
    number: int
    about: str


def calls_of(victim: Victim, trace: Path) -> list[Call]:
    """The calls of a whole run that touch its folder."""
    code = victim.run(strace("-y", "-o", str(trace)))
    if code:
        raise Failed(f"{victim.folder}: exit code {code} under strace")
    counts: Counter[str] = Counter()
    found, main = [], ""
    for line in trace.read_text(encoding="utf-8", errors="replace").splitlines():
        match = LINE.match(line)
        if not match:
            continue
        process, name, rest = match.groups()
        main = main or process
        if process != main:
            continue
        counts[name] += 1
        if f"{victim.folder}/" in rest or f'{victim.folder}"' in rest or f"{victim.folder}>" in rest:
            found.append(Call(name, counts[name], rest[:100]))
    return found


def strace(*options: str) -> list[str]:
    return ["strace", "-f", "-qq", "--seccomp-bpf", "-e", f"trace={CALLS}", *options]


def strike_each(work: Path, every: int, blows: Callable[[Call], Iterable[str]]) -> Counter[str]:
    """Each of the calls of a run struck by each of its blows, in turn: how the sittings ended."""
    text = a_text(work)
    options = ["--steps", "3", *ALWAYS]
    whole = Victim(work / "whole", text, options)
    calls = calls_of(whole, work / "trace")
    struck = list(itertools.islice(((call, blow) for call in calls for blow in blows(call)), 0, None, every))
    ended: Counter[str] = Counter(calls=len(calls))

    def strike(numbered: tuple[int, tuple[Call, str]]) -> str:
        k, (call, blow) = numbered
        victim = Victim(work / f"{k}-{call.name}-{call.number}", text, options)
        injected = f"inject={call.name}:{blow}:when={call.number}"
        code = victim.run(strace("-e", injected, "-o", "/dev/null"))
        said = victim.said().strip().splitlines()
        if code not in (0, 2, 128 + signal.SIGKILL, -signal.SIGKILL):
            raise Failed(f"{victim.folder}: {injected} ended in exit code {code}")
        if code == 2 and not said[-1].startswith("gluon-lstm: "):
            raise Failed(f"{victim.folder}: {injected} is not told in a sentence: {said[-1:]}")
        if victim.folder.exists():
            check_whole(victim.folder)
        victim.finish()
        check_same(victim.folder, whole.folder)
        shutil.rmtree(victim.folder)
        return {0: "went on", 2: "ended with a sentence"}.get(code, "killed")

    with ThreadPoolExecutor(available_cores()) as threads:
        ended.update(threads.map(strike, enumerate(struck)))
    return ended


def deaths(call: Call) -> Iterable[str]:
    return ["signal=KILL"]


def errors(call: Call) -> Iterable[str]:
    return [f"error={error}" for error in ERRORS.get(call.name, ())]


# ---- a disk that is full


def full(work: Path) -> Counter[str]:
    """Runs on ever smaller disks. With room again each comes to its end."""
    text = a_text(work)
    options = ["--steps", "40", *ALWAYS]
    whole = Victim(work / "whole", text, options)
    whole.finish()
    needed = sum(path.stat().st_size for path in whole.folder.iterdir())
    ended: Counter[str] = Counter()
    for k in range(1, 25):
        size = int(needed * 2 * k / 24) // 4096 * 4096
        with a_disk(work / f"disk-{k}", size) as (disk, enlarge):
            victim = Victim(disk / "run", text, options)
            victim.log = work / f"disk-{k}.log"
            code = victim.run()
            if code not in (0, 2):
                raise Failed(f"{victim.folder}: a disk of {size:,} bytes ended in exit code {code}")
            ended[{0: "went on to the end", 2: "ended with a sentence"}[code]] += 1
            ended["of them, told of a write that failed"] += "could not be written" in victim.said()
            check_whole(victim.folder)
            enlarge()
            victim.finish()
            check_same(victim.folder, whole.folder)
    return ended


@contextmanager
def a_disk(path: Path, size: int) -> Iterator[tuple[Path, Callable[[], None]]]:
    """A small file system, and what makes it large."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield path, lambda: subprocess.run(["mount", "-o", "remount,size=1g", str(path)], check=True) and None
    finally:
        subprocess.run(["umount", str(path)], check=True)


# ---- left alone


def soak(work: Path, file: Path, minutes: float) -> list[tuple[float, float]]:
    """Resident memory of a run with everything in it: (minutes, MB) every few seconds."""
    victim = Victim(work / "soak", file, [])
    limits = ["--minutes", str(minutes), "--checkpoint-minutes", "0.25", "--sample-every", "200", "--patience", "0"]
    cache = ["--cache", str(work / "cache")]
    command = [sys.executable, "-m", "gluon_lstm", "train", str(file), "--out", str(victim.folder), *limits, *cache]
    found, begun = [], time.monotonic()
    with open(victim.log, "wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as child:
        try:
            while child.poll() is None:
                status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
                match = re.search(r"VmRSS:\s+(\d+)", status)
                if match:
                    found.append(((time.monotonic() - begun) / 60, int(match[1]) / 1024))
                time.sleep(min(5.0, minutes * 2))
        finally:
            child.kill()
    if child.returncode:
        raise Failed(f"{victim.folder}: exit code {child.returncode}: {victim.said().strip().splitlines()[-1]}")
    return found


def flatness(found: Sequence[tuple[float, float]], after: float) -> tuple[list[list[str]], float]:
    """A row for each minute or so, and how far apart the least and the greatest are behind `after` minutes."""
    late = [memory for minute, memory in found if minute >= after]
    step = max(found[-1][0] / 15, 1e-9)
    rows = []
    for k, group in itertools.groupby(found, key=lambda point: int(point[0] / step)):
        memory = [point[1] for point in group]
        rows.append([f"{k * step:.1f}", f"{min(memory):.0f}", f"{statistics.mean(memory):.0f}", f"{max(memory):.0f}"])
    return rows, (max(late) - min(late)) / statistics.mean(late)


# ---- the parts


def a_text(work: Path) -> Path:
    """300 posts, each of some letters that often follow one another."""
    rng = random.Random(7)
    path = work / "text.txt"
    posts = ["".join(rng.choice("あいうえおかきくけこ") for _ in range(rng.randint(5, 25))) for _ in range(300)]
    path.write_text("\n".join(posts) + "\n", encoding="utf-8")
    return path


def told(counts: Counter[str] | dict[str, int]) -> str:
    return table(["what", "how often"], [[name, f"{count:,}"] for name, count in counts.items()])


def run_part(args: argparse.Namespace, work: Path) -> str:
    """What was found, as a table. Raises Failed."""
    if args.part == "kills":
        return told(kills(work, args.kills, args.seed)._asdict())
    if args.part == "calls":
        return told(strike_each(work, args.every, deaths))
    if args.part == "faults":
        return told(strike_each(work, args.every, errors))
    if args.part == "full":
        return told(full(work))
    rows, apart = flatness(soak(work, args.file, args.minutes), args.minutes / 5)
    text = table(["minutes", "least MB", "mean MB", "greatest MB"], rows)
    verdict = f"after {args.minutes / 5:.0f} minutes the greatest is {100 * apart:.1f} % above the least"
    if apart > 0.05:
        raise Failed(f"{text}\n{verdict}: resident memory is not flat")
    return f"{text}\n{verdict}"


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parts = whole.add_subparsers(dest="part", required=True)
    part = parts.add_parser("kills")
    part.add_argument("--kills", type=int, default=200)
    part.add_argument("--seed", type=int, default=1)
    for name in ("calls", "faults"):
        parts.add_parser(name).add_argument("--every", type=int, default=1, help="only each K-th of them")
    parts.add_parser("full")
    part = parts.add_parser("soak")
    part.add_argument("file", type=Path)
    part.add_argument("--minutes", type=float, default=15.0)
    parts.add_parser("fuzz", add_help=False)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    args, rest = parser().parse_known_args(argv)
    if args.part == "fuzz":
        import fuzz

        return fuzz.main(rest)
    if args.part in ("calls", "faults") and not shutil.which("strace"):
        print("strace is not installed: it is what strikes the system calls", file=sys.stderr)
        return 2
    work = Path(tempfile.mkdtemp(prefix="torture-"))
    begun = time.monotonic()
    try:
        print(run_part(args, work))
    except Failed as failure:
        print(f"{failure}\nwhat is left of it: {work}", file=sys.stderr)
        return 1
    shutil.rmtree(work)
    print(f"\nnothing was lost ({(time.monotonic() - begun) / 60:.1f} minutes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
