"""Extractive summary of posts by LexRank.

Erkan & Radev, "LexRank: Graph-based Lexical Centrality as Salience in Text Summarization", JAIR 22 (2004), in its
continuous form (section 3.3): posts are nodes, edges are weighted by the cosine of TF-IDF vectors, and the rank p of a
post is its probability in a random walk,

    p(u) = d / N + (1 - d) sum over v of  cos(u, v) / (sum over z of cos(z, v))  p(v)

The cosine matrix is V V' with a row of unit length in V for each post. Power iteration multiplies with it as V (V' x),
so the matrix of posts by posts is never built, and no threshold on the cosines is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DAMPING = 0.15  # d: probability of a jump to a random post
TOLERANCE = 1e-9  # power iteration ends when the L1 change of the ranks is smaller
MAX_SIMILARITY = 0.5  # cosine from which one of two posts is left out
MIN_WORDS = 3  # minimum of different words in a post of the summary, if any post has as many


def tf_idf(X: Any) -> Any:
    """Return TF-IDF rows of unit length, (posts, words) CSR, of counts X (posts, words); a post without words is 0."""
    from sklearn.feature_extraction.text import TfidfTransformer

    return TfidfTransformer(sublinear_tf=True).fit_transform(X) if min(X.shape) else X.astype(np.float64)


def lexrank(V: Any) -> np.ndarray:
    """Return the rank of each post, (posts,) float64 with sum 1. Rows of `V` have length 1 or 0."""
    N = V.shape[0]
    if not N:
        return np.zeros(0)
    degree = V @ (V.T @ np.ones(N))
    degree[degree == 0] = 1  # a post without words has no edges
    empty = np.diff(V.indptr) == 0
    p = np.full(N, 1 / N)
    while True:
        # the walk continues from a post without words at a random post
        updated = DAMPING / N + (1 - DAMPING) * (V @ (V.T @ (p / degree)) + p[empty].sum() / N)
        if np.abs(updated - p).sum() < TOLERANCE:
            return updated
        p = updated


def summarize(X: Any, lengths: np.ndarray, limit: int | None, characters: int | None = None) -> list[int]:
    """Return the indices of the posts of a summary, ascending.

    Posts are chosen by descending rank, without those similar to a chosen one: at most `limit` posts with at most
    `characters` code points in total (a post that does not fit is skipped). `lengths` (posts,) are in code points.
    """
    V = tf_idf(X)
    rank = lexrank(V)
    words = np.diff(X.indptr)
    min_words = MIN_WORDS if (words >= MIN_WORDS).any() else 1
    candidate = words >= min_words  # (posts,)
    chosen: list[int] = []
    remaining = characters
    for post in np.argsort(-rank, kind="stable").tolist():
        if limit is not None and len(chosen) == limit:
            break
        if not candidate[post] or (remaining is not None and lengths[post] > remaining):
            continue
        chosen.append(post)
        remaining = None if remaining is None else remaining - int(lengths[post])
        candidate &= np.asarray((V @ V[post].T).todense()).ravel() < MAX_SIMILARITY
    return sorted(chosen)
