"""Tokenizer `janome-chars`: grapheme clusters, with a boundary token between the words of Janome."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gluon_lstm.text.graphemes import graphemes
from gluon_lstm.text.tokenizers.janome import JanomeTokenizer

# No text has this token: all other tokens are single graphemes, and "<" and "w" are never one grapheme. Text that
# contains <word> becomes the six tokens < w o r d >.
BOUNDARY = "<word>"


class JanomeCharsTokenizer(JanomeTokenizer):
    """One token for each grapheme cluster, and BOUNDARY between adjacent words.

    There is no BOUNDARY next to white space (newlines included), nor at the start or end of a text. Without BOUNDARY
    the tokens are those of `char`.
    """

    name = "janome-chars"
    boundary = BOUNDARY
    default_min_count = 1
    has_words = False

    def tokenize(self, text: str) -> list[str]:
        tokens: list[str] = []
        after_space = True
        for word in super().tokenize(text):
            is_space = word.isspace()
            if not (after_space or is_space):
                tokens.append(BOUNDARY)
            tokens += graphemes(word)
            after_space = is_space
        return tokens

    def detokenize(self, tokens: Iterable[str]) -> str:
        return "".join(token for token in tokens if token != BOUNDARY)

    def split_unknown(self, token: str) -> list[str]:
        return [] if token == BOUNDARY else super().split_unknown(token)

    def prefix_alternatives(self, tokens: Sequence[str], limit: int) -> Iterator[tuple[list[str], str]]:
        """Yield the tokens without the boundaries from some boundary on: the last words may be parts of one word."""
        boundaries = [place for place, token in enumerate(tokens) if token == BOUNDARY]
        for last in reversed(boundaries[-limit:]):
            yield [*tokens[:last], *(token for token in tokens[last:] if token != BOUNDARY)], ""
