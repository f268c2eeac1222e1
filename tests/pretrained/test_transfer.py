"""Transfer of weights to another vocabulary: shared tokens keep theirs to the bit, others begin at the mean."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.config import ModelConfig
from gluon_lstm.pretrained.transfer import check_text, transfer, usable_tokens
from gluon_lstm.sampling.evaluation import evaluate_posts
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

CHAR = TextSettings("char")
SPECIALS = CHAR.special_tokens
BASE_TOKENS = ["あ", "い", "漢", "字", "ア", "a", "7", "。", "🙂", "Ω"]
VARIANTS = ["standard", "peephole", "peephole-full", "no-output-tanh", "rnn"]


def base_of(variant="standard", layers=1, seed=3):
    return random_model(CHAR, BASE_TOKENS, ModelConfig(5, variant, layers), seed)


def vocabulary_of(*tokens):
    return Vocabulary([*SPECIALS, *tokens], len(SPECIALS))


def row(array, name, id):
    """Return the numbers of one token: a row of Wx, a column of Why, an entry of by."""
    return array[:, id] if name == "Why" else array[id]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*BASE_TOKENS, "ん", "🍣", "new"]), unique=True, max_size=13),
    st.sampled_from(VARIANTS),
    st.integers(1, 2),
)
def test_shared_tokens_keep_their_weights_to_the_bit(tokens, variant, layers):
    base, vocabulary = base_of(variant, layers), vocabulary_of(*tokens)
    found = transfer(base, vocabulary)
    V = len(vocabulary)
    assert {name: array.shape for name, array in found.arrays.items()} == base.config.shapes(V)
    known = 0
    for name, array in found.arrays.items():
        if name not in ("Why", "by") and not (name.startswith("Wx") and not name.endswith("_2")):
            assert np.array_equal(array, base.arrays[name]), name
            continue
        old = base.arrays[name]
        mean = old.mean(1) if name == "Why" else old.mean(0)
        known = 0
        for id, token in enumerate(vocabulary.tokens):
            there = id if id < len(SPECIALS) else base.vocabulary.id(token)
            known += there is not None
            expected = mean if there is None else row(old, name, there)
            assert np.array_equal(row(array, name, id), expected), (name, token)
    assert (found.known, found.new) == (known, V - known)


def test_the_same_vocabulary_gives_the_same_model():
    base = base_of()
    found = transfer(base, base.vocabulary)
    assert found.new == 0
    assert all(np.array_equal(array, base.arrays[name]) for name, array in found.arrays.items())


def test_the_order_of_the_vocabulary_changes_no_score():
    """A model whose tokens are renumbered predicts the same text as well as before."""
    base = base_of()
    turned = vocabulary_of(*reversed(BASE_TOKENS))
    from gluon_lstm.model import Model
    from gluon_lstm.text.codec import Codec

    again = Model(base.config, Codec(CHAR, turned), transfer(base, turned).arrays)
    posts = ["あい漢字", "ア7a。", "🙂Ω"]
    assert evaluate_posts(again, posts).nats == pytest.approx(evaluate_posts(base, posts).nats, rel=1e-5)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("あ", "い"),  # hiragana: no kanji, no Latin, no symbol
        ("書く", "あい漢字"),
        ("ー", "ア"),
        ("z9", "a7"),
        ("。🙂🍣", ""),
        ("ㅋㅋ", ""),
        ("μ", "Ω"),
    ],
)
def test_further_tokens_are_letters_of_the_scripts_that_the_text_uses(text, expected):
    assert usable_tokens(base_of().vocabulary, dict.fromkeys(text, 1)) == list(expected)


def test_no_word_of_a_base_enters_a_vocabulary():
    base = Vocabulary([*SPECIALS, "漢字", "漢", "です", "で"], len(SPECIALS))
    assert usable_tokens(base, {"書": 1, "き": 1}) == ["漢", "で"]


@pytest.mark.parametrize(
    "theirs, ours, words",
    [
        (CHAR, TextSettings(raw=True), ("reads posts", "one stream of characters", "`raw`")),
        (TextSettings(raw=True), CHAR, ("reads one stream of characters", "posts", "`raw`")),
        (TextSettings("janome"), CHAR, ("tokenizer janome", "char")),
    ],
)
def test_another_tokenizer_is_refused(theirs, ours, words):
    base = random_model(theirs, ["あ"], ModelConfig(3), 0)
    with pytest.raises(ValueError) as refused:
        check_text(base, ours, "mine")
    assert all(word in str(refused.value) for word in ("mine", *words))
