"""One text in the making: what was written, what may come next, and when it is finished."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from gluon_lstm.sampling.prefix import Reading
from gluon_lstm.sampling.sampler import draw
from gluon_lstm.text.codec import Codec

LONGEST_POST = 1000  # characters: a post that has not ended by then is ended, so that every command ends
SEEN = 1000  # ids that are kept: no repetition window looks farther back


class Start(NamedTuple):
    """Where a text goes on from: a reading of the prefix, its log-probability, and the state h, c (H,) behind it."""

    reading: Reading
    logp: float
    h: np.ndarray
    c: np.ndarray
    not_opened: np.ndarray | None  # the ids that do not complete the word which the reading leaves open


class Text:
    """`length` characters behind the prefix, or else `posts` posts that each begin with it; closed by a line end."""

    def __init__(
        self,
        codec: Codec,
        prefix: str,
        starts: Sequence[Start],
        rng: np.random.Generator,
        length: int | None,
        posts: int,
    ) -> None:
        self.rng = rng
        self.begins, self.finished = True, False  # whether it stands before the prefix; whether it is complete
        self.ids: list[int] = []  # of the prefix and behind it
        self._codec, self._prefix, self._starts = codec, prefix, starts
        self._length, self._posts, self._room = length, posts, 0
        self._pieces: list[str] = []

    def begin(self) -> tuple[np.ndarray, np.ndarray]:
        """Write the prefix, in a reading drawn by how likely the model finds each; the state h, c (H,) behind it."""
        starts = self._starts
        logp = np.array([start.logp for start in starts])
        start = starts[draw(np.exp(logp - logp.max()), self.rng) if len(starts) > 1 else 0]
        self.begins = False
        self.ids = list(start.reading.ids)
        self._room = LONGEST_POST if self._length is None else self._length
        self._opening, self._not_opened = start.reading.opening, start.not_opened
        # An end of post ends something; a word boundary stands before a word, so at least every second token is text.
        self._behind_end, self._behind_boundary = True, False
        self._pieces.append(self._prefix)
        return start.h, start.c

    def illegal(self) -> Collection[int]:
        """The ids that must not come next."""
        if self._not_opened is not None:
            return self._not_opened
        codec = self._codec
        ruled_out = [
            codec.vocabulary.unknown,
            codec.end_of_post if self._behind_end or self._behind_boundary else None,
            codec.boundary if self._behind_boundary else None,
        ]
        return [id for id in ruled_out if id is not None]

    def add(self, id: int) -> None:
        """Write what `id` says."""
        codec = self._codec
        self.ids.append(id)
        del self.ids[:-SEEN]
        piece = codec.piece(id)[len(self._opening) :]
        self._opening, self._not_opened = "", None
        self._behind_end, self._behind_boundary = id == codec.end_of_post, id == codec.boundary
        self._room -= len(piece)
        if self._length is not None:
            self._pieces.append(piece[: len(piece) + min(self._room, 0)])
            self.finished = self._room <= 0
        elif self._behind_end or self._room <= 0:
            self._posts -= 1
            self.finished, self.begins = self._posts == 0, True
        else:
            self._pieces.append(piece)
            return
        if self.finished or self.begins:
            self._pieces.append("\n")

    def take(self) -> str:
        """What was written since it was last taken."""
        taken = "".join(self._pieces)
        self._pieces.clear()
        return taken
