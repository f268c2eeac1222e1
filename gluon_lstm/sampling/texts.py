"""Texts in the making, side by side: what was written, what may come next, and when each is finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gluon_lstm.sampling.prefix import Reading
from gluon_lstm.sampling.sampler import inverse
from gluon_lstm.text.codec import Codec

LONGEST_POST = 1000  # characters: a post that has not ended by then is ended, so that every command ends
AHEAD = 64  # uniform numbers that are drawn at a time


class Start(NamedTuple):
    """Where a text goes on from: a reading of the prefix, its log-probability, and the state h, c (H,) behind it."""

    reading: Reading
    logp: float
    h: np.ndarray
    c: np.ndarray
    not_opened: np.ndarray | None  # the ids that do not complete the word which the reading leaves open


class Pieces:
    """What each id writes."""

    def __init__(self, codec: Codec) -> None:
        self.unknown, self.end, self.boundary = codec.vocabulary.unknown, codec.end_of_post, codec.boundary
        self.texts = [codec.piece(id) for id in range(len(codec.vocabulary))]
        self.lengths = np.array([len(text) for text in self.texts])

    def join(self, ids: Sequence[int]) -> str:
        return "".join([self.texts[id] for id in ids])


class Texts:
    """N texts, each `length` characters behind the prefix, or else `posts` posts that each begin with it.

    What is done at each step is done for all at once; a single text is looked at where it begins and where it ends.
    """

    def __init__(
        self,
        pieces: Pieces,
        prefix: str,
        starts: Sequence[Start],
        rngs: Sequence[np.random.Generator],
        length: int | None,
        posts: int,
    ) -> None:
        N = len(rngs)
        self._pieces, self._prefix, self._starts, self._rngs = pieces, prefix, starts, rngs
        self._length = length
        logp = np.array([start.logp for start in starts])
        self._likely = np.cumsum(np.exp(logp - logp.max()))
        self.live = np.arange(N)  # the texts that go on
        self._begins = list(range(N))  # those that stand before the prefix
        self._ids: list[list[int]] = [[] for _ in rngs]  # written and not yet taken
        self._before: list[list[int]] = [[] for _ in rngs]  # the prefix, and what was taken
        self._cut = [0] * N  # how many characters of what is taken next are in the prefix already
        self._taken = [""] * N  # prefixes and line ends around what is taken next
        self._not_opened: dict[int, np.ndarray] = {}
        self._room, self._posts = np.zeros(N, np.int64), np.full(N, posts)
        self._behind_end, self._behind_boundary = np.zeros(N, bool), np.zeros(N, bool)
        self._numbers, self._used = np.empty((N, AHEAD)), np.full(N, AHEAD)

    def begin(self) -> dict[int, Start]:
        """Where those texts start, by their place among the live, that stand before the prefix."""
        begun = {}
        for n in self._begins:
            k = inverse(self._likely, self._number(n)) if len(self._starts) > 1 else 0
            start = begun[int(np.searchsorted(self.live, n))] = self._starts[k]
            self._taken[n] += self._prefix
            self._before[n] = list(start.reading.ids)
            self._cut[n] = len(start.reading.opening)
            self._room[n] = len(start.reading.opening) + (LONGEST_POST if self._length is None else self._length)
            # An end of post ends something; a word boundary stands before a word, so every second token is text.
            self._behind_end[n], self._behind_boundary[n] = True, False
            if start.not_opened is not None:
                self._not_opened[n] = start.not_opened
        self._begins = []
        return begun

    def rule_out(self, z: np.ndarray) -> None:
        """Make the logits z (V, live) of what must not come next minus infinity."""
        pieces, live = self._pieces, self.live
        z[pieces.unknown] = -np.inf
        if pieces.end is not None:
            behind_boundary = self._behind_boundary[live]
            z[pieces.end, self._behind_end[live] | behind_boundary] = -np.inf
            if pieces.boundary is not None:
                z[pieces.boundary, behind_boundary] = -np.inf
        for n, ids in self._not_opened.items():
            z[ids, np.searchsorted(live, n)] = -np.inf
        self._not_opened.clear()

    def numbers(self) -> np.ndarray:
        """The next uniform number of each live text."""
        live = self.live
        for n in live[self._used[live] == AHEAD]:
            self._refill(n)
        numbers = self._numbers[live, self._used[live]]
        self._used[live] += 1
        return numbers

    def _number(self, n: int) -> float:
        if self._used[n] == AHEAD:
            self._refill(n)
        self._used[n] += 1
        return float(self._numbers[n, self._used[n] - 1])

    def _refill(self, n: int) -> None:
        self._numbers[n], self._used[n] = self._rngs[n].random(AHEAD), 0

    def recent(self, window: int) -> list[list[int]]:
        """The last ids of each live text."""
        return [[*self._before[n], *self._ids[n]][-window:] for n in self.live]

    def add(self, ids: np.ndarray) -> np.ndarray:
        """Write one id for each live text; which of the live go on."""
        pieces, live = self._pieces, self.live
        for n, id in zip(live.tolist(), ids.tolist()):
            self._ids[n].append(id)
        self._room[live] -= pieces.lengths[ids]
        ends = ids == pieces.end if pieces.end is not None else np.zeros(len(ids), bool)
        self._behind_end[live] = ends
        if pieces.boundary is not None:
            self._behind_boundary[live] = ids == pieces.boundary
        full = self._room[live] <= 0
        done = np.flatnonzero(full if self._length is not None else full | ends)
        for n in live[done].tolist():
            self._close(n)
        going_on = np.ones(len(live), bool)
        going_on[done] = self._posts[live[done]] > 0
        self.live = live[going_on]
        return np.flatnonzero(going_on)

    def _close(self, n: int) -> None:
        """The end of a text, or of one of its posts."""
        if self._length is None:
            self._ids[n].pop()  # the end of the post, or the piece that no longer fits
            self._posts[n] -= 1
            if self._posts[n]:
                self._begins.append(n)
        else:
            self._posts[n] = 0
        text = self._written(n)
        self._taken[n] += text[: len(text) + min(int(self._room[n]), 0)] if self._length is not None else text
        self._taken[n] += "\n"

    def _written(self, n: int) -> str:
        text = self._pieces.join(self._ids[n])[self._cut[n] :]
        if self._ids[n]:
            self._cut[n] = 0
        self._before[n] += self._ids[n]
        self._ids[n] = []
        return text

    def take(self, n: int) -> str:
        """What was written of text n since it was last taken."""
        taken = self._taken[n] + self._written(n)
        self._taken[n] = ""
        return taken
