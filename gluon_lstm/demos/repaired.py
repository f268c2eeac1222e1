"""Training of notes 000 without errors: the cell of `lstm.reference`, backpropagation through time, clipping."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.demos import reconstruction
from gluon_lstm.demos.block_diagonal import BlockDiagonal
from gluon_lstm.demos.reconstruction import CLIP_THRESHOLD, Errors, N, TrainingCurve, Weights


def block_diagonal(W: Weights) -> BlockDiagonal:
    """Return the networks of a reconstruction as one block-diagonal network."""
    networks = [reconstruction.named_arrays(W, k) for k in range(len(W.by))]
    return BlockDiagonal(networks, ModelConfig(N, "peephole-full"))


def train(sequences: int, T: int, seeds: Sequence[int], rate: float, advance: Callable[[int], None]) -> TrainingCurve:
    """Train as `reconstruction.train` does without errors, up to rounding."""
    networks = block_diagonal(reconstruction.initial_weights(reconstruction.rngs_for(seeds, [rate], 0)))
    rngs = reconstruction.rngs_for(seeds, [rate], 1)
    error, norm = [], []
    for _ in range(sequences):
        x, y = reconstruction.task(rngs, T)
        outputs = networks.forward(x.reshape(T, 1, -1))
        z = outputs.z.reshape(y.shape)
        error.append(reconstruction.relative_error(z, y))
        grads = networks.backward(outputs, (z - y).reshape(T, 1, -1))
        for name, grad in networks.clip(grads, CLIP_THRESHOLD).items():
            networks.W[name] -= rate * grad
        norm.append(networks.norms(networks.W))
        advance(T)
    return TrainingCurve(np.array(error), np.array(norm), np.zeros(len(seeds), int), [""] * len(seeds))


def gradient_error(errors: Errors, T: int, seeds: Sequence[int]) -> float:
    """Return the median over the seeds of |gradient - true gradient| / |true gradient|.

    The gradients are those of one sequence of T steps with the initial weights, the same at every step.
    """
    x, y = reconstruction.task(reconstruction.rngs_for(seeds, [0], 1), T)
    W = reconstruction.initial_weights(reconstruction.rngs_for(seeds, [0], 0))
    zero, rates = np.zeros((len(seeds), N)), np.zeros(len(seeds))
    _, grads = reconstruction.gradients(x, y, zero, zero, [W] * (T + 1), rates, errors - {"steps"})
    with_errors = block_diagonal(reconstruction.broadcast_gradients(reconstruction.sum_gradients(grads), W)).W
    networks = block_diagonal(W)
    outputs = networks.forward(x.reshape(T, 1, -1))
    true = networks.backward(outputs, outputs.z - y.reshape(outputs.z.shape))
    differences = networks.norms({name: with_errors[name] - true[name] for name in true})
    return float(np.median(differences / networks.norms(true)))
