"""How long a run is, and how much of it is behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gluon_lstm.training.recipe import Recipe


class Elapsed(NamedTuple):
    """A moment of a run."""

    steps: int = 0
    seconds: float = 0.0  # of training


START = Elapsed()


@dataclass(frozen=True)
class Limits:
    """The first of them that is reached ends the run; None where there is none."""

    steps: int | None
    seconds: float | None

    @classmethod
    def of(cls, recipe: Recipe, steps_per_epoch: int) -> Limits:
        in_steps = [recipe.steps, recipe.epochs and recipe.epochs * steps_per_epoch]
        steps = min((limit for limit in in_steps if limit), default=None)
        return cls(steps, recipe.minutes and recipe.minutes * 60)

    def share(self, place: Elapsed) -> float:
        """The share of the run that was behind at `place`, by the limit that is nearest: 0 to 1."""
        by_steps = place.steps / self.steps if self.steps else 0.0
        by_seconds = place.seconds / self.seconds if self.seconds else 0.0
        return min(max(by_steps, by_seconds), 1.0)

    def seconds_left(self, place: Elapsed, update: float) -> float:
        """About how long the rest of the run takes, when one update takes `update` seconds."""
        by_steps = [(self.steps - place.steps) * update] if self.steps else []
        by_seconds = [self.seconds - place.seconds] if self.seconds else []
        return min(by_steps + by_seconds)
