"""Writing systems: which of them a text uses."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

KANA = {"HIRAGANA", "KATAKANA"}
MIN_JAPANESE = 0.5  # of the letters of a Japanese text, the fraction that is kana or kanji


def script(token: str) -> str:
    """Return the writing system of a one-character token: HIRAGANA, CJK, LATIN, DIGIT ...; "" for any other token.

    It is the first word of the character's name in Unicode. Only letters and digits have one: a bracket or an emoji
    belongs to no writing system.

    >>> [script(token) for token in ("あ", "ー", "漢", "々", "a", "７", "。", "🙂", "です")]
    ['HIRAGANA', 'KATAKANA', 'CJK', 'CJK', 'LATIN', 'FULLWIDTH', '', '', '']
    """
    if len(token) != 1 or not token.isalnum():
        return ""
    first = unicodedata.name(token, "").replace("-", " ").partition(" ")[0]
    return "CJK" if first == "IDEOGRAPHIC" else first


def is_japanese(counts: Mapping[str, int]) -> bool:
    """Return whether text is Japanese, by its character counts: some letters are kana, and most are kana or kanji.

    >>> is_japanese({"今": 1, "日": 1, "は": 1, "w": 2}), is_japanese({"你": 1}), is_japanese({"a": 3, "あ": 1})
    (True, False, False)
    """
    letters: dict[str, int] = {}
    for token, count in counts.items():
        for character in token:
            name = script(character)
            letters[name] = letters.get(name, 0) + count * bool(name)
    kana = sum(letters.get(name, 0) for name in KANA)
    return kana > 0 and kana + letters.get("CJK", 0) >= MIN_JAPANESE * sum(letters.values())
