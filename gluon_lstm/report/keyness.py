"""Which words are distinctive of some posts, beside others: the log-likelihood ratio.

Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", Computational Linguistics 19 (1993); as
Rayson & Garside, "Comparing Corpora using Frequency Profiling" (2000), use it for two corpora: with a word a times
among c words here and b times among d there, E1 = c (a + b) / (c + d), E2 = d (a + b) / (c + d) and

    G2 = 2 (a ln(a / E1) + b ln(b / E2))
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gluon_lstm.report.words import Table

CRITICAL = 3.84  # 5 % of chi-square with one degree of freedom; less is chance


class Keyword(NamedTuple):
    """A word with its counts here and there, and its log-likelihood ratio."""

    word: str
    here: int
    there: int
    G2: float


def log_likelihood(a: np.ndarray, b: np.ndarray, c: int, d: int) -> np.ndarray:
    """G2 of each word, (words,) float64; 0 where a word is as frequent here as there."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    both = np.maximum(a + b, 1)
    return 2 * (_term(a, c * both / (c + d)) + _term(b, d * both / (c + d)))


def _term(seen: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return seen * np.log(np.where(seen > 0, seen, expected) / expected)


def keywords(here: Table, there: Table, most: int) -> tuple[list[Keyword], list[Keyword]]:
    """The words that are most surely more frequent here, and those that are so there; the surest first."""
    place = {word: k for k, word in enumerate(dict.fromkeys([*here.words, *there.words]))}
    counts = np.zeros((2, len(place)), np.int64)
    for row, table in zip(counts, (here, there)):
        row[[place[word] for word in table.words]] = table.counts
    a, b = counts
    c, d = int(a.sum()), int(b.sum())
    if not c or not d:
        return [], []
    G2, words = log_likelihood(a, b, c, d), list(place)
    surest = [k for k in np.argsort(-G2, kind="stable").tolist() if G2[k] >= CRITICAL]
    found = [(a[k] * d > b[k] * c, Keyword(words[k], int(a[k]), int(b[k]), float(G2[k]))) for k in surest]
    return [row for more, row in found if more][:most], [row for more, row in found if not more][:most]
