"""Logits -> one token id. Pure functions: what is random comes from a generator that is passed in."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from gluon_lstm.sampling.options import SamplingOptions

MIN_LOGIT = np.float32(-200)  # e^-200 is 0 in float32
BLOCK = 64  # tokens whose weights are summed before one of them is looked for
ALL_BANNED = "no token is left to draw: every one of the vocabulary is ruled out"
NOT_FINITE = "the model's logits are no finite numbers: its training went astray, or an option is too extreme"
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-30, 1e30  # temperatures beyond change nothing, and are no numbers in float32


def probabilities(
    logits: np.ndarray, options: SamplingOptions, banned_ids: Collection[int] = (), recent: Sequence[int] = ()
) -> np.ndarray:
    """The distribution that the next id is drawn from: logits (V,) -> float64 (V,), 0 for every id in `illegal`.

    Raises ValueError when no id is left to draw, or logits are no numbers.
    """
    z = logits.astype(np.float64)
    if options.repetition_penalty != 1 and len(recent):
        ids = np.unique(np.asarray(recent[-options.repetition_window :]))
        with np.errstate(over="ignore"):  # a very high penalty rules a token out
            z[ids] = np.where(z[ids] > 0, z[ids] / options.repetition_penalty, z[ids] * options.repetition_penalty)
    z[list(banned_ids)] = -np.inf
    best = int(z.argmax())
    _check([float(z[best])])
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


def _check(best: Sequence[float]) -> None:
    """ValueError when one of the best logits, each of a row, does not let an id be drawn."""
    if not all(map(math.isfinite, best)):
        raise ValueError(ALL_BANNED if -math.inf in best else NOT_FINITE)


def sample(p: np.ndarray, rng: np.random.Generator) -> int:
    """One id from the distribution p (V,), by one uniform number (inverse of the cumulative distribution)."""
    return inverse_cdf(np.cumsum(p), rng.random())


def inverse_cdf(cumulative: np.ndarray, number: float) -> int:
    """The id at which a cumulative distribution (V,), of whatever sum, passes `number` (0 to 1) of its sum."""
    total = cumulative[-1]
    id = int(cumulative.searchsorted(total * cumulative.dtype.type(number), side="right"))
    # Rounding must not reach past the last possible id, where the sum is complete.
    return id if id < len(cumulative) else int(cumulative.searchsorted(total, side="left"))


def sample_batch(
    z: np.ndarray, options: SamplingOptions, numbers: Sequence[float], recent: Sequence[Sequence[int]] = ()
) -> list[int]:
    """One id for each column of logits z (V, N), as `probabilities` and `draw` with the uniform `numbers` (N,) would.

    z is float32 and used up; what must not be drawn is minus infinity in it. Raises ValueError as `probabilities` does.
    Where every token may be drawn all columns are done together.
    """
    z = np.ascontiguousarray(z.T)  # (N, V): what is summed lies side by side
    best = z.max(axis=1, keepdims=True)
    _check(best.ravel().tolist())
    if options.top_k is not None or options.top_p is not None or options.repetition_penalty != 1:
        return [
            inverse_cdf(np.cumsum(probabilities(logits, options, recent=before)), number)
            for logits, number, before in zip(z, numbers, recent or [()] * len(z))
        ]
    if options.temperature == 0:
        return z.argmax(axis=1).tolist()
    temperature = np.float32(min(max(options.temperature, MIN_TEMPERATURE), MAX_TEMPERATURE))
    z -= best
    np.maximum(z, MIN_LOGIT * temperature, out=z)
    z /= temperature
    np.exp(z, out=z)
    if len(z) == 1:
        return [inverse_cdf(z[0].cumsum(dtype=np.float64), numbers[0])]
    return _inverse_by_blocks(z, np.asarray(numbers))


def _inverse_by_blocks(z: np.ndarray, numbers: np.ndarray) -> list[int]:
    """`inverse` for each row of weights z (N, V): first the block of tokens is found, then the token in it."""
    N, V = z.shape
    n = np.arange(N)
    blocks = np.add.reduceat(z, np.arange(0, V, BLOCK), axis=1)  # (N, V / BLOCK)
    until = blocks.cumsum(axis=1, dtype=np.float64)
    wanted = numbers * until[:, -1]
    block = np.minimum((until <= wanted[:, None]).sum(axis=1), blocks.shape[1] - 1)
    left = wanted - (until[n, block] - blocks[n, block])
    first = np.minimum(block * BLOCK, max(V - BLOCK, 0))  # the last block may be shorter: what is before it is skipped
    columns = first[:, None] + np.arange(min(BLOCK, V))
    weights = z[n[:, None], columns]
    weights[columns < (block * BLOCK)[:, None]] = 0
    inside = (weights.cumsum(axis=1, dtype=np.float64) <= left[:, None]).sum(axis=1)
    # Rounding must not reach past the last possible id of the block.
    last = weights.shape[1] - 1 - (weights[:, ::-1] > 0).argmax(axis=1)
    return (first + np.minimum(inside, last)).tolist()
