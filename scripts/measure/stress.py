"""Training runs that are killed, struck by failing disks, and left alone for long: is anything lost?

    python scripts/stress.py kills     [--kills 200] [--seed S]    SIGKILL at random moments, resuming each time
    python scripts/stress.py calls     [--every K]                 SIGKILL at each system call that touches the run
    python scripts/stress.py faults    [--every K]                 an error at each of them, once and from there on
    python scripts/stress.py limits                                files that may not grow: writes that stop half-way
    python scripts/stress.py full                                  a disk that is full, for ever smaller ones
    python scripts/stress.py soak      [--minutes 15] FILE         is resident memory flat?
    python scripts/stress.py fuzz      [--minutes 10] ...          scripts/measure/fuzz.py
    python scripts/stress.py all       FILE                        one after the other, as above

After each blow every model and state in the folder must be whole; at the end the resumed run must equal one that
nothing happened to: each array to the last bit, the samples to the last byte, the history but for its seconds. `calls`
and `faults` need strace (Linux), `full` a tmpfs, which only root may mount. The exit code is 1 when something was lost;
what is left of it is then kept, and named.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench_process import table
from crash_runs import ALWAYS, BAD, KILLED, LOST, Failed, Finisher, Victim, a_finisher, a_text, check_same, check_whole

from gluon_lstm.system import available_cores

# The options of two runs that go on side by side.
SIDES: tuple[list[str], ...] = ([], ["--layers", "2", "--variant", "peephole", "--batch-size", "3"])
PARTS = ("kills", "calls", "faults", "limits", "full", "soak")
DISKS = 16  # sizes of disks, and limits of files, that are tried


# ---- killed at random moments


class Killed(NamedTuple):
    kills: int
    in_startup: int  # of them
    while_writing: int  # of them: with a file of the run half written
    runs: int  # that came to their end, and were compared


def kills(work: Path, count: int, seed: int, steps: int = 600, longest: float = 2.0) -> Killed:
    """Kill runs of so many steps `count` times; each is resumed until it is over, and compared."""
    text = a_text(work)

    def one_side(k: int) -> Killed:
        side = work / f"side-{k}"
        side.mkdir()
        options = [*SIDES[k], "--steps", str(steps)]
        whole = Victim(side / "whole", text, options)  # with hardly a checkpoint
        whole.finish()
        kills = (count + k) // 2
        rng = random.Random(f"{seed} {k}")
        return _kill_again_and_again(side, text, [*options, *ALWAYS], whole.folder, kills, rng, longest)

    with ThreadPoolExecutor(2) as threads:
        return Killed(*map(sum, zip(*threads.map(one_side, range(2)))))


def _kill_again_and_again(
    side: Path, text: Path, options: Sequence[str], whole: Path, count: int, rng: random.Random, longest: float
) -> Killed:
    done = in_startup = writing = runs = 0
    while done < count:
        victim = Victim(side / f"run-{runs}", text, options)
        while done < count:
            in_training = rng.random() < 0.9
            code = _killed_once(victim, in_training, rng.uniform(0, longest))
            check_whole(victim.folder)
            if code != KILLED:  # it was over before
                break
            done += 1
            in_startup += not in_training
            writing += any(victim.folder.glob(".*.tmp"))
        victim.finish()
        check_same(victim.folder, whole)
        shutil.rmtree(victim.folder)
        runs += 1
    return Killed(done, in_startup, writing, runs)


def _killed_once(victim: Victim, in_training: bool, after: float) -> int:
    """The exit code of a sitting that was killed `after` so many seconds, unless it came to its end before."""
    with open(victim.log, "wb") as log, victim.start(log) as child:
        try:
            if in_training:
                _wait_for_training(victim, child)
            time.sleep(after)
        finally:
            child.kill()
    victim.check_told(child.returncode)
    if child.returncode == BAD:
        raise Failed(f"{victim.folder}: ended by itself: {victim.said().strip()}")
    return child.returncode


def _wait_for_training(victim: Victim, child: subprocess.Popen[bytes]) -> None:
    """Until the first update is near: the last of the opening lines is in the log."""
    end = time.monotonic() + LOST
    while child.poll() is None and "nats per token" not in victim.said():
        if time.monotonic() > end:
            raise Failed(f"{victim.folder}: has not begun after {LOST:.0f} s")
        time.sleep(0.01)


# ---- a disk that is full, and files that may not grow


def full(work: Path) -> Counter[tuple[str, str]]:
    """Runs on ever smaller disks. With room again each comes to its end."""
    text, options = a_text(work), ["--steps", "40", *ALWAYS]
    whole = Victim(work / "whole", text, options)
    whole.finish()
    needed = sum(path.stat().st_size for path in whole.folder.iterdir())

    def on_a_disk(k: int, finisher: Finisher) -> list[tuple[str, str]]:
        size = needed * 2 * k // DISKS // 4096 * 4096
        with a_disk(work / f"disk-{k}", size) as (disk, enlarge):
            victim = Victim(disk / "run", text, options)
            victim.log = work / f"disk-{k}.log"
            return _in_need(victim, whole.folder, finisher, "a small disk", enlarge)

    return _each_in_need(on_a_disk)


def limits(work: Path) -> Counter[tuple[str, str]]:
    """Runs whose files may not grow beyond ever smaller lengths: what is over it is not written, to the byte.

    The samples come to be longer than the state, so that it is they which stop half-way.
    """
    text = a_text(work)
    options = ["--steps", "500", "--sample-every", "4", "--sample-length", "80", "--checkpoint-minutes", "0.003"]
    whole = Victim(work / "whole", text, options)
    whole.finish()
    state, samples = ((whole.folder / name).stat().st_size for name in ("state.safetensors", "samples.txt"))

    def within(k: int, finisher: Finisher) -> list[tuple[str, str]]:
        limit = state + (samples - state) * k // (DISKS + 1)
        victim = Victim(work / f"within-{limit}", text, options)
        return _in_need(victim, whole.folder, finisher, "short files", before=["prlimit", f"--fsize={limit}"])

    return _each_in_need(within)


def _each_in_need(one: Callable[[int, Finisher], list[tuple[str, str]]]) -> Counter[tuple[str, str]]:
    with a_finisher() as finisher, ThreadPoolExecutor(available_cores()) as threads:
        each = threads.map(lambda k: one(k, finisher), range(1, DISKS + 1))
        return Counter(itertools.chain.from_iterable(each))


def _in_need(
    victim: Victim,
    whole: Path,
    finisher: Finisher,
    what: str,
    enlarge: Callable[[], object] = lambda: None,
    before: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """How a sitting without enough room ended. Raises Failed when something is lost by it."""
    code = victim.run(before)
    format_spread = "could not be written" in victim.said()
    check_whole(victim.folder)
    if code != BAD:
        check_same(victim.folder, whole)
    enlarge()
    finisher.finish(victim)
    check_same(victim.folder, whole)
    end = "ended with a sentence" if code == BAD else "went on to the end"
    return [(what, end), *[(what, "of them, told of a write that failed and went on")] * format_spread]


@contextmanager
def a_disk(path: Path, size: int) -> Iterator[tuple[Path, Callable[[], object]]]:
    """A small file system, and what makes it large."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield path, lambda: subprocess.run(["mount", "-o", "remount,size=1g", str(path)], check=True)
    finally:
        subprocess.run(["umount", str(path)], check=True)


