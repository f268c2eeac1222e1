"""Schedule of a run: its limits, its learning rate, and what is due after an update. Pure functions of plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from gluon_lstm.language import _
from gluon_lstm.training.recipe import Recipe


class Elapsed(NamedTuple):
    """Updates and training time since the start of a run."""

    steps: int = 0
    seconds: float = 0.0


START = Elapsed()


@dataclass(frozen=True)
class Limits:
    """Length of a run in updates and in seconds of training (None: no limit). The first limit reached ends it."""

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, recipe: Recipe, steps_per_epoch: int) -> Limits:
        """Return the limits of a recipe, with epochs converted to updates."""
        in_steps = [recipe.steps, recipe.epochs and recipe.epochs * steps_per_epoch]
        steps = min((limit for limit in in_steps if limit), default=None)
        return cls(steps, recipe.minutes and recipe.minutes * 60)

    def progress(self, elapsed: Elapsed) -> float:
        """Return the fraction of the run done at `elapsed`, by the nearest limit: 0 to 1."""
        by_steps = elapsed.steps / self.steps if self.steps else 0.0
        by_seconds = elapsed.seconds / self.seconds if self.seconds else 0.0
        return min(max(by_steps, by_seconds), 1.0)

    def seconds_left(self, elapsed: Elapsed, seconds_per_update: float = 0.0) -> float:
        """Estimate the training time left after `elapsed`, in seconds."""
        by_steps = [(self.steps - elapsed.steps) * seconds_per_update] if self.steps else []
        by_seconds = [self.seconds - elapsed.seconds] if self.seconds else []
        return min(by_steps + by_seconds)


class Moment(NamedTuple):
    """Position of a run after an update. Fractions are of the whole run."""

    steps: int
    ends_epoch: bool
    ends_run: bool
    fraction_since_validation: float
    tokens_since_validation: int
    fraction_since_sample: float
    seconds_since_checkpoint: float


class Due(NamedTuple):
    """Actions due after an update."""

    validation: bool
    record: bool
    sample: bool
    checkpoint: bool


@dataclass(frozen=True)
class Schedule:
    """Intervals of validation, records, samples and checkpoints."""

    validate_every: float = 0.02  # fraction of the run
    validate_epochs: bool = True  # also validate at the end of an epoch
    validation_cost: float = 0.1  # maximum tokens validated per token trained
    record_steps: int = 50  # maximum updates between records
    sample_every: float = 0.05  # fraction of the run
    checkpoint_minutes: float = 1.0  # of training

    def __post_init__(self) -> None:
        if not self.checkpoint_minutes > 0:
            raise ValueError(
                _("`checkpoint_minutes` {checkpoint_minutes}: use more than 0").format(
                    checkpoint_minutes=self.checkpoint_minutes
                )
            )

    def due(self, now: Moment, recipe: Recipe, validation_tokens: int) -> Due:
        """Return what is due at `now`, for a validation set of `validation_tokens` tokens (0: none)."""
        validation = validation_tokens > 0 and (now.ends_run or self.validation_due(now, validation_tokens))
        record = validation or now.ends_run or now.ends_epoch or now.steps % self.record_steps == 0
        return Due(validation, record, self.sample_due(now, recipe), self.checkpoint_due(now))

    def validation_due(self, now: Moment, validation_tokens: int) -> bool:
        """Return whether validation is due before the end of the run."""
        at_epoch_end = self.validate_epochs and now.ends_epoch
        affordable = now.tokens_since_validation * self.validation_cost >= validation_tokens
        return (at_epoch_end or now.fraction_since_validation >= self.validate_every) and affordable

    def sample_due(self, now: Moment, recipe: Recipe) -> bool:
        """Return whether a sample is due: as the recipe says, otherwise at fractions of the run and at its end."""
        if recipe.sample_every:
            return now.steps % recipe.sample_every == 0
        if recipe.sample_each_epoch:
            return now.ends_epoch
        return now.ends_run or now.fraction_since_sample >= self.sample_every

    def checkpoint_due(self, now: Moment) -> bool:
        """Return whether a checkpoint is due."""
        return now.seconds_since_checkpoint >= 60 * self.checkpoint_minutes


def learning_rate(recipe: Recipe, epoch: int, progress: float) -> float:
    """Return the learning rate in `epoch` (from 0) at the fraction `progress` (0 to 1) of the run.

    `halving` halves it whenever epoch + 1 is a multiple of 100 (notes 003). `cosine` rises linearly during warm-up and
    then falls to 0 along a half cosine (Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts).
    """
    if recipe.schedule == "halving":
        return recipe.learning_rate * 0.5 ** ((epoch + 1) // 100)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if progress < recipe.warmup:
        return recipe.learning_rate * max(progress / recipe.warmup, 0.01)
    return recipe.learning_rate * cosine((progress - recipe.warmup) / (1 - recipe.warmup))


def cosine(progress: float) -> float:
    """Return the factor of a half cosine from 1 (`progress` 0) to 0 (`progress` 1 or more)."""
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
