"""Keyness: words distinctive of one corpus against another, by the log-likelihood ratio G2.

Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", Computational Linguistics 19 (1993); as
Rayson & Garside, "Comparing Corpora using Frequency Profiling" (2000), use it for two corpora: for a word that occurs
a times among c words of one and b times among d words of the other, E1 = c (a + b) / (c + d),
E2 = d (a + b) / (c + d) and

    G2 = 2 (a ln(a / E1) + b ln(b / E2))
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gluon_lstm.report.words import WordTable

CRITICAL_VALUE = 3.84  # of G2 at the 5 % level: chi-square with one degree of freedom


class Keyword(NamedTuple):
    """A distinctive word, its counts in both corpora, and its log-likelihood ratio."""

    word: str
    here: int
    there: int
    G2: float


def log_likelihood(a: np.ndarray, b: np.ndarray, c: int, d: int) -> np.ndarray:
    """Return G2 (words,) float64 of counts a, b (words,) among c and d words; 0 for equal relative frequencies."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    both = np.maximum(a + b, 1)
    return 2 * (_term(a, c * both / (c + d)) + _term(b, d * both / (c + d)))


def _term(observed: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return observed ln(observed / expected), 0 where nothing is observed."""
    return observed * np.log(np.where(observed > 0, observed, expected) / expected)


def keywords(here: WordTable, there: WordTable, limit: int) -> tuple[list[Keyword], list[Keyword]]:
    """Return the words significantly more frequent in `here`, and those in `there`: each at most `limit`, by G2."""
    index = {word: k for k, word in enumerate(dict.fromkeys([*here.words, *there.words]))}
    counts = np.zeros((2, len(index)), np.int64)
    for row, table in zip(counts, (here, there)):
        row[[index[word] for word in table.words]] = table.counts
    a, b = counts
    c, d = int(a.sum()), int(b.sum())
    if not c or not d:
        return [], []
    G2, words = log_likelihood(a, b, c, d), list(index)
    significant = [k for k in np.argsort(-G2, kind="stable").tolist() if G2[k] >= CRITICAL_VALUE]
    found = [(a[k] * d > b[k] * c, Keyword(words[k], int(a[k]), int(b[k]), float(G2[k]))) for k in significant]
    return [row for more, row in found if more][:limit], [row for more, row in found if not more][:limit]
