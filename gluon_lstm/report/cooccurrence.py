"""Which words are in the same posts: the strongest pairs, as few as can be read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gluon_lstm.report.words import Table

NODES, EDGES, DEGREE = 60, 60, 4  # the most frequent words that are looked at, pairs kept, and those of one word
LEAST_POSTS = 2  # that two words share


class Pair(NamedTuple):
    """Two words, the posts that have both, and the Jaccard index: those over the posts that have one of them."""

    one: str
    other: str
    posts: int
    jaccard: float


def pairs(table: Table, nodes: int = NODES, edges: int = EDGES, degree: int = DEGREE) -> list[Pair]:
    """The pairs of the words in most posts with the highest Jaccard index, highest first.

    No word is in more than `degree` of them: a few words that go with everything would hide all else.
    """
    top = np.argsort(-table.posts, kind="stable")[:nodes]
    if not len(top):
        return []
    in_post = (table.X[:, top] > 0).astype(np.int64)  # (posts, nodes)
    both = (in_post.T @ in_post).toarray()  # (nodes, nodes)
    alone = both.diagonal()
    index = both / np.maximum(alone[:, None] + alone[None, :] - both, 1)
    i, j = np.nonzero(np.triu(both >= LEAST_POSTS, k=1))
    order = np.argsort(-index[i, j], kind="stable")
    word = [table.words[k] for k in top.tolist()]
    kept: list[Pair] = []
    degrees = np.zeros(len(top), dtype=int)
    for a, b in zip(i[order], j[order]):
        if len(kept) < edges and max(degrees[a], degrees[b]) < degree:
            degrees[[a, b]] += 1
            kept.append(Pair(word[a], word[b], int(both[a, b]), float(index[a, b])))
    return kept
