"""Advice on a training run: what its curve shows, with the numbers that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RISE = 0.02  # bits per character above the best validation: more than validations differ by chance
STILL_FALLING = 0.01  # bits per character gained in the last fifth of a run: more of it would help
HIGH_RATIO = 100  # weights per token of the text: the model can learn the text by heart


class Advice(NamedTuple):
    """A kind of advice, a key of the labels, and the values of its sentence."""

    kind: str
    values: Mapping[str, Any]


def advise(
    records: Sequence[Mapping[str, Any]], ended: bool, tokens: int, weights: int, bigram: float | None, base: str
) -> list[Advice]:
    """Return the advice on a run from its records (lines of history.jsonl), the most urgent first.

    `tokens` of the training text, `weights` of the model, `bigram`: bits per character of that baseline, None without a
    validation set, `base`: the name of the model that the run began from, or "none".
    """
    validated = [(record["seconds"], record["val_bpc"]) for record in records if record["val_bpc"] is not None]
    rollbacks = sum(record["rolled_back_to"] is not None for record in records)
    found = []
    if rollbacks:
        found.append(Advice("diverged", {"rollbacks": rollbacks}))
    if len(validated) < 2:
        return found
    best_seconds, best = min(validated, key=lambda point: point[1])
    seconds, last = validated[-1]
    overfitting = last > best + RISE
    if overfitting:
        found.append(Advice("overfitting", {"seconds": best_seconds, "best": best, "last": last}))
    elif ended:
        before = [bpc for at, bpc in validated if at <= 0.8 * seconds]
        if before and min(before) - best > STILL_FALLING:
            gained = min(before) - best
            found.append(Advice("not_converged", {"gained": gained, "seconds": 2 * seconds}))
    if ended and bigram is not None and best > bigram:
        found.append(Advice("worse_than_bigram", {"best": best, "bigram": bigram}))
    if weights > HIGH_RATIO * tokens and overfitting:
        found.append(Advice("little_text", {"tokens": tokens, "weights": weights}))
        if base == "none":
            found.append(Advice("begin_from_ja", {}))
    return found
