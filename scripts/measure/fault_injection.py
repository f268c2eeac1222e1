"""Each system call that touches the folder of a run, struck in turn: the process is killed there, or the call fails.

strace does it. Between two of these calls nothing in the folder changes, so a process killed before each of them has
been killed everywhere, but for the middle of a write. To close a file changes nothing either.
"""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from crash_runs import ALWAYS, GOOD, KILLED, LOST, Failed, Finisher, Victim, a_finisher, a_text, check_same, check_whole

from gluon_lstm.system import available_cores

CALLS = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "ftruncate", "truncate",
    "unlink", "unlinkat", "mkdir", "flock",
)  # fmt: skip
ERRORS = {  # what can happen to a call; they take turns
    "openat": ("EACCES", "ENOSPC", "EROFS", "EMFILE"), "write": ("ENOSPC", "EIO", "EDQUOT"), "fsync": ("EIO", "ENOSPC"),
    "rename": ("EIO", "EROFS", "ENOSPC"), "ftruncate": ("EIO", "EROFS"), "truncate": ("EIO",), "mkdir": ("EACCES",),
    "unlink": ("EIO",), "flock": ("EIO",),
}  # fmt: skip
DISKS = {  # which calls fail on a disk, and why, from some moment on
    "ENOSPC": ("openat", "write", "fsync", "mkdir"),
    "EIO": ("openat", "write", "fsync", "rename", "ftruncate", "truncate", "unlink", "mkdir"),
    "EROFS": ("openat", "rename", "ftruncate", "truncate", "unlink", "mkdir"),
}
WHOLE = ("state.safetensors", "last.safetensors", "best.safetensors", "curve.png")  # written beside themselves first
OTHERS = ("history.jsonl", "samples.txt", ".lock")
STEPS = ["--steps", "2", "--sample-every", "1"]


class Call(NamedTuple):
    name: str
    file: str  # the first that it names


class Blow(NamedTuple):
    """What is done to the call number `at` (from 0) of a sitting; `injections` is how strace is told."""

    at: int
    what: str
    injections: Sequence[str]


# ---- traces


def strace(folder: Path, trace: Path, injections: Iterable[str]) -> list[str]:
    """What stands before a command so that its calls on the folder are followed, and struck.

    With -D the command keeps the number of the process that is started, $$, which its temporary files have in their
    names. Not --seccomp-bpf: strace 6.1 sends no signals then.
    """
    out = quote(str(folder))
    paths = [out, *(f"{out}/{name}" for name in (*WHOLE, *OTHERS)), *(f"{out}/.{name}.$$.tmp" for name in WHOLE)]
    paths += [quote(str(path)) for path in folder.glob(".*.tmp")]  # what another process left
    options = ["-D", "-f", "-q", "-y", "-o", quote(str(trace)), "-e", f"trace={','.join(CALLS)}"]
    options += [word for path in paths for word in ("-P", path)]
    options += [word for injection in injections for word in ("-e", f"inject={injection}")]
    return ["sh", "-c", f'exec strace {" ".join(options)} "$@"', "strace"]


def traced(victim: Victim, injections: Iterable[str] = ()) -> tuple[int, str]:
    """The exit code of a sitting, and the trace of its main thread, which does all the writing.

    Raises Failed when the trace has no end.
    """
    trace = victim.log.with_suffix(".trace")
    code = victim.run(strace(victim.folder, trace, injections))
    end = time.monotonic() + LOST
    while time.monotonic() < end:
        text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
        lines = re.findall(rf"^{victim.pid} +(.*)", text, re.MULTILINE)
        if lines and lines[-1].startswith("+++ "):
            return code, "\n".join(lines)
        time.sleep(0.01)  # strace -D ends a little after what it follows
    raise Failed(f"{victim.folder}: strace has not followed it to its end (see {victim.log} and {trace})")


def calls_of(trace: str, folder: Path) -> list[Call]:
    found = []
    for name, rest in re.findall(r"^(\w+)\((.*)", trace, re.MULTILINE):
        path = re.search(rf"{re.escape(str(folder))}/?([^\">]*)", rest)
        found.append(Call(name, re.sub(r"\.\d+\.tmp", ".tmp", path[1]) if path else ""))
    return found


