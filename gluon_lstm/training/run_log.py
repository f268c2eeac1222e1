"""Log lines of a training run: values in, sentences out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training.baselines import bits_per_character
from gluon_lstm.training.batches import Batches
from gluon_lstm.training.history import Record
from gluon_lstm.training.recipe import Recipe

SAMPLE_MARK = "== "  # begins the heading of a sample in samples.txt
NO_VALIDATION = "the text is too short for a validation set"
OUT_OF_PATIENCE = "validation has stopped improving: training ends, and the best weights are kept"


def opening(
    corpus: Corpus,
    recipe: Recipe,
    batches: Batches,
    parameters: int,
    device: str,
    seconds_left: float | None,
    resumed: bool,
    losses: Mapping[str, float],
) -> list[str]:
    """Return the sizes of text, model and run, the training time left (None: not known), and the baseline losses."""
    lines, N, T = [], batches.N, batches.T
    if (recipe.batch_size, recipe.seq_len) != (N, T):
        lines.append(f"the text is short: batch size reduced to {N} lanes, windows to {T} steps")
    lines += [
        f"{corpus.posts:,} posts, {corpus.characters:,} characters; vocabulary {len(corpus.codec.vocabulary):,};"
        f" {len(corpus.train):,} training tokens, {len(corpus.validation):,} validation tokens",
        f"{parameters:,} parameters on {device}; an epoch is {batches.steps_per_epoch:,} updates of {N} x {T} tokens; "
        + ("the first updates will show the time" if seconds_left is None else time_left(seconds_left, resumed)),
    ]
    if losses:
        costs = [f"{name} {loss:.3f} = {bits_per_character(corpus, loss):.3f}" for name, loss in losses.items()]
        lines.append(f"baselines, nats per token = bits per character: {'; '.join(costs)}")
    elif recipe.validation:
        lines.append(NO_VALIDATION)
    return lines


def time_left(seconds: float, resumed: bool) -> str:
    """Return an estimate of the training time left."""
    return f"about {seconds / 60:.1f} minutes{' more' if resumed else ''}"


def measurement(record: Record, tokens_per_second: float) -> str:
    """Return the line of a record."""
    validation = ""
    if record.val_loss is not None:
        validation = f", validation {record.val_loss:.4f} = {record.val_bpc:.3f} bits per character"
    return (
        f"Epoch {record.epoch}. Loss: {record.moving_loss:.4f}{validation}"
        f"  (step {record.step}, {record.seconds:.0f} s, {tokens_per_second:,.0f} tokens/s)"
    )


def sample_heading(step: int, epoch: int, moving_loss: float | None) -> str:
    """Return the line above a sample in samples.txt."""
    return f"{SAMPLE_MARK}step {step}, epoch {epoch}, loss {moving_loss:.4f}"


def resumed(steps: int, seconds: float) -> str:
    """Return the first line of a resumed run."""
    return f"resuming from step {steps:,}, after {seconds:,.0f} s of training"


def environment_change(saved: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Return the line about changed hardware and library versions, or "" if there are none."""
    changes = [f"{key} {saved.get(key)} -> {current[key]}" for key in current if current[key] != saved.get(key)]
    if not changes:
        return ""
    return f"another environment than at the start ({', '.join(changes)}): the last digits may differ"


def limit_change(progress: float, learning_rate: float) -> str:
    """Return the line of a run resumed with another limit."""
    return (
        f"the limit has changed: the run is now {100 * progress:.0f} % complete, and the learning rate continues its"
        f" new schedule at {learning_rate:.3g}"
    )


def rolled_back(reason: str, steps: int, learning_rate: float) -> str:
    """Return the line of a rollback."""
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
    """Return the line of a run that has nothing left to do."""
    return f"{out}: the training run is complete after {steps:,} updates; use a higher limit to continue it"
