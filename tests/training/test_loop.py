"""Training runs from a text to the files of the run: small, without mocks unless a test says so."""

from __future__ import annotations

import errno
import json
import math
import re
import signal
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np
import pytest

from gluon_lstm.compat import mx
from gluon_lstm.lstm import reference
from gluon_lstm.model import Model
from gluon_lstm.progress import ignore
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.scoring import score
from gluon_lstm.text.corpus import prepare
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.training import checkpoint, history
from gluon_lstm.training.history import read
from gluon_lstm.training.recipe import NOTES, STANDARD, recipe_of
from gluon_lstm.training.run import Run
from gluon_lstm.training.run_dir import RunDirectory
from gluon_lstm.training.schedule import Schedule
from gluon_lstm.training.session import fit, train
from gluon_lstm.training.trainer import Trainer, TrainingError

SMALL = replace(STANDARD, hidden=12, batch_size=4, seq_len=8, epochs=None, steps=30, patience=None, sample_length=20)
KEYS = [
    "step", "epoch", "seconds", "tokens", "train_loss", "moving_loss", "val_loss", "val_bpc", "val_perplexity",
    "learning_rate", "rolled_back_to",
]  # fmt: skip
EPOCHS = Schedule(validate_every=math.inf, validation_cost=math.inf)  # validate at the end of each epoch, only there
cells = pytest.mark.parametrize("cell", ["fast", "scratch"])


@pytest.fixture
def posts(posts_of_letters):
    return list(posts_of_letters)


@pytest.fixture
def corpus_of(tmp_path):
    def make(text, raw=False, validation=0.1):
        path = tmp_path / "text.txt"
        path.write_text(text if raw else "\n".join(text) + "\n", encoding="utf-8")
        return prepare([path], TextSettings(raw=raw), CorpusOptions(validation=validation, cache=None))

    return make


@pytest.fixture
def curve():
    """Request this fixture to plot the curve (0.2 s); other tests skip it."""


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    if "curve" not in request.fixturenames:
        monkeypatch.setattr(history, "draw", lambda *arguments: None)


