"""What prediction costs without a network: so that a loss means something."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gluon_lstm.text.corpus import Corpus, blocks_of, counts_of

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def baselines(corpus: Corpus) -> dict[str, float]:
    """Nats a token on the held-back part: `uniform`, `unigram` (add one), `bigram`.

    The bigram falls back on the unigram, p(b|a) = (n(ab) + s p(b)) / (n(a) + s) (MacKay & Peto 1995, "A hierarchical
    Dirichlet language model", equation 15), with the strength s that suits the held-back part best: a baseline is
    given every advantage. Both parts are counted in blocks, and of pairs only those that occur in the held-back part,
    so that memory does not grow with the text.
    """
    train, held, V = corpus.train, corpus.validation, len(corpus.codec.vocabulary)
    counts, held_counts = corpus.counts, counts_of(held, V)
    p = (counts + 1) / (counts.sum() + V)

    first = corpus.codec.end_of_post
    wanted = times = np.empty(0, dtype=np.int64)  # each pair of the held-back part once, in order, and how often
    for pairs in _pairs(held, int(train[-1] if first is None else first), V):
        wanted, place = np.unique(np.concatenate((wanted, pairs)), return_inverse=True)
        weights = np.concatenate((times, np.ones_like(pairs)))
        times = np.bincount(place.reshape(-1), weights, len(wanted)).astype(np.int64)
    found = np.zeros_like(wanted)
    for pairs in _pairs(train, None, V):
        place = np.minimum(np.searchsorted(wanted, pairs), len(wanted) - 1)
        found += np.bincount(place[wanted[place] == pairs], minlength=len(wanted))
    a, b = wanted // V, wanted % V
    bigram = min(-float(times @ np.log((found + s * p[b]) / (counts[a] + s))) for s in STRENGTHS)
    unigram = -float(held_counts @ np.log(p))
    return {"uniform": math.log(V), "unigram": unigram / len(held), "bigram": bigram / len(held)}


def _pairs(stream: np.ndarray, before: int | None, V: int) -> Iterator[np.ndarray]:
    """The pairs (a, b) of neighbours as a * V + b, in pieces; `before` is the token in front of the first, if any."""
    for piece in blocks_of(stream):
        ids = np.asarray(piece, dtype=np.int64)
        if before is not None:
            ids = np.concatenate(([before], ids))
        before = int(ids[-1])
        yield ids[:-1] * V + ids[1:]
