"""Analyzer: words with part of speech and base form, for reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gluon_lstm.text.janome.atomic import OTHER, merge_split_graphemes, restore_lost_text, segments
from gluon_lstm.text.janome.lattice import Janome


class Word(NamedTuple):
    """Word with its part of speech from the dictionary (名詞,代名詞,一般,*), or one of ATOMIC_KINDS."""

    surface: str
    part_of_speech: str
    base_form: str


class Analyzer:
    """Words of a text: the tokens of `janome` with part of speech and base form.

    With `compound_nouns` adjacent nouns are one word (名詞,複合,*,*).

    >>> [word.base_form for word in Analyzer().words("楽しかったです(^^)")]
    ['楽しい', 'た', 'です', '(^^)']
    """

    def __init__(self, user_dictionary: Sequence[str] = (), compound_nouns: bool = False) -> None:
        self._janome = Janome(user_dictionary)
        self._compound_nouns = compound_nouns

    def words(self, text: str) -> list[Word]:
        """Return the words of a text; the concatenation of their surfaces is the text."""
        word_at: dict[int, Word] = {}  # by start
        surfaces: list[str] = []
        for start, end, kind in segments(text):
            if kind:
                word_at[start] = Word(text[start:end], kind, text[start:end])
                surfaces.append(text[start:end])
                continue
            found = [Word(*word) for word in self._janome.analyze(text[start:end])]
            if self._compound_nouns:
                found = _join_nouns(found)
            surfaces += restore_lost_text(text[start:end], [word.surface for word in found])
            for word in found:
                place = text.find(word.surface, start, end)
                if place >= 0:
                    word_at[place] = word
                    start = place + len(word.surface)
        words: list[Word] = []
        place = 0
        for surface in merge_split_graphemes(text, surfaces):
            at_place = word_at.get(place)
            words.append(at_place if at_place and at_place.surface == surface else Word(surface, OTHER, surface))
            place += len(surface)
        return words


def _join_nouns(words: list[Word]) -> list[Word]:
    """Join adjacent nouns, as Janome's CompoundNounFilter does."""
    joined: list[Word] = []
    for word in words:
        if joined and word.part_of_speech.startswith("名詞") and joined[-1].part_of_speech.startswith("名詞"):
            before = joined.pop()
            word = Word(before.surface + word.surface, "名詞,複合,*,*", before.base_form + word.base_form)
        joined.append(word)
    return joined
