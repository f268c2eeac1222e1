"""Sampling rules: logits -> probabilities -> one token id. Pure functions; randomness is an argument."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Callable, NamedTuple

import numpy as np

from gluon_lstm.language import N_, _
from gluon_lstm.sampling.options import SamplingOptions

MIN_LOGIT = np.float32(-200)  # smallest scaled logit; exp(-200) is 0 in float32
LOW_TEMPERATURE = 1e-3  # from it on, division by the temperature overflows only for differences of logits above 1e35
BLOCK_TOKENS = 64  # tokens per partial sum of `_inverse_cdf_blocks`
ALL_BANNED = N_("no token is left to draw: all tokens of the vocabulary are banned")
NOT_FINITE = N_("the logits of the model are not finite: its training diverged, or a sampling option is too extreme")
MIN_TEMPERATURE, MAX_TEMPERATURE = 1e-30, 1e30  # range in float32; values outside give the same distribution


def _penalize_repetitions(z: np.ndarray, options: SamplingOptions, recent: Sequence[int]) -> None:
    """Divide positive logits of the recent ids by the penalty, multiply negative ones (Keskar et al. 2019)."""
    if len(recent):
        ids = np.unique(np.asarray(recent[-options.repetition_window :]))
        penalty = options.repetition_penalty
        with np.errstate(over="ignore"):  # a very high penalty excludes a token
            z[ids] = np.where(z[ids] > 0, z[ids] / penalty, z[ids] * penalty)


def _keep_top_k(z: np.ndarray, options: SamplingOptions, recent: Sequence[int]) -> None:
    """Exclude all but the `top_k` highest logits; of equal logits the lower ids stay."""
    z[np.argsort(-z, kind="stable")[options.top_k :]] = -np.inf


def _keep_top_p(p: np.ndarray, options: SamplingOptions, recent: Sequence[int]) -> None:
    """Keep the fewest most likely ids whose probabilities sum to at least `top_p`, and renormalize."""
    if options.top_p is not None and options.top_p < 1:
        order = np.argsort(-p, kind="stable")
        before = np.cumsum(p[order]) - p[order]  # probability of all ids more likely than this one
        p[order[before >= options.top_p]] = 0
        p /= p.sum()


class Rule(NamedTuple):
    """Sampling rule: a function that changes logits or probabilities (V,) in place.

    The rule is active when `field` of the options differs from its default.
    """

    field: str  # of SamplingOptions
    values: str  # what the function changes: LOGITS, SCALED_LOGITS or PROBABILITIES
    apply: Callable[[np.ndarray, SamplingOptions, Sequence[int]], None]  # (values, options, recent ids)
    window: str | None = None  # field of SamplingOptions: number of recent ids that the function reads


LOGITS = "logits"  # as the model gives them, before banned ids are excluded
SCALED_LOGITS = "scaled logits"  # minus their maximum, divided by the temperature; -inf for banned ids
PROBABILITIES = "probabilities"  # softmax of the scaled logits

# Rules in the order of application. A new rule is a field of SamplingOptions, a function, and a line here.
RULES = (
    Rule("repetition_penalty", LOGITS, _penalize_repetitions, window="repetition_window"),
    Rule("top_k", SCALED_LOGITS, _keep_top_k),
    Rule("top_p", PROBABILITIES, _keep_top_p),
)
_OFF = {field.name: field.default for field in fields(SamplingOptions)}  # defaults, with which rules are inactive


def active_rules(options: SamplingOptions) -> list[Rule]:
    """Return the rules that are active with these options, in the order of application."""
    return [rule for rule in RULES if getattr(options, rule.field) != _OFF[rule.field]]


def recent_window(options: SamplingOptions) -> int:
    """Return the number of recent ids that the active rules read; 0 when none reads any."""
    return max((getattr(options, rule.window) for rule in active_rules(options) if rule.window), default=0)


def probabilities(
    logits: np.ndarray, options: SamplingOptions, banned_ids: Collection[int] = (), recent: Sequence[int] = ()
) -> np.ndarray:
    """Return the distribution of the next id: logits (V,) -> float64 (V,), 0 for each of `banned_ids`.

    `recent` are the ids before it, the last one last. Temperature 0 gives the most likely id probability 1. Raises
    ValueError when all ids are banned or a logit is not finite.
    """
    rules = active_rules(options)

    def apply_rules(values: str, array: np.ndarray) -> None:
        for rule in rules:
            if rule.values == values:
                rule.apply(array, options, recent)

    z = logits.astype(np.float64)
    apply_rules(LOGITS, z)
    z[list(banned_ids)] = -np.inf
    best = int(z.argmax())
    _check_maxima([float(z[best])])
    if options.temperature == 0:
        return np.eye(1, len(z), best)[0]
    with np.errstate(over="ignore"):  # -inf is right for all but the best logit at a very low temperature
        z = (z - z[best]) / options.temperature
    apply_rules(SCALED_LOGITS, z)
    p = np.exp(z)
    p /= p.sum()
    apply_rules(PROBABILITIES, p)
    return p


def _check_maxima(maxima: Sequence[float]) -> None:
    """Raise ValueError when a maximum logit, one per row, is not finite: no id can be drawn from its row."""
    if not all(map(math.isfinite, maxima)):
        raise ValueError(_(ALL_BANNED) if -math.inf in maxima else _(NOT_FINITE))


def sample(p: np.ndarray, rng: np.random.Generator) -> int:
    """Return one id drawn from the distribution p (V,) with one uniform number (inverse transform sampling)."""
    return inverse_cdf(np.cumsum(p), rng.random())


def inverse_cdf(cumulative: np.ndarray, uniform: float) -> int:
    """Return the first id whose cumulative weight (V,) exceeds `uniform` (in [0, 1)) times the total weight."""
    total = cumulative[-1]
    id = int(cumulative.searchsorted(total * cumulative.dtype.type(uniform), side="right"))
    # Rounding must not yield an id of weight 0 at the end: the last id of weight > 0 is where the total is reached.
    return id if id < len(cumulative) else int(cumulative.searchsorted(total, side="left"))


def sample_batch(
    z: np.ndarray, options: SamplingOptions, uniforms: Sequence[float], recent: Sequence[Sequence[int]] = ()
) -> list[int]:
    """Return one id for each column of float32 logits z (V, N), drawn with its uniform number of `uniforms` (N,).

    The distributions are those of `probabilities`. Banned ids have the logit -inf. z is overwritten. Raises ValueError
    as `probabilities` does. Without active rules all columns are sampled together in float32.
    """
    z = np.ascontiguousarray(z.T)  # (N, V): each row is summed, so it is contiguous
    maxima = np.maximum.reduce(z, axis=1, keepdims=True)
    _check_maxima(maxima.ravel().tolist())
    if active_rules(options):
        return [
            inverse_cdf(np.cumsum(probabilities(logits, options, recent=before)), uniform)
            for logits, uniform, before in zip(z, uniforms, recent or [()] * len(z))
        ]
    if options.temperature == 0:
        return z.argmax(axis=1).tolist()
    temperature = np.float32(min(max(options.temperature, MIN_TEMPERATURE), MAX_TEMPERATURE))
    z -= maxima
    if temperature < LOW_TEMPERATURE:
        np.maximum(z, MIN_LOGIT * temperature, out=z)
    z /= temperature
    np.exp(z, out=z)
    if len(z) == 1:
        return [inverse_cdf(z[0].cumsum(dtype=np.float64), uniforms[0])]
    return _inverse_cdf_blocks(z, np.asarray(uniforms))


def _inverse_cdf_blocks(weights: np.ndarray, uniforms: np.ndarray) -> list[int]:
    """Return `inverse_cdf` of each row of weights (N, V): find the block of tokens, then the token in it."""
    N, V = weights.shape
    n = np.arange(N)
    sums = np.add.reduceat(weights, np.arange(0, V, BLOCK_TOKENS), axis=1)  # (N, V / BLOCK_TOKENS)
    cumulative = sums.cumsum(axis=1, dtype=np.float64)
    target = uniforms * cumulative[:, -1]
    block = np.minimum((cumulative <= target[:, None]).sum(axis=1), sums.shape[1] - 1)
    rest = target - (cumulative[n, block] - sums[n, block])
    first = np.minimum(
        block * BLOCK_TOKENS, max(V - BLOCK_TOKENS, 0)
    )  # a short last block is read from before its start
    columns = first[:, None] + np.arange(min(BLOCK_TOKENS, V))
    in_block = weights[n[:, None], columns]  # (N, BLOCK_TOKENS)
    in_block[columns < (block * BLOCK_TOKENS)[:, None]] = 0
    position = (in_block.cumsum(axis=1, dtype=np.float64) <= rest[:, None]).sum(axis=1)
    # Rounding must not yield an id after the last one of weight > 0 in the block.
    last = in_block.shape[1] - 1 - (in_block[:, ::-1] > 0).argmax(axis=1)
    return (first + np.minimum(position, last)).tolist()
