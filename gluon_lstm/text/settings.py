"""Settings of text processing: those of a model, and those of a corpus. No NumPy: the command line declares them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gluon_lstm.language import _
from gluon_lstm.options import check, option
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.sources.reading import ReadingOptions
from gluon_lstm.text.tokenizers.registry import TOKENIZER_CLASSES, TOKENIZERS
from gluon_lstm.text.user_dictionary import check_entries
from gluon_lstm.text.vocabulary import END_OF_POST, UNKNOWN

DEFAULT_MAX_VOCAB = 50_000  # default of `max_vocab`; each token takes 2,048 logits, 8 kB, in an update


@dataclass(frozen=True)
class TextSettings:
    """Cleaning and tokenizer of a model, saved in its file: a prefix is processed like the posts.

    With `raw` there are no posts, but one stream of code points without cleaning. `user_dictionary` are the lines of
    Janome's user dictionary.
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
            raise ValueError(_("`raw` {raw!r}: use True or False").format(raw=self.raw))
        if self.raw and not TOKENIZER_CLASSES[self.tokenizer].raw_tokenizer:
            raise ValueError(
                _("`tokenizer` {tokenizer}: raw text is a stream of characters; use char, or no `raw`").format(
                    tokenizer=self.tokenizer
                )
            )
        if self.user_dictionary and not TOKENIZER_CLASSES[self.tokenizer].accepts_user_dictionary:
            raise ValueError(_("`user_dictionary` is for words: use it with `tokenizer` janome or janome-chars"))
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
        """Return the settings as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TextSettings:
        """Return the settings that `to_json` wrote. Raises KeyError, ValueError or TypeError for any other value.

        Files older than `phones` lack it: their posts kept telephone numbers.
        """
        entries = values.get("user_dictionary") if isinstance(values, dict) else None
        if not isinstance(entries, list):
            raise ValueError(_("the text settings are a JSON object, and `user_dictionary` in it a list"))
        read = {
            "cleaning": CleaningOptions(**{"phones": "keep", **values["cleaning"]}),
            "user_dictionary": tuple(entries),
        }
        return cls(**{**values, **read})


@dataclass(frozen=True)
class CorpusOptions:
    """Options of a corpus besides its text settings. `cache` None: no cache. `processes` None: one per core."""

    reading: ReadingOptions = field(default_factory=ReadingOptions)
    validation: float = 0.05
    min_count: int | None = option(
        None, "minimum count of a token (default: 2 for words, else 1)", "N", "data", minimum=1
    )
    max_vocab: int | None = option(
        None, f"maximum vocabulary size (default: {DEFAULT_MAX_VOCAB:,})", "V", "data", minimum=1
    )
    cache: Path | None = None
    processes: int | None = None

    def __post_init__(self) -> None:
        check(self)
        if not 0 <= self.validation < 1:
            raise ValueError(
                _("`validation` {validation}: use at least 0 and less than 1").format(validation=self.validation)
            )
