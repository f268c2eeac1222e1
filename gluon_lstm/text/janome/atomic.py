"""Atomic tokens: text that Janome would lose or split, such as URLs, emoji and kaomoji."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate

import regex

from gluon_lstm.text.graphemes import FLAG, graphemes

# A kaomoji is a pair of parentheses around characters used in faces, at least one of which is rare in other text.
# So (笑), (1), (...) and (株) are tokenized by Janome, and so are some rarer faces.
_FACE_MARK = r"\^＾´｀`ωдДΔ∀▽△∇◇≧≦￣ﾟ゜_＿;；♡"
_FACE_PART = (
    rf"{_FACE_MARK} 　'\"・･。°.,*＊+\-−ー=＝~～〜<>＜＞|｜:：!！?？#＃"
    r"oOｏＯοσ0○〇●◎◉□口ロﾛεzзЗ3３θ∂TＴQvVｖxXｘ×ｪェﾍヘへノﾉ益皿"
)
_FACE = rf"[(（](?=[^()（）\n]{{0,11}}[{_FACE_MARK}])[{_FACE_PART}]{{2,12}}[)）]"
_KAOMOJI = (
    rf"(?<![A-Za-z])(?P<hand>[moｍｏ])[ヽ]?{_FACE}(?P=hand)(?![A-Za-z])"  # m(_ _)m
    rf"|[ヽヾ＼\\Σ⊂┐┌]?{_FACE}(?:[ﾉ／/ゞ┘┐]|ノ(?![ァ-ヶー]))?"  # ヽ(´ー｀)ノ
)

# Kinds of atomic tokens, used as their part of speech. The text between them is tokenized by Janome.
ATOMIC_KINDS = ("空白", "その他", "URL", "メンション", "絵文字", "ハッシュタグ", "顔文字")
_, OTHER, _, MENTION, EMOJI, HASHTAG, KAOMOJI = ATOMIC_KINDS
_ATOMIC_PATTERNS = (
    r"\n|[^\S\n]+|[\x1c-\x1f]+",  # Janome uses str.strip, which also strips the four separators
    r"[\ud800-\udfff]",  # Janome encodes text, and lone surrogates cannot be encoded
    r"(?i:https?)://[!-~]+(?<![].,:;!?'\"()<>{}[])",
    r"(?<![0-9A-Za-z_.])[@＠][0-9A-Za-z_]+",
    rf"{FLAG}|(?=\p{{Extended_Pictographic}}|[0-9#*]\ufe0f?\u20e3)\X",
    r"(?<![\w&])[#＃]\ufe0f?(?=\w*[^\W\d_])[\w・]+",
    _KAOMOJI,
)
_NEVER_FIRST = "ぁ-ゖァ-ヶー一-鿿、。「」"  # rejected at once, which takes a quarter of the time of trying each pattern
_ATOMIC = regex.compile(
    f"(?![{_NEVER_FIRST}])(?:"
    + "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in zip(ATOMIC_KINDS, _ATOMIC_PATTERNS))
    + ")"
)


def segments(text: str) -> Iterator[tuple[int, int, str | None]]:
    """Yield (start, end, kind) of the segments of a text; `kind` is one of ATOMIC_KINDS, or None for Janome."""
    done = 0
    for match in _ATOMIC.finditer(text):
        start, end = match.span()
        if start > done:
            yield done, start, None
        yield start, end, match.lastgroup
        done = end
    if done < len(text):
        yield done, len(text), None


def restore_lost_text(segment: str, words: Iterable[str]) -> list[str]:
    """Return the words found in the segment, in order, and the text between them as further tokens."""
    complete: list[str] = []
    done = 0
    for word in words:
        start = segment.find(word, done)
        if start < 0:
            continue  # not in the text, which is restored instead
        if start > done:
            complete.append(segment[done:start])
        complete.append(word)
        done = start + len(word)
    if done < len(segment):
        complete.append(segment[done:])
    return complete


def merge_split_graphemes(text: str, words: Iterable[str]) -> list[str]:
    """Merge words whose boundary is inside a grapheme cluster: か + U+3099, a letter and its accent, ｶ + ﾞ."""
    ends = accumulate(map(len, graphemes(text)))
    merged: list[str] = []
    pending, position, end = "", 0, 0  # `end`: the first end of a cluster at or after `position`
    for word in words:
        position += len(word)
        pending += word
        while end < position:
            end = next(ends)
        if end == position:
            merged.append(pending)
            pending = ""
    return merged
