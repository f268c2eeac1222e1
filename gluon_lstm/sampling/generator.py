"""Prefix -> text, one id at a time, from a model file and NumPy alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.prefix import Prefix, Tokenization
from gluon_lstm.sampling.sampler import SamplingOptions, sample_batch
from gluon_lstm.sampling.writer import Start, TextWriter, TokenTexts
from gluon_lstm.system import available_cores

MIN_BATCH_SIZE = 4  # texts in a batch: with fewer, a second core is not worth its trouble
RAW_LENGTH = 400  # characters that are written when nobody said how many, of a text without posts


def fresh_seed() -> int:
    """A seed from the system's randomness, short enough to be typed."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def rng_for(seed: int, k: int = 0) -> np.random.Generator:
    """The PCG64 generator of text number k: the k-th seed spawned from `seed`, whatever the number of texts."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(k,))))


class TextGenerator:
    """Writes texts with one model and one set of sampling options.

    A text begins as a lane does in training: zero state, an end of post (where there are posts), the prefix. `<unk>` is
    never drawn, nor an end of post where it would end an empty post.
    """

    def __init__(self, model: Model, options: SamplingOptions | None = None, notice: Notice = ignore) -> None:
        self.codec = model.codec
        self.cell = InferenceCell(model.arrays, model.config)
        self.pieces = TokenTexts(model.codec)
        self.options = options or SamplingOptions()
        self.notice = notice

    def prefix(self, text: str) -> Prefix:
        """`text` as this model reads it: cleaned like the posts; characters it has never seen are named by `notice`."""
        return Prefix(text, self.codec, self.notice)

    def text(
        self, prefix: Prefix, rng: np.random.Generator, length: int | None = None, posts: int | None = None
    ) -> Iterator[str]:
        """`length` characters, or else `posts` posts (by default one; where there are no posts, some characters).

        In pieces, as they are written, and closed by a line end. ValueError for posts of a raw model.
        """
        (text,) = texts = self._begin(prefix, [rng], length, posts)
        for _ in self._steps(texts):
            yield text.take()

    def texts(
        self, prefix: Prefix, rngs: Sequence[np.random.Generator], length: int | None = None, posts: int | None = None
    ) -> list[str]:
        """A text for each of the generators, written side by side; each is what `text` would write alone."""
        texts = self._begin(prefix, rngs, length, posts)
        size = max(-(-len(texts) // available_cores()), MIN_BATCH_SIZE)  # a batch for each core

        def write(at: int) -> None:
            for _ in self._steps(texts[at : at + size]):
                pass

        with ThreadPoolExecutor() as threads:
            list(threads.map(write, range(0, len(texts), size)))
        return [text.take() for text in texts]

    def _begin(
        self, prefix: Prefix, rngs: Sequence[np.random.Generator], length: int | None, posts: int | None
    ) -> list[TextWriter]:
        if self.codec.end_of_post is None and posts is not None:
            raise ValueError("this model was trained with --raw and knows no posts: use --length instead of --posts")
        if self.codec.end_of_post is None and length is None:
            length = RAW_LENGTH
        starts = [self._follow(reading) for reading in prefix.readings]
        return [TextWriter(self.pieces, prefix.text, starts, rng, length, posts or 1) for rng in rngs]

    def _steps(self, texts: Sequence[TextWriter]) -> Iterator[None]:
        """Write a token of each text, again and again, until all are finished."""
        unknown, options = self.codec.vocabulary.unknown, self.options
        looks_back = options.repetition_penalty != 1
        lanes = self.cell.lanes(len(texts))
        while True:
            for n, text in enumerate(texts):
                if text.stands_before_prefix:
                    start = text.begin()
                    lanes.h[:, n], lanes.c[:, n] = start.h, start.c
            z = lanes.logits()
            z[unknown] = -np.inf
            for n, text in enumerate(texts):
                if text.banned_ids:
                    z[text.banned_ids, n] = -np.inf
            recent = [text.recent(options.repetition_window) for text in texts] if looks_back else ()
            ids = sample_batch(z, options, [text.number() for text in texts], recent)
            for text, id in zip(texts, ids):
                text.add(id)
            yield
            going_on = [n for n, text in enumerate(texts) if text.active]
            if not going_on:
                return
            if len(going_on) < len(texts):
                lanes, texts, ids = lanes.keep(going_on), [texts[n] for n in going_on], [ids[n] for n in going_on]
            lanes.step(ids)

    def _follow(self, reading: Tokenization) -> Start:
        """Where a text that goes on from one reading of the prefix starts."""
        lane = self.cell.lanes()
        if self.codec.end_of_post is not None:
            lane.step([self.codec.end_of_post])
        logp = 0.0
        for id in reading.ids:
            logp += float(_log_softmax(lane.logits()[:, 0])[id])
            lane.step([id])
        not_opened = None
        if reading.partial_word:
            opened = self._opened_by(reading.partial_word)
            not_opened = np.flatnonzero(~opened)
            words = _log_softmax(lane.logits()[:, 0])[opened]
            logp += float(np.logaddexp.reduce(words)) if len(words) else -np.inf
        return Start(reading, logp, lane.h[:, 0], lane.c[:, 0], not_opened)

    def _opened_by(self, partial_word: str) -> np.ndarray:
        """Which ids are words that begin with `opening` and are longer: bool (V,)."""
        vocabulary = self.codec.vocabulary
        longer = [len(token) > len(partial_word) and token.startswith(partial_word) for token in vocabulary.tokens]
        longer[: vocabulary.num_specials] = [False] * vocabulary.num_specials
        return np.array(longer)


def _log_softmax(z: np.ndarray) -> np.ndarray:
    z = z.astype(np.float64) - z.max()
    return z - np.log(np.exp(z).sum())
