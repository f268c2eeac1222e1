"""Small models of every kind, and a hostile vocabulary, for the tests of the pages."""

from __future__ import annotations

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm import initializers
from gluon_lstm.model import Model
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

WORDS = ["今日", "は", "猫", "が", "いい", "いる", "天気", "です", "👨‍👩‍👧", "山田"]
EVIL = ["</script>", "<script>alert(1)</script>", "\u2028", "\u202e", '"', "'", "&lt;", "<!--", "x" * 1000, "{{ 7 }}"]


def model_of(settings: TextSettings, tokens: list[str], variant: str = "standard", layers: int = 1) -> Model:
    """Return a model with random weights that are far from uniform."""
    vocabulary = Vocabulary([*settings.special_tokens, *dict.fromkeys(tokens)], len(settings.special_tokens))
    config, rng = ModelConfig(24, variant, layers), np.random.default_rng(1)
    arrays = initializers.standard(config, len(vocabulary), rng)
    arrays = {
        name: (2 * array + 0.3 * rng.standard_normal(array.shape)).astype(np.float32) for name, array in arrays.items()
    }
    return Model(config, Codec(settings, vocabulary), arrays)


MODELS = {
    "char": model_of(TextSettings("char"), [*"".join(WORDS[:-2]), WORDS[-2]]),
    "janome": model_of(TextSettings("janome"), WORDS),
    "janome-chars": model_of(TextSettings("janome-chars"), list("今日は猫がいい天気です")),
    "raw": model_of(TextSettings(raw=True), list("今日は猫が\n")),
    "peephole": model_of(TextSettings("char"), list("今日は猫がいい"), "peephole"),
    "peephole-full": model_of(TextSettings("char"), list("今日は猫がいい"), "peephole-full"),
    "no-output-tanh": model_of(TextSettings("char"), list("今日は猫がいい"), "no-output-tanh"),
    "two layers": model_of(TextSettings("char"), list("今日は猫がいい"), layers=2),
    "rnn": model_of(TextSettings("char"), list("今日は猫がいい"), "rnn"),
}  # fmt: skip
