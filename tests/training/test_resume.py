"""Interruption, resume, failing disks and divergence: resumed runs are bit-identical to uninterrupted ones."""

from __future__ import annotations

import errno
import math
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest

from gluon_lstm import array_file, signals
from gluon_lstm.compat import mx
from gluon_lstm.model import Model
from gluon_lstm.text.corpus import prepare
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.training import history
from gluon_lstm.training import run_dir as run_directory
from gluon_lstm.training.history import read
from gluon_lstm.training.recipe import NOTES, STANDARD
from gluon_lstm.training.run import Run
from gluon_lstm.training.run_config import config_differences, run_config
from gluon_lstm.training.run_dir import RunDirectory
from gluon_lstm.training.schedule import Schedule, learning_rate
from gluon_lstm.training.session import fit
from gluon_lstm.training.trainer import Trainer, TrainingError

SMALL = replace(STANDARD, hidden=12, batch_size=4, seq_len=8, epochs=None, steps=80, patience=None, sample_length=20)
RECIPES = {
    "posts": SMALL,
    "epochs and patience": replace(SMALL, steps=None, epochs=4, patience=0.5, learning_rate=0.05, dropout=0.0),
    "two layers": replace(SMALL, layers=2, variant="peephole"),
    "scratch": replace(SMALL, implementation="scratch", steps=70),
    "notes": replace(NOTES, hidden=12, batch_size=4, seq_len=8, epochs=2, sample_length=20),
}


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr(history, "draw", lambda *arguments: None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, posts_of_letters):
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("\n".join(posts_of_letters) + "\n", encoding="utf-8")
    return prepare([path], TextSettings(), CorpusOptions(validation=0.1, cache=None))


class Steps(Schedule):
    """Schedule with checkpoints and validations after given updates (None: as in Schedule)."""

    def __init__(self, checkpoints=None, validations=None):
        super().__init__()
        vars(self).update(checkpoints=checkpoints, validations=validations)

    def checkpoint_due(self, now):
        return super().checkpoint_due(now) if self.checkpoints is None else now.steps in self.checkpoints

    def validation_due(self, now, tokens):
        return super().validation_due(now, tokens) if self.validations is None else now.steps in self.validations


class Killed(BaseException):
    """End of the process: no code of the run may catch it."""


@contextmanager
def killed_at(step, monkeypatch):
    """Kill the run after `step` updates of this process."""
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


@pytest.fixture
def same_runs(script):
    """Compare weights, optimizer state, carried state, history and samples of two directories."""
    differences = script("crash_runs").differences
    return lambda one, other: differences(one, other) == []


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_killed_run_resumes_to_identical_result(corpus, same_runs, tmp_path, monkeypatch, recipe):
    """A checkpoint after every tenth update; updates after it are lost and repeated."""
    whole, out = tmp_path / "whole", tmp_path / "out"
    fit(Run(corpus, recipe), RunDirectory(whole))
    at, restarts = 0, 0
    while True:
        run, run_dir = Run(corpus, recipe), RunDirectory(out)
        with killed_at(17, monkeypatch):
            fit(run, run_dir, schedule=Steps(checkpoints=range(3, 10**4, 10)), resume=True)
            break
        restarts += 1
        at = run.steps
    assert restarts >= 3 and at > 40
    assert run_dir.history.records == read(out / "history.jsonl")
    assert same_runs(out, whole)


# ---- log lines and refusals


def trained(corpus, recipe, out, resume=False, **options):
    """Return a run and its log lines."""
    lines = []
    run, run_dir = Run(corpus, recipe), RunDirectory(out, lines.append)
    fit(run, run_dir, resume=resume, **options)
    assert run_dir.history.records == read(out / "history.jsonl")
    return run, lines


def records_of(out):
    return read(out / "history.jsonl")


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_existing_run_is_refused_without_resume(corpus, tmp_path):
    trained(corpus, replace(SMALL, steps=3), tmp_path)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"already contains a training run \(state.safetensors\).*`resume`"):
        trained(corpus, SMALL, tmp_path)
    assert contents(tmp_path) == before


def test_resume_starts_a_new_run_in_empty_directory(corpus, same_runs, tmp_path):
    recipe = replace(SMALL, steps=12)
    trained(corpus, recipe, tmp_path / "whole")
    trained(corpus, recipe, tmp_path / "out", resume=True)
    assert same_runs(tmp_path / "out", tmp_path / "whole")