@contextmanager
def default_sigint():
    """Set the default SIGINT handler: a shell may start the tests with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def trained(corpus, recipe, out, notice=ignore, ctx=None, **options):
    """Return the run, and the records in its directory."""
    run, run_dir = Run(corpus, recipe, ctx), RunDirectory(out, notice)
    fit(run, run_dir, **options)
    assert read(out / "history.jsonl") == run_dir.history.records
    return run, run_dir.history.records


def second_per_update():
    """Return a clock that advances by a second per reading, so each update takes a second."""
    return map(float, range(10**6)).__next__


@pytest.mark.parametrize("recipe", ["standard", "notes"])
def test_memorizes_small_text(corpus_of, tmp_path, recipe):
    """Random letters have no pattern: a loss below their entropy needs memorization."""
    text = "".join(np.random.default_rng(5).choice(list("あいうえおかきく"), 60))
    entropy = -sum(n / 60 * math.log(n / 60) for n in Counter(text).values())
    values = dict(hidden=24, batch_size=1, seq_len=20, steps=120, sample_length=0, validation=0.0)
    if recipe == "standard":
        values.update(dropout=0.0, learning_rate=3e-2)
    else:  # learning rate of the notes, other initial weights so that a short run learns
        values.update(init="standard", clip=1.0, steps=200)
    _, records = trained(corpus_of(text, raw=True, validation=0.0), recipe_of(recipe, **values), tmp_path / "out")
    assert entropy > 1.9
    assert records[-1].train_loss < 0.3 * entropy


def test_history_matches_recomputed_losses(posts, corpus_of, tmp_path, monkeypatch):
    """Recompute every value from the losses of the updates."""
    losses, rates = [], []
    update = Trainer.update

    def watched(self, x, y, h, c, rate):
        result = update(self, x, y, h, c, rate)
        losses.append(result[0])
        rates.append(rate)
        return result

    monkeypatch.setattr(Trainer, "update", watched)
    run, found = trained(corpus_of(posts), replace(SMALL, steps=140, batch_size=3), tmp_path / "out", schedule=EPOCHS)
    per_epoch = len(run.corpus.train) // 3 // 8
    assert 50 < per_epoch < 100  # so that both kinds of records occur

    lines = (tmp_path / "out" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert all(list(record) == KEYS for record in records)
    assert [record["step"] for record in records] == sorted({50, 100, per_epoch, 140})
    assert [asdict(record) for record in found] == records

    moving, since, at = None, 0, 0
    for record in records:
        while at < record["step"]:
            moving = losses[at] if moving is None else 0.99 * moving + 0.01 * losses[at]
            at += 1
        assert record["moving_loss"] == moving
        assert record["train_loss"] == pytest.approx(sum(losses[since:at]) / (at - since), rel=1e-12)
        assert record["learning_rate"] == rates[at - 1]
        assert record["tokens"] == at * 3 * 8
        assert record["epoch"] == (at - 1) // per_epoch
        validated = at in (per_epoch, 140)
        assert all((record[key] is not None) == validated for key in ("val_loss", "val_bpc", "val_perplexity"))
        since = at
    seconds = [record["seconds"] for record in records]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


@pytest.mark.parametrize("raw", [False, True])
def test_validation_equals_reference_without_dropout(posts, corpus_of, tmp_path, raw):
    text = "".join(posts) if raw else posts
    recipe = replace(SMALL, dropout=0.5, input_dropout=0.3, recurrent_dropout=0.4)
    run, records = trained(corpus_of(text, raw), recipe, tmp_path / "out")
    held, end = np.asarray(run.corpus.validation), run.corpus.codec.end_of_post
    W = {name: array.astype(np.float64) for name, array in run.model().arrays.items()}
    h = c = np.zeros((1, 12))
    nats = 0.0
    x = end
    for y in held:  # posts start after an end of post, raw text without an input
        if x is not None:
            _, h, c, _ = reference.forward(np.array([[x]]), h, c, W, run.recipe.config)
        nats -= reference.log_softmax(reference.logits(h, W))[0, y]
        x = y
    found = records[-1]
    assert found.val_loss == pytest.approx(nats / len(held), rel=1e-5)
    assert found.val_perplexity == pytest.approx(math.exp(nats / len(held)), rel=1e-4)
    characters = len(held) if raw else len(posts[-20:]) + sum(map(len, posts[-20:]))
    assert found.val_bpc == pytest.approx(nats / math.log(2) / characters, rel=1e-5)


def test_best_weights_have_lowest_val_bpc(posts, corpus_of, tmp_path):
    """Many epochs on little text: the validation loss rises before the run ends."""
    out = tmp_path / "out"
    recipe = replace(SMALL, hidden=24, steps=None, epochs=15, dropout=0.0, learning_rate=0.05, input_lr_scale=1.0)
    run, records = trained(corpus_of(posts[:60]), recipe, out, schedule=EPOCHS)
    validated = [record for record in records if record.val_bpc is not None]
    assert len(validated) == 15
    lowest = min(validated, key=lambda record: record.val_bpc)
    assert lowest.val_bpc < validated[-1].val_bpc

    best = Model.load(out)
    again = score(InferenceCell(best.arrays), best.codec, run.corpus.validation, run.corpus.validation_chars)
    assert again.bpc == lowest.val_bpc
    assert again.loss == lowest.val_loss
    assert best.metadata["steps"] == lowest.step
    last = Model.load(out / "last.safetensors")
    again = score(InferenceCell(last.arrays), last.codec, run.corpus.validation, run.corpus.validation_chars)
    assert again.bpc == validated[-1].val_bpc


def arrays_of(path):
    return Model.load(path / "last.safetensors").arrays


@cells
def test_same_seed_gives_identical_weights(posts, corpus_of, tmp_path, cell):
    """Also if the gradients of a window were computed before."""
    recipe = replace(SMALL, input_dropout=0.1, implementation=cell, sample_every=10)
    corpus = corpus_of(posts)
    first = Run(corpus, recipe)
    x, y = next(first.windows())
    first.trainer.gradients(x, y, *first.trainer.begin_state(x.shape[1]))
    fit(first, RunDirectory(tmp_path / "first"))
    trained(corpus, recipe, tmp_path / "second")
    trained(corpus, replace(recipe, seed=2), tmp_path / "other")
    one, same, other = (arrays_of(tmp_path / name) for name in ("first", "second", "other"))
    for name in one:
        np.testing.assert_array_equal(one[name], same[name], err_msg=name)
        assert not np.array_equal(one[name], other[name]), name
    samples = [(tmp_path / name / "samples.txt").read_text(encoding="utf-8") for name in ("first", "second", "other")]
    assert samples[0] == samples[1] != samples[2]


def test_fast_and_scratch_train_alike(posts, corpus_of, tmp_path):
    corpus = corpus_of(posts)
    recipe = replace(SMALL, input_dropout=0.1, steps=20)
    (*_, fast), (*_, scratch) = (
        trained(corpus, replace(recipe, implementation=cell), tmp_path / cell)[1] for cell in ("fast", "scratch")
    )
    assert fast.train_loss == pytest.approx(scratch.train_loss, abs=1e-4)
    assert fast.val_loss == pytest.approx(scratch.val_loss, abs=1e-3)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # test_optimizer.py asks about those
@pytest.mark.parametrize(
    ("optimizer", "rate"), [("sgd", 1e12), ("sgd", 1e38), ("sgd", 1e300), ("adam", 1e38), ("adam", 1e300)]
)
def test_absurd_learning_rate_leaves_finite_weights(posts, corpus_of, tmp_path, optimizer, rate):
    """The run may be refused, end early, or finish with a huge finite loss."""
    values = dict(optimizer=optimizer, clip=None, learning_rate=rate, schedule="constant", dropout=0.0)
    try:
        trained(corpus_of(posts), replace(SMALL, sample_length=0, **values), tmp_path / "out")
    except ValueError as error:  # of which TrainingError is one
        assert re.search("learning.rate", str(error))
    else:
        assert rate < 1e38
    if (tmp_path / "out").exists():
        assert all(np.isfinite(array).all() for array in arrays_of(tmp_path / "out").values())


def test_divergence_keeps_last_finite_weights(posts, corpus_of, tmp_path, monkeypatch):
    """The loss of the sixth window is NaN: the weights after the fifth update are saved."""
    gradients, kept = Trainer.gradients, []

    def poisoned(self, *arguments):
        loss, h, c = gradients(self, *arguments)
        if self.steps == 5:
            kept.append(self.W.to_numpy())
            loss = loss * math.nan
        return loss, h, c

    monkeypatch.setattr(Trainer, "gradients", poisoned)
    with pytest.raises(TrainingError, match=r"step 6, learning rate .*smaller `learning_rate`"):
        trained(corpus_of(posts), replace(SMALL, rollbacks=0), tmp_path / "out")
    saved = Model.load(tmp_path / "out")
    assert saved.metadata["steps"] == 5
    for name, array in saved.arrays.items():
        np.testing.assert_array_equal(array, kept[0][name])


@pytest.mark.filterwarnings("error:No artists")
@pytest.mark.parametrize(("done", "validation"), [(1, 0.0), (17, 0.1)])
def test_interrupt_saves_weights(posts, corpus_of, tmp_path, monkeypatch, curve, done, validation):
    """Also before the first record, when curve and legend are empty."""
    update = Trainer.update

    def interrupted(self, *arguments):
        if self.steps == done - 1:
            signal.raise_signal(signal.SIGINT)
        return update(self, *arguments)

    monkeypatch.setattr(Trainer, "update", interrupted)
    run = Run(corpus_of(posts, validation=validation), SMALL)
    with default_sigint(), pytest.raises(KeyboardInterrupt):
        fit(run, RunDirectory(tmp_path / "out"))
    saved = Model.load(tmp_path / "out" / "last.safetensors")
    assert saved.metadata["steps"] == done
    for name, array in run.trainer.W.to_numpy().items():
        np.testing.assert_array_equal(saved.arrays[name], array)
    assert (tmp_path / "out" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_no_best_weights_without_validation(posts, corpus_of, tmp_path, curve):
    out = tmp_path / "out"
    run, records = trained(corpus_of(posts, validation=0.0), SMALL, out)
    assert sorted(path.name for path in out.iterdir()) == [
        ".lock", "curve.png", "history.jsonl", "index.html", "last.safetensors", "samples.txt", "state.safetensors"
    ]  # fmt: skip
    assert all(r.val_loss is r.val_bpc is r.val_perplexity is None for r in records)
    for name, array in Model.load(out).arrays.items():
        np.testing.assert_array_equal(array, run.trainer.W.to_numpy()[name])


def test_model_file_contains_recipe(posts, corpus_of, tmp_path):
    run, _ = trained(corpus_of(posts), SMALL, tmp_path / "out")
    about = Model.load(tmp_path / "out" / "last.safetensors").metadata
    assert about["steps"] == 30
    assert replace(STANDARD, **about["recipe"]) == run.recipe == SMALL


def test_train_returns_last_weights(posts, corpus_of, tmp_path):
    model = train(corpus_of(posts), replace(SMALL, steps=3), tmp_path / "out")
    assert model.metadata["steps"] == 3
    for name, array in arrays_of(tmp_path / "out").items():
        np.testing.assert_array_equal(model.arrays[name], array)


def test_steps_limit(posts, corpus_of, tmp_path):
    run, records = trained(corpus_of(posts), replace(SMALL, steps=7, epochs=1000, minutes=60.0), tmp_path / "out")
    assert run.steps == records[-1].step == 7


def test_epochs_limit(posts, corpus_of, tmp_path):
    run, records = trained(corpus_of(posts), replace(SMALL, steps=None, epochs=2, minutes=60.0), tmp_path / "out")
    assert run.steps == 2 * (len(run.corpus.train) // 4 // 8)
    assert run.state.epoch == 2
    assert records[-1].epoch == 1


def test_minutes_limit(posts, corpus_of, tmp_path):
    recipe = replace(SMALL, steps=1000, epochs=1000, minutes=0.2)
    run, records = trained(corpus_of(posts), recipe, tmp_path / "out", clock=second_per_update())
    assert run.steps == 12
    assert records[-1].seconds == 12


@pytest.mark.parametrize("limit", [dict(steps=12), dict(steps=None, minutes=0.2)])
def test_validation_after_each_fraction_of_the_run(posts, corpus_of, tmp_path, limit):
    """Also within an epoch, at any cost; each update takes a second."""
    options = {
        "schedule": Schedule(validate_every=0.25, validate_epochs=False, validation_cost=math.inf),
        "clock": second_per_update(),
    }
    run, records = trained(corpus_of(posts), replace(SMALL, **limit), tmp_path / "out", **options)
    assert run.batches.steps_per_epoch > 12
    assert [record.step for record in records if record.val_bpc is not None] == [3, 6, 9, 12]


def test_patience_ends_run_without_improvement(posts, corpus_of, tmp_path):
    """The run ends after about 5 of 50 epochs without improvement."""
    recipe = replace(SMALL, hidden=24, steps=None, epochs=50, dropout=0.0, learning_rate=0.05, patience=0.1)
    run, records = trained(corpus_of(posts[:60]), recipe, tmp_path / "out", schedule=EPOCHS)
    validated = [record for record in records if record.val_bpc is not None]
    better = [r for k, r in enumerate(validated) if all(r.val_bpc < earlier.val_bpc for earlier in validated[:k])]
    patience = 5 * run.batches.steps_per_epoch
    assert all(b.step - a.step <= patience + 1 for a, b in zip(better, better[1:]))
    assert patience < run.steps - better[-1].step <= patience + run.batches.steps_per_epoch


@pytest.mark.parametrize("limit", [dict(steps=33), dict(epochs=2), dict(epochs=30, patience=0.1)])
def test_last_record_and_sample_are_at_last_step(posts, corpus_of, tmp_path, limit):
    recipe = replace(SMALL, **{"hidden": 24, "dropout": 0.0, "learning_rate": 0.05, "steps": None, **limit})
    run, records = trained(corpus_of(posts[:60]), recipe, tmp_path / "out", schedule=EPOCHS)
    assert records[-1].step == run.steps
    assert records[-1].val_bpc is not None
    assert f"== step {run.steps}," in (tmp_path / "out" / "samples.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("layout", ["contiguous", "notebook"])
def test_short_text_shrinks_batch_and_window(corpus_of, tmp_path, layout):
    recipe = replace(SMALL, batch_size=32, seq_len=64, layout=layout, steps=3, validation=0.0)
    for length, N, T in [(1000, 15, 64), (100, 1, 64), (10, 1, 9 if layout == "notebook" else 10)]:
        text = ("あいうえお" * length)[:length]
        corpus, lines = corpus_of(text, raw=True, validation=0.0), []
        run, _ = trained(corpus, recipe, tmp_path / str(length), lines.append)
        assert lines[0] == f"the text is short: batch size reduced to {N} lanes, windows to {T} steps"
        assert (run.batches.N, run.batches.T) == (N, T)
        assert run.tokens == 3 * N * T


def test_long_text_keeps_batch_and_window(posts, corpus_of, tmp_path):
    lines = []
    run, _ = trained(corpus_of(posts), SMALL, tmp_path / "out", lines.append)
    assert (run.batches.N, run.batches.T) == (4, 8)
    assert not any("short" in line for line in lines)


@pytest.mark.parametrize("layout", ["contiguous", "notebook"])
def test_two_tokens_are_enough(corpus_of, tmp_path, layout):
    recipe = replace(SMALL, layout=layout, validation=0.0, steps=2)
    run, _ = trained(corpus_of("あい", raw=True, validation=0.0), recipe, tmp_path / "out")
    assert run.steps == 2
    with pytest.raises(ValueError, match="at least two"):
        Run(corpus_of("あ", raw=True, validation=0.0), recipe)


def test_first_log_lines_give_sizes(posts, corpus_of, tmp_path):
    lines = []
    trained(corpus_of(posts), SMALL, tmp_path / "out", lines.append)
    text, sizes, baselines = lines[:3]
    train, V = posts[:180], 7  # the five letters, <unk> and the end of post
    tokens = sum(map(len, train)) + 180
    assert text.startswith(f"200 posts, {sum(map(len, posts)):,} characters; vocabulary {V};")
    assert text.endswith(f" {tokens:,} training tokens, {sum(map(len, posts[180:])) + 20} validation tokens")
    parameters = 4 * (V * 12 + 12 * 12 + 12) + 12 * V + V
    assert sizes.startswith(f"{parameters:,} parameters on CPU; an epoch is {tokens // 32} updates of 4 x 8 tokens; ")
    assert f"uniform {math.log(7):.3f} = {math.log2(7):.3f}" in baselines  # one token is one character here


def test_time_left_follows_the_first_updates_where_a_run_ends_by_steps(posts, corpus_of, tmp_path):
    lines = []
    trained(corpus_of(posts), replace(SMALL, steps=63), tmp_path / "out", lines.append, clock=second_per_update())
    assert "about 1.0 minutes" in lines  # 60 updates left of one second each
    assert not [line for line in lines[:3] if "about" in line]
    trained(corpus_of(posts), replace(SMALL, steps=12), tmp_path / "short", lines.append, clock=second_per_update())
    assert "about 9 s" in lines


def test_first_checkpoint_that_cannot_be_written_ends_the_run(posts, corpus_of, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "state.safetensors")

    monkeypatch.setattr(checkpoint, "save", full)
    run = Run(corpus_of(posts), SMALL)
    with pytest.raises(OSError, match="No space left"):
        fit(run, RunDirectory(tmp_path / "out"))
    assert run.steps == 1 and not list((tmp_path / "out").glob("*.safetensors"))


def test_first_checkpoint_holds_the_state_before_the_first_update(posts, corpus_of, tmp_path):
    before = Run(corpus_of(posts), SMALL)
    run, run_dir = Run(corpus_of(posts), SMALL), RunDirectory(tmp_path / "out")
    with run_dir.locked():
        run_dir.save_beside(run.checkpoint(), run.model_view())
        x, y = next(run.windows())
        run.state.add_update(run.update(x, y, 0.1), x.size, 1.0)
        run_dir.wait()
        saved = run_dir.load(run.run_config, like=run.arrays())
    assert saved.steps == 0 and saved.state == before.state
    for name, array in before.arrays().items():
        np.testing.assert_array_equal(saved.arrays[name], array, err_msg=name)


def test_samples_start_with_prefix(posts, corpus_of, tmp_path):
    lines = []
    trained(corpus_of(posts), replace(SMALL, sample_every=10), tmp_path / "out", prefix="あい", notice=lines.append)
    parts = (tmp_path / "out" / "samples.txt").read_text(encoding="utf-8").split("== ")[1:]
    assert [part.split(",")[0] for part in parts] == ["step 10", "step 20", "step 30"]
    for part in parts:
        text = part.split("\n", 1)[1][:-2]
        assert text.startswith("あい")
        assert len(text) == 2 + 20
        assert set(text) <= set("あいうえお\n")
        assert text in lines


def test_notes_sample_after_each_epoch(posts, corpus_of, tmp_path):
    recipe = replace(NOTES, hidden=8, batch_size=4, seq_len=16, epochs=3, sample_length=30)
    run, _ = trained(corpus_of("".join(posts), raw=True, validation=0.0), recipe, tmp_path / "out")
    steps = [k * run.batches.steps_per_epoch for k in (1, 2, 3)]
    samples = (tmp_path / "out" / "samples.txt").read_text(encoding="utf-8")
    headings = [line for line in samples.splitlines() if line.startswith("== ")]
    assert [heading.split(",")[:2] for heading in headings] == [
        [f"== step {step}", f" epoch {epoch}"] for epoch, step in enumerate(steps)
    ]


@cells
def test_all_arrays_are_on_the_chosen_device(posts, corpus_of, tmp_path, monkeypatch, cell):
    """Operators accept arrays of cpu(0) and cpu(1) together without an error, so each context is checked."""
    device = mx.cpu(1)
    made, states = Counter(), []

    def watch(name):
        make = getattr(mx.nd, name)

        def watched(*arguments, **options):
            array = make(*arguments, **options)
            made[name, str(array.context)] += 1
            return array

        monkeypatch.setattr(mx.nd, name, watched)

    for name in ("array", "zeros", "ones", "empty", "full", "zeros_like", "ones_like"):
        watch(name)
    gradients = Trainer.gradients

    def watched_gradients(self, x, y, h, c):
        result = gradients(self, x, y, h, c)
        states.extend([h, c, *result])
        return result

    monkeypatch.setattr(Trainer, "gradients", watched_gradients)
    recipe = replace(SMALL, steps=3, dropout=0.2, input_dropout=0.2, implementation=cell)
    run, _ = trained(corpus_of(posts), recipe, tmp_path / "out", ctx=device)
    assert made  # the arrays of ids, weights, states and masks at least
    assert {where for _, where in made} == {str(device)}, made
    moments = [array for pair in run.trainer.optimizer.moments.values() for array in pair]
    assert len(moments) == 28
    gradients_of = [param.grad for param in run.trainer.W]
    assert all(array.context == device for array in [*run.trainer.W, *gradients_of, *moments, *states])
