"""Fault injection by strace: at each system call that touches a run directory, the process is killed or the call fails.

The directory changes only at these calls. A process killed before each of them covers every state of the directory,
except a write that stops in the middle. Closing a file changes nothing.
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

from crash_runs import (
    CHECKPOINT_EACH_STEP,
    FINISHED,
    KILLED,
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

SYSTEM_CALLS = (
    "openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat", "renameat2", "ftruncate", "truncate",
    "unlink", "unlinkat", "mkdir", "flock",
)  # fmt: skip
CALL_ERRORS = {  # errors of a call, injected in turn
    "openat": ("EACCES", "ENOSPC", "EROFS", "EMFILE"), "write": ("ENOSPC", "EIO", "EDQUOT"), "fsync": ("EIO", "ENOSPC"),
    "rename": ("EIO", "EROFS", "ENOSPC"), "ftruncate": ("EIO", "EROFS"), "truncate": ("EIO",), "mkdir": ("EACCES",),
    "unlink": ("EIO",), "flock": ("EIO",),
}  # fmt: skip
DISK_ERRORS = {  # error of a disk -> calls that fail with it from some moment on
    "ENOSPC": ("openat", "write", "fsync", "mkdir"),
    "EIO": ("openat", "write", "fsync", "rename", "ftruncate", "truncate", "unlink", "mkdir"),
    "EROFS": ("openat", "rename", "ftruncate", "truncate", "unlink", "mkdir"),
}
ATOMIC_FILES = ("state.safetensors", "last.safetensors", "best.safetensors", "curve.png")  # replaced atomically
APPENDED_FILES = ("history.jsonl", "samples.txt", ".lock")
STEPS = ["--steps", "2", "--sample-every", "1"]


class SystemCall(NamedTuple):
    name: str
    file: str  # the first named file, relative to the run directory


class Fault(NamedTuple):
    """Fault at call `place` (from 0) of a process; `injections` are strace's expressions for it."""

    place: int
    label: str
    injections: Sequence[str]


# ---- traces


def strace_command(folder: Path, trace: Path, injections: Iterable[str]) -> list[str]:
    """Return the prefix of a command that traces its calls on the directory and injects faults.

    With -D the command keeps the process id $$, which its temporary files have in their names. --seccomp-bpf is not
    used, since strace 6.1 sends no signals with it.
    """
    out = quote(str(folder))
    paths = [
        out,
        *(f"{out}/{name}" for name in (*ATOMIC_FILES, *APPENDED_FILES)),
        *(f"{out}/.{name}.$$.tmp" for name in ATOMIC_FILES),
    ]
    paths += [quote(str(path)) for path in folder.glob(".*.tmp")]  # of earlier processes
    options = ["-D", "-f", "-q", "-y", "-o", quote(str(trace)), "-e", f"trace={','.join(SYSTEM_CALLS)}"]
    options += [word for path in paths for word in ("-P", path)]
    options += [word for injection in injections for word in ("-e", f"inject={injection}")]
    return ["sh", "-c", f'exec strace {" ".join(options)} "$@"', "strace"]


def run_traced(run: CrashRun, injections: Iterable[str] = ()) -> tuple[int, str]:
    """Return the exit code of a process, and the trace of its main thread, which does all the writing.

    Raises CheckFailed for an incomplete trace.
    """
    trace = run.log.with_suffix(".trace")
    code = run.run(strace_command(run.folder, trace, injections))
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        text = trace.read_text(encoding="utf-8", errors="replace") if trace.exists() else ""
        lines = re.findall(rf"^{run.pid} +(.*)", text, re.MULTILINE)
        if lines and lines[-1].startswith("+++ "):
            return code, "\n".join(lines)
        time.sleep(0.01)  # strace -D ends a little after the process
    raise CheckFailed(f"{run.folder}: incomplete trace (see {run.log} and {trace})")


def parse_trace(trace: str, folder: Path) -> list[SystemCall]:
    """Return the calls of a trace."""
    calls = []
    for name, rest in re.findall(r"^(\w+)\((.*)", trace, re.MULTILINE):
        path = re.search(rf"{re.escape(str(folder))}/?([^\">]*)", rest)
        calls.append(SystemCall(name, re.sub(r"\.\d+\.tmp", ".tmp", path[1]) if path else ""))
    return calls


# ---- faults


