"""Text generation: a prefix continued one token at a time, from a model file and NumPy alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.numerics import log_softmax
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.prefix import Prefix, Tokenization
from gluon_lstm.sampling.sampler import SamplingOptions, probabilities, recent_window, sample_batch
from gluon_lstm.sampling.writer import Start, TextWriter, TokenTexts
from gluon_lstm.system import available_cores

MIN_BATCH_SIZE = 4  # texts per batch; a smaller batch does not pay for its thread
RAW_LENGTH = 400  # default length of a text of a raw model, in characters


def fresh_seed() -> int:
    """Return a 32-bit seed from the entropy of the operating system."""
    return int(np.random.SeedSequence().generate_state(1)[0])


def rng_for(seed: int, k: int = 0) -> np.random.Generator:
    """Return the PCG64 generator of text number k: the k-th seed spawned from `seed`, whatever the number of texts."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(k,))))


class TextGenerator:
    """Text generator of one model with one set of sampling options.

    A text begins as a lane does in training: zero state, end-of-post token (where there are posts), prefix. `<unk>` is
    never drawn, nor an end-of-post token that would end an empty post.
    """

    def __init__(self, model: Model, options: SamplingOptions | None = None, notice: Notice = ignore) -> None:
        self.codec = model.codec
        self.cell = InferenceCell(model.arrays, model.config)
        self.token_texts = TokenTexts(model.codec)
        self.options = options or SamplingOptions()
        self.notice = notice

    def prefix(self, text: str) -> Prefix:
        """Return `text` cleaned and tokenized as the posts were; `notice` names characters the model does not know."""
        return Prefix(text, self.codec, self.notice)

    def stream(
        self, prefix: Prefix, rng: np.random.Generator, length: int | None = None, posts: int | None = None
    ) -> Iterator[str]:
        """Yield one text piece by piece: `length` characters, or else `posts` posts; a newline ends the text.

        Defaults: one post; RAW_LENGTH characters for a raw model. Raises ValueError for `posts` of a raw model.
        """
        (writer,) = writers = self._writers(prefix, [rng], length, posts)
        for _step in self._steps(writers):
            yield writer.drain()

    def generate_batch(
        self, prefix: Prefix, rngs: Sequence[np.random.Generator], length: int | None = None, posts: int | None = None
    ) -> list[str]:
        """Return one text for each random generator, generated in batches; each equals the text of `stream`."""
        return [writer.drain() for writer in self._run_batches(prefix, rngs, length, posts)]

    def generate_posts(
        self, prefix: Prefix, rngs: Sequence[np.random.Generator], length: int | None = None, posts: int | None = None
    ) -> list[list[str]]:
        """Return the posts of each text of `generate_batch`, without newline; with `length` a text is one string."""
        return [writer.posts for writer in self._run_batches(prefix, rngs, length, posts)]

    def endless_posts(self, prefix: Prefix, rngs: Sequence[np.random.Generator], posts: int) -> list[Iterator[str]]:
        """Return an endless iterator of the posts of each text; the first `posts` of several texts are made in batches.

        They begin with those of `generate_posts`.
        """
        writers = (
            self._run_batches(prefix, rngs, None, posts) if len(rngs) > 1 else self._writers(prefix, rngs, None, 1)
        )
        return list(map(self._endless_posts, writers))

    def _endless_posts(self, writer: TextWriter) -> Iterator[str]:
        for number in count():
            if number == len(writer.posts):
                if not writer.active:
                    writer.add_post()
                for _ in self._steps([writer]):
                    pass
            yield writer.posts[number]

    def next_texts(self, prefix: Prefix) -> dict[str | None, float]:
        """Return the probability of each text that the next token adds to the prefix; None: the post ends.

        Each tokenization of the prefix has the weight that generation gives it. An empty post does not end.
        """
        starts = [self._start(tokenization) for tokenization in prefix.tokenizations]
        logp = np.array([start.logp for start in starts])
        weights = np.exp(logp - np.logaddexp.reduce(logp))
        totals: dict[str | None, float] = defaultdict(float)
        for weight, start in zip(weights, starts):
            if weight == 0:
                continue
            p = weight * self._next_probabilities(start, can_end=bool(prefix.text))
            skipped = len(start.tokenization.partial_word)
            for id in np.flatnonzero(p).tolist():
                totals[None if id == self.token_texts.end else self.token_texts.texts[id][skipped:]] += float(p[id])
        return dict(totals)

    def _next_probabilities(self, start: Start, can_end: bool) -> np.ndarray:
        """Return the distribution (V,) of the next id that adds text or ends the post, word boundaries passed over."""
        end, boundary, ids = self.token_texts.end, self.token_texts.boundary, start.tokenization.ids
        banned = [self.token_texts.unknown, *(() if start.excluded_ids is None else start.excluded_ids.tolist())]
        if end is not None and not can_end:
            banned.append(end)
        state = self.cell.zero_state()
        state.h[:, 0], state.c[:, 0] = start.h, start.c
        p = probabilities(state.logits()[:, 0], self.options, banned, ids)
        if boundary is None or p[boundary] == 0:
            return p
        state.step([boundary])
        banned += [boundary, end]
        after = probabilities(state.logits()[:, 0], self.options, banned, [*ids, boundary])
        p += p[boundary] * after
        p[boundary] = 0
        return p

    def check_posts(self, posts: int | None) -> None:
        """Raise ValueError for `posts` of a raw model."""
        if self.codec.end_of_post is None and posts is not None:
            raise ValueError(_("`posts` {posts}: a raw model has no posts; use `length`").format(posts=posts))

    def _run_batches(
        self, prefix: Prefix, rngs: Sequence[np.random.Generator], length: int | None, posts: int | None
    ) -> list[TextWriter]:
        """Return the writers of finished texts, generated in a batch for each core."""
        writers = self._writers(prefix, rngs, length, posts)
        size = max(-(-len(writers) // available_cores()), MIN_BATCH_SIZE)  # a batch for each core

        def write(first: int) -> None:
            for _step in self._steps(writers[first : first + size]):
                pass

        with ThreadPoolExecutor() as threads:
            list(threads.map(write, range(0, len(writers), size)))
        return writers

    def _writers(
        self, prefix: Prefix, rngs: Sequence[np.random.Generator], length: int | None, posts: int | None
    ) -> list[TextWriter]:
        self.check_posts(posts)
        if self.codec.end_of_post is None and length is None:
            length = RAW_LENGTH
        starts = [self._start(tokenization) for tokenization in prefix.tokenizations]
        return [TextWriter(self.token_texts, prefix.text, starts, rng, length, posts or 1) for rng in rngs]

    def _steps(self, writers: Sequence[TextWriter]) -> Iterator[None]:
        """Append one token to each text per step until all texts are finished."""
        unknown, options = self.codec.vocabulary.unknown, self.options
        window = recent_window(options)
        state = self.cell.zero_state(len(writers))
        while True:
            for n, writer in enumerate(writers):
                if writer.at_post_start:
                    start = writer.begin_post()
                    state.h[:, n], state.c[:, n] = start.h, start.c
            z = state.logits()  # (V, N)
            z[unknown] = -np.inf
            for n, writer in enumerate(writers):
                if writer.banned_ids:
                    z[writer.banned_ids, n] = -np.inf
            recent = [writer.recent_ids(window) for writer in writers] if window else ()
            ids = sample_batch(z, options, [writer.next_uniform() for writer in writers], recent)
            for writer, id in zip(writers, ids):
                writer.append(id)
            yield
            active = [n for n, writer in enumerate(writers) if writer.active]
            if not active:
                return
            if len(active) < len(writers):
                state, writers, ids = state.select(active), [writers[n] for n in active], [ids[n] for n in active]
            state.step(ids)

    def _start(self, tokenization: Tokenization) -> Start:
        """Return the state after one tokenization of the prefix, and its log-probability."""
        state = self.cell.zero_state()
        if self.codec.end_of_post is not None:
            state.step([self.codec.end_of_post])
        logp = 0.0
        for id in tokenization.ids:
            logp += float(log_softmax(state.logits()[:, 0].astype(np.float64))[id])
            state.step([id])
        excluded_ids = None
        if tokenization.partial_word:
            completes = self._completions(tokenization.partial_word)
            excluded_ids = np.flatnonzero(~completes)
            logp_words = log_softmax(state.logits()[:, 0].astype(np.float64))[completes]
            logp += float(np.logaddexp.reduce(logp_words)) if len(logp_words) else -np.inf
        return Start(tokenization, logp, state.h[:, 0], state.c[:, 0], excluded_ids)

    def _completions(self, partial_word: str) -> np.ndarray:
        """Return a mask (V,) of the words that begin with `partial_word` and are longer."""
        vocabulary = self.codec.vocabulary
        longer = [len(token) > len(partial_word) and token.startswith(partial_word) for token in vocabulary.tokens]
        longer[: vocabulary.num_specials] = [False] * vocabulary.num_specials
        return np.array(longer)
