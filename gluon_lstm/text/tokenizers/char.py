"""Tokenizer `char`: one token is one grapheme cluster (👨‍👩‍👧 is one)."""

from __future__ import annotations

from gluon_lstm.text.graphemes import graphemes
from gluon_lstm.text.tokenizers.base import Tokenizer


class CharTokenizer(Tokenizer):
    """One token for each grapheme cluster."""

    name = "char"
    raw_tokenizer = "codepoint"

    def tokenize(self, text: str) -> list[str]:
        return graphemes(text)