# ---- left alone


def soak(work: Path, file: Path, minutes: float) -> list[tuple[float, float]]:
    """Resident memory of a run with everything in it: (minutes, MB) every few seconds."""
    victim = Victim(work / "soak", file, [])
    limits = ["--minutes", str(minutes), "--checkpoint-minutes", "0.25", "--sample-every", "200", "--patience", "0"]
    victim.arguments = ["train", str(file), "--out", str(victim.folder), *limits, "--cache", str(work / "cache")]
    found, begun = [], time.monotonic()
    with open(victim.log, "wb") as log, victim.start(log) as child:
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


def by_minute(found: Sequence[tuple[float, float]]) -> list[tuple[int, float, float, float]]:
    """Each minute, with its least, mean and greatest memory."""
    rows = []
    for minute, group in itertools.groupby(found, lambda at: int(at[0])):
        memory = [each for _, each in group]
        rows.append((minute, min(memory), statistics.mean(memory), max(memory)))
    return rows


def apart(rows: Sequence[tuple[int, float, float, float]]) -> float:
    """How far the least and the greatest memory of some minutes are apart, as a share of the least."""
    if not rows:
        raise Failed("too short to tell whether memory is flat")
    least = min(row[1] for row in rows)
    return (max(row[3] for row in rows) - least) / least


