"""Several small networks trained as one: NumPy then takes its time once for all of them.

The arrays of the one lie along the diagonal of the joined ones, zeros beside them. What is beside the diagonal has no
gradient here and stays 0, so every network is what it would be alone (tests/test_demos_timing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm import reference
from gluon_lstm.lstm.reference import Arrays


class Answer(NamedTuple):
    """What the networks answer, z (T, N, K*D), and what the way back needs."""

    z: np.ndarray
    hidden: np.ndarray
    tapes: list[reference.LayerCache]


class BlockDiagonal:
    """K networks of one configuration of one layer, each reading D numbers a step and answering as many."""

    def __init__(self, networks: Sequence[Arrays], config: ModelConfig) -> None:
        self.count = len(networks)
        self.config = ModelConfig(config.hidden * self.count, config.variant)
        self.W = _joined(networks)
        self.inside = _joined([{name: np.ones_like(array) for name, array in W.items()} for W in networks])

    def answer(self, x: np.ndarray) -> Answer:
        """From the zero state: x (T, N, K*D), what the first reads before what the second reads -> z."""
        zero = np.zeros((x.shape[1], self.config.hidden))
        hidden, _, _, tapes = reference.forward(x, zero, zero, self.W, self.config)
        return Answer(reference.logits(hidden, self.W), hidden, tapes)

    def gradients(self, answer: Answer, dz: np.ndarray) -> dict[str, np.ndarray]:
        """From dL/dz (T, N, K*D), with L the sum of the losses of all networks."""
        grads = reference.backward(answer.tapes, dz @ self.W["Why"].T, self.W, self.config, None)
        grads["Why"] = np.einsum("tnh,tnd->hd", answer.hidden, dz)
        grads["by"] = dz.sum(axis=(0, 1))
        return {name: grads[name] * inside for name, inside in self.inside.items()}

    def lengths(self, arrays: Arrays) -> np.ndarray:
        """The length (K,) of each network's part of some arrays, as one vector."""
        squares = (np.atleast_2d(array**2).sum(axis=0).reshape(self.count, -1) for array in arrays.values())
        return np.sqrt(sum(square.sum(axis=1) for square in squares))

    def times(self, arrays: Arrays, factors: np.ndarray) -> dict[str, np.ndarray]:
        """Each network's part of some arrays times its factor (K,)."""
        return {name: a * np.repeat(factors, a.shape[-1] // self.count) for name, a in arrays.items()}

    def clipped(self, grads: Arrays, threshold: float) -> dict[str, np.ndarray]:
        """Each network's gradients cut to the length `threshold`, never stretched (notes 004)."""
        return self.times(grads, np.minimum(1, threshold / np.maximum(self.lengths(grads), 1e-300)))


def _joined(networks: Sequence[Arrays]) -> dict[str, np.ndarray]:
    joined = {}
    for name, first in networks[0].items():
        if first.ndim == 1:
            joined[name] = np.concatenate([W[name] for W in networks])
            continue
        rows, columns = first.shape
        joined[name] = np.zeros((rows * len(networks), columns * len(networks)))
        for k, W in enumerate(networks):
            joined[name][k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] = W[name]
    return joined
