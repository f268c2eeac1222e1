"""A text in the making: what was written, what may come next, and when it is finished."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gluon_lstm.sampling.prefix import Tokenization
from gluon_lstm.sampling.sampler import inverse_cdf
from gluon_lstm.text.codec import Codec

MAX_POST_LENGTH = 1000  # characters: a post that has not ended by then is ended, so that every command ends
UNIFORMS_PER_DRAW = 64  # uniform numbers that are drawn at a time


class Start(NamedTuple):
    """Where a text goes on from: a reading of the prefix, its log-probability, and the state h, c (H,) behind it."""

    reading: Tokenization
    logp: float
    h: np.ndarray
    c: np.ndarray
    not_opened: np.ndarray | None  # the ids that do not complete the word which the reading leaves open


class TokenTexts:
    """What each id writes."""

    def __init__(self, codec: Codec) -> None:
        self.unknown, self.end, self.boundary = codec.vocabulary.unknown, codec.end_of_post, codec.boundary
        self.texts = [codec.decode_id(id) for id in range(len(codec.vocabulary))]
        self.lengths = [len(text) for text in self.texts]

    def join(self, ids: Sequence[int]) -> str:
        return "".join([self.texts[id] for id in ids])


class TextWriter:
    """`length` characters behind the prefix, or else `posts` posts that each begin with it."""

    def __init__(
        self,
        pieces: TokenTexts,
        prefix: str,
        starts: Sequence[Start],
        rng: np.random.Generator,
        length: int | None,
        posts: int,
    ) -> None:
        self._pieces, self._prefix, self._starts, self._length, self._posts = pieces, prefix, starts, length, posts
        logp = np.array([start.logp for start in starts])
        self._likely = np.cumsum(np.exp(logp - logp.max()))
        self._numbers = _uniform(rng)
        self.stands_before_prefix, self.active = True, True
        self.banned_ids: list[int] = []  # the ids that must not come next
        self._ids: list[int] = []  # written and not yet taken
        self._before: list[int] = []  # the prefix, and what was taken
        self._cut = 0  # how many characters of what is taken next are in the prefix already
        self._taken = ""  # prefixes and line ends around what is taken next
        self._room = 0

    def begin(self) -> Start:
        """Where the text, or its next post, starts."""
        k = inverse_cdf(self._likely, self.number()) if len(self._starts) > 1 else 0
        start = self._starts[k]
        self._taken += self._prefix
        self._before = list(start.reading.ids)
        self._cut = len(start.reading.partial_word)
        self._room = self._cut + (MAX_POST_LENGTH if self._length is None else self._length)
        self.stands_before_prefix = False
        # An end of post ends something; a word boundary stands before a word, so every second token is text.
        self.banned_ids = [] if self._pieces.end is None else [self._pieces.end]
        if start.not_opened is not None:
            self.banned_ids += start.not_opened.tolist()
        return start

    def number(self) -> float:
        """The next uniform number of this text."""
        return next(self._numbers)

    def recent(self, window: int) -> list[int]:
        """The last ids."""
        return [*self._before, *self._ids][-window:]

    def add(self, id: int) -> None:
        """Write one id."""
        pieces = self._pieces
        self._ids.append(id)
        self._room -= pieces.lengths[id]
        ends = id == pieces.end
        if ends:
            self.banned_ids = [id]
        elif id == pieces.boundary:
            self.banned_ids = [pieces.end, id]  # type: ignore[list-item]  # where there are boundaries there are posts
        else:
            self.banned_ids = []
        if self._room <= 0 or (ends and self._length is None):
            self._close()

    def _close(self) -> None:
        """The end of a text, or of one of its posts."""
        if self._length is None:
            self._ids.pop()  # the end of the post, or the piece that no longer fits
            self._posts -= 1
            self._taken += self._written()
            self.active = self.stands_before_prefix = self._posts > 0
        else:
            text = self._written()
            self._taken += text[: len(text) + self._room]
            self.active = False
        self._taken += "\n"

    def _written(self) -> str:
        text = self._pieces.join(self._ids)
        if self._cut and self._ids:
            text, self._cut = text[self._cut :], 0
        self._before += self._ids
        self._ids = []
        return text

    def take(self) -> str:
        """What was written since this was last asked."""
        taken, self._taken = self._taken, ""
        return taken + self._written()


def _uniform(rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from rng.random(UNIFORMS_PER_DRAW).tolist()
