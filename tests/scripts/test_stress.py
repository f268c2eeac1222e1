"""Stress tests with real processes: a small part of scripts/measure/stress.py."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from gluon_lstm import array_file

KILLS = 12
STEPS = 300


@pytest.mark.skipif(os.name == "nt", reason="no POSIX signals")
def test_runs_killed_at_random_moments_lose_no_data(script, tmp_path):
    stress = script("stress")
    found = stress.kills(tmp_path, KILLS, seed=3, steps=STEPS, longest=0.5)
    assert found.kills == KILLS and found.runs >= 2


@pytest.fixture
def run(script, tmp_path):
    """Directory of a finished run."""
    crash_runs = script("crash_runs")
    finished = crash_runs.CrashRun(tmp_path / "run", crash_runs.write_posts(tmp_path), ["--steps", "4"])
    finished.finish()
    return finished.folder


def test_lost_data_is_detected(script, run, tmp_path):
    """A difference of one bit of an array, of a digit of a loss, of a character of a sample."""
    crash_runs = script("crash_runs")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    assert crash_runs.differences(run, other) == []

    lines = (other / "history.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[-1])
    for seconds, loss in ((1, 0), (0, 1e-12)):
        changed = {**record, "seconds": record["seconds"] + seconds, "moving_loss": record["moving_loss"] + loss}
        (other / "history.jsonl").write_text("\n".join([*lines[:-1], json.dumps(changed)]) + "\n", encoding="utf-8")
        assert crash_runs.differences(run, other) == ["history.jsonl"] * bool(loss)

    (other / "samples.txt").write_bytes((run / "samples.txt").read_bytes()[:-1])
    values, arrays = array_file.load(run / "state.safetensors")
    name = "adam.variance.Whf"
    arrays[name].view(np.uint32)[0, 0] ^= 1
    del values["checksum"]  # recomputed by `save`
    array_file.save(other / "state.safetensors", values, arrays)
    (other / "best.safetensors").unlink()
    assert crash_runs.differences(run, other) == [
        "only one has best.safetensors", f"state.safetensors: {name}", "samples.txt", "history.jsonl",
    ]  # fmt: skip
    with pytest.raises(crash_runs.CheckFailed, match="differs from an uninterrupted run"):
        crash_runs.check_equal(other, run)
    (other / "last.safetensors").write_bytes((run / "last.safetensors").read_bytes()[:-1])
    with pytest.raises(crash_runs.CheckFailed, match=r"last\.safetensors"):
        crash_runs.check_readable(other)


def test_file_shorter_than_the_state_says_is_detected(script, run):
    crash_runs = script("crash_runs")
    crash_runs.check_readable(run)
    (run / "samples.txt").write_bytes((run / "samples.txt").read_bytes()[:-1])
    with pytest.raises(crash_runs.CheckFailed, match=r"samples\.txt: \d+ bytes, where the state says \d+"):
        crash_runs.check_readable(run)


def test_allowed_exits_are_kill_success_and_one_sentence(script, tmp_path):
    crash_runs = script("crash_runs")
    run = crash_runs.CrashRun(tmp_path / "run", tmp_path / "text.txt", [])
    for code, output in ((-9, "half a li"), (0, ""), (2, "a notice\ngluon-lstm: the disk is full\n")):
        run.log.write_text(output, encoding="utf-8")
        run.check_exit(code)
    for code, output in ((1, ""), (2, "OSError"), (-11, ""), (-9, "Traceback (most recent call last):\n")):
        run.log.write_text(output, encoding="utf-8")
        with pytest.raises(crash_runs.CheckFailed):
            run.check_exit(code)


def test_each_call_gets_a_fault_by_its_number(script):
    fault_injection = script("fault_injection")
    trace = """mkdir("/r/run", 0777) = 0
openat(AT_FDCWD</r>, "/r/run/.last.safetensors.123.tmp", O_WRONLY|O_CREAT, 0666) = 5</r/run/.last.safetensors.123.tmp>
write(5</r/run/.last.safetensors.123.tmp>, "x", 1) = 1
--- SIGCHLD {si_signo=SIGCHLD} ---
openat(AT_FDCWD</r>, "/r/run", O_RDONLY|O_DIRECTORY) = 5</r/run>
+++ exited with 0 +++"""
    calls = fault_injection.parse_trace(trace, Path("/r/run"))
    opened, written = ("openat", ".last.safetensors.tmp"), ("write", ".last.safetensors.tmp")
    assert calls == [("mkdir", ""), opened, written, ("openat", "")]
    assert [fault.injections for fault in fault_injection.kill_faults(calls)] == [
        ["mkdir:signal=KILL:when=1"], ["openat:signal=KILL:when=1"], ["write:signal=KILL:when=1"],
        ["openat:signal=KILL:when=2"],
    ]  # fmt: skip
    for_good = [fault for fault in fault_injection.error_faults(calls) if fault.label.startswith("from")]
    assert [fault.place for fault in for_good] == [0, 3]
    assert "openat:error=EIO:when=2+" in for_good[1].injections and "write:error=EIO:when=2+" in for_good[1].injections


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_fault_is_injected_or_reported_missing(script, tmp_path):
    """A fault that strace did not inject is an error."""
    fault_injection = script("fault_injection")
    assert {end for _, end in fault_injection.inject_each(tmp_path, 150, fault_injection.kill_faults)} == {"killed"}
    crash_runs = script("crash_runs")
    run = crash_runs.CrashRun(
        tmp_path / "nowhere", tmp_path / "text.txt", [*fault_injection.STEPS, *crash_runs.CHECKPOINT_EACH_STEP]
    )
    missing = fault_injection.Fault(0, "killed", ["rename:signal=KILL:when=999"])
    with pytest.raises(crash_runs.CheckFailed, match="was not injected"):
        fault_injection._inject(run, missing, tmp_path / "whole", None)


def test_growing_memory_is_detected(script):
    """Steady growth and a short peak, except in the first minutes and the last one."""
    stress = script("stress")
    flat = [(k / 10, 400.0 + 10 * (k % 7 == 0)) for k in range(151)]
    busy = [(minute, memory + 300 * (minute < 3 or minute >= 15)) for minute, memory in flat]
    assert "the maximum is 2.5 % above the minimum" in stress.soak_table(busy, 3)
    for changed in (
        [(minute, memory + 2 * minute) for minute, memory in flat],
        [(minute, memory + 30 * (minute == 8)) for minute, memory in flat],
    ):
        with pytest.raises(stress.CheckFailed, match="not flat"):
            stress.soak_table(changed, 3)