def kill_faults(calls: Sequence[SystemCall]) -> list[Fault]:
    """Return a kill before each call."""
    return [
        Fault(index, f"before {call.name}", [f"{call.name}:signal=KILL:when={_occurrence(calls, index)}"])
        for index, call in enumerate(calls)
    ]


def error_faults(calls: Sequence[SystemCall]) -> list[Fault]:
    """Return a failure of each call, and for every third call a disk error from that call on."""
    faults = []
    for index, call in enumerate(calls):
        number = _occurrence(calls, index)
        kinds = CALL_ERRORS[call.name]
        error = kinds[number % len(kinds)]
        faults.append(Fault(index, f"{call.name}: {error}", [f"{call.name}:error={error}:when={number}"]))
        disk = list(DISK_ERRORS)[index // 3 % len(DISK_ERRORS)]
        if index % 3 == 0 and any(later.name in DISK_ERRORS[disk] for later in calls[index:]):
            done = Counter(before.name for before in calls[:index])
            from_here = [f"{name}:error={disk}:when={done[name] + 1}+" for name in DISK_ERRORS[disk]]
            faults.append(Fault(index, f"from some call on: {disk}", from_here))
    return faults


def _occurrence(calls: Sequence[SystemCall], index: int) -> int:
    """Return the number of calls up to this one with its name, as strace counts them."""
    return sum(call.name == calls[index].name for call in calls[: index + 1])


# ---- injection


def inject_each(
    work: Path, every: int, make_faults: Callable[[Sequence[SystemCall]], list[Fault]]
) -> Counter[tuple[str, str]]:
    """Inject every fault number 0, `every`, 2 * `every` ...; return counts by (label, outcome).

    Faults hit a new run, and a run resumed after a kill during a checkpoint.
    """
    text = write_posts(work)

    def new_run(name: str) -> CrashRun:
        return CrashRun(work / name, text, [*STEPS, *CHECKPOINT_EACH_STEP])

    reference = new_run("reference")
    calls = parse_trace(run_traced(reference)[1], reference.folder)
    half = _killed_in_checkpoint(new_run("half"), calls)
    resumed = _copy_into(half, new_run("resumed"))
    resumed_calls = parse_trace(run_traced(resumed)[1], resumed.folder)

    def inject(fault: Fault, start: Path | None) -> tuple[str, str]:
        name = "-".join(re.findall(r"\w+", f"{'resumed' if start else 'new'} {fault.place} {fault.label}"))
        run = _copy_into(start, new_run(name)) if start else new_run(name)
        return fault.label, _inject(run, fault, reference.folder, resumer)

    faults: list[tuple[Fault, Path | None]] = [(fault, None) for fault in make_faults(calls)]
    faults += [(fault, half) for fault in make_faults(resumed_calls)]
    with shared_resumer() as resumer, ThreadPoolExecutor(available_cores()) as threads:
        return Counter(threads.map(lambda pair: inject(*pair), faults[::every]))


def _killed_in_checkpoint(run: CrashRun, calls: Sequence[SystemCall]) -> Path:
    """Kill a run before the rename of the state of its last step, and return its directory."""
    renames = [index for index, call in enumerate(calls) if call == SystemCall("rename", ".state.safetensors.tmp")]
    fault = kill_faults(calls)[renames[-2]]  # the last one is that of the finished run
    run_traced(run, fault.injections)
    if not list(run.folder.glob(".state*.tmp")):
        raise CheckFailed(f"{run.folder}: was not killed before a rename: strace did not inject the signal")
    return run.folder


def _copy_into(folder: Path, run: CrashRun) -> CrashRun:
    """Copy a run directory to that of `run`."""
    shutil.copytree(folder, run.folder)
    return run


def _inject(run: CrashRun, fault: Fault, reference: Path, resumer: SharedResumer) -> str:
    """Return the outcome of a process with a fault. Raises CheckFailed for lost data or a missing fault."""
    code, trace = run_traced(run, fault.injections)
    calls = len(parse_trace(trace, run.folder))
    if not (calls == fault.place + 1 if code == KILLED else "(INJECTED)" in trace):
        raise CheckFailed(
            f"{run.folder}: {fault} was not injected, or at another call (see {run.log.with_suffix('.trace')})"
        )
    check_readable(run.folder)
    if code == FINISHED:
        check_equal(run.folder, reference)
    resumer.finish(run)
    check_equal(run.folder, reference)
    shutil.rmtree(run.folder)
    return {FINISHED: "finished", KILLED: "killed"}.get(code, "ended with an error message")
