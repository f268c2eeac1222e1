"""Prefix -> text, one id at a time, from a model file and NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.cell import Cell
from gluon_lstm.sampling.prefix import Prefix, Reading
from gluon_lstm.sampling.sampler import SamplingOptions, draw, probabilities

LONGEST_POST = 1000  # characters: a post that has not ended by then is ended, so that every command ends

RAW_LENGTH = 400  # characters that are written when nobody said how many, of a text without posts


def fresh_seed() -> int:
    """A seed from the system's randomness, short enough to be typed."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def generator_of(seed: int, k: int = 0) -> np.random.Generator:
    """The PCG64 generator of text number k: the k-th seed spawned from `seed`, whatever the number of texts."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(k,))))


class Generator:
    """Writes texts with one model and one set of sampling options.

    A text begins as a lane does in training: zero state, an end of post (where there are posts), the prefix. `<unk>` is
    never drawn, nor an end of post where it would end an empty post.
    """

    def __init__(self, model: Model, options: SamplingOptions | None = None, notice: Notice = ignore) -> None:
        self.codec = model.codec
        self.cell = Cell(model.arrays)
        self.options = options or SamplingOptions()
        self.notice = notice

    def prefix(self, text: str) -> Prefix:
        """`text` as this model reads it: cleaned like the posts; characters it has never seen are named by `notice`."""
        return Prefix(text, self.codec, self.notice)

    def text(
        self, prefix: Prefix, rng: np.random.Generator, length: int | None = None, posts: int | None = None
    ) -> Iterator[str]:
        """`length` characters, or else `posts` posts (by default one; where there are no posts, some characters)."""
        if length is None and posts is None and self.codec.end_of_post is None:
            length = RAW_LENGTH
        if length is None:
            yield from self.posts(prefix, posts or 1, rng)
        else:
            yield from self.characters(prefix, length, rng)
            yield "\n"

    def characters(self, prefix: Prefix, length: int, rng: np.random.Generator) -> Iterator[str]:
        """The prefix, then exactly `length` characters, in pieces; writing goes on behind an end of post."""
        yield prefix.text
        for piece, _ in self._pieces(prefix, rng):
            piece = piece[:length]
            length -= len(piece)
            yield piece
            if not length:
                return

    def posts(self, prefix: Prefix, count: int, rng: np.random.Generator) -> Iterator[str]:
        """`count` posts, each from the prefix and closed by a line end, in pieces. ValueError for a raw model."""
        if self.codec.end_of_post is None:
            raise ValueError("this model was trained with --raw and knows no posts: use --length instead of --posts")
        for _ in range(count):
            yield prefix.text
            room = LONGEST_POST
            for piece, ends in self._pieces(prefix, rng):
                room -= len(piece)
                if ends or room <= 0:
                    break
                yield piece
            yield "\n"

    def _pieces(self, prefix: Prefix, rng: np.random.Generator) -> Iterator[tuple[str, bool]]:
        """(what comes next, whether it ends a post), for ever."""
        reading, h, c = self._read(prefix, rng)
        unknown, end = self.codec.vocabulary.unknown, self.codec.end_of_post
        written = list(reading.ids)
        if reading.opening:
            opened = self._opened_by(reading.opening)
            id = draw(probabilities(self.cell.logits(h[0]), self.options, ~opened, written), rng)
            yield self.codec.piece(id)[len(reading.opening) :], False
            h, c = self.cell.step(np.array([id]), h, c)
            written.append(id)
        boundary = self.codec.boundary
        # An end of post ends something; a word boundary stands before a word, so at least every second token is text.
        behind_end, behind_boundary = not reading.opening, False
        while True:
            ruled_out = [unknown, end if behind_end or behind_boundary else None, boundary if behind_boundary else None]
            illegal = [id for id in ruled_out if id is not None]
            id = draw(probabilities(self.cell.logits(h[0]), self.options, illegal, written), rng)
            behind_end, behind_boundary = id == end, id == boundary
            yield self.codec.piece(id), behind_end
            h, c = self.cell.step(np.array([id]), h, c)
            written.append(id)
            del written[: -self.options.repetition_window]

    def _read(self, prefix: Prefix, rng: np.random.Generator) -> tuple[Reading, np.ndarray, np.ndarray]:
        """One reading of the prefix, drawn by how likely the model finds each, and the state behind it."""
        read = [self._follow(reading) for reading in prefix.readings]
        logp = np.array([logp for logp, _, _ in read])
        k = draw(np.exp(logp - logp.max()), rng) if len(read) > 1 else 0
        return prefix.readings[k], *read[k][1:]

    def _follow(self, reading: Reading) -> tuple[float, np.ndarray, np.ndarray]:
        """The log-probability of a reading and the state (h, c) behind its ids."""
        h, c = self.cell.begin()
        if self.codec.end_of_post is not None:
            h, c = self.cell.step(np.array([self.codec.end_of_post]), h, c)
        logp = 0.0
        for id in reading.ids:
            logp += float(_log_softmax(self.cell.logits(h[0]))[id])
            h, c = self.cell.step(np.array([id]), h, c)
        if reading.opening:
            words = _log_softmax(self.cell.logits(h[0]))[self._opened_by(reading.opening)]
            logp += float(np.logaddexp.reduce(words)) if len(words) else -np.inf
        return logp, h, c

    def _opened_by(self, opening: str) -> np.ndarray:
        """Which ids are words that begin with `opening` and are longer: bool (V,)."""
        vocabulary = self.codec.vocabulary
        longer = [len(token) > len(opening) and token.startswith(opening) for token in vocabulary.tokens]
        longer[: vocabulary.specials] = [False] * vocabulary.specials
        return np.array(longer)


def _log_softmax(z: np.ndarray) -> np.ndarray:
    z = z.astype(np.float64) - z.max()
    return z - np.log(np.exp(z).sum())
