"""Stress tests of training runs: kills, failing system calls, full disks and long runs must not lose data.

    python scripts/measure/stress.py kills   [--kills 200] [--seed S]   SIGKILL at random moments, then resume
    python scripts/measure/stress.py calls   [--every K]                SIGKILL at each system call that touches the run
    python scripts/measure/stress.py faults  [--every K]                an error at each of them, once or from there on
    python scripts/measure/stress.py limits                             limited file sizes: writes that stop half-way
    python scripts/measure/stress.py full                               a full disk, of several sizes
    python scripts/measure/stress.py soak    [--minutes 15] FILE        constant resident memory
    python scripts/measure/stress.py fuzz    [--minutes 10] ...         scripts/measure/fuzz.py
    python scripts/measure/stress.py all     FILE                       all of them, with the defaults above

After each fault all models and states in the run directory must load. At the end the resumed run must equal an
uninterrupted one: arrays to the last bit, samples to the last byte, the history except for times. `calls` and `faults`
need strace (Linux), `full` needs root to mount a tmpfs. Exit code 1 when data was lost; the run directories are then
kept, and their path is printed.
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

from bench_process import markdown_table
from crash_runs import (
    CHECKPOINT_EACH_STEP,
    KILLED,
    REFUSED,
    TIMEOUT,
    CheckFailed,
    CrashRun,
    SharedResumer,
    check_equal,
    check_readable,
    shared_resumer,
    write_posts,
)

from gluon_lstm.system import available_cores

# options of two runs that are trained in parallel
RUN_OPTIONS: tuple[list[str], ...] = ([], ["--layers", "2", "--variant", "peephole", "--batch-size", "3"])
PARTS = ("kills", "calls", "faults", "limits", "full", "soak")
SIZES = 16  # number of disk sizes, and of file size limits


# ---- kills at random moments


class KillCounts(NamedTuple):
    kills: int
    in_startup: int  # kills before training
    while_writing: int  # kills with a temporary file in the run directory
    runs: int  # finished and compared


def kills(work: Path, count: int, seed: int, steps: int = 600, longest: float = 2.0) -> KillCounts:
    """Kill runs of `steps` steps `count` times, resume each until it is finished, and compare it."""
    text = write_posts(work)

    def one_side(k: int) -> KillCounts:
        side = work / f"side-{k}"
        side.mkdir()
        options = [*RUN_OPTIONS[k], "--steps", str(steps)]
        reference = CrashRun(side / "whole", text, options)  # with few checkpoints
        reference.finish()
        kills = (count + k) // 2
        rng = random.Random(f"{seed} {k}")
        return _kill_repeatedly(side, text, [*options, *CHECKPOINT_EACH_STEP], reference.folder, kills, rng, longest)

    with ThreadPoolExecutor(2) as threads:
        return KillCounts(*map(sum, zip(*threads.map(one_side, range(2)))))


def _kill_repeatedly(
    side: Path, text: Path, options: Sequence[str], reference: Path, count: int, rng: random.Random, longest: float
) -> KillCounts:
    done = in_startup = writing = runs = 0
    while done < count:
        run = CrashRun(side / f"run-{runs}", text, options)
        while done < count:
            in_training = rng.random() < 0.9
            code = _kill_once(run, in_training, rng.uniform(0, longest))
            check_readable(run.folder)
            if code != KILLED:  # it finished before
                break
            done += 1
            in_startup += not in_training
            writing += any(run.folder.glob(".*.tmp"))
        run.finish()
        check_equal(run.folder, reference)
        shutil.rmtree(run.folder)
        runs += 1
    return KillCounts(done, in_startup, writing, runs)


def _kill_once(run: CrashRun, in_training: bool, after: float) -> int:
    """Start or resume a run, kill it `after` seconds, and return the exit code; 0 if it finished before."""
    with open(run.log, "wb") as log, run.start(log) as child:
        try:
            if in_training:
                _wait_for_training(run, child)
            time.sleep(after)
        finally:
            child.kill()
    run.check_exit(child.returncode)
    if child.returncode == REFUSED:
        raise CheckFailed(f"{run.folder}: ended with an error: {run.output().strip()}")
    return child.returncode


def _wait_for_training(run: CrashRun, child: subprocess.Popen[bytes]) -> None:
    """Wait until the last line before the first update is in the log."""
    end = time.monotonic() + TIMEOUT
    while child.poll() is None and "nats per token" not in run.output():
        if time.monotonic() > end:
            raise CheckFailed(f"{run.folder}: no training after {TIMEOUT:.0f} s")
        time.sleep(0.01)


# ---- full disks and limited file sizes


def full_disks(work: Path) -> Counter[tuple[str, str]]:
    """Run on disks of several sizes; after enlarging the disk each run must finish."""
    text, options = write_posts(work), ["--steps", "40", *CHECKPOINT_EACH_STEP]
    reference = CrashRun(work / "whole", text, options)
    reference.finish()
    needed = sum(path.stat().st_size for path in reference.folder.iterdir())

    def on_disk(k: int, resumer: SharedResumer) -> list[tuple[str, str]]:
        size = needed * 2 * k // SIZES // 4096 * 4096
        with small_disk(work / f"disk-{k}", size) as (disk, enlarge):
            run = CrashRun(disk / "run", text, options)
            run.log = work / f"disk-{k}.log"
            return _run_short_of_space(run, reference.folder, resumer, "a small disk", enlarge)

    return _run_each_size(on_disk)


def limits(work: Path) -> Counter[tuple[str, str]]:
    """Run with several limits of the file size (RLIMIT_FSIZE), so that a write stops half-way.

    samples.txt becomes longer than the state, so that it is the file whose writing stops.
    """
    text = write_posts(work)
    options = ["--steps", "500", "--sample-every", "4", "--sample-length", "80", "--checkpoint-minutes", "0.003"]
    reference = CrashRun(work / "whole", text, options)
    reference.finish()
    state, samples = ((reference.folder / name).stat().st_size for name in ("state.safetensors", "samples.txt"))

    def within(k: int, resumer: SharedResumer) -> list[tuple[str, str]]:
        limit = state + (samples - state) * k // (SIZES + 1)
        run = CrashRun(work / f"within-{limit}", text, options)
        return _run_short_of_space(
            run, reference.folder, resumer, "limited file size", prefix=["prlimit", f"--fsize={limit}"]
        )

    return _run_each_size(within)


def _run_each_size(one: Callable[[int, SharedResumer], list[tuple[str, str]]]) -> Counter[tuple[str, str]]:
    """Call `one` for each size in threads and count the outcomes."""
    with shared_resumer() as resumer, ThreadPoolExecutor(available_cores()) as threads:
        each = threads.map(lambda k: one(k, resumer), range(1, SIZES + 1))
        return Counter(itertools.chain.from_iterable(each))


def _run_short_of_space(
    run: CrashRun,
    reference: Path,
    resumer: SharedResumer,
    label: str,
    enlarge: Callable[[], object] = lambda: None,
    prefix: Sequence[str] = (),
) -> list[tuple[str, str]]:
    """Return the outcome of a process without enough space. Raises CheckFailed for lost data."""
    code = run.run(prefix)
    reported = "could not be written" in run.output()
    check_readable(run.folder)
    if code != REFUSED:
        check_equal(run.folder, reference)
    enlarge()
    resumer.finish(run)
    check_equal(run.folder, reference)
    end = "ended with an error message" if code == REFUSED else "finished"
    return [(label, end), *[(label, "of them, reported a failed write and continued")] * reported]


@contextmanager
def small_disk(path: Path, size: int) -> Iterator[tuple[Path, Callable[[], object]]]:
    """Mount a small file system; yield its path and a function that enlarges it."""
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)], check=True)
    try:
        yield path, lambda: subprocess.run(["mount", "-o", "remount,size=1g", str(path)], check=True)
    finally:
        subprocess.run(["umount", str(path)], check=True)


# ---- memory over time


def soak(work: Path, file: Path, minutes: float) -> list[tuple[float, float]]:
    """Return (minutes, MB), every few seconds, of a run with validation, samples and checkpoints: resident memory."""
    run = CrashRun(work / "soak", file, [])
    limits = ["--minutes", str(minutes), "--checkpoint-minutes", "0.25", "--sample-every", "200", "--patience", "0"]
    run.arguments = ["train", str(file), "--out", str(run.folder), *limits, "--cache", str(work / "cache")]
    samples, start = [], time.monotonic()
    with open(run.log, "wb") as log, run.start(log) as child:
        try:
            while child.poll() is None:
                status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
                match = re.search(r"VmRSS:\s+(\d+)", status)
                if match:
                    samples.append(((time.monotonic() - start) / 60, int(match[1]) / 1024))
                time.sleep(min(5.0, minutes * 2))
        finally:
            child.kill()
    if child.returncode:
        raise CheckFailed(f"{run.folder}: exit code {child.returncode}: {run.output().strip().splitlines()[-1]}")
    return samples


def by_minute(samples: Sequence[tuple[float, float]]) -> list[tuple[int, float, float, float]]:
    """Return (minute, minimum, mean, maximum) of the memory."""
    rows = []
    for minute, group in itertools.groupby(samples, lambda at: int(at[0])):
        memory = [each for _, each in group]
        rows.append((minute, min(memory), statistics.mean(memory), max(memory)))
    return rows


def relative_range(rows: Sequence[tuple[int, float, float, float]]) -> float:
    """Return (maximum - minimum) / minimum of the memory."""
    if not rows:
        raise CheckFailed("too short to measure memory")
    least = min(row[1] for row in rows)
    return (max(row[3] for row in rows) - least) / least


# ---- parts


def outcome_table(ended: Counter[tuple[str, str]]) -> str:
    """Return a table of counts: rows are labels, columns are outcomes."""
    ends = sorted({end for _, end in ended})
    labels = dict.fromkeys(label for label, _ in ended)
    rows = [[label, *(str(ended[label, end] or "") for end in ends)] for label in labels]
    return markdown_table(["", *ends], rows)


def run_part(part: str, args: argparse.Namespace, work: Path) -> str:
    """Run a part and return its result as a table. Raises CheckFailed."""
    if part == "kills":
        counts = kills(work, args.kills, args.seed)
        return markdown_table(counts._fields, [[f"{count:,}" for count in counts]])
    if part in ("calls", "faults"):
        import fault_injection

        faults = fault_injection.kill_faults if part == "calls" else fault_injection.error_faults
        return outcome_table(fault_injection.inject_each(work, args.every, faults))
    if part in ("full", "limits"):
        return outcome_table(full_disks(work) if part == "full" else limits(work))
    return soak_table(soak(work, args.file, args.minutes), warm=args.minutes / 5)


def soak_table(samples: Sequence[tuple[float, float]], warm: float) -> str:
    """Return a table by minute. Raises CheckFailed when memory grows after the first `warm` minutes.

    The last minute is excluded: the plot of the finished run loads a library.
    """
    rows = by_minute(samples)
    growth = relative_range([row for row in rows[:-1] if row[0] >= warm])
    text = markdown_table(
        ["minute", "minimum MB", "mean MB", "maximum MB"], [[f"{value:.0f}" for value in row] for row in rows]
    )
    verdict = f"after {warm:.0f} minutes the maximum is {100 * growth:.1f} % above the minimum"
    if growth > 0.05:
        raise CheckFailed(f"{text}\n{verdict}: not flat")
    return f"{text}\n{verdict}"


def run_and_report(part: str, args: argparse.Namespace) -> int:
    """Run a part and return the exit code: 1 when data was lost, 2 when a requirement is missing."""
    missing = missing_requirement(part)
    if missing:
        print(f"{part}: {missing}", file=sys.stderr)
        return 2
    work = Path(tempfile.mkdtemp(prefix="stress-")).resolve()
    start = time.monotonic()
    try:
        print(run_part(part, args, work), flush=True)
    except CheckFailed as failure:
        print(f"{failure}\nkept: {work}", file=sys.stderr)
        return 1
    shutil.rmtree(work)
    print(f"\n{part}: nothing was lost ({(time.monotonic() - start) / 60:.1f} minutes)", flush=True)
    return 0


def missing_requirement(part: str) -> str:
    """Return the missing requirement of a part, or an empty string."""
    if part in ("calls", "faults") and not shutil.which("strace"):
        return "strace is not installed"
    if part == "limits" and not shutil.which("prlimit"):
        return "prlimit is not installed"
    if part == "full" and not (sys.platform == "linux" and os.geteuid() == 0):
        return "mounting a disk requires root and Linux"
    return ""


def run_fuzz(arguments: Sequence[str]) -> int:
    """Run fuzz.py and return its exit code."""
    try:
        import fuzz
    except ModuleNotFoundError as error:
        print(f"fuzz: scripts/measure/fuzz.py cannot be run ({error})", file=sys.stderr)
        return 2
    return fuzz.main(arguments)


def make_parser() -> argparse.ArgumentParser:
    reference = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parts = reference.add_subparsers(dest="part", required=True)
    for name in (*PARTS, "all"):
        part = parts.add_parser(name)
        if name in ("kills", "all"):
            part.add_argument("--kills", type=int, default=200)
            part.add_argument("--seed", type=int, default=1)
        if name in ("calls", "faults", "all"):
            part.add_argument(
                "--every", type=int, default=1, metavar="K", help="inject only each K-th fault (default: 1)"
            )
        if name in ("soak", "all"):
            part.add_argument("file", type=Path)
            part.add_argument("--minutes", type=float, default=15.0)
    parts.add_parser("fuzz", add_help=False)
    return reference


def main(argv: Sequence[str] | None = None) -> int:
    args, rest = make_parser().parse_known_args(argv)
    if args.part == "fuzz":
        return run_fuzz(rest)
    if rest:
        make_parser().error(f"unrecognized arguments: {' '.join(rest)}")
    if args.part == "all":
        return max([*(run_and_report(part, args) for part in PARTS), run_fuzz(["--minutes", "10"])])
    return run_and_report(args.part, args)


if __name__ == "__main__":
    sys.exit(main())
