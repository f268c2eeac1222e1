"""Logits -> one token id. Pure functions: what is random comes from a generator that is passed in."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

NOTHING = np.float32(-200)  # e^-200 is 0 in float32
BLOCK = 64  # tokens whose weights are summed before one of them is looked for
NOTHING_LEFT = "no token is left to draw: every one of the vocabulary is ruled out"


@dataclass(frozen=True)
class SamplingOptions:
    """How bold the choice is.

    `temperature` divides the logits (0: always the most likely token); `top_k` keeps the K most likely tokens; `top_p`
    the fewest that together have probability P (Holtzman et al. 2020, arXiv:1904.09751); `repetition_penalty` R > 1
    makes the last `repetition_window` tokens less likely (Keskar et al. 2019, arXiv:1909.05858, section 4.1).
    """

    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    repetition_window: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"--temperature {self.temperature}: use 0 (always the likeliest) or more")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"--top-k {self.top_k}: use at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"--top-p {self.top_p}: use more than 0 and at most 1")
        if not 0 < self.repetition_penalty < float("inf"):
            raise ValueError(f"--repetition-penalty {self.repetition_penalty}: use more than 0; 1 changes nothing")
        if self.repetition_window < 1:
            raise ValueError(f"a repetition window of {self.repetition_window} tokens: use at least 1")


def probabilities(
    logits: np.ndarray, options: SamplingOptions, illegal: Collection[int] = (), recent: Sequence[int] = ()
) -> np.ndarray:
    """The distribution that the next id is drawn from: logits (V,) -> float64 (V,), 0 for every id in `illegal`.

    Raises ValueError when no id is left to draw.
    """
    z = logits.astype(np.float64)
    if options.repetition_penalty != 1 and len(recent):
        ids = np.unique(np.asarray(recent[-options.repetition_window :]))
        z[ids] = np.where(z[ids] > 0, z[ids] / options.repetition_penalty, z[ids] * options.repetition_penalty)
    z[list(illegal)] = -np.inf
    best = int(z.argmax())
    if z[best] == -np.inf:
        raise ValueError(NOTHING_LEFT)
    if options.temperature == 0 or options.top_k == 1:
        return np.eye(1, len(z), best)[0]
    with np.errstate(over="ignore"):  # a very low temperature sends all but the best to minus infinity, as it should
        z = (z - z[best]) / options.temperature
    if options.top_k is not None and options.top_k < len(z):
        z[np.argsort(-z, kind="stable")[options.top_k :]] = -np.inf  # ties: the lower id stays
    p = np.exp(z)
    p /= p.sum()
    if options.top_p is not None and options.top_p < 1:
        order = np.argsort(-p, kind="stable")
        before = np.cumsum(p[order]) - p[order]  # the probability of everything likelier
        p[order[before >= options.top_p]] = 0
        p /= p.sum()
    return p


def draw(p: np.ndarray, rng: np.random.Generator) -> int:
    """One id from the distribution p (V,), by one uniform number (inverse of the cumulative distribution)."""
    return inverse(np.cumsum(p), rng.random())


def inverse(cumulative: np.ndarray, number: float) -> int:
    """The id at which a cumulative distribution (V,), of whatever sum, passes `number` (0 to 1) of its sum."""
    total = cumulative[-1]
    id = int(cumulative.searchsorted(total * cumulative.dtype.type(number), side="right"))
    # Rounding must not reach past the last possible id, where the sum is complete.
    return id if id < len(cumulative) else int(cumulative.searchsorted(total, side="left"))


def choose(
    z: np.ndarray, options: SamplingOptions, numbers: np.ndarray, recent: Sequence[Sequence[int]] = ()
) -> np.ndarray:
    """One id for each column of logits z (V, N), as `probabilities` and `draw` with the uniform `numbers` (N,) would.

    z is float32 and used up; what must not be drawn is minus infinity in it. Raises ValueError when no id is left.
    Where every token may be drawn all columns are done together: first the block of tokens is found, then the token.
    """
    V, N = z.shape
    best = z.max(axis=0)
    if best.min() == -np.inf:
        raise ValueError(NOTHING_LEFT)
    if options.top_k is not None or options.top_p is not None or options.repetition_penalty != 1:
        columns = zip(z.T, numbers, recent or [()] * N)
        return np.array([
            inverse(np.cumsum(probabilities(column, options, recent=before)), number)
            for column, number, before in columns
        ])
    if options.temperature == 0:
        return z.argmax(axis=0)
    temperature = np.float32(options.temperature)
    z -= best
    np.maximum(z, NOTHING * temperature, out=z)
    z /= temperature
    np.exp(z, out=z)
    if N == 1:
        return np.array([inverse(z[:, 0].cumsum(dtype=np.float64), float(numbers[0]))])
    whole = z[: V - V % BLOCK].reshape(-1, BLOCK, N).sum(axis=1)
    blocks = np.concatenate([whole, z[V - V % BLOCK :].sum(axis=0, keepdims=True)])  # (V // BLOCK + 1, N)
    until = np.cumsum(blocks, axis=0, dtype=np.float64)
    wanted = numbers * until[-1]
    block = np.minimum((until <= wanted).sum(axis=0), len(blocks) - 1)
    return np.array([
        _inside(z[at * BLOCK : (at + 1) * BLOCK, n], at * BLOCK, left)
        for n, (at, left) in enumerate(zip(block.tolist(), wanted - (until - blocks)[block, np.arange(N)]))
    ])


def _inside(weights: np.ndarray, first: int, wanted: float) -> int:
    """The id at which the sum of the weights of ids `first` … passes `wanted`; the last possible one, if none does."""
    id = int(weights.cumsum(dtype=np.float64).searchsorted(wanted, side="right"))
    return first + (id if id < len(weights) else int(np.flatnonzero(weights)[-1]))
