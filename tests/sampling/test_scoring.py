"""Bits per character against their definition in plain Python floats."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from helpers import corpus_lines, posts_file, random_model, save

from gluon_lstm.config import ModelConfig
from gluon_lstm.model import Model
from gluon_lstm.sampling import scoring
from gluon_lstm.sampling.evaluation import evaluate, evaluate_posts
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.scoring import Score, score
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.corpus import CorpusOptions, prepare
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.sources.reading import TextError

RAW = TextSettings(raw=True)


# ---- the definition


def sigmoid(a: float) -> float:
    return 1 / (1 + math.exp(-a))


def product(h: list[float], W: list[list[float]], column: int) -> float:
    return sum(h[k] * W[k][column] for k in range(len(h)))


class PlainLSTM:
    """LSTM in lists of Python floats, one number at a time, by the equations as printed."""

    def __init__(self, model: Model) -> None:
        self.W = {name: array.astype(float).tolist() for name, array in model.arrays.items()}
        self.H = model.config.hidden
        self.h = [0.0] * self.H
        self.c = [0.0] * self.H

    def read(self, id: int) -> None:
        W = self.W

        def gate(k: str, unit: int) -> float:
            return W[f"Wx{k}"][id][unit] + product(self.h, W[f"Wh{k}"], unit) + W[f"b{k}"][unit]

        g = [math.tanh(gate("g", unit)) for unit in range(self.H)]
        i, f, o = ([sigmoid(gate(k, unit)) for unit in range(self.H)] for k in "ifo")
        self.c = [f[u] * self.c[u] + i[u] * g[u] for u in range(self.H)]
        self.h = [o[u] * math.tanh(self.c[u]) for u in range(self.H)]

    def nats(self, id: int) -> float:
        """Return the negative log-likelihood of `id` as the next id."""
        z = [product(self.h, self.W["Why"], column) + by for column, by in enumerate(self.W["by"])]
        return math.log(math.fsum(math.exp(a - z[id]) for a in z))


def bpc_by_definition(model: Model, tokens: Sequence[str | int], characters: int) -> float:
    """Return all nats / ln 2 plus log2(1,114,112) bits for each unknown code point, divided by `characters`.

    Tokens are names, special tokens ids.
    """
    lstm = PlainLSTM(model)
    if model.codec.end_of_post is not None:
        lstm.read(1)
    bits = 0.0
    for token in tokens:
        id = model.vocabulary.tokens.index(token) if isinstance(token, str) else token
        bits += lstm.nats(id) / math.log(2) + (math.log2(1_114_112) if id == 0 else 0)
        lstm.read(id)
    return bits / characters


def score_of(model: Model, ids: Sequence[int], characters: int) -> Score:
    return score(InferenceCell(model.arrays), model.codec, np.array(ids, dtype=np.int32), characters)


UNK, END, BOUNDARY = 0, 1, 2


def test_bits_of_posts_with_unknowns_and_ends():
    model = random_model(TextSettings(), ["あ", "い", "\n"])
    tokens = ["あ", "い", UNK, END, "い", UNK, UNK, "\n", END, END]  # an empty post too
    ids = [2, 3, 0, 1, 3, 0, 0, 4, 1, 1]
    expected = bpc_by_definition(model, tokens, characters=3 + 4 + 0 + 3)
    result = score_of(model, ids, characters=10)
    assert result.bpc == pytest.approx(expected, rel=1e-5)
    assert (result.tokens, result.unknown, result.characters) == (10, 3, 10)


def test_a_uniform_model_costs_log2_of_the_vocabulary():
    model = random_model(RAW, ["あ", "い", "う"])
    flat = Model(model.config, model.codec, {name: 0 * array for name, array in model.arrays.items()})
    result = score_of(flat, [1, 2, 3, 1], characters=4)
    assert result.bpc == pytest.approx(2) and result.perplexity == pytest.approx(4)
    assert result.loss == pytest.approx(math.log(4))
    unknown = score_of(flat, [1, 0], characters=2)  # <unk> like any other token, and the choice of a code point
    assert unknown.bpc == pytest.approx((2 + 2 + math.log2(0x110000)) / 2)


def test_extreme_logits_do_not_overflow():
    model = random_model(RAW, ["あ", "い"])
    arrays = {name: 0 * array for name, array in model.arrays.items()}
    arrays["by"] = np.array([0, 3e4, -3e4], dtype=np.float32)
    result = score_of(Model(model.config, model.codec, arrays), [2, 2], characters=2)
    assert result.loss == pytest.approx(6e4) and math.isfinite(result.perplexity) and math.isfinite(result.bpc)


@pytest.mark.parametrize("length", [1, 255, 256, 257, 512, 600])
def test_block_boundaries_change_nothing(length):
    model = random_model(TextSettings(), ["あ", "い", "う"], config=ModelConfig(3), seed=2)
    rng = np.random.default_rng(length)
    ids = rng.integers(0, 5, length).tolist()
    tokens = [id if id < 2 else "あいう"[id - 2] for id in ids]
    assert score_of(model, ids, length).bpc == pytest.approx(bpc_by_definition(model, tokens, length), rel=1e-5)


def test_block_size_changes_nothing(monkeypatch):
    model = random_model(RAW, ["あ", "い", "う"], config=ModelConfig(16))
    ids = np.random.default_rng(0).integers(0, 4, 1000)
    whole = score_of(model, ids, 1000)
    for block in (1, 7, 999, 1000, 5000):
        monkeypatch.setattr(scoring, "BLOCK_TOKENS", block)
        assert score_of(model, ids, 1000).nats == pytest.approx(whole.nats, rel=1e-6)


def test_progress_counts_every_token_once():
    model, done = random_model(RAW, ["あ"]), []
    ids = np.ones(700, dtype=np.int32)
    score(InferenceCell(model.arrays), model.codec, ids, 700, lambda n, total=None: done.append(n))
    assert sum(done) == 700


# ---- evaluate: files


def test_evaluate_posts_by_characters(tmp_path):
    path = save(tmp_path / "a.txt", "@taro あい！！！！！！\n\nあ犬\r\nあ犬\n")
    model = random_model(TextSettings(), ["あ", "い", "！", "@", " "])
    tokens = [
        "@",
        " ",
        "あ",
        "い",
        "！",
        "！",
        "！",
        END,
        "あ",
        UNK,
        END,
    ]  # cleaned, without duplicates
    result = evaluate(model, [path])
    assert result.bpc == pytest.approx(bpc_by_definition(model, tokens, 7 + 1 + 2 + 1), rel=1e-5)
    assert (result.tokens, result.unknown, result.characters) == (11, 1, 11)


def test_evaluate_cleans_as_the_model_was_trained(tmp_path):
    path = save(tmp_path / "a.txt", "！！！！\n")
    kept = TextSettings("char", cleaning=CleaningOptions(max_repeats=2, width="keep"))
    model = random_model(kept, ["！"])
    assert evaluate(model, [path]).bpc == pytest.approx(bpc_by_definition(model, ["！", "！", END], 3), rel=1e-5)


def test_evaluate_words(tmp_path):
    """今日 is one token of two characters; 明日 is split into two; 晴 is unknown; は ends each post."""
    path = save(tmp_path / "a.txt", "今日は\n明日は\n晴\n")
    model = random_model(TextSettings("janome"), ["今日", "明", "日", "は"])
    tokens = ["今日", "は", END, "明", "日", "は", END, UNK, END]
    result = evaluate(model, [path])
    assert result.bpc == pytest.approx(bpc_by_definition(model, tokens, 3 + 3 + 1 + 3), rel=1e-5)


def test_evaluate_characters_with_word_boundaries(tmp_path):
    path = save(tmp_path / "a.txt", "今日は\n")
    model = random_model(TextSettings("janome-chars"), ["今", "日", "は"])
    tokens = ["今", "日", BOUNDARY, "は", END]  # a boundary costs bits and counts no character
    assert evaluate(model, [path]).bpc == pytest.approx(bpc_by_definition(model, tokens, 4), rel=1e-5)


def test_evaluate_raw(tmp_path):
    one = save(tmp_path / "1.txt", "あ！！！！！\r\n@い")
    two = save(tmp_path / "2.txt", "い\n")
    model = random_model(RAW, ["あ", "い", "！", "\n"])
    text = "あ！！！！！\n@い\nい\n"
    tokens = [UNK if character == "@" else character for character in text]
    result = evaluate(model, [one, two])
    assert result.bpc == pytest.approx(bpc_by_definition(model, tokens, len(text)), rel=1e-5)


@pytest.mark.parametrize("text_settings", [TextSettings(), TextSettings("janome"), TextSettings("janome-chars"), RAW])
def test_validation_set_scores_like_a_file_of_its_own(tmp_path, text_settings):
    """Validation during training and `evaluate` give the same number."""
    posts = corpus_lines("open2ch_posts.txt")[:200]
    corpus = prepare([save(tmp_path / "a.txt", "\n".join(posts) + "\n")], text_settings, CorpusOptions())
    tokens = corpus.codec.vocabulary.tokens[corpus.codec.vocabulary.num_specials :]
    model = random_model(text_settings, tokens, config=ModelConfig(8))
    validation = score_of(model, corpus.validation, corpus.validation_chars)
    # From the text: the ids do not keep unknown characters.
    if text_settings.raw:
        text = "".join(post + "\n" for post in posts)[-corpus.validation_chars :]
    else:
        cleaned = prepare([tmp_path / "a.txt"], TextSettings(), CorpusOptions(validation=0))
        held = np.count_nonzero(corpus.validation == corpus.codec.end_of_post)
        text = "".join(post + "\n" for post in cleaned.codec.decode(cleaned.ids).split("\n")[:-1][-held:])
    alone = evaluate(model, [save(tmp_path / "validation.txt", text)])
    assert alone.bpc == pytest.approx(validation.bpc, rel=1e-9)
    assert (alone.tokens, alone.unknown, alone.characters) == (
        validation.tokens,
        validation.unknown,
        validation.characters,
    )
    assert validation.characters == len(text)  # a line end for each post


@pytest.mark.parametrize("settings", [TextSettings(), TextSettings("janome"), TextSettings("janome-chars"), RAW])
def test_posts_score_like_a_file_of_them(tmp_path, settings):
    posts = ["今日は晴れ！！！！！", "@taro 犬", "", "今日は晴れ!!!", "今日は晴れ！！！！！"]
    model = random_model(settings, [*"今日は晴犬\n", "今日"])
    wanted = evaluate(model, [posts_file(tmp_path, posts)])
    assert evaluate_posts(model, iter(posts)) == evaluate_posts(model, posts) == wanted


def test_no_posts_after_cleaning_is_an_error(tmp_path):
    with pytest.raises(TextError, match="no post is left"):
        evaluate(random_model(TextSettings(), ["あ"]), [save(tmp_path / "a.txt", "\n \nRT @a: い\n")])
