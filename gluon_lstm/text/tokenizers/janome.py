"""Tokenizer `janome`: one token is one word of Janome and its dictionary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gluon_lstm.text.graphemes import is_plain
from gluon_lstm.text.janome.atomic import merge_split_graphemes, restore_lost_text, segments
from gluon_lstm.text.janome.lattice import Janome
from gluon_lstm.text.tokenizers.base import Tokenizer


class JanomeTokenizer(Tokenizer):
    """One token for each word, newline, other white space, URL, mention, hashtag, emoji and kaomoji."""

    name = "janome"
    default_min_count = 2
    has_words = True
    is_slow = True
    accepts_user_dictionary = True

    def __init__(self, user_dictionary: Sequence[str] = ()) -> None:
        self._janome = Janome(user_dictionary)

    def tokenize(self, text: str) -> list[str]:
        words: list[str] = []
        for start, end, kind in segments(text):
            segment = text[start:end]
            words += [segment] if kind else self._dictionary_words(segment)
        return words if is_plain(text) else merge_split_graphemes(text, words)

    def prefix_alternatives(self, tokens: Sequence[str], limit: int) -> Iterator[tuple[list[str], str]]:
        """Yield the tokens before the last 1, 2, … words, with these words as a partial word."""
        for k in reversed(range(len(tokens))[-limit:]):
            yield list(tokens[:k]), "".join(tokens[k:])

    def _dictionary_words(self, segment: str) -> list[str]:
        words = self._janome.tokenize(segment)
        return words if "".join(words) == segment else restore_lost_text(segment, words)
