"""Training recipes: the hyperparameters of a run, their bounds, and the two named sets of values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gluon_lstm.config import VARIANTS, ModelConfig
from gluon_lstm.language import _
from gluon_lstm.options import check, option, options_of

SCHEDULES = ("cosine", "halving", "constant")
LAYOUTS = ("contiguous", "notebook")
POST_ORDERS = ("random", "text")
OPTIMIZERS = ("adam", "sgd")
INITIALIZERS = ("standard", "notes")
IMPLEMENTATIONS = ("fast", "scratch")
AUTO, NO_BASE = "auto", "none"  # values of `from_` besides a model: the default model where it serves; random weights
MAX_RATE = 1e18  # MXNet parses it, also as a product of two

# Groups of options, in the order of the help.
DATA, MODEL, OPTIMIZATION, REGULARIZATION, STOPPING, SAMPLES = (
    "data", "model", "optimization", "regularization", "stopping", "samples",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a training run. Raises ValueError for an invalid one.

    Of the limits `epochs`, `steps` and `minutes` the first reached ends the run. `clip` and `patience` None turn both
    off.
    """

    name: str = "standard"
    from_: str = option(
        AUTO, "model whose weights are the start: its name, file or run directory; none; auto: ja where it serves",
        "MODEL", MODEL,
    )  # fmt: skip
    variant: str = option("standard", "cell", group=MODEL, choices=tuple(VARIANTS))
    layers: int = option(1, "stacked cells", "L", MODEL, minimum=1)
    hidden: int = option(256, "hidden units per layer", "H", MODEL, minimum=1)
    implementation: str = option(
        "fast",
        "code that computes the cell: fast kernels, or the readable equations; same numbers",
        group=MODEL,
        choices=IMPLEMENTATIONS,
    )
    init: str = option("standard", "initializer of the weights", group=MODEL, choices=INITIALIZERS)
    batch_size: int = option(32, "lanes per batch", "N", OPTIMIZATION, minimum=1)
    seq_len: int = option(64, "time steps per window of truncated backpropagation", "T", OPTIMIZATION, minimum=1)
    layout: str = option(
        "contiguous", "lanes: contiguous stretches of text, or cut as in the notes", group=OPTIMIZATION, choices=LAYOUTS
    )
    random_start: bool = True  # each epoch begins at another position of the text
    optimizer: str = option("adam", "update rule", group=OPTIMIZATION, choices=OPTIMIZERS)
    learning_rate: float = option(3e-3, "maximum learning rate", "X", OPTIMIZATION, above=0, maximum=MAX_RATE)
    input_lr_scale: float = option(
        10.0, "learning rate multiplier of the input weights (Adam)", "X", OPTIMIZATION, above=0, maximum=MAX_RATE
    )
    output_lr_scale: float = option(
        6.0, "learning rate multiplier of Why (Adam)", "X", OPTIMIZATION, above=0, maximum=MAX_RATE
    )
    schedule: str = option("cosine", "course of the learning rate", group=OPTIMIZATION, choices=SCHEDULES)
    warmup: float = option(
        0.02, "fraction of the run in which the learning rate rises", "X", OPTIMIZATION, minimum=0, below=1
    )
    clip: float | None = option(
        1.0, "maximum global gradient norm; 0: no clipping", "X", OPTIMIZATION, above=0, zero_is_none=True
    )
    rollbacks: int = option(
        5,
        "maximum restores from the last checkpoint after divergence, each at half the learning rate; 0: divergence"
        " ends the run",
        "N",
        OPTIMIZATION,
        minimum=0,
    )
    dropout: float = option(
        0.4, "dropout of the hidden states passed to the next layer and to Why", "P", REGULARIZATION, minimum=0, below=1
    )
    input_dropout: float = option(0.2, "dropout of the embedding rows", "P", REGULARIZATION, minimum=0, below=1)
    recurrent_dropout: float = option(
        0.3, "DropConnect rate of the recurrent weights", "P", REGULARIZATION, minimum=0, below=1
    )
    weight_decay: float = option(0.0, "decoupled weight decay (AdamW)", "X", REGULARIZATION, minimum=0)
    epochs: int | None = option(30, "maximum passes through the text", "N", STOPPING, minimum=1)
    steps: int | None = option(None, "maximum updates", "N", STOPPING, minimum=1)
    minutes: float | None = option(None, "maximum minutes of training", "M", STOPPING, above=0)
    validation: float = option(0.05, "fraction of the text in the validation set", "X", STOPPING, minimum=0, below=1)
    patience: float | None = option(
        0.25,
        "fraction of the run without a better validation result that ends it; 0: never",
        "X",
        STOPPING,
        above=0,
        zero_is_none=True,
    )
    sample_every: int | None = option(
        None, "updates between two samples (default: 20 samples a run)", "N", SAMPLES, minimum=1
    )
    sample_each_epoch: bool = False
    sample_length: int = option(200, "characters of a sample", "N", SAMPLES, minimum=0)
    temperature: float = option(0.8, "sampling temperature; 0: always the likeliest token", "X", SAMPLES, minimum=0)
    raw: bool = option(False, "one stream of characters: no posts, no cleaning", group=DATA)
    post_order: str = option(
        "random",
        "order of the posts in each epoch: random, or that of the text, for paragraphs that continue each other",
        group=DATA,
        choices=POST_ORDERS,
    )
    seed: int = option(1, "seed of initial weights, order, dropout and samples", "S", OPTIMIZATION, minimum=0)

    def __post_init__(self) -> None:
        check(self)
        if not self.weight_decay * self.learning_rate < 1:
            raise ValueError(
                _("`weight_decay` {weight_decay}: use less than 1 / `learning_rate`").format(
                    weight_decay=self.weight_decay
                )
            )
        if self.config.cell.scratch_only and self.implementation == "fast":
            raise ValueError(
                _("`variant` {variant}: the fast cell does not have it; use `implementation` scratch").format(
                    variant=self.variant
                )
            )

    @property
    def config(self) -> ModelConfig:
        """What the model is built like."""
        return ModelConfig(self.hidden, self.variant, self.layers)


STANDARD = Recipe()

# hyperparameters of notes 003
NOTES = Recipe(
    name="notes",
    from_=NO_BASE,
    init="notes",
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
    random_start=False,
    sample_each_epoch=True,
    sample_length=1024,
    temperature=0.1,
    raw=True,
)

RECIPES = {recipe.name: recipe for recipe in (STANDARD, NOTES)}


def recipe_of(recipe: str, **values: Any) -> Recipe:
    """Return the named recipe with some values replaced.

    A given limit replaces all limits of the recipe; `clip` and `patience` 0 turn them off. Raises ValueError for an
    unknown recipe or an invalid value.
    """
    if recipe not in RECIPES:
        raise ValueError(_("`recipe` {recipe}: use one of {recipes}").format(recipe=recipe, recipes=", ".join(RECIPES)))
    if values.keys() & {"epochs", "steps", "minutes"}:
        values = {"epochs": None, "steps": None, "minutes": None, **values}
    for name, each in options_of(Recipe).items():
        if each.zero_is_none and values.get(name) == 0:
            values[name] = None
    return replace(RECIPES[recipe], **values)
