"""Random generators of a training run, each for one purpose and step: checkpoints save no random state."""

from __future__ import annotations

import numpy as np

from gluon_lstm.training.recipe import Recipe


def training_rng(recipe: Recipe, purpose: str, count: int = 0) -> np.random.Generator:
    """Return the generator for a purpose (weights, lanes, a dropout mask) and a step or epoch."""
    return np.random.default_rng([recipe.seed, *purpose.encode(), count])
