"""A stream of ids cut into windows of (inputs, targets), each (T, N): lane n is one column, read downward.

Targets are the inputs one token later. Lane n of window k + 1 continues lane n of window k, so the carried state of
lane n always belongs to the text it goes on with.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ALIGN_WITHIN = 512  # how far back, in tokens, a lane looks for the beginning of a post


def fit(tokens: int, N: int, T: int) -> tuple[int, int]:
    """The batch size N and window T that `tokens` tokens can fill at least once, shrunk as little as needed."""
    T = min(T, tokens)
    return min(N, tokens // T), T


def windows_per_epoch(tokens: int, N: int, T: int) -> int:
    return tokens // N // T


def contiguous(
    ids: np.ndarray, N: int, T: int, start: int = 0, end_of_post: int | None = None, skip: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch in which each lane reads an unbroken stretch of the text.

    The stream is read as a ring, from `start`: lane n begins about n/N of the way round, moved back to the beginning
    of a post (its first input is then an end of post) where `end_of_post` is given and one lies near. What is left
    over behind the last whole window is read in another epoch, which starts elsewhere. The first `skip` windows are
    passed over.
    """
    M = len(ids)
    stretch = M // N
    firsts = np.array([_begin(ids, (start + n * stretch) % M, end_of_post) for n in range(N)])  # (N,)
    steps = np.arange(T + 1)[:, None] - 1  # (T + 1, 1): one token back, for the first input
    for k in range(skip, windows_per_epoch(M, N, T)):
        window = np.asarray(ids[(firsts + k * T + steps) % M], dtype=np.int32)  # (T + 1, N)
        yield window[:-1], window[1:]


def _begin(ids: np.ndarray, at: int, end_of_post: int | None) -> int:
    """The first token behind the last end of post before `at`, or `at` itself where none is near."""
    if end_of_post is None:
        return at
    before = np.asarray(ids[np.arange(at - ALIGN_WITHIN, at) % len(ids)])
    ends = np.flatnonzero(before == end_of_post)
    return at - (ALIGN_WITHIN - 1 - int(ends[-1])) if len(ends) else at


def notebook(ids: np.ndarray, N: int, T: int, skip: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch cut as notes 003 print it: row j of batch i is window N*i + j of the text.

    Its neighbour in the text is then row j + 1 of the same batch, so a carried state meets a stretch of text that does
    not continue its own. Kept to reproduce the notes; `contiguous` is what they meant. Labels are cut to whole batches,
    without which the printed code stops with an error. The first `skip` windows are passed over.
    """
    for i in range(skip, (len(ids) - 1) // T // N):
        window = np.asarray(ids[i * N * T : (i + 1) * N * T + 1], dtype=np.int32)
        yield window[:-1].reshape(N, T).T, window[1:].reshape(N, T).T