# ---- blows


def deaths(calls: Sequence[Call]) -> list[Blow]:
    """Killed before each call."""
    return [
        Blow(at, f"before {call.name}", [f"{call.name}:signal=KILL:when={_number(calls, at)}"])
        for at, call in enumerate(calls)
    ]


def errors(calls: Sequence[Call]) -> list[Blow]:
    """Each call fails by itself; and from every third one on, all do that would on such a disk."""
    blows = []
    for at, call in enumerate(calls):
        number = _number(calls, at)
        kinds = ERRORS[call.name]
        error = kinds[number % len(kinds)]
        blows.append(Blow(at, f"{call.name}: {error}", [f"{call.name}:error={error}:when={number}"]))
        disk = list(DISKS)[at // 3 % len(DISKS)]
        if at % 3 == 0 and any(later.name in DISKS[disk] for later in calls[at:]):
            done = Counter(before.name for before in calls[:at])
            from_here = [f"{name}:error={disk}:when={done[name] + 1}+" for name in DISKS[disk]]
            blows.append(Blow(at, f"from some call on: {disk}", from_here))
    return blows


def _number(calls: Sequence[Call], at: int) -> int:
    """How many of the calls up to this one have its name."""
    return sum(call.name == calls[at].name for call in calls[: at + 1])


# ---- strikes


def strike_each(work: Path, every: int, blows_on: Callable[[Sequence[Call]], list[Blow]]) -> Counter[tuple[str, str]]:
    """How often which blow had which end: on a run that begins, and on one that goes on from a kill in a checkpoint."""
    text = a_text(work)

    def victim(name: str) -> Victim:
        return Victim(work / name, text, [*STEPS, *ALWAYS])

    whole = victim("whole")
    begun = calls_of(traced(whole)[1], whole.folder)
    half = _half_done(victim("half"), begun)
    resumed = _a_copy(half, victim("resumed"))
    gone_on = calls_of(traced(resumed)[1], resumed.folder)

    def strike(blow: Blow, start: Path | None) -> tuple[str, str]:
        name = "-".join(re.findall(r"\w+", f"{'resumed' if start else 'begun'} {blow.at} {blow.what}"))
        struck = _a_copy(start, victim(name)) if start else victim(name)
        return blow.what, _strike(struck, blow, whole.folder, finisher)

    blows: list[tuple[Blow, Path | None]] = [(blow, None) for blow in blows_on(begun)]
    blows += [(blow, half) for blow in blows_on(gone_on)]
    with a_finisher() as finisher, ThreadPoolExecutor(available_cores()) as threads:
        return Counter(threads.map(lambda pair: strike(*pair), blows[::every]))


def _half_done(victim: Victim, calls: Sequence[Call]) -> Path:
    """A run killed where it had written all of its last step but the name of its state."""
    renames = [at for at, call in enumerate(calls) if call == Call("rename", ".state.safetensors.tmp")]
    blow = deaths(calls)[renames[-2]]  # the last one ends the run
    traced(victim, blow.injections)
    if not list(victim.folder.glob(".state*.tmp")):
        raise Failed(f"{victim.folder}: was not killed before a rename: strace does not do what it is asked for")
    return victim.folder


def _a_copy(folder: Path, victim: Victim) -> Victim:
    shutil.copytree(folder, victim.folder)
    return victim


def _strike(victim: Victim, blow: Blow, whole: Path, finisher: Finisher) -> str:
    """How the sitting ended. Raises Failed when something is lost by it, or when the blow did not fall."""
    code, trace = traced(victim, blow.injections)
    calls = len(calls_of(trace, victim.folder))
    if not (calls == blow.at + 1 if code == KILLED else "(INJECTED)" in trace):
        raise Failed(f"{victim.folder}: {blow} struck nothing, or elsewhere (see {victim.log.with_suffix('.trace')})")
    check_whole(victim.folder)
    if code == GOOD:
        check_same(victim.folder, whole)
    finisher.finish(victim)
    check_same(victim.folder, whole)
    shutil.rmtree(victim.folder)
    return {GOOD: "went on to the end", KILLED: "killed"}.get(code, "ended with a sentence")
