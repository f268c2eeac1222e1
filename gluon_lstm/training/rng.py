"""Random generators of a training run, each for one purpose and step: checkpoints save no random state."""

from __future__ import annotations

import numpy as np

from gluon_lstm.training.recipe import Recipe


def training_rng(recipe: Recipe, purpose: str, count: int = 0) -> np.random.Generator:
    """Return the generator for a purpose (weights, lanes, a dropout mask) and a step or epoch."""
    return np.random.default_rng([recipe.seed, *purpose.encode(), count])


def random_uint16(
    recipe: Recipe, purpose: str, count: int, shape: tuple[int, int, int], lanes: slice = slice(None)
) -> np.ndarray:
    """Return some lanes (the second axis) of an array of random uint16.

    Those of other lanes are skipped, not drawn: with many processes they are many more than those of one process.
    """
    rows, N, size = shape
    first, last, _step = lanes.indices(N)
    if last - first == N:
        return training_rng(recipe, purpose, count).integers(0, 1 << 16, shape, dtype=np.uint16)
    drawn = np.empty((rows, last - first, size), np.uint16)
    for row, numbers in enumerate(drawn):
        skipped, in_draw = divmod((row * N + first) * size, 4)  # a draw of PCG64 has 64 bits: four numbers
        rng = training_rng(recipe, purpose, count)
        rng.bit_generator.advance(skipped)  # type: ignore[attr-defined]
        flat = rng.integers(0, 1 << 16, in_draw + numbers.size, dtype=np.uint16)
        numbers[:] = flat[in_draw:].reshape(numbers.shape)
    return drawn
