"""Batches of ids: windows (x, y) of inputs and targets, each (T, N).

Lane n is one column, read downward. Targets are the inputs one token later. Lane n of window k + 1 continues lane n of
window k, so the state carried between windows belongs to the text that follows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.rng import training_rng

ALIGN_WITHIN = 512  # maximum tokens that a lane start moves back to the start of a post


class Batches:
    """Batches of each epoch for a recipe: its batch size and window length where the text is long enough for them.

    Raises ValueError for a text of one token.
    """

    def __init__(self, ids: np.ndarray, recipe: Recipe, end_of_post: int | None) -> None:
        if len(ids) < 2:
            raise ValueError(_("the text has only one token: training needs at least two"))
        self.ids, self.recipe, self.end_of_post = ids, recipe, end_of_post
        usable = len(ids) - (recipe.layout == "notebook")  # its last token is a target only
        self.N, self.T = fit_batch(usable, recipe.batch_size, recipe.seq_len)
        self.steps_per_epoch = windows_per_epoch(usable, self.N, self.T)
        self.tokens = self.N * self.T  # per batch

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the batches (x, y), each (T, N), of an epoch (from 0) after the first `skip`."""
        if self.recipe.layout == "notebook":
            return notebook(self.ids, self.N, self.T, skip)
        rng = training_rng(self.recipe, "lanes", epoch)
        start = int(rng.integers(len(self.ids))) if self.recipe.random_start else 0
        ids: np.ndarray | ShuffledPosts = self.ids
        if self.end_of_post is not None and self.recipe.post_order == "random":
            ids = ShuffledPosts(self.ids, self.end_of_post, rng)
        return contiguous(ids, self.N, self.T, start, self.end_of_post, skip)


class ShuffledPosts:
    """The ids of a text with its posts in random order, read like an array; the ids themselves are not copied.

    The state after a post is carried into the next: with the same order in each epoch the model memorizes which post
    follows which.
    """

    def __init__(self, ids: np.ndarray, end_of_post: int, rng: np.random.Generator) -> None:
        ends = np.flatnonzero(ids == end_of_post) + 1
        if not len(ends) or ends[-1] < len(ids):
            ends = np.append(ends, len(ids))  # the text ends within a post
        lengths = np.diff(ends, prepend=0)
        order = rng.permutation(len(ends))
        self.ids = ids
        self.ends = np.cumsum(lengths[order])  # of each post, in the random order
        self.shifts = ends[order] - self.ends  # from a position in the random order to that in `ids`

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Return the ids at positions from 0, an integer array of any shape."""
        return self.ids[positions + self.shifts[np.searchsorted(self.ends, positions, side="right")]]


def fit_batch(tokens: int, N: int, T: int) -> tuple[int, int]:
    """Return the largest batch size and window length, at most N and T, that `tokens` tokens fill at least once."""
    T = min(T, tokens)
    return min(N, tokens // T), T


def windows_per_epoch(tokens: int, N: int, T: int) -> int:
    """Return the number of whole windows in `tokens` tokens."""
    return tokens // N // T


def contiguous(
    ids: np.ndarray | ShuffledPosts,
    N: int,
    T: int,
    start: int = 0,
    end_of_post: int | None = None,
    skip: int = 0,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the windows (x, y) of one epoch in which each lane reads a contiguous part of the text.

    The ids form a ring, read from `start`. Lane n starts n/N of the way round. With `end_of_post` the lane start moves
    back to the start of the post, unless the post is longer than ALIGN_WITHIN; the first input is then an end of post.
    Tokens after the last whole window of a lane are left to another epoch with another start. The first `skip` windows
    are skipped.
    """
    M = len(ids)
    stride = M // N
    starts = np.array([_lane_start(ids, (start + n * stride) % M, end_of_post) for n in range(N)])  # (N,)
    offsets = np.arange(T + 1)[:, None] - 1  # (T + 1, 1): the first input is the token before the first target
    for k in range(skip, windows_per_epoch(M, N, T)):
        window = np.asarray(ids[(starts + k * T + offsets) % M], dtype=np.int32)  # (T + 1, N)
        yield window[:-1], window[1:]


def _lane_start(ids: np.ndarray | ShuffledPosts, at: int, end_of_post: int | None) -> int:
    """Return the position after the last end of post before `at`, or `at` if there is none within ALIGN_WITHIN."""
    if end_of_post is None:
        return at
    before = np.asarray(ids[np.arange(at - ALIGN_WITHIN, at) % len(ids)])
    ends = np.flatnonzero(before == end_of_post)
    return at - (ALIGN_WITHIN - 1 - int(ends[-1])) if len(ends) else at


def notebook(ids: np.ndarray, N: int, T: int, skip: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the windows (x, y) of one epoch in the order that notes 003 print: row j of batch i is window N*i + j.

    The next window of the text is row j + 1 of the same batch, so the carried state belongs to other text. This layout
    reproduces the notes; `contiguous` is what the notes intended. Labels are cut to whole batches, without which the
    printed code raises an error. The first `skip` windows are skipped.
    """
    for i in range(skip, (len(ids) - 1) // T // N):
        window = np.asarray(ids[i * N * T : (i + 1) * N * T + 1], dtype=np.int32)
        yield window[:-1].reshape(N, T).T, window[1:].reshape(N, T).T
