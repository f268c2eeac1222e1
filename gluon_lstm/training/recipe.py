"""Everything a training run is told: two recipes, and what each of their values may be."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from gluon_lstm.config import ModelConfig

SCHEDULES = ("cosine", "halving", "constant")
LAYOUTS = ("contiguous", "notebook")
OPTIMIZERS = ("adam", "sgd")
WEIGHTS = ("standard", "notes")
CELLS = ("fast", "scratch")
SWITCHES = ("clip", "patience")  # None means off, which is 0 as an option


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    `cell` is the code that computes the model, `scratch` the readable one, `fast` the same numbers sooner; `input_rate`
    and `output_rate` are how many times the learning rate counts, in Adam, for the input weights and for `Why`;
    `weight_decay` times the learning rate is the share that each weight loses in an update of Adam; `clip` is the
    longest gradient (None: no clipping); `warmup` and `patience` are shares of the run; `dropout` is the share of the
    hidden states set to zero on their way up, `input_dropout` that of the rows looked up in the input weights,
    `recurrent_dropout` that of the recurrent weights; `rollbacks` is how often a run gone astray goes back to its last
    good weights, and on at half the learning rate, before it ends (0: only a loss that is no number counts as astray,
    and ends it); `epochs`, `steps`, `minutes` (of training) are limits, of which the first reached ends the run.
    """

    name: str = "standard"
    cell: str = "fast"
    variant: str = "standard"
    layers: int = 1
    hidden: int = 256
    batch_size: int = 32
    seq_len: int = 64
    weights: str = "standard"
    optimizer: str = "adam"
    learning_rate: float = 3e-3
    input_rate: float = 10.0
    output_rate: float = 6.0
    schedule: str = "cosine"
    warmup: float = 0.02
    weight_decay: float = 0.0
    clip: float | None = 1.0
    dropout: float = 0.4
    input_dropout: float = 0.2
    recurrent_dropout: float = 0.3
    layout: str = "contiguous"
    validation: float = 0.05
    patience: float | None = 0.25
    rollbacks: int = 5
    epochs: int | None = 30
    steps: int | None = None
    minutes: float | None = None
    sample_every: int | None = None
    sample_length: int = 200
    temperature: float = 0.8
    seed: int = 1

    def __post_init__(self) -> None:
        least = dict.fromkeys(("batch_size", "seq_len", "epochs", "steps", "sample_every"), 1)
        least.update(sample_length=0, seed=0, rollbacks=0)
        for name, low in least.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise ValueError(f"--{option_name(name)} {value}: use at least {low}")
        if self.config.cell.peepholes == "full" and self.cell == "fast":
            raise ValueError(f"--variant {self.variant}: the fast cell does not have it; use --cell scratch")
        for name in ("clip", "patience", "minutes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                turned_off = ", or 0 to turn it off" if name in SWITCHES else ""
                raise ValueError(f"--{option_name(name)} {value}: use more than 0{turned_off}")
        for name in ("learning_rate", "input_rate", "output_rate"):
            if not 0 < getattr(self, name) <= 1e18:  # what MXNet can read, also when all are multiplied
                raise ValueError(f"--{option_name(name)} {getattr(self, name)}: use more than 0 and at most 1e18")
        if not 0 <= self.weight_decay * self.learning_rate < 1:
            raise ValueError(f"--weight-decay {self.weight_decay}: use at least 0 and less than 1 / --learning-rate")
        for name in ("dropout", "input_dropout", "recurrent_dropout", "warmup", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"--{option_name(name)} {getattr(self, name)}: use at least 0 and less than 1")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"--temperature {self.temperature}: use 0 (always the likeliest) or more")
        allowed = {"schedule": SCHEDULES, "layout": LAYOUTS, "optimizer": OPTIMIZERS, "weights": WEIGHTS, "cell": CELLS}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"--{option_name(name)} {getattr(self, name)}: use one of {', '.join(values)}")

    @property
    def config(self) -> ModelConfig:
        """What the model is built like."""
        return ModelConfig(self.hidden, self.variant, self.layers)


STANDARD = Recipe()

# As notes 003 publish it.
NOTES = Recipe(
    name="notes",
    weights="notes",
    optimizer="sgd",
    learning_rate=2.0,
    schedule="halving",
    clip=None,
    dropout=0.0,
    input_dropout=0.0,
    recurrent_dropout=0.0,
    validation=0.0,
    patience=None,
    rollbacks=0,
    epochs=2000,
    sample_length=1024,
    temperature=0.1,
)

RECIPES = {recipe.name: recipe for recipe in (STANDARD, NOTES)}


def recipe_of(name: str, **values: Any) -> Recipe:
    """The recipe `name` with some of its values changed.

    Any limit that is given stands alone, without the recipe's own; `clip` and `patience` 0 turn those off. Raises
    ValueError for a value that cannot be.
    """
    if values.keys() & {"epochs", "steps", "minutes"}:
        values = {"epochs": None, "steps": None, "minutes": None, **values}
    for switch in SWITCHES:
        if values.get(switch) == 0:
            values[switch] = None
    return replace(RECIPES[name], **values)


def learning_rate(recipe: Recipe, epoch: int, done: float) -> float:
    """The learning rate in `epoch` (from 0), when the share `done` (0 to 1) of the run is behind.

    `halving` halves it whenever epoch + 1 is a multiple of 100 (notes 003); `cosine` rises over the warm-up and then
    falls to 0 along half a cosine wave (Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts).
    """
    if recipe.schedule == "halving":
        return recipe.learning_rate * 0.5 ** ((epoch + 1) // 100)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    if done < recipe.warmup:
        return recipe.learning_rate * max(done / recipe.warmup, 0.01)
    fraction = (done - recipe.warmup) / (1 - recipe.warmup)
    return recipe.learning_rate * cosine(fraction)


def cosine(done: float) -> float:
    """From 1 to 0 along half a cosine wave, when the share `done` is behind; 0 beyond 1."""
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def option_name(name: str) -> str:
    """The option, without its dashes, of a field of a recipe."""
    return name.replace("_", "-")
