"""Extended grapheme clusters: user-perceived characters (Unicode Standard Annex 29)."""

from __future__ import annotations

import re

import regex

# \X keeps \r\n together, but a newline must be a token of its own. At each regional indicator (letter of a flag) \X
# counts all indicators before it, which is quadratic for long runs; this pattern pairs them in linear time.
FLAG = r"\p{RI}{1,2}+[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*+"
_find_graphemes = regex.compile(rf"\r|{FLAG}|\X").findall

# Characters that never join a neighbour: in text of these alone each code point is one cluster, and list() is twice as
# fast as \X. Excluded are the kana voicing marks U+3099, U+309A and the half-width ﾞ ﾟ, which join the kana before them.
is_plain = re.compile(r"[\n -~、-〩〱-〼〾〿ぁ-ゖ゛-ヿ一-鿿！-ﾝ‐-‧]*").fullmatch


def graphemes(text: str) -> list[str]:
    """Return the extended grapheme clusters of a text, with \\r and \\n always separate."""
    return list(text) if is_plain(text) else _find_graphemes(text)
