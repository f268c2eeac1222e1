"""Codec: text <-> ids by a tokenizer and a vocabulary, and the text settings of a model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from gluon_lstm.options import check, option
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.tokenizers.registry import TOKENIZER_CLASSES, TOKENIZERS, make_tokenizer
from gluon_lstm.text.user_dictionary import check_entries
from gluon_lstm.text.vocabulary import END_OF_POST, UNKNOWN, Vocabulary

UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"  # decoded text of <unk>


@dataclass(frozen=True)
class TextSettings:
    """How text becomes tokens. Travels inside the model file, so that a prefix is treated as the posts were.

    With `raw` there are no posts: one stream of code points, nothing cleaned. `user_dictionary` holds the entries that
    Janome knows besides its own, line by line.
    """

    tokenizer: str = option(
        "char", "characters, words, or characters with word boundaries", group="data", choices=tuple(TOKENIZERS)
    )
    raw: bool = False
    cleaning: CleaningOptions = field(default_factory=CleaningOptions)
    user_dictionary: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        if not isinstance(self.raw, bool):
            raise ValueError(f"`raw` {self.raw!r}: use True or False")
        if self.raw and not TOKENIZER_CLASSES[self.tokenizer].raw_tokenizer:
            raise ValueError(f"`tokenizer` {self.tokenizer}: raw text is a stream of characters; use char, or no `raw`")
        if self.user_dictionary and not TOKENIZER_CLASSES[self.tokenizer].accepts_user_dictionary:
            raise ValueError("`user_dictionary` is for words: use it with `tokenizer` janome or janome-chars")
        check_entries(self.user_dictionary)

    @property
    def effective_tokenizer(self) -> str:
        """Name of the tokenizer used: for raw text that of `raw_tokenizer`, else `tokenizer`."""
        return (TOKENIZER_CLASSES[self.tokenizer].raw_tokenizer if self.raw else None) or self.tokenizer

    @property
    def special_tokens(self) -> list[str]:
        """Special tokens in the order of their ids."""
        if self.raw:
            return [UNKNOWN]
        boundary = TOKENIZER_CLASSES[self.tokenizer].boundary
        return [UNKNOWN, END_OF_POST, *([boundary] if boundary else [])]

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if not self.user_dictionary:  # as before there were any
            del values["user_dictionary"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextSettings:
        """Return the settings that `to_json` wrote. Raises KeyError, ValueError or TypeError for any other value."""
        entries = values.get("user_dictionary", []) if isinstance(values, dict) else None
        if not isinstance(entries, list):
            raise ValueError("the text settings are a JSON object, and `user_dictionary` in it a list")
        read = {"cleaning": CleaningOptions(**values["cleaning"]), "user_dictionary": tuple(entries)}
        return cls(**{**values, **read})


def check_specials(settings: TextSettings, vocabulary: Vocabulary) -> None:
    """Raise ValueError unless the special tokens of the vocabulary are those of the settings."""
    special_tokens = vocabulary.tokens[: vocabulary.num_specials]
    if special_tokens != settings.special_tokens:
        raise ValueError(f"the special tokens of the vocabulary are not {', '.join(settings.special_tokens)}")


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
