"""What a reader sees as one character: extended grapheme clusters (Unicode Standard Annex 29)."""

from __future__ import annotations

import re

import regex

# \X keeps \r\n together; a newline must stay a token of its own. At each letter of a flag \X counts all before it: in a
# long row of them that takes the square of its length, so they are paired here.
FLAG = r"\p{RI}{1,2}+[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+"
_find_graphemes = regex.compile(rf"\r|{FLAG}|\X").findall

# Characters that never join a neighbour: their text is one cluster per code point, and list() is twice as fast as \X.
# Left out on purpose: the kana voicing marks U+3099, U+309A and the half-width ﾞ ﾟ, which join the kana before them.
is_plain = re.compile(r"[\n -~、-〩〱-〼〾〿ぁ-ゖ゛-ヿ一-鿿！-ﾝ‐-‧]*").fullmatch


def graphemes(text: str) -> list[str]:
    """The extended grapheme clusters of a text, \\r and \\n always apart."""
    return list(text) if is_plain(text) else _find_graphemes(text)
