"""Score of a model on a text: nats, perplexity and bits per character."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gluon_lstm.progress import Advance
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.text.codec import Codec

UNICODE_CODE_POINTS = 1_114_112  # number of code points of Unicode, surrogates included
BLOCK_TOKENS = 256  # tokens per matrix product with Why


@dataclass(frozen=True)
class Score:
    """Negative log-likelihood of a text under a model, with the counts that normalize it."""

    nats: float  # negative log-likelihood of all tokens, end-of-post tokens included
    tokens: int  # end-of-post tokens included
    unknown: int  # tokens outside the vocabulary; each is one code point
    characters: int  # code points of the text plus one per post

    @property
    def loss(self) -> float:
        """Cross-entropy in nats per token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(loss), with the loss limited to 700 nats: the largest exponential of a float."""
        return math.exp(min(self.loss, 700.0))

    @property
    def bpc(self) -> float:
        """Bits per character: nats / ln 2, plus log2(1,114,112) bits for each unknown token, per character.

        An unknown symbol costs its `<unk>` and the choice of a code point, so models with different vocabularies and
        tokenizers are comparable.
        """
        return (self.nats / math.log(2) + self.unknown * math.log2(UNICODE_CODE_POINTS)) / self.characters


def score(cell: InferenceCell, codec: Codec, ids: np.ndarray, characters: int, advance: Advance | None = None) -> Score:
    """Return the score of ids (M,) as one stream from the zero state (and an end-of-post token, if there are posts).

    `characters` are the code points of the text plus one per post. `advance` is called with the number of tokens of
    each block, after its steps.
    """
    nats = 0.0
    with ThreadPoolExecutor(1) as thread:  # computes the logits of a block beside the steps of the next one
        results: deque[Future[float]] = deque()
        for targets, hidden in _blocks(cell, codec.end_of_post, ids):
            results.append(thread.submit(_cross_entropy, cell, targets, hidden))
            if len(results) > 1:
                nats += results.popleft().result()
            if advance:
                advance(len(targets))
        nats += sum(result.result() for result in results)
    return Score(nats, len(ids), int(np.count_nonzero(ids == codec.vocabulary.unknown)), characters)


def _blocks(cell: InferenceCell, end_of_post: int | None, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of targets (B,) and the hidden states (B, H) that predict them, B at most BLOCK_TOKENS."""
    state = cell.zero_state()
    if end_of_post is not None:
        state.step([end_of_post])
    for first in range(0, len(ids), BLOCK_TOKENS):
        targets = np.asarray(ids[first : first + BLOCK_TOKENS])
        before = state.top.T.copy()  # (1, H)
        yield targets, np.concatenate([before, state.run(targets)[:-1]])


def _cross_entropy(cell: InferenceCell, targets: np.ndarray, hidden: np.ndarray) -> float:
    """Return the summed cross-entropy of targets (B,) and the logits of hidden states (B, H)."""
    z = cell.logits(hidden)  # (B, V)
    z -= z.max(axis=1, keepdims=True)
    target_logits = z[np.arange(len(targets)), targets]  # (B,)
    np.exp(z, out=z)
    return float(np.sum(np.log(z.sum(axis=1, dtype=np.float64)) - target_logits))
