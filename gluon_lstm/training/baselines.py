"""Baseline cross-entropies of a corpus (uniform, unigram, bigram), to compare the loss of a model with."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gluon_lstm.sampling.scoring import Score
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.text.token_stream import blocks_of, counts_of

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # candidates for the strength s of the bigram's prior


def baselines(corpus: Corpus) -> dict[str, float]:
    """Return the nats per token of the validation set under `uniform`, `unigram` (add one) and `bigram`.

    The bigram is smoothed with the unigram, p(b|a) = (n(ab) + s p(b)) / (n(a) + s) (MacKay & Peto 1995, "A hierarchical
    Dirichlet language model", equation 15). The strength s is the best one for the validation set, which favours the
    baseline. Both sets are counted in blocks, and only the pairs of the validation set are kept, so memory does not
    grow with the text.
    """
    train, validation, V = corpus.train, corpus.validation, len(corpus.codec.vocabulary)
    counts, validation_counts = corpus.counts, counts_of(validation, V)
    p = (counts + 1) / (counts.sum() + V)

    first = corpus.codec.end_of_post
    pairs = multiplicity = np.empty(0, dtype=np.int64)  # sorted distinct pairs of the validation set, and their counts
    for block in _pairs(validation, int(train[-1] if first is None else first), V):
        pairs, index = np.unique(np.concatenate((pairs, block)), return_inverse=True)
        weights = np.concatenate((multiplicity, np.ones_like(block)))
        multiplicity = np.bincount(index.reshape(-1), weights, len(pairs)).astype(np.int64)
    train_counts = np.zeros_like(pairs)
    for block in _pairs(train, None, V):
        index = np.minimum(np.searchsorted(pairs, block), len(pairs) - 1)
        train_counts += np.bincount(index[pairs[index] == block], minlength=len(pairs))
    a, b = pairs // V, pairs % V
    bigram = min(-float(multiplicity @ np.log((train_counts + s * p[b]) / (counts[a] + s))) for s in STRENGTHS)
    unigram = -float(validation_counts @ np.log(p))
    return {"uniform": math.log(V), "unigram": unigram / len(validation), "bigram": bigram / len(validation)}


def bits_per_character(corpus: Corpus, loss: float) -> float:
    """Convert nats per token of the validation set to bits per character."""
    ids, unknown = corpus.validation, corpus.codec.vocabulary.unknown
    return Score(loss * len(ids), len(ids), int(np.sum(ids == unknown)), corpus.validation_chars).bpc


def _pairs(ids: np.ndarray, before: int | None, V: int) -> Iterator[np.ndarray]:
    """Yield pairs (a, b) of adjacent ids as a * V + b, block by block; `before` is the id before the first, if any."""
    for block in blocks_of(ids):
        block = np.asarray(block, dtype=np.int64)
        if before is not None:
            block = np.concatenate(([before], block))
        before = int(block[-1])
        yield block[:-1] * V + block[1:]
