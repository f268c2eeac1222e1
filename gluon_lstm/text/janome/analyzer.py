"""Analyzer: words with part of speech and base form, for reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gluon_lstm.text.janome.atomic import OTHER, merge_split_graphemes, restore_lost_text, segments
from gluon_lstm.text.janome.lookup import make_janome


class Word(NamedTuple):
    """Word with its part of speech from the dictionary (名詞,代名詞,一般,*), or one of ATOMIC_KINDS."""

    surface: str
    part_of_speech: str
    base_form: str


class Analyzer:
    """Words of a text: the tokens of `janome` with part of speech and base form.

    With `compound_nouns` adjacent nouns are one word (名詞,複合,*,*), joined by Janome's CompoundNounFilter.

    >>> [word.base_form for word in Analyzer().words("楽しかったです(^^)")]
    ['楽しい', 'た', 'です', '(^^)']
    """

    def __init__(self, user_dictionary: Sequence[str] = (), compound_nouns: bool = False) -> None:
        from janome.tokenfilter import CompoundNounFilter

        self._janome = make_janome(user_dictionary, wakati=False)
        self._join_nouns = CompoundNounFilter().apply if compound_nouns else iter

    def words(self, text: str) -> list[Word]:
        """Return the words of a text; the concatenation of their surfaces is the text."""
        word_at: dict[int, Word] = {}  # by start
        surfaces: list[str] = []
        for start, end, kind in segments(text):
            if kind:
                word_at[start] = Word(text[start:end], kind, text[start:end])
                surfaces.append(text[start:end])
                continue
            tokens = list(self._join_nouns(self._janome.tokenize(text[start:end])))
            surfaces += restore_lost_text(text[start:end], [token.surface for token in tokens])
            for token in tokens:
                place = text.find(token.surface, start, end)
                if place >= 0:
                    word_at[place] = Word(token.surface, token.part_of_speech, token.base_form)
                    start = place + len(token.surface)
        words: list[Word] = []
        place = 0
        for surface in merge_split_graphemes(text, surfaces):
            word = word_at.get(place)
            words.append(word if word and word.surface == surface else Word(surface, OTHER, surface))
            place += len(surface)
        return words
