"""Features of a text that a person can name, and their correlation with the values of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gluon_lstm.text.scripts import KANA, script

if TYPE_CHECKING:
    from gluon_lstm.text.janome.analyzer import Word

OPENING, CLOSING = "「『", "」』"
PARTICLE = "助詞"  # part of speech of particles in Janome's dictionary


def character_features(text: str, ends: np.ndarray) -> dict[str, np.ndarray]:
    """Return name -> value of a feature at each character of a text (M,); `ends` (M,): True for an end of post.

    distance: characters since the last end of post. quote: 1 inside 「」 or 『』, from the opening bracket to the last
    character before the closing one. kana, kanji, ascii: 1 for such a character. hashtag: 1 inside a hashtag. particle:
    1 for the last character of a particle.
    """
    from gluon_lstm.text.janome.analyzer import Analyzer

    places = np.arange(len(text))
    scripts = np.array([script(character) for character in text])
    hashtag, particle, quote = np.zeros((3, len(text)))
    starts = np.concatenate([[0], np.flatnonzero(ends) + 1, [len(text)]])
    analyzer = Analyzer()
    for start, end in zip(starts, starts[1:]):
        hashtag[start:end], particle[start:end] = _word_features(analyzer.words(text[start:end]))
        quote[start:end] = _inside_quotes(text[start:end])
    return {
        "distance": (places - np.maximum.accumulate(np.where(ends, places, -1))).astype(float),
        "quote": quote,
        "kana": np.isin(scripts, list(KANA)).astype(float),
        "kanji": (scripts == "CJK").astype(float),
        "ascii": np.array([float("!" <= character <= "~") for character in text]),
        "hashtag": hashtag,
        "particle": particle,
    }


def _word_features(words: Sequence[Word]) -> tuple[np.ndarray, np.ndarray]:
    """Return `hashtag` and `particle` of the characters of a post."""
    from gluon_lstm.text.janome.atomic import HASHTAG

    hashtag, particle = np.zeros((2, sum(len(word.surface) for word in words)))
    end = 0
    for word in words:
        start, end = end, end + len(word.surface)
        if word.part_of_speech == HASHTAG:
            hashtag[start:end] = 1
        elif word.part_of_speech.startswith(PARTICLE):
            particle[end - 1] = 1
    return hashtag, particle


def _inside_quotes(post: str) -> np.ndarray:
    """Return `quote` of the characters of a post."""
    inside, depth = np.zeros(len(post)), 0
    for place, character in enumerate(post):
        depth = max(depth + (character in OPENING) - (character in CLOSING), 0)
        inside[place] = depth > 0
    return inside


def correlations(features: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return Pearson's r (F, H) of features (F, T) and values (T, H); 0 where one of them is constant."""
    a = features - features.mean(axis=1, keepdims=True)
    b = values - values.mean(axis=0)
    norms = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=0)
    return np.divide(a @ b, norms, out=np.zeros(norms.shape), where=norms > 1e-12)
