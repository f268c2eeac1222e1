"""A run that is interrupted and goes on comes to what an uninterrupted one comes to: to the last bit, and no worse."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest

from gluon_lstm import sealed
from gluon_lstm.model import Model
from gluon_lstm.text.codec import TextSettings
from gluon_lstm.text.corpus import CorpusOptions, prepare
from gluon_lstm.training import history
from gluon_lstm.training.history import read
from gluon_lstm.training.recipe import NOTES, STANDARD
from gluon_lstm.training.run import Run
from gluon_lstm.training.trainer import Trainer

SMALL = replace(STANDARD, hidden=12, batch_size=4, seq_len=8, epochs=None, steps=80, patience=None, sample_length=20)
RECIPES = {
    "posts": SMALL,
    "epochs and patience": replace(SMALL, steps=None, epochs=4, patience=0.5, learning_rate=0.05, dropout=0.0),
    "two layers": replace(SMALL, layers=2, variant="peephole"),
    "scratch": replace(SMALL, cell="scratch", steps=70),
    "notes": replace(NOTES, hidden=12, batch_size=4, seq_len=8, epochs=2, sample_length=20),
}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr(history, "draw", lambda *arguments: None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """200 different posts of five letters, in which each letter often follows its neighbour in the alphabet."""
    rng = np.random.default_rng(0)
    made = {}
    while len(made) < 200:
        letters = [int(rng.integers(5))]
        for _ in range(rng.integers(3, 12)):
            letters.append((letters[-1] + 1) % 5 if rng.random() < 0.8 else int(rng.integers(5)))
        made["".join("あいうえお"[k] for k in letters)] = True
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n".join(made) + "\n", encoding="utf-8")
    return prepare([path], TextSettings(), CorpusOptions(validation=0.1, cache=None))


class Killed(BaseException):
    """Stands for the end of a process: nothing of the run may answer it."""


@contextmanager
def killed_at(step, monkeypatch):
    """The process ends behind so many updates of this sitting, wherever the run stands."""
    update, done = Trainer.update, 0

    def dying(self, *arguments):
        nonlocal done
        done += 1
        if done > step:
            raise Killed
        return update(self, *arguments)

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(Trainer, "update", dying)
        yield


def without_seconds(path):
    return [{**json.loads(line), "seconds": None} for line in path.read_text(encoding="utf-8").splitlines()]


def same_runs(one, other):
    """Weights, optimizer, carried state, history and samples of two folders."""
    (values, arrays), (other_values, other_arrays) = (sealed.load(out / "state.safetensors") for out in (one, other))
    assert arrays.keys() == other_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, other_arrays[name], err_msg=name)
    assert values["steps"] == other_values["steps"]
    for name in ("best.safetensors", "last.safetensors"):
        assert (one / name).exists() == (other / name).exists()
        if (one / name).exists():
            weights, others = Model.load(one / name), Model.load(other / name)
            assert weights.about["steps"] == others.about["steps"], name
            for key in weights.arrays:
                np.testing.assert_array_equal(weights.arrays[key], others.arrays[key], err_msg=f"{name} {key}")
    assert without_seconds(one / "history.jsonl") == without_seconds(other / "history.jsonl")
    assert (one / "samples.txt").read_bytes() == (other / "samples.txt").read_bytes()
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in other.iterdir())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_run_killed_again_and_again_comes_to_the_same_end(corpus, tmp_path, monkeypatch, recipe):
    """A checkpoint behind every tenth update or so; what was done behind it is lost, and done again."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    Run(corpus, recipe, whole).run()
    at, sittings = 0, 0
    monkeypatch.setattr(Run, "_save_is_due", lambda self: self.trainer.steps % 10 == 3)
    while True:
        run = Run(corpus, recipe, out)
        with killed_at(17, monkeypatch):
            run.run(resume=True)
            break
        sittings += 1
        at = run.trainer.steps
    assert sittings >= 3 and at > 40
    assert run.folder.history.records == read(out / "history.jsonl")
    same_runs(out, whole)
