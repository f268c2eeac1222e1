"""Limits of a run, and the fraction of it that is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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

    def seconds_left(self, elapsed: Elapsed, seconds_per_update: float) -> float:
        """Estimate the training time left after `elapsed`, in seconds."""
        by_steps = [(self.steps - elapsed.steps) * seconds_per_update] if self.steps else []
        by_seconds = [self.seconds - elapsed.seconds] if self.seconds else []
        return min(by_steps + by_seconds)
