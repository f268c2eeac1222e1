"""Tokenizer `codepoint`: one token is one Unicode code point, for raw text."""

from __future__ import annotations

from gluon_lstm.text.tokenizers.base import Tokenizer


class CodepointTokenizer(Tokenizer):
    """One token for each code point."""

    name = "codepoint"
    is_internal = True

    def tokenize(self, text: str) -> list[str]:
        return list(text)

    def split_unknown(self, token: str) -> list[str]:
        return []
