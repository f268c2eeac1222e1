"""Recipes of a digit classifier: all settings of training, their bounds, and two presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gluon_lstm.config import VARIANTS, ModelConfig
from gluon_lstm.options import check, option

INITIALIZERS = ("standard", "zeros")
SCHEDULES = ("cosine", "constant")
MAX_VALUE = 1e6  # sums of products stay far below the maximum of float32


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of the digit classifier. Raises ValueError for an invalid one.

    Noise is drawn again in each pass. The learning rate falls to 0 along a half cosine, or is constant. With
    `bounded_logits` the logits are within -1 and 1.
    """

    variant: str = option("standard", "cell", choices=tuple(VARIANTS))
    hidden: int = option(50, "hidden units", "H", minimum=1)
    epochs: int = option(100, "passes through the training images", "N", minimum=1)
    batch_size: int = option(100, "images per update", "N", minimum=1)
    learning_rate: float = option(0.03, "maximum learning rate of Adam", "X", above=0, maximum=MAX_VALUE)
    schedule: str = option("cosine", "course of the learning rate", choices=SCHEDULES)
    noise: float = option(
        0.2, "standard deviation of noise added to training pixels, which are 0 to 1", "X", minimum=0, maximum=MAX_VALUE
    )
    white: float = option(1.0, "value of the brightest pixel", "X", above=0, maximum=MAX_VALUE)
    init: str = option("standard", "initializer of the weights", choices=INITIALIZERS)
    bounded_logits: bool = option(False, "a tanh before the softmax")
    drop_last: bool = option(False, "leave out the last, smaller batch of an epoch")
    shuffle: bool = option(True, "another order in each epoch")
    seed: int = option(1, "seed of weights, order and noise", "S", minimum=0)

    def __post_init__(self) -> None:
        check(self)
        _ = self.config  # raises ValueError for an invalid size

    @property
    def config(self) -> ModelConfig:
        """What the cell is built like."""
        return ModelConfig(self.hidden, self.variant)


STANDARD = Recipe()

# The printed settings of notes 002. Their loss is the sum over a batch, not the mean; Adam cancels the factor.
NOTES = Recipe(
    variant="no-output-tanh",
    learning_rate=1e-3,
    schedule="constant",
    noise=0.0,
    white=16.0,
    init="zeros",
    bounded_logits=True,
    drop_last=True,
    shuffle=False,
)

RECIPES = {"standard": STANDARD, "notes": NOTES}


def recipe_of(recipe: str, **values: Any) -> Recipe:
    """Return the named recipe with some values replaced. Raises ValueError for an invalid value."""
    return replace(RECIPES[recipe], **values)