@pytest.mark.parametrize("missing", [None, "last.safetensors", "curve.png"])
def test_complete_run_is_not_changed(corpus, tmp_path, monkeypatch, missing):
    """Except for files that were missing when it was killed just before its end."""
    monkeypatch.undo()  # the curve is drawn here
    recipe = replace(SMALL, steps=5)
    trained(corpus, recipe, tmp_path)
    before = contents(tmp_path)
    if missing:
        (tmp_path / missing).unlink()
    _, lines = trained(corpus, recipe, tmp_path, resume=True)
    assert lines[-1] == f"{tmp_path}: the training run is complete after 5 updates; use a higher limit to continue it"
    assert contents(tmp_path) == before


@pytest.mark.parametrize("limit", ["steps", "epochs"])
def test_limit_may_grow(corpus, tmp_path, limit):
    """The learning rate continues the schedule of the longer run."""
    short, long = ({"steps": None, limit: value} for value in ((30, 50) if limit == "steps" else (1, 2)))
    run, _ = trained(corpus, replace(SMALL, **short), tmp_path)
    before, steps = len(records_of(tmp_path)), run.steps
    longer = replace(SMALL, **long)
    run, lines = trained(corpus, longer, tmp_path, resume=True)
    share = steps / (50 if limit == "steps" else 2 * steps)
    rate = learning_rate(longer, 0, share)
    assert lines[1] == (
        f"the limit has changed: the run is now {100 * share:.0f} % complete, and the learning rate continues its new"
        f" schedule at {rate:.3g}"
    )
    assert run.steps == (50 if limit == "steps" else 2 * steps)
    records = records_of(tmp_path)
    last = records[-1]
    assert len(records) > before
    assert last.learning_rate == learning_rate(longer, last.epoch, (last.step - 1) / run.steps)
    with pytest.raises(ValueError, match=f"started with `{limit}` {longer.steps or longer.epochs}, not "):
        trained(corpus, replace(SMALL, **short), tmp_path, resume=True)


def test_minutes_accumulate_over_resumes(corpus, tmp_path, monkeypatch):
    clock = map(float, range(10**6)).__next__  # a second per update
    recipe = replace(SMALL, steps=None, minutes=0.2)
    with killed_at(7, monkeypatch):
        trained(corpus, recipe, tmp_path, schedule=Schedule(checkpoint_minutes=5 / 60), clock=clock)
    run, lines = trained(corpus, recipe, tmp_path, resume=True, clock=clock)
    assert lines[0] == "resuming from step 5, after 5 s of training"
    assert run.steps == 12 and records_of(tmp_path)[-1].seconds == 12


def test_changed_settings_are_named(corpus, tmp_path):
    trained(corpus, replace(SMALL, steps=3), tmp_path / "run")
    before = contents(tmp_path / "run")

    def refused(other_corpus, recipe, *what):
        with pytest.raises(ValueError) as error:
            trained(other_corpus, recipe, tmp_path / "run", resume=True)
        assert str(error.value).startswith(f"{tmp_path / 'run'}: ")
        assert f" started with {'; '.join(what)}; " in str(error.value)

    refused(corpus, replace(SMALL, hidden=13, clip=None), "`clip` 1.0, not 0", "`hidden` 12, not 13")
    other = tmp_path / "other.txt"
    other.write_text("あい\nうえ\nおあ\n" * 50, encoding="utf-8")
    options = CorpusOptions(validation=0.1, cache=None)
    refused(prepare([other], TextSettings(), options), SMALL, "other input files or reading options")
    raw = prepare([other], TextSettings(raw=True), options)
    refused(raw, SMALL, "other input files or reading options", "`raw` False, not True")
    assert contents(tmp_path / "run") == before


@pytest.mark.parametrize(
    "option, old, new", [("phones", "keep", "remove"), ("from_", "none", "ja"), ("post_order", "text", "random")]
)
def test_run_without_later_options_resumes_with_their_old_behaviour(corpus, option, old, new):
    def with_options(**values):
        config = run_config(SMALL, corpus)
        return {**config, "options": {**config["options"], **values}}

    saved = with_options()
    del saved["options"][option]  # as a run saved it before the option existed
    assert config_differences(saved, with_options(**{option: old})) == []
    assert config_differences(saved, with_options(**{option: new})) == [f"`{option}` {old}, not {new}"]


