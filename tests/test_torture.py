"""Real processes, killed for real: a small part of what scripts/torture.py does at length."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from gluon_lstm import sealed

KILLS = 20
STEPS = 600


@pytest.mark.skipif(os.name == "nt", reason="there are no signals there")
def test_runs_killed_at_random_moments_lose_nothing(script, tmp_path):
    torture = script("torture")
    found = torture.kills(tmp_path, KILLS, seed=3, steps=STEPS, longest=1.0)
    assert found.kills == KILLS and found.runs >= 2


@pytest.fixture
def run(script, tmp_path):
    """The folder of a run that is over."""
    torture = script("torture")
    victim = torture.Victim(tmp_path / "run", torture.a_text(tmp_path), ["--steps", "4"])
    victim.finish()
    return victim.folder


def test_whatever_is_lost_is_seen(script, run, tmp_path):
    """Each file changed a little: by one bit of an array, by a digit of a loss, by a letter of a sample."""
    torture = script("torture")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    assert torture.differences(run, other) == []

    lines = (other / "history.jsonl").read_text(encoding="utf-8").splitlines()
    record = json.loads(lines[-1])
    for seconds, loss in ((1, 0), (0, 1e-12)):
        changed = {**record, "seconds": record["seconds"] + seconds, "moving_loss": record["moving_loss"] + loss}
        (other / "history.jsonl").write_text("\n".join([*lines[:-1], json.dumps(changed)]) + "\n", encoding="utf-8")
        assert torture.differences(run, other) == ["history.jsonl"] * bool(loss)

    (other / "samples.txt").write_bytes((run / "samples.txt").read_bytes()[:-1])
    values, arrays = sealed.load(run / "state.safetensors")
    name = "adam.variance.Whf"
    arrays[name].view(np.uint32)[0, 0] ^= 1
    del values["checksum"]  # which is made anew
    sealed.save(other / "state.safetensors", values, arrays)
    (other / "best.safetensors").unlink()
    assert torture.differences(run, other) == [
        "only one has best.safetensors", f"state.safetensors: {name}", "samples.txt", "history.jsonl",
    ]  # fmt: skip
    with pytest.raises(torture.Failed, match="not what an uninterrupted run comes to"):
        torture.check_same(other, run)
    (other / "last.safetensors").write_bytes((run / "last.safetensors").read_bytes()[:-1])
    with pytest.raises(torture.Failed, match=r"last\.safetensors"):
        torture.check_whole(other)
