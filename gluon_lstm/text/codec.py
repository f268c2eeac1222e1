"""Codec: text <-> ids by a tokenizer and a vocabulary."""

from __future__ import annotations

from collections.abc import Iterable

from gluon_lstm.language import _
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.vocabulary import END_OF_POST, Vocabulary

UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"  # decoded text of <unk>


def check_specials(settings: TextSettings, vocabulary: Vocabulary) -> None:
    """Raise ValueError unless the special tokens of the vocabulary are those of the settings."""
    special_tokens = vocabulary.tokens[: vocabulary.num_specials]
    if special_tokens != settings.special_tokens:
        raise ValueError(
            _("the special tokens of the vocabulary are not {special_tokens}").format(
                special_tokens=", ".join(settings.special_tokens)
            )
        )


class Codec:
    """Tokenizer and vocabulary: text to ids, and back."""

    def __init__(self, settings: TextSettings, vocabulary: Vocabulary) -> None:
        """Raises ValueError as `check_specials` does."""
        check_specials(settings, vocabulary)
        self.settings = settings
        self.vocabulary = vocabulary
        self.tokenizer = make_tokenizer(settings.effective_tokenizer, settings.user_dictionary)
        self.end_of_post = vocabulary.special_id(END_OF_POST)  # None for raw text
        boundary = self.tokenizer.boundary
        self.boundary = vocabulary.special_id(boundary) if boundary else None  # id of the token between words

    def ids(self, token: str) -> list[int]:
        """Return the ids of one token; an unknown token is split into several."""
        if self.boundary is not None and token == self.tokenizer.boundary:
            return [self.boundary]
        return self.vocabulary.ids(token, self.tokenizer.split_unknown)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a cleaned text, without an end of post."""
        return [id for token in self.tokenizer.tokenize(text) for id in self.ids(token)]

    def decode_id(self, id: int) -> str:
        """Return the text of one id: a newline for an end of post, "" for a word boundary."""
        if id >= self.vocabulary.num_specials:
            return self.vocabulary.tokens[id]
        return {self.vocabulary.unknown: UNKNOWN_TEXT, self.end_of_post: "\n"}.get(id, "")

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(map(self.decode_id, ids))
