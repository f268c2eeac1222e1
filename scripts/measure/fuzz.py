"""Fuzzing of readers, cleaning, model files and command lines: mutated inputs must be refused or work (`fuzz_targets`).

    python scripts/measure/fuzz.py [--minutes 10] [--seed S] [--corpora DIR]
    python scripts/measure/fuzz.py --again FILE

Each target is fuzzed in its own process by atheris, guided by coverage of the package, until its first finding: a
failed check, more than 5 seconds or more than 1 GB. Inputs with findings are kept; `--again` repeats one. Atheris comes
with the extra `fuzz`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from bench_process import MissingLibrary, markdown_table, run_script

MAX_SECONDS, MAX_MEGABYTES = 5, 1024  # of one input; more is a finding
MAX_INPUT_BYTES = 16384
SNIPPET_BYTES = 2000
STARTUP_SECONDS = 120  # of a target before its first input, and for its last one
UNINSTRUMENTED = [
    "gluon_lstm.lstm.fast.kernels",
    "gluon_lstm.lstm.fast.gemm",
    "gluon_lstm.lstm.fast.optimizer_kernels",
]  # compiled by Numba, which cannot compile code instrumented by atheris
INSTALL_HINT = 'on Linux with Python 3.11 to 3.13, install it by pip install -c constraints.txt ".[fuzz]"'
MEMORY_DIR = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # directory of the input files


@dataclass
class Result:
    """Result of fuzzing a target."""

    name: str
    executions: int = 0
    seconds: float = 0.0  # run time of its process
    longest: float = 0.0  # maximum seconds of one input
    megabytes: int = 0
    finding: str = ""

    def row(self) -> list[str]:
        """Return the cells of the printed table."""
        rate = f"{self.executions / self.seconds:,.0f}" if self.seconds else ""
        findings = "1" if self.finding else "0"
        return [self.name, f"{self.executions:,}", rate, f"{self.longest:.2f} s", f"{self.megabytes:,} MB", findings]


# ---- in the process of a target


def run_target(args: argparse.Namespace) -> None:
    """Fuzz one target; does not return."""
    import atheris

    end = time.monotonic() + 60 * args.minutes
    with atheris.instrument_imports(include=["gluon_lstm"], exclude=UNINSTRUMENTED):
        from fuzz_targets import TARGETS

        target = TARGETS[args.target](args.work, list(snippets(args.corpora)) if args.corpora else [])
        for number, data in enumerate(target.seeds):
            (args.folder / "inputs" / f"seed-{number}").write_bytes(data)
            if time.monotonic() < end:
                target.check(data)  # loads the modules that are imported on demand
    left = max(int(end - time.monotonic()), 1)
    flags = [
        f"-timeout={MAX_SECONDS}", f"-rss_limit_mb={MAX_MEGABYTES}", f"-max_total_time={left}",
        f"-max_len={MAX_INPUT_BYTES}", f"-seed={args.seed}", f"-artifact_prefix={args.folder}/", "-print_final_stats=1",
    ]  # fmt: skip
    longest = args.folder / "longest"
    atheris.Setup([args.target, *flags, str(args.folder / "inputs")], record_slowest(target.check, longest.write_text))
    atheris.Fuzz()


def record_slowest(check: Callable[[bytes], None], record: Callable[[str], object]) -> Callable[[bytes], None]:
    """Return `check` wrapped to record the seconds of its slowest call."""
    longest = 0.0

    def checked(data: bytes) -> None:
        nonlocal longest
        start = time.perf_counter()
        try:
            check(data)
        finally:
            seconds = time.perf_counter() - start
            if seconds > longest:
                longest = seconds
                record(f"{seconds:.3f}")

    return checked


def snippets(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the suffix of each file with some bytes from its beginning, and from its middle."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with open(path, "rb") as file:
                yield path.suffix, file.read(SNIPPET_BYTES)
                file.seek(path.stat().st_size // 2)
                yield path.suffix, file.read(SNIPPET_BYTES)


# ---- in the parent process


def fuzz_target(name: str, folder: Path, args: argparse.Namespace, seconds: float) -> Result:
    """Fuzz a target for some seconds."""
    result, end = Result(name), time.monotonic() + seconds
    (folder / "inputs").mkdir(parents=True)
    (folder / "longest").write_text("0")
    while not result.finding and (left := end - time.monotonic()) > 0:
        start = time.monotonic()
        code = run_target_process(name, folder, args, left)
        result.seconds += time.monotonic() - start
        result.longest = max(result.longest, float((folder / "longest").read_text()))
        output = (folder / "log").read_text("utf-8", "replace")
        result.executions += max_match(r"^#(\d+)\s", output)
        result.megabytes = max(result.megabytes, max_match(r"(?:rss|peak_rss_mb): +(\d+)", output))
        if code == 0 or re.search(r"^Done \d+ runs in", output, re.M):  # MXNet may crash at exit
            break
        slow = next(folder.glob("timeout-*"), None)
        if slow and passes_alone(slow):
            slow.unlink()  # the machine was busy
        else:
            result.finding = reason(output, code)
    return result


def run_target_process(name: str, folder: Path, args: argparse.Namespace, seconds: float) -> int:
    """Fuzz a target in a process of its own; return the exit code, -1 for a timeout. Its output is in `folder`/log."""
    with open(folder / "log", "wb") as log, tempfile.TemporaryDirectory(dir=MEMORY_DIR) as work:
        options = {"target": name, "folder": folder, "work": work, "minutes": seconds / 60, "seed": args.seed}
        if args.corpora:
            options["corpora"] = args.corpora.resolve()
        process = [sys.executable, __file__, *(f"--{option}={value}" for option, value in options.items())]
        try:
            return subprocess.run(
                process, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=seconds + STARTUP_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            return -1


def max_match(pattern: str, text: str) -> int:
    """Return the largest integer that the group of `pattern` matches; 0 without a match."""
    return max(map(int, re.findall(pattern, text, re.M)), default=0)


def reason(output: str, code: int) -> str:
    """Return the cause of a finding from the output and the exit code of a process."""
    if "libFuzzer: timeout" in output:
        return f"more than {MAX_SECONDS} seconds"
    if "libFuzzer: out-of-memory" in output:
        return f"more than {MAX_MEGABYTES} MB"
    errors = re.findall(r"^[\w.]*(?:Error|Exception|Warning|Exit|Interrupt)\b.*", output, re.M)
    return errors[-1] if errors else f"its process ended with {code}"


def passes_alone(path: Path) -> bool:
    """Return whether an input passes when repeated alone."""
    with suppress(subprocess.TimeoutExpired):
        process = [sys.executable, __file__, "--again", str(path)]
        return subprocess.run(process, capture_output=True, timeout=STARTUP_SECONDS).returncode == 0
    return False


def reproduce(path: Path) -> None:
    """Repeat the input of a finding. Raises as its target does, and ValueError when it takes too long."""
    from fuzz_targets import TARGETS

    name = path.resolve().parent.name
    if name not in TARGETS:
        raise ValueError(f"{path}: its directory must have the name of a target: {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory(dir=MEMORY_DIR) as work:
        target = TARGETS[name](Path(work), [])
        target.check(target.seeds[0])  # loads modules
        start = time.process_time()  # CPU time, since the machine may be busy
        target.check(path.read_bytes())
        seconds = time.process_time() - start
    if seconds > MAX_SECONDS:
        raise ValueError(f"{path}: took {seconds:.1f} seconds")
    print(f"{path}: no finding; {seconds:.2f} seconds")


def fuzz_all(args: argparse.Namespace) -> list[Result]:
    """Fuzz all targets one after another and print the results. Raises MissingLibrary."""
    from fuzz_targets import TARGETS

    if not find_spec("atheris"):
        raise MissingLibrary("atheris is not installed; " + INSTALL_HINT)
    kept = Path(tempfile.mkdtemp(prefix="gluon-lstm-fuzz-"))
    results, end = [], time.monotonic() + 60 * args.minutes
    for number, name in enumerate(TARGETS):
        result = fuzz_target(name, kept / name, args, (end - time.monotonic()) / (len(TARGETS) - number))
        print(f"{name}: {result.executions:,} executions{', ' * bool(result.finding)}{result.finding}", flush=True)
        if not result.finding:
            shutil.rmtree(kept / name)
        results.append(result)
    head = ["target", "executions", "executions/s", "longest", "peak memory", "findings"]
    print("", markdown_table(head, [result.row() for result in results]), sep="\n")
    if any(result.finding for result in results):
        print(f"\n{kept}: inputs with findings and logs, by target")
    else:
        kept.rmdir()
    return results


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="total time (default: 10)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="random seed (default: 1)")
    parser.add_argument("--corpora", type=Path, metavar="DIR", help="files whose parts are additional seeds")
    parser.add_argument("--again", type=Path, metavar="FILE", help="repeat the input of a finding")
    for name in ("target", "folder", "work"):  # internal: process of one target
        parser.add_argument(f"--{name}", type=Path if name != "target" else str, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not 0 < args.minutes < float("inf") or not 0 < args.seed < 1 << 32:
        parser.error("--minutes and --seed must be more than 0")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, 1 for a finding, 2 for an error."""
    findings: list[Result] = []

    def run(args: argparse.Namespace) -> None:
        if args.target:
            run_target(args)
        elif args.again:
            reproduce(args.again)
        else:
            findings.extend(result for result in fuzz_all(args) if result.finding)

    return run_script("fuzz.py", run, parse_arguments(argv)) or (1 if findings else 0)


if __name__ == "__main__":
    sys.exit(main())
