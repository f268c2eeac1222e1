"""Weights of a trained model as the start of a run on another text: its tokens' rows and columns for a new vocabulary.

The cell is taken over as it is. Of the arrays with a row or column per token (`Wx` of layer 1, `Why`, `by`), tokens of
both vocabularies keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.text.scripts import script
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Transfer:
    """Initial weights for a vocabulary, and the number of its tokens that the base knows or does not know."""

    arrays: Mapping[str, np.ndarray]
    known: int
    new: int


def check_text(base: Model, settings: TextSettings, name: str) -> None:
    """Raise ValueError unless a model can be continued on text with these settings: same tokenizer, same `raw`."""
    theirs = base.codec.settings
    if theirs.raw != settings.raw:
        raise ValueError(
            _("`from_` {name}: the model reads {theirs}, this run {ours}; use the same `raw`").format(
                name=name, theirs=_unit(theirs), ours=_unit(settings)
            )
        )
    if theirs.tokenizer != settings.tokenizer:
        raise ValueError(
            _(
                "`from_` {name}: the model has the tokenizer {tokenizer}, this run {ours}; use"
                " `tokenizer` {tokenizer}, or another model"
            ).format(name=name, tokenizer=theirs.tokenizer, ours=settings.tokenizer)
        )


def _unit(settings: TextSettings) -> str:
    return _("one stream of characters") if settings.raw else _("posts")


def usable_tokens(base: Vocabulary, counts: Mapping[str, int]) -> list[str]:
    """Return the letters and digits of a base vocabulary that a text does not contain, in the writing systems it uses.

    With them the model knows a kanji that occurs only in the validation set or in a prefix, and never writes in a
    script that the text does not use. Words, symbols and emoji are not among them.
    """
    used = {script(character) for token in counts for character in token} - {""}
    return [token for token in base.tokens[base.num_specials :] if token not in counts and script(token) in used]


def transfer(base: Model, vocabulary: Vocabulary) -> Transfer:
    """Return the weights of `base` for another vocabulary with the same special tokens.

    A token that the base does not know gets the mean of all tokens.
    """
    old = base.vocabulary
    ids = [id if id < old.num_specials else old.id(token) for id, token in enumerate(vocabulary.tokens)]
    known = np.array([id is not None for id in ids])
    sources = np.array([-1 if id is None else id for id in ids])
    arrays = dict(base.arrays)
    for name in (*base.config.embedding_names, "Why", "by"):
        axis = 1 if name == "Why" else 0  # that of the tokens
        arrays[name] = np.take(base.arrays[name], sources, axis)
        np.moveaxis(arrays[name], axis, 0)[~known] = base.arrays[name].mean(axis)
    return Transfer(arrays, int(known.sum()), int((~known).sum()))
