"""Real processes, killed for real: a small part of what scripts/stress.py does at length."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from gluon_lstm import array_file

KILLS = 20
STEPS = 600


@pytest.mark.skipif(os.name == "nt", reason="there are no signals there")
def test_runs_killed_at_random_moments_lose_nothing(script, tmp_path):
    stress = script("stress")
    found = stress.kills(tmp_path, KILLS, seed=3, steps=STEPS, longest=1.0)
    assert found.kills == KILLS and found.runs >= 2


@pytest.fixture
def run(script, tmp_path):
    """The folder of a run that is over."""
    crash_runs = script("crash_runs")
    victim = crash_runs.Victim(tmp_path / "run", crash_runs.a_text(tmp_path), ["--steps", "4"])
    victim.finish()
    return victim.folder


def test_whatever_is_lost_is_seen(script, run, tmp_path):
    """Each file changed a little: by one bit of an array, by a digit of a loss, by a letter of a sample."""
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
    del values["checksum"]  # which is made anew
    array_file.save(other / "state.safetensors", values, arrays)
    (other / "best.safetensors").unlink()
    assert crash_runs.differences(run, other) == [
        "only one has best.safetensors", f"state.safetensors: {name}", "samples.txt", "history.jsonl",
    ]  # fmt: skip
    with pytest.raises(crash_runs.Failed, match="not what an uninterrupted run comes to"):
        crash_runs.check_same(other, run)
    (other / "last.safetensors").write_bytes((run / "last.safetensors").read_bytes()[:-1])
    with pytest.raises(crash_runs.Failed, match=r"last\.safetensors"):
        crash_runs.check_whole(other)


def test_a_history_shorter_than_the_state_says_is_seen(script, run):
    crash_runs = script("crash_runs")
    crash_runs.check_whole(run)
    (run / "samples.txt").write_bytes((run / "samples.txt").read_bytes()[:-1])
    with pytest.raises(crash_runs.Failed, match=r"samples\.txt: \d+ bytes, where the state says \d+"):
        crash_runs.check_whole(run)


def test_only_a_kill_an_end_and_a_sentence_are_good_ends(script, tmp_path):
    crash_runs = script("crash_runs")
    victim = crash_runs.Victim(tmp_path / "run", tmp_path / "text.txt", [])
    for code, said in ((-9, "half a li"), (0, ""), (2, "a notice\ngluon-lstm: the disk is full\n")):
        victim.log.write_text(said, encoding="utf-8")
        victim.check_told(code)
    for code, said in ((1, ""), (2, "OSError"), (-11, ""), (-9, "Traceback (most recent call last):\n")):
        victim.log.write_text(said, encoding="utf-8")
        with pytest.raises(crash_runs.Failed):
            victim.check_told(code)


def test_each_call_is_struck_by_its_number(script):
    fault_injection = script("fault_injection")
    trace = """mkdir("/r/run", 0777) = 0
openat(AT_FDCWD</r>, "/r/run/.last.safetensors.123.tmp", O_WRONLY|O_CREAT, 0666) = 5</r/run/.last.safetensors.123.tmp>
write(5</r/run/.last.safetensors.123.tmp>, "x", 1) = 1
--- SIGCHLD {si_signo=SIGCHLD} ---
openat(AT_FDCWD</r>, "/r/run", O_RDONLY|O_DIRECTORY) = 5</r/run>
+++ exited with 0 +++"""
    calls = fault_injection.calls_of(trace, Path("/r/run"))
    opened, written = ("openat", ".last.safetensors.tmp"), ("write", ".last.safetensors.tmp")
    assert calls == [("mkdir", ""), opened, written, ("openat", "")]
    assert [blow.injections for blow in fault_injection.deaths(calls)] == [
        ["mkdir:signal=KILL:when=1"], ["openat:signal=KILL:when=1"], ["write:signal=KILL:when=1"],
        ["openat:signal=KILL:when=2"],
    ]  # fmt: skip
    for_good = [blow for blow in fault_injection.errors(calls) if blow.what.startswith("from")]
    assert [blow.at for blow in for_good] == [0, 3]
    assert "openat:error=EIO:when=2+" in for_good[1].injections and "write:error=EIO:when=2+" in for_good[1].injections


@pytest.mark.skipif(not shutil.which("strace"), reason="strace strikes the calls")
def test_a_run_is_killed_where_it_should_be(script, tmp_path):
    """strace may follow and yet strike nothing: then it fails, and does not look like a run that goes on."""
    fault_injection = script("fault_injection")
    assert {end for _, end in fault_injection.strike_each(tmp_path, 100, fault_injection.deaths)} == {"killed"}
    crash_runs = script("crash_runs")
    victim = crash_runs.Victim(
        tmp_path / "nowhere", tmp_path / "text.txt", [*fault_injection.STEPS, *crash_runs.ALWAYS]
    )
    beside = fault_injection.Blow(0, "killed", ["rename:signal=KILL:when=999"])
    with pytest.raises(crash_runs.Failed, match="struck nothing"):
        fault_injection._strike(victim, beside, tmp_path / "whole", None)


def test_memory_that_is_not_flat_is_told(script):
    """By a steady growth or by a moment of need; the first minutes and the last one are allowed to have it."""
    stress = script("stress")
    flat = [(k / 10, 400.0 + 10 * (k % 7 == 0)) for k in range(151)]
    busy = [(minute, memory + 300 * (minute < 3 or minute >= 15)) for minute, memory in flat]
    assert "the greatest is 2.5 % above the least" in stress.soak_table(busy, 3)
    for changed in (
        [(minute, memory + 2 * minute) for minute, memory in flat],
        [(minute, memory + 30 * (minute == 8)) for minute, memory in flat],
    ):
        with pytest.raises(stress.Failed, match="not flat"):
            stress.soak_table(changed, 3)
