"""Log lines of a training run: values in, sentences out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gluon_lstm.language import _
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training.baselines import bits_per_character
from gluon_lstm.training.batches import Batches
from gluon_lstm.training.history import Record
from gluon_lstm.training.recipe import Recipe

SAMPLE_MARK = "== "  # begins the heading of a sample in samples.txt


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
        lines.append(
            _("the text is short: batch size reduced to {lanes} lanes, windows to {steps} steps").format(
                lanes=N, steps=T
            )
        )
    lines += [
        _(
            "{posts:,} posts, {characters:,} characters; vocabulary {vocabulary:,}; {training:,} training tokens,"
            " {validation:,} validation tokens"
        ).format(
            posts=corpus.posts,
            characters=corpus.characters,
            vocabulary=len(corpus.codec.vocabulary),
            training=len(corpus.train),
            validation=len(corpus.validation),
        ),
        _(
            "{parameters:,} parameters on {device}; an epoch is {updates:,} updates of {lanes} x {steps} tokens; {time}"
        ).format(
            parameters=parameters,
            device=device,
            updates=batches.steps_per_epoch,
            lanes=N,
            steps=T,
            time=_("the first updates will show the time")
            if seconds_left is None
            else time_left(seconds_left, resumed),
        ),
    ]
    if losses:
        costs = [f"{name} {loss:.3f} = {bits_per_character(corpus, loss):.3f}" for name, loss in losses.items()]
        lines.append(_("baselines, nats per token = bits per character: {costs}").format(costs="; ".join(costs)))
    elif recipe.validation:
        lines.append(no_validation())
    return lines


def no_validation() -> str:
    """Return the line of a run without a validation set."""
    return _("the text is too short for a validation set")


def out_of_patience() -> str:
    """Return the last line of a run that has stopped improving."""
    return _("validation has stopped improving: training ends, and the best weights are kept")


def time_left(seconds: float, resumed: bool) -> str:
    """Return an estimate of the training time left, in seconds below a minute, else in minutes."""
    if seconds < 60:
        message = _("about {seconds:.0f} s more") if resumed else _("about {seconds:.0f} s")
    else:
        message = _("about {minutes:.1f} minutes more") if resumed else _("about {minutes:.1f} minutes")
    return message.format(seconds=seconds, minutes=seconds / 60)


def measurement(record: Record, tokens_per_second: float) -> str:
    """Return the line of a record."""
    validation = ""
    if record.val_loss is not None:
        validation = _(", validation {loss:.4f} = {bits:.3f} bits per character").format(
            loss=record.val_loss, bits=record.val_bpc
        )
    return _(
        "Epoch {epoch}. Loss: {loss:.4f}{validation}  (step {step}, {seconds:.0f} s, {rate:,.0f} tokens/s)"
    ).format(
        epoch=record.epoch,
        loss=record.moving_loss,
        validation=validation,
        step=record.step,
        seconds=record.seconds,
        rate=tokens_per_second,
    )


def sample_heading(step: int, epoch: int, moving_loss: float | None) -> str:
    """Return the line above a sample in samples.txt."""
    return f"{SAMPLE_MARK}step {step}, epoch {epoch}, loss {moving_loss:.4f}"


def resumed(steps: int, seconds: float) -> str:
    """Return the first line of a resumed run."""
    return _("resuming from step {steps:,}, after {seconds:,.0f} s of training").format(steps=steps, seconds=seconds)


def environment_change(saved: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    """Return the line about changed hardware and library versions, or "" if there are none."""
    changes = [f"{key} {saved.get(key)} -> {current[key]}" for key in current if current[key] != saved.get(key)]
    if not changes:
        return ""
    return _("another environment than at the start ({changes}): the last digits may differ").format(
        changes=", ".join(changes)
    )


def limit_change(progress: float, learning_rate: float) -> str:
    """Return the line of a run resumed with another limit."""
    return _(
        "the limit has changed: the run is now {percent:.0f} % complete, and the learning rate continues its new"
        " schedule at {rate:.3g}"
    ).format(percent=100 * progress, rate=learning_rate)


def rolled_back(reason: str, steps: int, learning_rate: float) -> str:
    """Return the line of a rollback."""
    return _(
        "{reason}: rolled back to step {steps:,}; training continues at half the learning rate ({rate:.3g})"
    ).format(reason=reason, steps=steps, rate=learning_rate)


def diverged(reason: str, rollbacks: int) -> str:
    """Return the error sentence after divergence: the reason, how training ends, and which settings help."""
    if rollbacks:
        return _(
            "{reason}; the learning rate was already halved {rollbacks} times, so training ends with the weights of the"
            " last checkpoint; start again with a smaller `learning_rate` or `clip`"
        ).format(reason=reason, rollbacks=rollbacks)
    return _(
        "{reason}; training ends with the last finite weights: use a smaller `learning_rate`, a smaller `clip`, or"
        " `rollbacks` 5, which restores the last checkpoint at half the learning rate"
    ).format(reason=reason)


def complete(out: Path, steps: int) -> str:
    """Return the line of a run that has nothing left to do."""
    return _("{out}: the training run is complete after {steps:,} updates; use a higher limit to continue it").format(
        out=out, steps=steps
    )
