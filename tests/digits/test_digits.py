"""Digits read row by row: the split, the loss and its slopes, what an epoch sees, and what a run leaves."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lstm.cli.main import main
from gluon_lstm.compat import mx
from gluon_lstm.config import VARIANTS, ModelConfig
from gluon_lstm.digits import classifier
from gluon_lstm.digits.images import Images, load, rows
from gluon_lstm.digits.plots import confusion, misread
from gluon_lstm.digits.recipe import NOTES, STANDARD
from gluon_lstm.digits.training import batches, learning_rate, measure, predict, train
from gluon_lstm.lstm import reference
from gluon_lstm.lstm.parameters import Parameters

variants = pytest.mark.parametrize("variant", list(VARIANTS))
TINY = replace(STANDARD, hidden=8, epochs=1, batch_size=20)
LOWEST_BOUNDED = math.log(math.e + 9 / math.e) - 1  # nats: the right logit at 1, nine others at -1


@pytest.fixture(scope="module")
def images():
    return load()


@pytest.fixture
def few(images):
    """50 training and 30 validation images."""
    return tuple(Images(part.pixels[:n], part.labels[:n]) for part, n in zip(images, (50, 30)))


def problem(variant, H=3, N=4):
    """In float64: rows (8, N, 8), labels (N,), weights that differ in every place."""
    rng = np.random.default_rng(0)
    config = ModelConfig(H, variant)
    W = {name: 0.5 * rng.standard_normal(shape) for name, shape in config.shapes(10, 8).items()}
    return rng.random((8, N, 8)), rng.integers(10, size=N), W, config


def reference_loss(x, labels, W, config, bounded):
    """The loss in NumPy, and what it takes to go back from it: tapes, dL/dlogits, the last state."""
    zero = np.zeros((x.shape[1], config.hidden))
    hidden, _, _, tapes = reference.forward(x, zero, zero, W, config)
    z = hidden[-1] @ W["Why"] + W["by"]
    if bounded:
        z = np.tanh(z)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    dz = (p - np.eye(10)[labels]) / len(labels)
    return -np.log(p[np.arange(len(labels)), labels]).mean(), tapes, dz * (1 - z**2) if bounded else dz, hidden


def loss_and_gradients(x, labels, W, config, bounded):
    W = Parameters(W, dtype="float64", config=config)
    with mx.autograd.record():
        loss = classifier.loss(mx.nd.array(x, dtype="float64"), mx.nd.array(labels, dtype="int32"), W, bounded)
    loss.backward()
    return float(loss.asscalar()), W.gradients()


# ---- the images


def test_the_split_is_the_one_of_the_notes(images):
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    places = train_test_split(np.arange(1797), test_size=0.2, random_state=42)
    assert [len(part) for part in images] == [1437, 360]
    assert set(places[0]).isdisjoint(places[1])
    for part, where in zip(images, places):
        np.testing.assert_array_equal(part.pixels * 16, digits.images[where])
        np.testing.assert_array_equal(part.labels, digits.target[where])


def test_a_picture_is_read_from_top_to_bottom(images):
    pixels = images[0].pixels[:5]
    x = rows(pixels, white=16)
    for n in range(5):
        for t in range(8):
            np.testing.assert_array_equal(x[t, n], 16 * pixels[n, t])


# ---- the classifier


@variants
@pytest.mark.parametrize("bounded", [False, True])
def test_loss_and_gradients_are_those_of_the_reference_and_its_slopes(variant, bounded, assert_same):
    x, labels, W, config = problem(variant)
    loss, grads = loss_and_gradients(x, labels, W, config, bounded)
    true, tapes, dz, hidden = reference_loss(x, labels, W, config, bounded)
    assert loss == pytest.approx(true, rel=1e-12)

    dhidden = np.zeros_like(hidden)
    dhidden[-1] = dz @ W["Why"].T  # the other seven states are not looked at
    wanted = reference.backward(tapes, dhidden, W, config, None)
    wanted.update(Why=hidden[-1].T @ dz, by=dz.sum(axis=0))
    assert_same(grads, {name: wanted[name] for name in W}, rtol=1e-9, atol=1e-13)

    for name, array in W.items():  # one place of each, moved there and back
        place = tuple(np.random.default_rng(1).integers(array.shape))
        losses = []
        for step in (1e-5, -1e-5):
            changed = array.copy()
            changed[place] += step
            losses.append(reference_loss(x, labels, {**W, name: changed}, config, bounded)[0])
        assert grads[name][place] == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-6, abs=1e-10), name


@given(st.integers(0, 2**32), st.floats(1e-3, 1e3))
def test_bounded_logits_never_get_sure(seed, scale):
    """No image can have more than 45 % of the probability, so the loss of notes 002 never gets below 0.797."""
    rng = np.random.default_rng(seed)
    W = Parameters({n: scale * rng.standard_normal(s) for n, s in ModelConfig(2).shapes(10, 8).items()})
    x, labels = mx.nd.array(rng.random((8, 3, 8))), mx.nd.array(rng.integers(10, size=3), dtype="int32")
    assert classifier.loss(x, labels, W, bounded=True).asscalar() >= LOWEST_BOUNDED - 1e-6


def test_a_bounded_logit_at_its_end_does_not_come_back():
    """The slope of tanh is 0 there: an image whose own digit has got -1 teaches that digit nothing."""
    x, labels, W, config = problem("no-output-tanh")
    labels[:] = 3
    W["by"][3] = -50
    for bounded in (True, False):
        _, grads = loss_and_gradients(x, labels, W, config, bounded)
        assert (abs(grads["by"][3]) < 1e-12) == bounded


def test_from_zeros_only_the_candidate_learns_at_first_and_only_because_Why_is_not_zero_as_well():
    x, labels, _, config = problem("no-output-tanh", H=3)
    W = classifier.zero_weights(config, np.random.default_rng(0))
    assert {name for name, array in W.items() if array.any()} == {"Why", "by"}
    _, grads = loss_and_gradients(x, labels, W, config, bounded=True)
    assert {name for name, grad in grads.items() if grad.any()} == {"Wxg", "bg", "by"}
    _, grads = loss_and_gradients(x, labels, {**W, "Why": 0 * W["Why"]}, config, bounded=True)
    assert {name for name, grad in grads.items() if grad.any()} == {"by"}


# ---- an epoch


@given(st.integers(1, 300), st.integers(1, 350), st.booleans(), st.booleans())
def test_an_epoch_shows_every_image_once_or_drops_what_fills_no_batch(n, size, shuffle, drop_last):
    recipe = replace(STANDARD, batch_size=size, shuffle=shuffle, drop_last=drop_last)
    seen = list(batches(n, recipe, np.random.default_rng(0)))
    assert [len(batch) for batch in seen] == [size] * (n // size) + [n % size] * (n % size > 0 and not drop_last)
    places = np.concatenate([[], *seen])
    assert len(set(places)) == len(places) and set(places) <= set(range(n))
    if not shuffle:
        np.testing.assert_array_equal(places, np.arange(len(places)))


def test_each_epoch_has_an_order_of_its_own():
    rng = np.random.default_rng(0)
    first, second = (np.concatenate(list(batches(100, STANDARD, rng))) for _ in range(2))
    assert (first != second).any() and sorted(first) == sorted(second)


@pytest.mark.parametrize("drop_last", [False, True])
def test_the_last_smaller_batch_is_learned_from(few, drop_last):
    """50 images by 20: the weights know of the 45th, unless the last ten are dropped, as in the notes."""
    training, validation = few
    recipe = replace(TINY, drop_last=drop_last, shuffle=False, noise=0.0)
    labels = training.labels.copy()
    labels[45] = (labels[45] + 1) % 10
    found = [
        train(recipe, Images(training.pixels, told), validation, np.random.default_rng(0))[0].to_numpy()
        for told in (training.labels, labels)
    ]
    assert all((found[0][name] == found[1][name]).all() for name in found[0]) == drop_last


def test_the_rate_falls_along_half_a_cosine_or_stays():
    assert [learning_rate(STANDARD, done) for done in (0, 0.5, 1)] == pytest.approx([0.03, 0.015, 0])
    assert {learning_rate(NOTES, done) for done in (0, 0.5, 1)} == {0.001}


# ---- learning


def test_a_few_epochs_reach_nine_of_ten(images):
    W, records = train(replace(STANDARD, epochs=5), *images, np.random.default_rng(1))
    assert records[-1].validation_accuracy > 0.9
    assert [record.epoch for record in records] == list(range(5))
    for part, loss, accuracy in zip(images, ("loss", "validation_loss"), ("accuracy", "validation_accuracy")):
        logp = predict(part, W, STANDARD).astype(np.float64)
        np.testing.assert_allclose(np.exp(logp).sum(axis=1), 1, rtol=1e-5)
        right = [image.argmax() == label for image, label in zip(logp, part.labels)]
        assert getattr(records[-1], accuracy) == np.mean(right)
        wanted = -np.mean([image[label] for image, label in zip(logp, part.labels)])
        assert getattr(records[-1], loss) == pytest.approx(wanted, rel=1e-5)


@variants
def test_every_variant_learns_ten_images_by_heart(images, variant):
    training, validation = (Images(part.pixels[:10], part.labels[:10]) for part in images)
    recipe = replace(STANDARD, variant=variant, hidden=20, batch_size=10, epochs=50, noise=0.0)
    _, records = train(recipe, training, validation, np.random.default_rng(0))
    assert records[-1].accuracy == 1.0 and records[-1].loss < 0.2


def test_the_notes_recipe_learns_as_fast_as_their_code(images):
    """Which, run under `tensorflow.compat.v1`, reads 48 to 50 % after three epochs, with any of five seeds."""
    _, records = train(replace(NOTES, epochs=3), *images, np.random.default_rng(1))
    assert 0.43 < records[-1].validation_accuracy < 0.55
    assert records[-1].loss > LOWEST_BOUNDED


def test_the_same_seed_gives_the_same_weights(few):
    def trained(seed):
        return train(TINY, *few, np.random.default_rng(seed))

    (W, records), (again, records_again), (other, _) = (trained(seed) for seed in (1, 1, 2))
    assert records == records_again
    for name, array in again.to_numpy().items():
        np.testing.assert_array_equal(W.to_numpy()[name], array)
        assert name == "by" or (other.to_numpy()[name] != array).any()


def test_noise_is_for_training_alone(few):
    """What is measured does not depend on any draw."""
    W, records = train(replace(TINY, noise=5.0), *few, np.random.default_rng(0))
    assert measure(few[1], W, TINY) == (records[-1].validation_loss, records[-1].validation_accuracy)


def test_the_notes_recipe_is_what_they_print():
    assert (NOTES.hidden, NOTES.epochs, NOTES.batch_size) == (50, 100, 100)
    assert NOTES.config.cell == VARIANTS["no-output-tanh"]
    assert len(list(batches(1437, NOTES, np.random.default_rng(0)))) == 14


# ---- what can be seen


def test_mistakes_are_counted_and_the_surest_come_first():
    labels = np.array([0, 1, 1, 9, 5])
    p = np.full((5, 10), 0.01)
    for image, (digit, sure) in enumerate([(0, 0.9), (7, 0.5), (1, 0.8), (4, 0.7), (5, 0.3)]):
        p[image, digit] = sure
    assert misread(labels, np.log(p)).tolist() == [3, 1]
    counts = confusion(labels, p.argmax(axis=1))
    assert {place: counts[place] for place in zip(*np.nonzero(counts))} == {
        (0, 0): 1, (1, 7): 1, (1, 1): 1, (9, 4): 1, (5, 5): 1,
    }  # fmt: skip


def test_the_command_leaves_history_and_pictures_and_ends_with_the_accuracy(tmp_path, capsys):
    command = ["digits", "--hidden", "8", "--epochs", "2", "--batch-size", "200", "--variant", "rnn", "--seed", "3"]
    assert main([*command, "--out", str(tmp_path / "a")]) == 0
    said = capsys.readouterr()
    records = [json.loads(line) for line in (tmp_path / "a" / "history.jsonl").read_text("utf-8").splitlines()]
    assert [record["epoch"] for record in records] == [0, 1]
    assert list(records[0]) == ["epoch", "loss", "accuracy", "validation_loss", "validation_accuracy"]
    assert re.fullmatch(r"validation accuracy 0\.\d{4}\n", said.out)
    assert said.out == f"validation accuracy {records[-1]['validation_accuracy']:.4f}\n"
    assert [line.split(".")[0] for line in said.err.splitlines()[:2]] == ["Epoch 0", "Epoch 1"]
    pictures = ["confusion.png", "curve.png", "misread.png"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([*pictures, "history.jsonl"])
    for name in pictures:
        assert (tmp_path / "a" / name).read_bytes().startswith(b"\x89PNG")

    assert main([*command, "--out", str(tmp_path / "a")]) == 2  # what is there stays
    assert "already contains a training run (history.jsonl)" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "b")]) == 0
    assert capsys.readouterr().out == said.out
    assert (tmp_path / "b" / "history.jsonl").read_bytes() == (tmp_path / "a" / "history.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--hidden", "0"], "--hidden 0: use at least 1"),
        (["--epochs", "0"], "--epochs 0: use at least 1"),
        (["--batch-size", "-1"], "--batch-size -1: use at least 1"),
        (["--seed", "-1"], "--seed -1: use at least 0"),
        (["--learning-rate", "nan"], "--learning-rate nan: use more than 0 and at most 1e+06"),
        (["--white", "0"], "--white 0.0: use more than 0 and at most 1e+06"),
        (["--noise", "-0.1"], "--noise -0.1: use at least 0 (none) and at most 1e+06"),
        (["--drop-last", "--batch-size", "1438"], "--batch-size 1438: with --drop-last use at most 1437, all images"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(tmp_path, capsys, arguments, sentence):
    assert main(["digits", "--out", str(tmp_path / "run"), *arguments]) == 2
    assert capsys.readouterr().err == f"gluon-lstm: {sentence}\n"


def test_a_file_is_no_folder_for_a_run(tmp_path, capsys):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert main(["digits", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"gluon-lstm: {tmp_path / 'file'}: not a folder, so no run can be written in it\n"
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_without_scikit_learn_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["digits", "--out", str(tmp_path / "run")]) == 2
    assert "scikit-learn, which is not installed: `pip install scikit-learn`" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
