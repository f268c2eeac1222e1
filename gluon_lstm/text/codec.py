"""Text <-> ids: the settings that turn a post into tokens, and the vocabulary that turns tokens into ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from gluon_lstm.options import check, option
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.tokenizers import BOUNDARY, TOKENIZERS, make_tokenizer
from gluon_lstm.text.user_dictionary import check_entries
from gluon_lstm.text.vocabulary import END_OF_POST, UNKNOWN, Vocabulary

UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"  # what <unk> looks like if somebody decodes it


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
        if self.raw and self.tokenizer != "char":
            raise ValueError(f"`tokenizer` {self.tokenizer}: raw text is a stream of characters; use char, or no `raw`")
        if self.user_dictionary and not self.tokenizer.startswith("janome"):
            raise ValueError("`user_dictionary` is for words: use it with `tokenizer` janome or janome-chars")
        check_entries(self.user_dictionary)

    @property
    def effective_tokenizer(self) -> str:
        """The tokenizer that is really used."""
        return "codepoint" if self.raw else self.tokenizer

    @property
    def specials(self) -> list[str]:
        """The special tokens, in the order of their ids."""
        if self.raw:
            return [UNKNOWN]
        return [UNKNOWN, END_OF_POST, *([BOUNDARY] if self.tokenizer == "janome-chars" else [])]

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        if not self.user_dictionary:  # as before there were any
            del values["user_dictionary"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextSettings:
        """The settings `to_json` wrote; KeyError, ValueError or TypeError when they are not."""
        entries = values.get("user_dictionary", []) if isinstance(values, dict) else None
        if not isinstance(entries, list):
            raise ValueError("the settings of a text are a JSON object, a user dictionary in it a list")
        read = {"cleaning": CleaningOptions(**values["cleaning"]), "user_dictionary": tuple(entries)}
        return cls(**{**values, **read})


def check_specials(settings: TextSettings, vocabulary: Vocabulary) -> None:
    """ValueError when the special tokens of a vocabulary are not those that the settings ask for."""
    specials = vocabulary.tokens[: vocabulary.num_specials]
    if specials != settings.specials:
        raise ValueError(f"the special tokens of this vocabulary are not {', '.join(settings.specials)}")


class Codec:
    """A tokenizer and a vocabulary: text to ids, and back."""

    def __init__(self, settings: TextSettings, vocabulary: Vocabulary) -> None:
        """ValueError as of `check_specials`."""
        check_specials(settings, vocabulary)
        self.settings = settings
        self.vocabulary = vocabulary
        self.tokenizer = make_tokenizer(settings.effective_tokenizer, settings.user_dictionary)
        self.end_of_post = vocabulary.special(END_OF_POST)  # None for a raw text
        self.boundary = vocabulary.special(BOUNDARY)  # None but for janome-chars

    def ids(self, token: str) -> list[int]:
        """The ids of one token, as many as it takes to spell it."""
        if self.boundary is not None and token == BOUNDARY:
            return [self.boundary]
        return self.vocabulary.ids(token, self.tokenizer.split_unknown)

    def encode(self, text: str) -> list[int]:
        """The ids of a cleaned text, without an end of post."""
        return [id for token in self.tokenizer.tokenize(text) for id in self.ids(token)]

    def decode_id(self, id: int) -> str:
        """What one id adds to a text: an end of post is a line end, a word boundary nothing."""
        if id >= self.vocabulary.num_specials:
            return self.vocabulary.tokens[id]
        return {self.vocabulary.unknown: UNKNOWN_TEXT, self.end_of_post: "\n"}.get(id, "")

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(map(self.decode_id, ids))
