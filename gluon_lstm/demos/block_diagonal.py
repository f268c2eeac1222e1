"""Several small networks trained as one network with block-diagonal weights, so that NumPy's overhead is paid once.

Weights outside the diagonal blocks are 0 and get no gradient. So each network computes what it would compute alone, up
to rounding (tests/demos/test_timing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm import reference
from gluon_lstm.lstm.reference import Arrays


class Outputs(NamedTuple):
    """Outputs z (T, N, K*D) of the networks, with the hidden states and tapes that `backward` reads."""

    z: np.ndarray
    hidden: np.ndarray
    tapes: list[reference.LayerCache]


class BlockDiagonal:
    """K networks with one layer and the same config, each with D inputs and D outputs a step."""

    def __init__(self, networks: Sequence[Arrays], config: ModelConfig) -> None:
        self.count = len(networks)
        self.config = ModelConfig(config.hidden * self.count, config.variant)
        self.W = _block_diagonal(networks)
        self.mask = _block_diagonal([{name: np.ones_like(array) for name, array in W.items()} for W in networks])

    def forward(self, x: np.ndarray) -> Outputs:
        """Run the networks from the zero state on x (T, N, K*D), the inputs of the first network first."""
        zero = np.zeros((x.shape[1], self.config.hidden))
        hidden, _, _, tapes = reference.forward(x, zero, zero, self.W, self.config)
        return Outputs(reference.logits(hidden, self.W), hidden, tapes)

    def backward(self, outputs: Outputs, dz: np.ndarray) -> dict[str, np.ndarray]:
        """Return dL/dW for dL/dz (T, N, K*D), where L is the sum of the losses of all networks."""
        grads = reference.backward(outputs.tapes, dz @ self.W["Why"].T, self.W, self.config, None)
        grads["Why"] = np.einsum("tnh,tnd->hd", outputs.hidden, dz)
        grads["by"] = dz.sum(axis=(0, 1))
        return {name: grads[name] * mask for name, mask in self.mask.items()}

    def norms(self, arrays: Arrays) -> np.ndarray:
        """Return the Euclidean norm (K,) of each network's part of `arrays`, taken as one vector."""
        squares = (np.atleast_2d(array**2).sum(axis=0).reshape(self.count, -1) for array in arrays.values())
        return np.sqrt(sum(square.sum(axis=1) for square in squares))

    def scale(self, arrays: Arrays, factors: np.ndarray) -> dict[str, np.ndarray]:
        """Return each network's part of `arrays` times its factor; factors (K,)."""
        return {name: a * np.repeat(factors, a.shape[-1] // self.count) for name, a in arrays.items()}

    def clip(self, grads: Arrays, threshold: float) -> dict[str, np.ndarray]:
        """Return the gradients with each network's norm clipped to `threshold` (notes 004)."""
        return self.scale(grads, np.minimum(1, threshold / np.maximum(self.norms(grads), 1e-300)))


def _block_diagonal(networks: Sequence[Arrays]) -> dict[str, np.ndarray]:
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
