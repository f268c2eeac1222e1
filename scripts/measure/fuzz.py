"""Looks for inputs that break a promise: model files, files of text and command lines, mutated for some minutes.

    python scripts/measure/fuzz.py [--minutes 10] [--seed S] [--corpora DIR]
    python scripts/measure/fuzz.py --again FILE

What is promised is in `fuzz_targets`. Each target is fuzzed in a process of its own by atheris, which sees what an
input reaches in the package; it ends at its first finding: a broken promise, more than 5 seconds, more than 1 GB. The
inputs that were found are kept, and `--again` tries one of them once more. Atheris comes with the extra `fuzz`.
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

from bench_process import Absent, command, table

SECONDS, MEGABYTES = 5, 1024  # for one input; more is a finding
LONGEST_INPUT = 16384  # bytes
SNIPPET = 2000  # bytes
TO_START = 120  # seconds that a target may take before its first input, and for its last one
COMPILED = [
    "gluon_lstm.lstm.fast.kernels",
    "gluon_lstm.lstm.fast.gemm",
]  # by Numba, which could not with what atheris adds
GET_IT = 'on Linux with Python 3.11 to 3.13, get it by pip install -c constraints.txt ".[fuzz]"'
IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # where each input is a file for a moment


@dataclass
class Result:
    """What became of a target."""

    name: str
    executions: int = 0
    seconds: float = 0.0  # of its process
    longest: float = 0.0  # seconds for one input
    megabytes: int = 0
    finding: str = ""

    def row(self) -> list[str]:
        rate = f"{self.executions / self.seconds:,.0f}" if self.seconds else ""
        found = "1" if self.finding else "0"
        return [self.name, f"{self.executions:,}", rate, f"{self.longest:.2f} s", f"{self.megabytes:,} MB", found]


# ---- in the process of a target


def fuzz_here(args: argparse.Namespace) -> None:
    """Fuzz one target; does not return."""
    import atheris

    end = time.monotonic() + 60 * args.minutes
    with atheris.instrument_imports(include=["gluon_lstm"], exclude=COMPILED):
        from fuzz_targets import TARGETS

        target = TARGETS[args.target](args.work, list(snippets(args.corpora)) if args.corpora else [])
        for number, data in enumerate(target.seeds):
            (args.folder / "inputs" / f"seed-{number}").write_bytes(data)
            if time.monotonic() < end:
                target.check(data)  # now, for many a module is loaded by what needs it first
    flags = [
        f"-timeout={SECONDS}", f"-rss_limit_mb={MEGABYTES}", f"-max_total_time={max(int(end - time.monotonic()), 1)}",
        f"-max_len={LONGEST_INPUT}", f"-seed={args.seed}", f"-artifact_prefix={args.folder}/", "-print_final_stats=1",
    ]  # fmt: skip
    longest = args.folder / "longest"
    atheris.Setup([args.target, *flags, str(args.folder / "inputs")], timed(target.check, longest.write_text))
    atheris.Fuzz()


def timed(check: Callable[[bytes], None], tell: Callable[[str], object]) -> Callable[[bytes], None]:
    """`check`, which tells whenever it took longer than ever before."""
    longest = 0.0

    def checked(data: bytes) -> None:
        nonlocal longest
        begun = time.perf_counter()
        try:
            check(data)
        finally:
            seconds = time.perf_counter() - begun
            if seconds > longest:
                longest = seconds
                tell(f"{seconds:.3f}")

    return checked


def snippets(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Of each file the ending of its name and some bytes, from its beginning and from its middle."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with open(path, "rb") as file:
                yield path.suffix, file.read(SNIPPET)
                file.seek(path.stat().st_size // 2)
                yield path.suffix, file.read(SNIPPET)


# ---- in the process that starts the others


def fuzz(name: str, folder: Path, args: argparse.Namespace, seconds: float) -> Result:
    """Fuzz a target for some seconds."""
    result, end = Result(name), time.monotonic() + seconds
    (folder / "inputs").mkdir(parents=True)
    (folder / "longest").write_text("0")
    while not result.finding and (left := end - time.monotonic()) > 0:
        begun = time.monotonic()
        code = fuzz_there(name, folder, args, left)
        result.seconds += time.monotonic() - begun
        result.longest = max(result.longest, float((folder / "longest").read_text()))
        said = (folder / "log").read_text("utf-8", "replace")
        result.executions += largest(r"^#(\d+)\s", said)
        result.megabytes = max(result.megabytes, largest(r"(?:rss|peak_rss_mb): +(\d+)", said))
        if code == 0 or re.search(r"^Done \d+ runs in", said, re.M):  # behind it MXNet may crash, on its way out
            break
        slow = next(folder.glob("timeout-*"), None)
        if slow and tried_again(slow):
            slow.unlink()  # the machine was busy with something else
        else:
            result.finding = reason(said, code)
    return result


def fuzz_there(name: str, folder: Path, args: argparse.Namespace, seconds: float) -> int:
    """The exit code of a process in which a target is fuzzed; what it says is in the file `log` of the folder."""
    with open(folder / "log", "wb") as log, tempfile.TemporaryDirectory(dir=IN_MEMORY) as work:
        options = {"target": name, "folder": folder, "work": work, "minutes": seconds / 60, "seed": args.seed}
        if args.corpora:
            options["corpora"] = args.corpora.resolve()
        process = [sys.executable, __file__, *(f"--{option}={value}" for option, value in options.items())]
        try:
            return subprocess.run(
                process, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=seconds + TO_START
            ).returncode
        except subprocess.TimeoutExpired:
            return -1


def largest(pattern: str, text: str) -> int:
    return max(map(int, re.findall(pattern, text, re.M)), default=0)


def reason(said: str, code: int) -> str:
    """Why a process ended in a finding."""
    if "libFuzzer: timeout" in said:
        return f"more than {SECONDS} seconds"
    if "libFuzzer: out-of-memory" in said:
        return f"more than {MEGABYTES} MB"
    errors = re.findall(r"^[\w.]*(?:Error|Exception|Warning|Exit|Interrupt)\b.*", said, re.M)
    return errors[-1] if errors else f"its process ended with {code}"


def tried_again(path: Path) -> bool:
    """Whether nothing is wrong with an input when it is tried once more, alone."""
    with suppress(subprocess.TimeoutExpired):
        process = [sys.executable, __file__, "--again", str(path)]
        return subprocess.run(process, capture_output=True, timeout=TO_START).returncode == 0
    return False


def again(path: Path) -> None:
    """Try the input of a finding once more. Raises as its target does, and ValueError when it takes too long."""
    from fuzz_targets import TARGETS

    name = path.resolve().parent.name
    if name not in TARGETS:
        raise ValueError(f"{path}: its folder is not called as a target is: {', '.join(TARGETS)}")
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as work:
        target = TARGETS[name](Path(work), [])
        target.check(target.seeds[0])  # loads modules
        begun = time.process_time()  # on a busy machine anything may take long
        target.check(path.read_bytes())
        seconds = time.process_time() - begun
    if seconds > SECONDS:
        raise ValueError(f"{path}: it took {seconds:.1f} seconds")
    print(f"{path}: nothing is wrong with it; it took {seconds:.2f} seconds")


def fuzz_all(args: argparse.Namespace) -> list[Result]:
    """Fuzz all targets one by one, and print what was found. Raises Absent."""
    from fuzz_targets import TARGETS

    if not find_spec("atheris"):
        raise Absent("atheris is not installed; " + GET_IT)
    kept = Path(tempfile.mkdtemp(prefix="gluon-lstm-fuzz-"))
    results, end = [], time.monotonic() + 60 * args.minutes
    for number, name in enumerate(TARGETS):
        result = fuzz(name, kept / name, args, (end - time.monotonic()) / (len(TARGETS) - number))
        print(f"{name}: {result.executions:,} executions{', ' * bool(result.finding)}{result.finding}", flush=True)
        if not result.finding:
            shutil.rmtree(kept / name)
        results.append(result)
    head = ["target", "executions", "a second", "longest", "peak memory", "findings"]
    print("", table(head, [result.row() for result in results]), sep="\n")
    if any(result.finding for result in results):
        print(f"\n{kept}: in the folder of its target, each input with a finding, and the log")
    else:
        kept.rmdir()
    return results


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, metavar="M", help="in all (default: 10)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of what is mutated how (default: 1)")
    parser.add_argument("--corpora", type=Path, metavar="DIR", help="files to take parts of, besides those made here")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try the input of a finding once more")
    for name in ("target", "folder", "work"):  # of the process of one target
        parser.add_argument(f"--{name}", type=Path if name != "target" else str, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if not 0 < args.minutes < float("inf") or not 0 < args.seed < 1 << 32:
        parser.error("--minutes and --seed are more than 0")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """0, 1 when something was found, 2 for what is said in one sentence."""
    found: list[Result] = []

    def run(args: argparse.Namespace) -> None:
        if args.target:
            fuzz_here(args)
        elif args.again:
            again(args.again)
        else:
            found.extend(result for result in fuzz_all(args) if result.finding)

    return command("fuzz.py", run, arguments(argv)) or (1 if found else 0)


if __name__ == "__main__":
    sys.exit(main())
