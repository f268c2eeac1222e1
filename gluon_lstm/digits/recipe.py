"""Everything the training of a digit classifier is told: two recipes, and what each of their values may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gluon_lstm.config import ModelConfig
from gluon_lstm.training.recipe import option_name

WEIGHTS = ("standard", "zeros")
SCHEDULES = ("cosine", "constant")
MAX_VALUE = 1e6  # far from where a sum of products leaves float32


@dataclass(frozen=True)
class Recipe:
    """How the digits are learned.

    `noise` is the standard deviation of what is added to each training pixel (of 0 to 1) each time it is seen; `white`
    is what the brightest pixel is read as. The learning rate falls to 0 along half a cosine wave, or is constant. With
    `bounded_logits` a tanh keeps them within -1 and 1; with `drop_last` an epoch ends with its last whole batch.
    """

    variant: str = "standard"
    hidden: int = 50
    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 0.03
    schedule: str = "cosine"
    noise: float = 0.2
    white: float = 1.0
    weights: str = "standard"
    bounded_logits: bool = False
    drop_last: bool = False
    shuffle: bool = True
    seed: int = 1

    def __post_init__(self) -> None:
        for name, low in {"epochs": 1, "batch_size": 1, "seed": 0}.items():
            if getattr(self, name) < low:
                raise ValueError(f"--{option_name(name)} {getattr(self, name)}: use at least {low}")
        for name in ("learning_rate", "white"):
            if not 0 < getattr(self, name) <= MAX_VALUE:
                raise ValueError(
                    f"--{option_name(name)} {getattr(self, name)}: use more than 0 and at most {MAX_VALUE:g}"
                )
        if not 0 <= self.noise <= MAX_VALUE:
            raise ValueError(f"--noise {self.noise}: use at least 0 (none) and at most {MAX_VALUE:g}")
        for name, values in {"weights": WEIGHTS, "schedule": SCHEDULES}.items():
            if getattr(self, name) not in values:
                raise ValueError(f"--{name} {getattr(self, name)}: use one of {', '.join(values)}")
        _ = self.config  # which says what is wrong with it

    @property
    def config(self) -> ModelConfig:
        """What the cell is built like."""
        return ModelConfig(self.hidden, self.variant)


STANDARD = Recipe()

# As notes 002 print it. Their loss is the sum over a batch, not its mean, which Adam divides out again.
NOTES = Recipe(
    variant="no-output-tanh",
    learning_rate=1e-3,
    schedule="constant",
    noise=0.0,
    white=16.0,
    weights="zeros",
    bounded_logits=True,
    drop_last=True,
    shuffle=False,
)

RECIPES = {"standard": STANDARD, "notes": NOTES}


def recipe_of(name: str, **values: Any) -> Recipe:
    """The recipe `name` with some of its values changed. Raises ValueError for a value that cannot be."""
    return replace(RECIPES[name], **values)
