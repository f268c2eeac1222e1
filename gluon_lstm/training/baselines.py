"""What prediction costs without a network: so that a loss means something."""

from __future__ import annotations

import math

import numpy as np

from gluon_lstm.text.corpus import BLOCK, Corpus, counts_of

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def baselines(corpus: Corpus) -> dict[str, float]:
    """Nats a token on the held-back part: `uniform`, `unigram` (add one), `bigram`.

    The bigram falls back on the unigram, p(b|a) = (n(ab) + s p(b)) / (n(a) + s) (MacKay & Peto 1995, "A hierarchical
    Dirichlet language model", equation 15), with the strength s that suits the held-back part best: a baseline is
    given every advantage. Both parts are counted in blocks, and of pairs only those that occur in the held-back part,
    so that memory does not grow with the text.
    """
    train, held, V = corpus.train, corpus.held_back, len(corpus.codec.vocabulary)
    counts, held_counts = corpus.counts, counts_of(held, V)
    p = (counts + 1) / (counts.sum() + V)

    first = corpus.codec.end_of_post
    wanted, times = _pairs(held, int(train[-1] if first is None else first), V)
    found = np.zeros(len(wanted), dtype=np.int64)
    for at in range(0, max(len(train) - 1, 0), BLOCK):
        block = np.asarray(train[at : at + BLOCK + 1], dtype=np.int64)
        pairs = block[:-1] * V + block[1:]
        place = np.minimum(np.searchsorted(wanted, pairs), len(wanted) - 1)
        found += np.bincount(place[wanted[place] == pairs], minlength=len(wanted))
    a, b = wanted // V, wanted % V
    bigram = min(-float(times @ np.log((found + s * p[b]) / (counts[a] + s))) for s in STRENGTHS)
    unigram = -float(held_counts @ np.log(p))
    return {"uniform": math.log(V), "unigram": unigram / len(held), "bigram": bigram / len(held)}


def _pairs(held: np.ndarray, before: int, V: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs (a, b) of neighbours as a * V + b, each once and in order, and how often each occurs.

    `before` is the token in front of the first.
    """
    wanted = times = np.empty(0, dtype=np.int64)
    for at in range(0, len(held), BLOCK):
        block = np.concatenate(([before], held[at : at + BLOCK])).astype(np.int64)
        before = int(block[-1])
        wanted, place = np.unique(np.concatenate((wanted, block[:-1] * V + block[1:])), return_inverse=True)
        weights = np.concatenate((times, np.ones(len(block) - 1, dtype=np.int64)))
        times = np.bincount(place.reshape(-1), weights, len(wanted)).astype(np.int64)
    return wanted, times
