"""How well a model predicts a text it has not seen: nats, perplexity and bits per character."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gluon_lstm.progress import Advance
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.text.codec import Codec

CODE_POINTS = 1_114_112  # what an unseen symbol has to be picked from: all of Unicode
BLOCK = 256  # tokens whose output product is done at once


@dataclass(frozen=True)
class Score:
    """What a model spends on a text."""

    nats: float  # on all tokens
    tokens: int
    unknown: int  # tokens outside the vocabulary; each is one code point
    units: int  # code points of the text, plus one for each of its posts

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))  # beyond that a float overflows

    @property
    def bpc(self) -> float:
        """Bits per character: all nats, ends of posts included, over ln 2 and the code points plus one for each post.

        An unseen symbol costs what the model gives `<unk>` and log2(1,114,112) bits for its code point; nothing is
        skipped, so models with different tokens compare.
        """
        return (self.nats / math.log(2) + self.unknown * math.log2(CODE_POINTS)) / self.units


def score(cell: InferenceCell, codec: Codec, ids: np.ndarray, units: int, advance: Advance | None = None) -> Score:
    """The score of ids (M,), read as one stream from the zero state (and an end of post, where there are posts).

    `units` are the code points behind the ids, plus one for each post; `advance` is told the tokens that are done.
    """
    nats = 0.0
    for targets, hidden in _blocks(cell, codec.end_of_post, ids):
        z = cell.logits(hidden)  # (B, V)
        z -= z.max(axis=1, keepdims=True)
        picked = z[np.arange(len(targets)), targets]
        np.exp(z, out=z)
        nats += float(np.sum(np.log(z.sum(axis=1, dtype=np.float64)) - picked))
        if advance:
            advance(len(targets))
    return Score(nats, len(ids), int(np.count_nonzero(ids == codec.vocabulary.unknown)), units)


def _blocks(cell: InferenceCell, end_of_post: int | None, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of (targets (B,), the hidden states (B, H) that predict them)."""
    lane = cell.lanes()
    if end_of_post is not None:
        lane.step(np.array([end_of_post]))
    hidden = np.empty((BLOCK, cell.H), np.float32)
    for at in range(0, len(ids), BLOCK):
        block = np.asarray(ids[at : at + BLOCK])
        for k in range(len(block)):
            hidden[k] = lane.top[:, 0]
            lane.step(block[k : k + 1])
        yield block, hidden[: len(block)]