# ---- the parts


def outcomes(ended: Counter[tuple[str, str]]) -> str:
    """How often what had which end."""
    ends = sorted({end for _, end in ended})
    rows = [[what, *(str(ended[what, end] or "") for end in ends)] for what in dict.fromkeys(what for what, _ in ended)]
    return table(["", *ends], rows)


def run_part(part: str, args: argparse.Namespace, work: Path) -> str:
    """What was found, as a table. Raises Failed."""
    if part == "kills":
        found = kills(work, args.kills, args.seed)
        return table(found._fields, [[f"{count:,}" for count in found]])
    if part in ("calls", "faults"):
        import fault_injection

        blows = fault_injection.deaths if part == "calls" else fault_injection.errors
        return outcomes(fault_injection.strike_each(work, args.every, blows))
    if part in ("full", "limits"):
        return outcomes(full(work) if part == "full" else limits(work))
    return soak_table(soak(work, args.file, args.minutes), warm=args.minutes / 5)


def soak_table(found: Sequence[tuple[float, float]], warm: float) -> str:
    """Raises Failed when memory is not flat after the first `warm` minutes, up to the last one: there the curve is
    drawn, with a library that is loaded for it.
    """
    rows = by_minute(found)
    between = apart([row for row in rows[:-1] if row[0] >= warm])
    text = table(["minute", "least MB", "mean MB", "greatest MB"], [[f"{value:.0f}" for value in row] for row in rows])
    verdict = f"after {warm:.0f} minutes, the greatest is {100 * between:.1f} % above the least"
    if between > 0.05:
        raise Failed(f"{text}\n{verdict}: not flat")
    return f"{text}\n{verdict}"


def run_and_tell(part: str, args: argparse.Namespace) -> int:
    """The exit code of a part: 1 when something was lost, 2 when it cannot be run here."""
    missing = lacking(part)
    if missing:
        print(f"{part}: {missing}", file=sys.stderr)
        return 2
    work = Path(tempfile.mkdtemp(prefix="stress-")).resolve()
    begun = time.monotonic()
    try:
        print(run_part(part, args, work), flush=True)
    except Failed as failure:
        print(f"{failure}\nwhat is left of it: {work}", file=sys.stderr)
        return 1
    shutil.rmtree(work)
    print(f"\n{part}: nothing was lost ({(time.monotonic() - begun) / 60:.1f} minutes)", flush=True)
    return 0


def lacking(part: str) -> str:
    """Why a part cannot be run here, if it cannot."""
    if part in ("calls", "faults") and not shutil.which("strace"):
        return "strace is not installed: it is what strikes the system calls"
    if part == "limits" and not shutil.which("prlimit"):
        return "prlimit is not installed: it is what limits the files"
    if part == "full" and not (sys.platform == "linux" and os.geteuid() == 0):
        return "only root may mount a small disk, on Linux"
    return ""


def run_fuzz(arguments: Sequence[str]) -> int:
    try:
        import fuzz
    except ModuleNotFoundError as error:
        print(f"fuzz: scripts/measure/fuzz.py cannot be run ({error})", file=sys.stderr)
        return 2
    return fuzz.main(arguments)


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parts = whole.add_subparsers(dest="part", required=True)
    for name in (*PARTS, "all"):
        part = parts.add_parser(name)
        if name in ("kills", "all"):
            part.add_argument("--kills", type=int, default=200)
            part.add_argument("--seed", type=int, default=1)
        if name in ("calls", "faults", "all"):
            part.add_argument("--every", type=int, default=1, help="only each K-th of them")
        if name in ("soak", "all"):
            part.add_argument("file", type=Path)
            part.add_argument("--minutes", type=float, default=15.0)
    parts.add_parser("fuzz", add_help=False)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    args, rest = parser().parse_known_args(argv)
    if args.part == "fuzz":
        return run_fuzz(rest)
    if rest:
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    if args.part == "all":
        return max([*(run_and_tell(part, args) for part in PARTS), run_fuzz(["--minutes", "10"])])
    return run_and_tell(args.part, args)


if __name__ == "__main__":
    sys.exit(main())