def test_other_vocabulary_is_refused(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("あいうえおか\nあいうえお\n" * 30, encoding="utf-8")
    settings = TextSettings()
    trained(prepare([path], settings, CorpusOptions(cache=None)), replace(SMALL, steps=3), tmp_path / "run")
    fewer = prepare([path], settings, CorpusOptions(cache=None, max_vocab=5))
    with pytest.raises(ValueError, match=r"another vocabulary \(`min_count`, `max_vocab`, or"):
        trained(fewer, SMALL, tmp_path / "run", resume=True)


def test_other_environment_is_reported(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    trained(corpus, replace(SMALL, steps=3), tmp_path)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    _, lines = trained(corpus, replace(SMALL, steps=4), tmp_path, resume=True)
    assert "BLAS threads 7 -> 1" in lines[1]


def test_concurrent_runs_are_refused(corpus, tmp_path):
    """During training, another run is refused, new or resumed; the lock ends with its process."""
    refusals = []

    def meanwhile(line):
        for resume in (False, True):
            try:
                trained(corpus, SMALL, tmp_path, resume)
            except ValueError as error:
                refusals.append(str(error))

    fit(Run(corpus, replace(SMALL, steps=3)), RunDirectory(tmp_path, meanwhile))
    (refusal,) = set(refusals)
    assert refusal.startswith(f"{tmp_path}: another training run is writing to this directory")
    assert (tmp_path / ".lock").exists()
    trained(corpus, replace(SMALL, steps=4), tmp_path, resume=True)


def test_partial_writes_are_removed_on_resume(corpus, same_runs, tmp_path, monkeypatch):
    recipe = replace(SMALL, steps=60)
    trained(corpus, recipe, tmp_path / "whole")
    out = tmp_path / "out"
    with killed_at(55, monkeypatch):
        trained(corpus, recipe, out, schedule=Steps(checkpoints=[20]))
    with open(out / "history.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 55, "epo')
    for name in (".state.safetensors.123.tmp", ".curve.png.123.tmp"):
        (out / name).write_bytes(b"half of a file")
    (out / "mine.tmp").write_text("not ours")
    _, lines = trained(corpus, recipe, out, resume=True, schedule=Steps(checkpoints=[20]))
    assert lines[0].startswith("resuming from step 20")
    (out / "mine.tmp").unlink()
    assert same_runs(out, tmp_path / "whole")


def test_best_weights_after_checkpoint_are_kept(corpus, tmp_path, monkeypatch):
    """They were saved after the checkpoint, with a loss that the resumed run never reaches."""
    recipe = replace(SMALL, steps=60)
    schedule = Steps(checkpoints=[], validations=[25])
    with killed_at(30, monkeypatch):
        trained(corpus, recipe, tmp_path, schedule=schedule)
    best = Model.load(tmp_path / "best.safetensors")
    lucky = replace(best, metadata={**best.metadata, "val_bpc": 0.1})
    lucky.save(tmp_path / "best.safetensors")
    run, _ = trained(corpus, recipe, tmp_path, resume=True, schedule=schedule)
    assert run.state.best_bpc == 0.1 and run.state.best_at.steps == best.metadata["steps"] == 25
    assert Model.load(tmp_path / "best.safetensors").metadata["val_bpc"] == 0.1


@pytest.mark.parametrize("at", [0, 100, 5_000, -1])
def test_damaged_state_is_refused(corpus, tmp_path, at):
    trained(corpus, replace(SMALL, steps=3), tmp_path)
    path = tmp_path / "state.safetensors"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    before = contents(tmp_path)
    with pytest.raises(array_file.ModelError, match=r"state\.safetensors"):
        trained(corpus, SMALL, tmp_path, resume=True)
    assert contents(tmp_path) == before


def test_model_file_as_state_is_refused(corpus, tmp_path):
    trained(corpus, replace(SMALL, steps=3), tmp_path)
    (tmp_path / "state.safetensors").write_bytes((tmp_path / "last.safetensors").read_bytes())
    with pytest.raises(array_file.ModelError, match="not the state of a training run"):
        trained(corpus, SMALL, tmp_path, resume=True)


# ---- failing disks


class Faults:
    """`count` calls of system functions fail with `error`, from the `first` one."""

    def __init__(self, first, count, error):
        self.first, self.last, self.error, self.calls = first, first + count, error, 0

    def of(self, function):
        def faulty(*arguments, **options):
            self.calls += 1
            if self.first < self.calls <= self.last:
                raise OSError(self.error, os.strerror(self.error))
            return function(*arguments, **options)

        return faulty


def run_with(faults, corpus, recipe, out, monkeypatch, **options):
    """Run with faults. Return whether the run completed; otherwise it raised OSError."""
    with monkeypatch.context() as patch:
        for name in ("fsync", "replace", "truncate", "open"):
            patch.setattr(os, name, faults.of(getattr(os, name)))
        try:
            trained(corpus, recipe, out, **options)
        except OSError as error:
            assert error.errno == faults.error
            return False
    return True


@pytest.mark.parametrize("count", [1, 10**6], ids=["once", "permanent"])
def test_failed_writes_keep_last_checkpoint(corpus, same_runs, tmp_path, monkeypatch, count):
    """Every call of fsync, rename, truncate and open fails in turn; without faults the run then completes."""
    recipe = replace(SMALL, steps=12, sample_every=4)
    schedule = Steps(checkpoints=range(0, 100, 5))
    monkeypatch.setattr(run_directory, "PAGE_SHARE", math.inf)  # the page is written after each validation
    trained(corpus, recipe, tmp_path / "whole", schedule=schedule)
    counted = Faults(0, 0, errno.ENOSPC)
    assert run_with(counted, corpus, recipe, tmp_path / "counted", monkeypatch, schedule=schedule)
    assert counted.calls > 30
    completed = []
    for first in range(0, counted.calls, 1 if count == 1 else 5):
        out = tmp_path / str(first)
        faults = Faults(first, count, (errno.ENOSPC, errno.EIO, errno.EACCES)[first % 3])
        completed.append(run_with(faults, corpus, recipe, out, monkeypatch, schedule=schedule))
        assert not list(out.glob("*.tmp")) and not list(out.glob(".*.tmp"))
        for path in out.glob("*.safetensors"):
            array_file.load(path)
        trained(corpus, recipe, out, resume=True, schedule=schedule)
        assert same_runs(out, tmp_path / "whole")
    assert any(completed) == (count == 1) and not all(completed)


# ---- divergence


def poisoned(monkeypatch, steps, times=1, poison=math.nan):
    """Replace the loss of each of these updates by `poison`, `times` times."""
    gradients, left = Trainer.gradients, dict.fromkeys(steps, times)

    def gradients_of(self, *arguments):
        loss, h, c = gradients(self, *arguments)
        if left.get(self.steps + 1):
            left[self.steps + 1] -= 1
            loss = loss * 0 + mx.nd.array(np.full(loss.shape, poison))  # as a scalar, MXNet may not parse inf
        return loss, h, c

    monkeypatch.setattr(Trainer, "gradients", gradients_of)


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 200.0])
def test_divergence_rolls_back_and_halves_learning_rate(corpus, tmp_path, monkeypatch, poison):
    """A loss that is not finite, or far above its lowest average."""
    poisoned(monkeypatch, [26], poison=poison)
    recipe = replace(SMALL, schedule="constant", steps=100)
    run, lines = trained(corpus, recipe, tmp_path, schedule=Steps(checkpoints=[20]))
    records = records_of(tmp_path)
    back = [record for record in records if record.rolled_back_to is not None]
    assert run.steps == records[-1].step == 100
    assert [record.rolled_back_to for record in back] == [20]
    assert back[0].step == (26 if poison == 200.0 else 25)  # an update that is not finite changes no weight
    rates = [record.learning_rate for record in records if record is not back[0]]
    place = records.index(back[0])
    assert set(rates[:place]) <= {recipe.learning_rate} and set(rates[place:]) == {recipe.learning_rate / 2}
    assert any(
        "rolled back to step 20; training continues at half the learning rate (0.0015)" in line for line in lines
    )
    assert all(np.isfinite(array).all() for array in Model.load(tmp_path).arrays.values())


def test_one_bad_window_is_not_divergence(corpus, tmp_path, monkeypatch):
    """In a small batch one window may consist of unusual text only."""
    poisoned(monkeypatch, [26], poison=20.0)
    run, _ = trained(corpus, SMALL, tmp_path)
    assert run.state.rollbacks == 0


def test_repeated_divergence_ends_with_best_weights(corpus, tmp_path, monkeypatch):
    """Each attempt diverges at update 31; the best weights of the validation before are kept."""
    poisoned(monkeypatch, [31], times=100)
    with pytest.raises(TrainingError, match=r"step 31.*already halved 5 times.*smaller `learning_rate`"):
        trained(corpus, SMALL, tmp_path, schedule=Steps(checkpoints=[20], validations=[10, 20, 30]))
    records = records_of(tmp_path)
    assert [r.rolled_back_to for r in records if r.rolled_back_to is not None] == [20] * 5
    lowest = min(r.val_bpc for r in records if r.val_bpc is not None)
    best, last = Model.load(tmp_path / "best.safetensors"), Model.load(tmp_path / "last.safetensors")
    assert best.metadata["val_bpc"] == lowest and last.metadata["steps"] == 20


def test_rollback_survives_kill(corpus, tmp_path, monkeypatch):
    poisoned(monkeypatch, [26])
    recipe = replace(SMALL, schedule="constant")
    with killed_at(40, monkeypatch):
        trained(corpus, recipe, tmp_path, schedule=Steps(checkpoints=[20]))
    run, _ = trained(corpus, recipe, tmp_path, resume=True, schedule=Steps(checkpoints=[20]))
    assert run.state.rollbacks == 1
    assert records_of(tmp_path)[-1].learning_rate == recipe.learning_rate / 2


def test_divergence_without_rollbacks_ends_with_advice(corpus, tmp_path, monkeypatch):
    poisoned(monkeypatch, [26])
    notes = replace(NOTES, hidden=12, batch_size=4, seq_len=8, sample_length=0)
    with pytest.raises(TrainingError, match=r"step 26.*`rollbacks` 5"):
        trained(corpus, notes, tmp_path)
    assert Model.load(tmp_path / "last.safetensors").metadata["steps"] == 25


@pytest.mark.parametrize("rate", [1e3, 1e9, 1e15])
def test_absurd_learning_rate_ends_with_advice(corpus, tmp_path, rate):
    recipe = replace(SMALL, learning_rate=rate, schedule="constant", steps=400, dropout=0.0, sample_length=0)
    with pytest.raises(TrainingError, match="smaller `learning_rate`"):
        trained(corpus, recipe, tmp_path)
    assert [r.rolled_back_to for r in records_of(tmp_path) if r.rolled_back_to is not None] == [0] * 5
    assert all(np.isfinite(array).all() for array in Model.load(tmp_path).arrays.values())


# ---- signals


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_signal_waits_for_end_of_update(corpus, same_runs, tmp_path, monkeypatch, number):
    recipe = replace(SMALL, steps=40)
    trained(corpus, recipe, tmp_path / "whole")
    update = Trainer.update

    def struck(self, *arguments):
        if self.steps == 22:
            signal.raise_signal(number)
        return update(self, *arguments)

    default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    before = signal.signal(number, default)  # also if the tests start with signals ignored
    try:
        with monkeypatch.context() as patch, pytest.raises(signals.Interrupted) as caught:
            patch.setattr(Trainer, "update", struck)
            trained(corpus, recipe, tmp_path / "out")
        assert signal.getsignal(number) == default
    finally:
        signal.signal(number, before)
    assert caught.value.number == number
    _, lines = trained(corpus, recipe, tmp_path / "out", resume=True)
    assert lines[0].startswith("resuming from step 23,")
    assert same_runs(tmp_path / "out", tmp_path / "whole")


def test_second_signal_stops_at_once(corpus, tmp_path, monkeypatch):
    """In the middle of an update: the last checkpoint remains and is resumed from."""
    update = Trainer.update

    def struck(self, *arguments):
        if self.steps == 22:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        return update(self, *arguments)

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with monkeypatch.context() as patch, pytest.raises(signals.Interrupted) as caught:
            patch.setattr(Trainer, "update", struck)
            trained(corpus, SMALL, tmp_path, schedule=Steps(checkpoints=[20]))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.at_once
    assert array_file.load(tmp_path / "state.safetensors")[0]["steps"] == 20
    _, lines = trained(corpus, SMALL, tmp_path, resume=True)
    assert lines[0].startswith("resuming from step 20,")
