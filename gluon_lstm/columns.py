"""Columns of a terminal: text is as wide as it is shown, and a full-width character takes two columns.

>>> rjust("文字", 6) + "|"
'  文字|'
>>> wrap("温度は 0 以上です。", 8)
['温度は 0', '以上で', 'す。']
"""

from __future__ import annotations

import re

# parts of a line that are not divided: a word with its spaces before, or a full-width character with what cannot begin
# a line after it and what cannot end one before it
_PARTS = re.compile(r"\s*(?:[（「『【]*(?:[!-~]+|[^!-~\s])[、。，．：；・？！）」』】〜ー,;:ゃゅょっャュョッ…]*)")
# full-width Japanese
_WIDE = re.compile("[\u3000-\u3029\u3030-\u303e\u3041-\u3096\u309b-\u30ff\u4e00-\u9fff\uff01-\uff60]")
_PLAIN = re.compile(f"(?:[ -~…]|{_WIDE.pattern})*")


def width(text: str) -> int:
    """Return the columns that a text takes."""
    if _PLAIN.fullmatch(text):
        return len(text) + len(_WIDE.findall(text))
    from wcwidth import wcswidth  # for combining characters, emoji …: its tables take time to load

    columns = wcswidth(text)
    return len(text) if columns < 0 else columns  # control characters


def ljust(text: str, columns: int) -> str:
    """Return a text with spaces after it, at least so wide."""
    return text + " " * (columns - width(text))


def rjust(text: str, columns: int) -> str:
    """Return a text with spaces before it, at least so wide."""
    return " " * (columns - width(text)) + text


def wrap(text: str, columns: int) -> list[str]:
    """Return a paragraph in lines of at most so many columns, a longer word apart."""
    lines = [""]
    for part in _PARTS.findall(" ".join(text.split())):
        if lines[-1] and width(lines[-1] + part) > columns:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    return lines
