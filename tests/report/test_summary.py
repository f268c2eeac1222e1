"""LexRank against a dense matrix; summaries without repetition; keyness; co-occurrence."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from gluon_lstm.report.cooccurrence import strongest_pairs
from gluon_lstm.report.keyness import keywords, log_likelihood
from gluon_lstm.report.summary import DAMPING, MAX_SIMILARITY, lexrank, summarize, tf_idf
from gluon_lstm.report.words import WordTable

COUNTS = st.integers(1, 9).flatmap(
    lambda words: st.lists(st.lists(st.integers(0, 3), min_size=words, max_size=words), min_size=1, max_size=9)
)


def dense_vectors(X: np.ndarray) -> np.ndarray:
    """Return rows (1 + ln tf) (ln((1 + N) / (1 + n)) + 1), normalized to length 1."""
    N = len(X)
    n = (X > 0).sum(axis=0)
    V = np.where(X > 0, 1 + np.log(np.maximum(X, 1)), 0) * (np.log((1 + N) / (1 + n)) + 1)
    length = np.sqrt((V**2).sum(axis=1, keepdims=True))
    return V / np.where(length > 0, length, 1)


def dense_lexrank(V: np.ndarray) -> np.ndarray:
    """Return the stationary distribution of the walk from its dense matrix: the eigenvector of eigenvalue 1."""
    N = len(V)
    cosine = V @ V.T
    degree = cosine.sum(axis=1)
    walk = np.array([cosine[v] / degree[v] if degree[v] > 0 else np.full(N, 1 / N) for v in range(N)])
    M = DAMPING / N + (1 - DAMPING) * walk.T
    solution, *_ = np.linalg.lstsq(np.vstack([M - np.eye(N), np.ones(N)]), np.append(np.zeros(N), 1), rcond=None)
    return solution


@settings(max_examples=60, deadline=None)
@given(COUNTS)
def test_lexrank_against_the_dense_matrix(counts):
    X = np.array(counts)
    V = tf_idf(csr_matrix(X))
    np.testing.assert_allclose(V.toarray(), dense_vectors(X), atol=1e-12)
    np.testing.assert_allclose(lexrank(V), dense_lexrank(dense_vectors(X)), atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(COUNTS, st.integers(1, 5))
def test_summary_has_the_highest_ranks_without_similar_posts(counts, most):
    X = np.array(counts)
    V = dense_vectors(X)
    rank = dense_lexrank(V)
    chosen = summarize(csr_matrix(X), np.ones(len(X), int), most)
    assert chosen == sorted(set(chosen)) and len(chosen) <= most
    assert all(V[a] @ V[b] < MAX_SIMILARITY + 1e-9 for a, b in combinations(chosen, 2))
    telling = (X > 0).sum(axis=1) >= (3 if ((X > 0).sum(axis=1) >= 3).any() else 1)
    for post in np.flatnonzero(telling):
        if post not in chosen and len(chosen) < most:
            assert max(V[post] @ V[c] for c in chosen) >= MAX_SIMILARITY - 1e-9  # only similar posts were left out
        elif post not in chosen:
            near = [c for c in chosen if V[post] @ V[c] >= MAX_SIMILARITY - 1e-9]
            assert near or rank[post] <= min(rank[c] for c in chosen) + 1e-7


def test_summary_limited_in_characters():
    X = csr_matrix(np.eye(6, dtype=int))
    lengths = np.array([30, 10, 50, 10, 10, 100])
    chosen = summarize(X, lengths, None, 45)
    assert lengths[chosen].sum() <= 45 and chosen
    assert all(lengths[k] > 45 - lengths[chosen].sum() for k in range(6) if k not in chosen)


def test_equal_posts_and_posts_without_words():
    equal = csr_matrix(np.tile([1, 1, 1], (1000, 1)))
    assert len(summarize(equal, np.ones(1000, int), 10)) == 1
    assert summarize(csr_matrix((5, 0), dtype=int), np.ones(5, int), 3) == []
    assert summarize(csr_matrix((5, 4), dtype=int), np.ones(5, int), 3) == []


# ---- keyness


def test_log_likelihood_of_a_worked_example():
    """a = 12 of 1000 here, b = 3 of 2000 there: E1 = 5, E2 = 10."""
    G2 = log_likelihood(np.array([12, 0, 5]), np.array([3, 0, 10]), 1000, 2000)
    assert G2[0] == pytest.approx(2 * (12 * math.log(12 / 5) + 3 * math.log(3 / 10)))
    assert G2[1] == 0 and G2[2] == pytest.approx(0)


def table(words: list[str], *posts: list[int]) -> WordTable:
    return WordTable(words, csr_matrix(np.array(posts)))


def test_keywords_of_both_sides():
    here = table(["犬", "猫", "今日"], [30, 1, 50])
    there = table(["鳥", "今日", "猫"], [40, 55, 1])
    more_here, more_there = keywords(here, there, 5)
    assert [(row.word, row.here, row.there) for row in more_here] == [("犬", 30, 0)]
    assert [(row.word, row.here, row.there) for row in more_there] == [("鳥", 0, 40)]
    assert keywords(here, here, 5) == ([], [])
    assert keywords(here, table(["犬"], [0]), 5) == ([], [])


# ---- co-occurrence


@settings(max_examples=60, deadline=None)
@given(COUNTS)
def test_pairs_against_brute_force(counts):
    X = np.array(counts)
    words = [chr(ord("あ") + k) for k in range(X.shape[1])]
    wanted = {}
    for a, b in combinations(range(X.shape[1]), 2):
        both = int(((X[:, a] > 0) & (X[:, b] > 0)).sum())
        if both >= 2:
            either = int(((X[:, a] > 0) | (X[:, b] > 0)).sum())
            wanted[frozenset((words[a], words[b]))] = (both, pytest.approx(both / either))
    found = strongest_pairs(table(words, *counts), degree=9)
    assert {frozenset((pair.one, pair.other)): (pair.posts, pair.jaccard) for pair in found} == wanted
    assert [pair.jaccard for pair in found] == sorted((pair.jaccard for pair in found), reverse=True)
    assert strongest_pairs(table(words, *counts), edges=1, degree=9) == found[:1]
    few = strongest_pairs(table(words, *counts), degree=2)
    degrees = Counter(word for pair in few for word in (pair.one, pair.other))
    assert max(degrees.values(), default=0) <= 2
    for pair in set(found) - set(few):  # only pairs above the maximum degree are left out
        assert 2 in (degrees[pair.one], degrees[pair.other])
