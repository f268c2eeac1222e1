"""Text under construction: the tokens so far, the tokens allowed next, and the end of the text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gluon_lstm.sampling.prefix import Tokenization
from gluon_lstm.sampling.sampler import inverse_cdf
from gluon_lstm.text.codec import Codec

MAX_POST_LENGTH = 1000  # maximum characters of a post; a longer one is ended, so that every command terminates
UNIFORMS_PER_DRAW = 64  # uniform numbers drawn from the random generator at a time


class Start(NamedTuple):
    """State from which a text continues the prefix."""

    tokenization: Tokenization
    logp: float  # log-probability of the tokenization
    h: np.ndarray  # (L*H,) after the ids of the tokenization
    c: np.ndarray  # (L*H,)
    excluded_ids: np.ndarray | None  # ids that do not complete the partial word of the tokenization


class TokenTexts:
    """Text of each token id."""

    def __init__(self, codec: Codec) -> None:
        self.unknown, self.end, self.boundary = codec.vocabulary.unknown, codec.end_of_post, codec.boundary
        self.texts = [codec.decode_id(id) for id in range(len(codec.vocabulary))]
        self.lengths = [len(text) for text in self.texts]

    def join(self, ids: Sequence[int]) -> str:
        """Return the text of the ids."""
        return "".join([self.texts[id] for id in ids])


class TextWriter:
    """One text: the prefix and `length` characters, or else `posts` posts that each begin with the prefix.

    The generator calls `begin_post` while `at_post_start`, then draws an id that is not in `banned_ids` and passes it
    to `append`, as long as the text is `active`.
    """

    def __init__(
        self,
        token_texts: TokenTexts,
        prefix: str,
        starts: Sequence[Start],
        rng: np.random.Generator,
        length: int | None,
        posts: int,
    ) -> None:
        self._token_texts, self._prefix, self._starts = token_texts, prefix, starts
        self._length, self._remaining_posts = length, posts
        logp = np.array([start.logp for start in starts])
        self._start_cdf = np.cumsum(np.exp(logp - logp.max()))  # not normalized
        self._uniforms = _uniforms(rng)
        self.at_post_start, self.active = True, True
        self.banned_ids: list[int] = []  # ids that must not come next
        self.posts: list[str] = []  # finished posts, or the finished text of `length` characters; without newline
        self._new_ids: list[int] = []  # ids not yet drained
        self._old_ids: list[int] = []  # ids of the prefix and drained ids of this post
        self._overlap = 0  # characters of the next drained text that the prefix already contains
        self._pending = ""  # prefixes and finished posts not yet drained
        self._current = ""  # text of the current post, drained or not
        self._remaining = 0  # characters until this text or post must end

    def begin_post(self) -> Start:
        """Return the state from which the text, or its next post, starts: drawn by the probability of the prefix."""
        k = inverse_cdf(self._start_cdf, self.next_uniform()) if len(self._starts) > 1 else 0
        start = self._starts[k]
        self._pending += self._prefix
        self._current = self._prefix
        self._old_ids = list(start.tokenization.ids)
        self._overlap = len(start.tokenization.partial_word)
        self._remaining = self._overlap + (MAX_POST_LENGTH if self._length is None else self._length)
        self.at_post_start = False
        # No empty posts. Two word boundaries never follow each other, so at least every second token adds characters.
        self.banned_ids = [] if self._token_texts.end is None else [self._token_texts.end]
        if start.excluded_ids is not None:
            self.banned_ids += start.excluded_ids.tolist()
        return start

    def add_post(self) -> None:
        """Continue a finished text with one more post."""
        self._remaining_posts += 1
        self.active = self.at_post_start = True

    def next_uniform(self) -> float:
        """Return the next uniform number in [0, 1) of this text."""
        return next(self._uniforms)

    def recent_ids(self, window: int) -> list[int]:
        """Return the last `window` ids, the prefix included."""
        return [*self._old_ids, *self._new_ids][-window:]

    def append(self, id: int) -> None:
        """Append one id, and end the post or the text where this id ends it."""
        token_texts = self._token_texts
        self._new_ids.append(id)
        self._remaining -= token_texts.lengths[id]
        is_end = id == token_texts.end
        if is_end:
            self.banned_ids = [id]
        elif id == token_texts.boundary:
            self.banned_ids = [token_texts.end, id]  # type: ignore[list-item]  # a model with boundaries has posts
        else:
            self.banned_ids = []
        if self._remaining <= 0 or (is_end and self._length is None):
            self._finish()

    def _finish(self) -> None:
        """End the text, or one of its posts."""
        if self._length is None:
            self._new_ids.pop()  # the end-of-post token, or the token that exceeds the maximum length
            self._remaining_posts -= 1
            self._pending += self._flush()
            self.active = self.at_post_start = self._remaining_posts > 0
        else:
            text = self._flush()
            excess = -self._remaining  # characters of the last token after the end of the text
            self._pending += text[: len(text) - excess]
            self._current = self._current[: len(self._current) - excess]
            self.active = False
        self._pending += "\n"
        self.posts.append(self._current)

    def _flush(self) -> str:
        """Return the text of the new ids without the characters that the prefix already contains."""
        text = self._token_texts.join(self._new_ids)
        if self._overlap and self._new_ids:
            text, self._overlap = text[self._overlap :], 0
        self._current += text
        self._old_ids += self._new_ids
        self._new_ids = []
        return text

    def drain(self) -> str:
        """Return the text written since the last call."""
        pending, self._pending = self._pending, ""
        return pending + self._flush()


def _uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Yield the uniform numbers of `rng`, drawn UNIFORMS_PER_DRAW at a time."""
    while True:
        yield from rng.random(UNIFORMS_PER_DRAW).tolist()
