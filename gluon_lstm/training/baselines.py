"""What prediction costs without a network: so that a loss means something."""

from __future__ import annotations

import math

import numpy as np

from gluon_lstm.text.corpus import BLOCK, Corpus

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


def baselines(corpus: Corpus) -> dict[str, float]:
    """Nats a token on the held-back part: `uniform`, `unigram` (add one), `bigram`.

    The bigram falls back on the unigram, p(b|a) = (n(ab) + s p(b)) / (n(a) + s) (MacKay & Peto 1995, "A hierarchical
    Dirichlet language model", equation 15), with the strength s that suits the held-back part best: a baseline is
    given every advantage. Only pairs that occur in the held-back part are counted, in blocks, so that memory does not
    grow with the training part.
    """
    train, held, V = corpus.train, np.asarray(corpus.held_back), len(corpus.codec.vocabulary)
    counts = corpus.counts
    p = (counts + 1) / (counts.sum() + V)

    first = corpus.codec.end_of_post
    before = np.concatenate(([train[-1] if first is None else first], held[:-1])).astype(np.int64)
    wanted, where = np.unique(before * V + held, return_inverse=True)
    found = np.zeros(len(wanted), dtype=np.int64)
    for at in range(0, max(len(train) - 1, 0), BLOCK):
        block = np.asarray(train[at : at + BLOCK + 1], dtype=np.int64)
        pairs = block[:-1] * V + block[1:]
        place = np.minimum(np.searchsorted(wanted, pairs), len(wanted) - 1)
        found += np.bincount(place[wanted[place] == pairs], minlength=len(wanted))
    pair_counts = found[where.reshape(-1)]
    bigram = min(
        -float(np.mean(np.log((pair_counts + s * p[held]) / (counts[before] + s)))) for s in STRENGTHS
    )
    return {"uniform": math.log(V), "unigram": -float(np.mean(np.log(p[held]))), "bigram": bigram}

