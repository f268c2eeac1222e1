"""Baselines, compared with counting one token at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text import token_stream as module
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import END_OF_POST, UNKNOWN, Vocabulary
from gluon_lstm.training.baselines import baselines


def corpus_of(train, held, V, raw=False):
    specials = [UNKNOWN] if raw else [UNKNOWN, END_OF_POST]
    tokens = [chr(ord("a") + k) for k in range(V - len(specials))]
    codec = Codec(TextSettings(raw=raw), Vocabulary([*specials, *tokens], len(specials)))
    ids = np.array([*train, *held], dtype=np.int32)
    return Corpus(ids, len(train), codec, "", posts=0, characters=len(ids), validation_chars=len(held), cleaning={})


def slow_unigram(train, V):
    return [(train.count(b) + 1) / (len(train) + V) for b in range(V)]


def slow_bigram(train, held, V, before):
    """Return the least mean cost over the strengths; `before` is the token before the validation set."""
    p = slow_unigram(train, V)
    costs = []
    for s in (1, 3, 10, 30, 100, 300, 1000):
        nats = 0.0
        for a, b in zip([before, *held], held):
            pairs = sum(pair == (a, b) for pair in zip(train, train[1:]))
            nats -= math.log((pairs + s * p[b]) / (train.count(a) + s))
        costs.append(nats / len(held))
    return min(costs)


def test_baselines_by_hand():
    """Of 6 tokens, 3 are a, 2 are end of post, 1 is b: add one, and V = 4."""
    found = baselines(corpus_of([2, 2, 1, 2, 3, 1], [2, 1], 4))
    assert found["uniform"] == pytest.approx(math.log(4))
    assert found["unigram"] == pytest.approx(-(math.log(4 / 10) + math.log(3 / 10)) / 2)
    # end of post is followed by a once, being there twice; a by end of post once of three times; strength 1 is best
    wanted = -(math.log((1 + 0.4) / (2 + 1)) + math.log((1 + 0.3) / (3 + 1))) / 2
    strong = -(math.log((1 + 3 * 0.4) / (2 + 3)) + math.log((1 + 3 * 0.3) / (3 + 3))) / 2
    assert found["bigram"] == pytest.approx(min(wanted, strong))


@settings(max_examples=100, deadline=None)
@given(
    st.integers(3, 6).flatmap(
        lambda V: st.tuples(
            st.lists(st.integers(1, V - 1), min_size=1, max_size=40),
            st.lists(st.integers(0, V - 1), min_size=1, max_size=15),
            st.just(V),
        )
    ),
    st.integers(1, 50),
)
def test_baselines_equal_counting_one_at_a_time(text, block):
    """For any block size. Id 0, <unk>, never occurs in the training set."""
    train, held, V = text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_TOKENS", block)
        found = baselines(corpus_of(train, held, V))
    p = slow_unigram(train, V)
    assert found["uniform"] == pytest.approx(math.log(V))
    assert found["unigram"] == pytest.approx(-sum(math.log(p[b]) for b in held) / len(held))
    assert found["bigram"] == pytest.approx(slow_bigram(train, held, V, before=1))  # as a text begins: an end of post


def test_bigram_of_raw_text_starts_after_last_training_token():
    """The first pair is (last training token, first validation token); here both are equal."""
    rng = np.random.default_rng(0)
    train, held = rng.integers(1, 5, 200).tolist(), rng.integers(1, 5, 50).tolist()
    train[-1] = held[0]
    found = baselines(corpus_of(train, held, 5, raw=True))
    assert found["bigram"] == pytest.approx(slow_bigram(train, held, 5, before=train[-1]))


def test_bigram_beats_unigram_only_with_a_pattern():
    alternating = [1, 2, 3, 4] * 50
    found = baselines(corpus_of(alternating, [1, 2, 3, 4] * 5, 5, raw=True))
    assert found["bigram"] < 0.3 < 1.3 < found["unigram"] < found["uniform"]

    rng = np.random.default_rng(1)
    random = baselines(corpus_of(rng.integers(1, 9, 5000).tolist(), rng.integers(1, 9, 500).tolist(), 9, raw=True))
    assert random["unigram"] == pytest.approx(math.log(8), abs=0.01)
    assert random["bigram"] == pytest.approx(random["unigram"], abs=0.05)
