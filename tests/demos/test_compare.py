"""`demo compare`: both networks get the same, what is measured is what they do, and a long gap tells them apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lstm.cli.main import main
from gluon_lstm.demos import compare, recall
from gluon_lstm.demos.recall import ASK, NOTHING, OTHERS, SYMBOLS, sequences
from gluon_lstm.text.codec import TextSettings
from gluon_lstm.text.corpus import CorpusOptions, prepare
from gluon_lstm.training.baselines import baselines


@pytest.fixture
def posts(tmp_path):
    """400 different posts of 12 letters, in which each letter is followed by its neighbour in the alphabet."""
    path = tmp_path / "posts.txt"
    letters = "あいうえおかきくけこ"
    made = ["".join(letters[(k // 40 + j) % 10] for j in range(11)) + chr(0x4E00 + k) for k in range(400)]
    path.write_text("\n".join(made) + "\n", encoding="utf-8")
    return path


@given(st.integers(1, 80), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_only_the_first_token_tells_the_answer(gap, N, seed):
    x, y = sequences(gap, N, np.random.default_rng(seed))
    assert x.shape == y.shape == (gap + 2, N)
    assert (x[0] < SYMBOLS).all() and (x[-1] == ASK).all()
    between = x[1:-1]
    assert (between >= SYMBOLS).all() and (between < SYMBOLS + OTHERS).all()
    assert (y[:-1] == NOTHING).all() and (y[-1] == x[0]).all()


def test_between_is_noise_that_knows_nothing_of_the_symbol():
    x, _ = sequences(20, 5000, np.random.default_rng(0))
    for symbol in range(SYMBOLS):
        shares = np.bincount(x[1:-1, x[0] == symbol].ravel(), minlength=SYMBOLS + OTHERS)[SYMBOLS:]
        np.testing.assert_allclose(shares / shares.sum(), 1 / OTHERS, atol=0.01)


@pytest.mark.parametrize("variant", compare.VARIANTS)
def test_both_learn_a_short_gap_and_stop_there(variant):
    found = recall.recall(variant, 3, seed=1, updates=200)
    assert found.accuracy == 1 and found.updates < 200


def test_a_network_that_learned_nothing_guesses():
    shares = [recall.recall(variant, 5, 1, updates=1, tested=4000).accuracy for variant in compare.VARIANTS]
    assert all(share < 0.3 for share in shares)  # it may also say nothing


def test_a_long_gap_tells_them_apart():
    assert recall.recall("standard", 30, seed=1).accuracy > 0.9
    assert recall.recall("rnn", 60, seed=1).accuracy < 0.5


def test_a_seed_gives_the_same_network():
    found = [recall.recall("rnn", 15, seed, updates=30, tested=2000) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert found[0].accuracy != found[2].accuracy


def test_the_command_prints_and_draws_what_was_measured(posts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compare, "GAPS", (2, 4))
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
        assert min(bits) < unigram + 2  # the last letter of a post is new each time: that costs the same everywhere
        assert len(one.samples) == compare.TEXTS and all(text.startswith("うえ") for text in one.samples)
    assert [(r.gap, r.variant, r.seed) for r in found[0].recalls] == [
        (gap, variant, seed) for gap in (2, 4) for variant in compare.VARIANTS for seed in (5, 6)
    ]


@pytest.mark.parametrize(
    ("text", "arguments", "sentence"),
    [
        ("あいう\n", [], "{file}: too short to hold a part of it back, so nothing can be measured; use more posts"),
        (None, [], "{file}: there is no such file or folder; check the name"),
        ("あいう\n", ["--minutes", "0"], "--minutes 0.0: use more than 0"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(tmp_path, capsys, text, arguments, sentence):
    file = tmp_path / "text.txt"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    assert main(["demo", "compare", str(file), *arguments]) == 2
    assert capsys.readouterr().err == f"gluon-lstm: {sentence.format(file=file)}\n"


def test_without_a_file_it_takes_the_posts_of_the_source_or_says_so(tmp_path, monkeypatch, capsys):
    assert compare.default_file().name == "posts_ja.txt"
    monkeypatch.setattr(compare.gluon_lstm, "__file__", str(tmp_path / "gluon_lstm" / "__init__.py"))
    assert main(["demo", "compare"]) == 2
    assert "comes with the source alone: give a FILE" in capsys.readouterr().err
