"""`demo compare`: same budget for both models, printed values are the measured ones, and the long-range task."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from helpers import command_error
from hypothesis import given
from hypothesis import strategies as st

from gluon_lstm.cli.main import main
from gluon_lstm.demos import compare, recall
from gluon_lstm.demos.recall import BLANK, DISTRACTORS, QUERY, SYMBOLS, random_batch
from gluon_lstm.text.corpus import prepare
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.training.baselines import baselines


@pytest.fixture
def posts(tmp_path):
    """File of 400 different posts of 12 letters, in which each letter is followed by the next of the alphabet."""
    path = tmp_path / "posts.txt"
    letters = "あいうえおかきくけこ"
    texts = ["".join(letters[(k // 40 + j) % 10] for j in range(11)) + chr(0x4E00 + k) for k in range(400)]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


@given(st.integers(1, 80), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_only_the_first_token_determines_the_target(gap, N, seed):
    x, y = random_batch(gap, N, np.random.default_rng(seed))
    assert x.shape == y.shape == (gap + 2, N)
    assert (x[0] < SYMBOLS).all() and (x[-1] == QUERY).all()
    between = x[1:-1]
    assert (between >= SYMBOLS).all() and (between < SYMBOLS + DISTRACTORS).all()
    assert (y[:-1] == BLANK).all() and (y[-1] == x[0]).all()


def test_distractors_are_independent_of_the_symbol():
    x, _ = random_batch(20, 5000, np.random.default_rng(0))
    for symbol in range(SYMBOLS):
        shares = np.bincount(x[1:-1, x[0] == symbol].ravel(), minlength=SYMBOLS + DISTRACTORS)[SYMBOLS:]
        np.testing.assert_allclose(shares / shares.sum(), 1 / DISTRACTORS, atol=0.01)


@pytest.mark.parametrize("variant", compare.VARIANTS)
def test_both_models_learn_a_short_gap_and_stop_early(variant):
    result = recall.train_and_test(variant, 3, seed=1, updates=200)
    assert result.accuracy == 1 and result.updates < 200


def test_an_untrained_network_guesses():
    for variant in compare.VARIANTS:
        result = recall.train_and_test(variant, 5, 1, updates=1, test_sequences=4000)
        assert result.accuracy < 0.3  # less than chance where it outputs BLANK


def test_only_the_lstm_learns_a_long_gap():
    assert recall.train_and_test("standard", 30, seed=1).accuracy > 0.9
    assert recall.train_and_test("rnn", 60, seed=1).accuracy < 0.5


def test_same_seed_gives_the_same_network():
    results = [recall.train_and_test("rnn", 15, seed, updates=30, test_sequences=2000) for seed in (1, 1, 2)]
    assert results[0] == results[1]
    assert results[0].accuracy != results[2].accuracy


def test_command_prints_and_plots_the_result(posts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "GAPS", (2, 4))
    monkeypatch.setattr(recall, "train_and_test", partial(recall.train_and_test, updates=30))
    monkeypatch.setattr(compare, "SEEDS", 2)
    arguments = ["--minutes", "0.02", "--seed", "5", "--prefix", "うえ", "--out", str(tmp_path / "pictures")]
    found = []
    measure = compare.run
    monkeypatch.setattr(compare, "run", lambda **options: found.append(measure(**options)) or found[-1])
    assert main(["demo", "compare", str(posts), *arguments]) == 0
    assert capsys.readouterr().out.splitlines() == compare.lines(found[0])
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["compare.png"]
    assert (tmp_path / "pictures" / "compare.png").read_bytes().startswith(b"\x89PNG")

    trained = found[0].trained
    corpus = prepare([posts], TextSettings(), CorpusOptions())
    V, H = len(corpus.codec.vocabulary), 256
    assert trained["rnn"].parameters == V * H + H * H + H + H * V + V
    assert trained["standard"].parameters == 4 * (V * H + H * H + H) + H * V + V
    unigram = baselines(corpus)["unigram"] / np.log(2) * len(corpus.validation) / corpus.validation_chars
    for one in trained.values():
        seconds, tokens, bits = (list(column) for column in zip(*one.curve))
        assert seconds == sorted(seconds) and tokens == sorted(tokens) and tokens[0] > 0
        assert seconds[-1] >= 0.02 * 60 > seconds[-2]  # the same budget for both
        assert min(bits) < unigram + 2  # the last letter of each post occurs once and costs all models the same
        assert len(one.samples) == compare.SAMPLES and all(text.startswith("うえ") for text in one.samples)
    assert [(r.gap, r.variant, r.seed) for r in found[0].recalls] == [
        (gap, variant, seed) for gap in (2, 4) for variant in compare.VARIANTS for seed in (5, 6)
    ]


@pytest.mark.parametrize(
    ("text", "arguments", "parts"),
    [
        ("あいう\n", [], ["{file}: too short for a validation set"]),
        (None, [], ["{file}: "]),
        ("あいう\n", ["--minutes", "0"], ["minutes", "0.0: use more than 0"]),
    ],
)
def test_invalid_input_is_refused_in_one_sentence(tmp_path, capsys, text, arguments, parts):
    file = tmp_path / "text.txt"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    error = command_error(capsys, "demo", "compare", str(file), *arguments)
    assert all(part.format(file=file) in error for part in parts)


def test_default_file_is_that_of_the_source_tree(tmp_path, monkeypatch, capsys):
    assert compare.default_file().name == "posts_ja.txt"
    monkeypatch.setattr(compare.gluon_lstm, "__file__", str(tmp_path / "gluon_lstm" / "__init__.py"))
    assert "data/posts_ja.txt is part of the source tree only" in command_error(capsys, "demo", "compare")
