"""Co-occurrence of words in posts: the pairs with the highest Jaccard index."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gluon_lstm.report.words import WordTable

MAX_NODES = 60  # words considered: those in the most posts
MAX_EDGES = 60  # pairs returned
MAX_DEGREE = 4  # pairs per word
MIN_POSTS = 2  # posts that contain both words of a pair


class Pair(NamedTuple):
    """Two words that occur in the same posts."""

    one: str
    other: str
    posts: int  # posts that contain both
    jaccard: float  # posts that contain both / posts that contain at least one


def strongest_pairs(
    table: WordTable, nodes: int = MAX_NODES, edges: int = MAX_EDGES, degree: int = MAX_DEGREE
) -> list[Pair]:
    """Return at most `edges` pairs of the `nodes` words in the most posts, by descending Jaccard index.

    A word is in at most `degree` pairs, so that a few words that occur everywhere do not fill the list.
    """
    top = np.argsort(-table.posts, kind="stable")[:nodes]
    if not len(top):
        return []
    in_post = (table.X[:, top] > 0).astype(np.int64)  # (posts, nodes)
    shared = (in_post.T @ in_post).toarray()  # (nodes, nodes)
    in_posts = shared.diagonal()
    jaccard = shared / np.maximum(in_posts[:, None] + in_posts[None, :] - shared, 1)
    i, j = np.nonzero(np.triu(shared >= MIN_POSTS, k=1))
    order = np.argsort(-jaccard[i, j], kind="stable")
    word = [table.words[k] for k in top.tolist()]
    kept: list[Pair] = []
    degrees = np.zeros(len(top), dtype=int)
    for a, b in zip(i[order], j[order]):
        if len(kept) < edges and max(degrees[a], degrees[b]) < degree:
            degrees[[a, b]] += 1
            kept.append(Pair(word[a], word[b], int(shared[a, b]), float(jaccard[a, b])))
    return kept
