"""Log lines of a training run, from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gluon_lstm.training.history import Record


def short_text(N: int, T: int) -> str:
    return f"the text is short: batch size reduced to {N} lanes, windows to {T} steps"


def text_size(posts: int, characters: int, V: int, train: int, validation: int) -> str:
    return (
        f"{posts:,} posts, {characters:,} characters; vocabulary {V:,};"
        f" {train:,} training tokens, {validation:,} validation tokens"
    )


def run_size(
    parameters: int, device: str, steps_per_epoch: int, N: int, T: int, seconds_left: float, resumed: bool
) -> str:
    return (
        f"{parameters:,} parameters on {device}; an epoch is {steps_per_epoch:,} updates of {N} x {T} tokens;"
        f" about {seconds_left / 60:.1f} minutes{' more' if resumed else ''}"
    )


def baseline_losses(nats: Mapping[str, float], bits: Mapping[str, float]) -> str:
    """Return the baselines, in nats per token and in bits per character."""
    losses = "; ".join(f"{name} {nats[name]:.3f} = {bits[name]:.3f}" for name in nats)
    return f"baselines, nats per token = bits per character: {losses}"


def no_validation() -> str:
    return "the text is too short for a validation set"


def measurement(record: Record, tokens_per_second: float) -> str:
    validation = ""
    if record.val_loss is not None:
        validation = f", validation {record.val_loss:.4f} = {record.val_bpc:.3f} bits per character"
    return (
        f"Epoch {record.epoch}. Loss: {record.moving_loss:.4f}{validation}"
        f"  (step {record.step}, {record.seconds:.0f} s, {tokens_per_second:,.0f} tokens/s)"
    )


def sample_heading(step: int, epoch: int, moving_loss: float | None) -> str:
    return f"== step {step}, epoch {epoch}, loss {moving_loss:.4f}"


def resumed(steps: int, seconds: float) -> str:
    return f"resuming from step {steps:,}, after {seconds:,.0f} s of training"


def environment_change(saved: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Return the line about changed hardware and library versions, or "" if there are none."""
    changes = [f"{key} {saved.get(key)} -> {current[key]}" for key in current if current[key] != saved.get(key)]
    if not changes:
        return ""
    return f"another environment than at the start ({', '.join(changes)}): the last digits may differ"


def limit_change(progress: float, learning_rate: float) -> str:
    return (
        f"the limit has changed: the run is now {100 * progress:.0f} % complete, and the learning rate continues its"
        f" new schedule at {learning_rate:.3g}"
    )


def rolled_back(reason: str, steps: int, learning_rate: float) -> str:
    return (
        f"{reason}: rolled back to step {steps:,}; training continues at half the learning rate ({learning_rate:.3g})"
    )


def advice(rollbacks: int) -> str:
    """Return the end of the error sentence after divergence: how training ends, and which settings help."""
    if rollbacks:
        return (
            f"; the learning rate was already halved {rollbacks} times, so training ends with the weights of the last"
            " checkpoint; start again with a smaller `learning_rate` or `clip`"
        )
    return (
        "; training ends with the last finite weights: use a smaller `learning_rate`, a smaller `clip`, or `rollbacks`"
        " 5, which restores the last checkpoint at half the learning rate"
    )


def complete(out: Path, steps: int) -> str:
    return f"{out}: the training run is complete after {steps:,} updates; use a higher limit to continue it"


def out_of_patience() -> str:
    return "validation has stopped improving: training ends, and the best weights are kept"
