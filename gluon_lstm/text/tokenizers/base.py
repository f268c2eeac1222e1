"""Interface of a tokenizer, with everything the rest of the package asks about one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from gluon_lstm.text.graphemes import graphemes


class Tokenizer:
    """Base class: text to tokens, and back to exactly the same text.

    For every tokenizer and every string, lone surrogates included:

        tokenizer.detokenize(tokenizer.tokenize(text)) == text
        a newline is a token of its own
        no token begins or ends inside a grapheme cluster (`codepoint` excepted)

    Text is not normalized here; that is part of cleaning.
    """

    name: ClassVar[str]
    boundary: ClassVar[str | None] = None  # special token between words, without text of its own
    default_min_count: ClassVar[int] = 1
    has_words: ClassVar[bool] = False  # tokens are words; the vocabulary then keeps all their characters too
    is_slow: ClassVar[bool] = False  # pure Python: worth worker processes
    accepts_user_dictionary: ClassVar[bool] = False
    raw_tokenizer: ClassVar[str | None] = None  # name of the tokenizer for raw text; None: raw text is refused
    is_internal: ClassVar[bool] = False  # not a choice of `TextSettings.tokenizer`

    def __init__(self, user_dictionary: Sequence[str] = ()) -> None:
        """`user_dictionary` has the entries of additional words, for tokenizers that accept them."""

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text."""
        raise NotImplementedError

    def detokenize(self, tokens: Iterable[str]) -> str:
        """Return the text of tokens."""
        return "".join(tokens)

    def split_unknown(self, token: str) -> list[str]:
        """Split a token that is not in the vocabulary: a word into graphemes, a grapheme into code points.

        Return [] for a single code point.
        """
        if len(token) <= 1:
            return []
        parts = graphemes(token)
        return parts if len(parts) > 1 else list(token)

    def prefix_alternatives(self, tokens: Sequence[str], limit: int) -> Iterator[tuple[list[str], str]]:
        """Yield at most `limit` other tokenizations of a prefix whose last word may be incomplete.

        Each is a pair of tokens and a partial word: text with which the next token has to begin. Partial words become
        longer from one pair to the next.
        """
        return iter(())
