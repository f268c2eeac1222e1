"""The posts that say best what all of them say: LexRank.

Erkan & Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", JAIR 22 (2004), in its
continuous form (section 3.3): posts are nodes, cosines of their TF-IDF vectors the weights of the edges, and the rank
p of a post is that of a random walk,

    p(u) = d / N + (1 - d) sum over v of  cos(u, v) / (sum over z of cos(z, v))  p(v)

The cosines are V V' with a row of unit length in V for each post. The walk needs products with that matrix alone,
which are V (V' x): neither a dense nor a sparse matrix of posts by posts is ever made, and no threshold is to choose.
"""

from __future__ import annotations

from typing import Any

import numpy as np

JUMP = 0.15  # d: how often the walk goes on anywhere
PRECISION = 1e-9  # the ranks, which add up to 1, are settled when they change by less in all
ALIKE = 0.5  # cosine from which of two posts one is enough
TELLING = 3  # different words that a post of a summary has, where there are such


def tf_idf(X: Any) -> Any:
    """Counts (posts, words) as TF-IDF rows of length 1, (posts, words) CSR; a post without words stays 0."""
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(sublinear_tf=True).fit_transform(X) if min(X.shape) else X.astype(np.float64)


def lexrank(V: Any) -> np.ndarray:
    """The rank of each post, (posts,) float64; they add up to 1. `V` has rows of length 1, or 0."""
    N = V.shape[0]
    if not N:
        return np.zeros(0)
    degree = V @ (V.T @ np.ones(N))
    degree[degree == 0] = 1  # a post without words: nothing leads there but the jump
    empty = np.diff(V.indptr) == 0
    p = np.full(N, 1 / N)
    while True:
        # what stands at a post without words goes on anywhere
        after = JUMP / N + (1 - JUMP) * (V @ (V.T @ (p / degree)) + p[empty].sum() / N)
        if np.abs(after - p).sum() < PRECISION:
            return after
        p = after


def summarize(X: Any, lengths: np.ndarray, most: int | None, characters: int | None = None) -> list[int]:
    """The posts of a summary, in their original order.

    The highest ranks first, none nearly like one before; at most `most` posts, and of at most `characters` code points
    in all (a post that no longer fits is passed over). `lengths` (posts,) are the code points of the posts.
    """
    V = tf_idf(X)
    rank = lexrank(V)
    words = np.diff(X.indptr)
    least = TELLING if (words >= TELLING).any() else 1
    free = words >= least
    chosen: list[int] = []
    left = characters
    for post in np.argsort(-rank, kind="stable").tolist():
        if most is not None and len(chosen) == most:
            break
        if not free[post] or (left is not None and lengths[post] > left):
            continue
        chosen.append(post)
        left = None if left is None else left - int(lengths[post])
        free &= np.asarray((V @ V[post].T).todense()).ravel() < ALIKE
    return sorted(chosen)
