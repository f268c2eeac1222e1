"""The training of notes 000 repaired, in the cell of `lstm.reference`: backpropagation through time, and clipping."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.demos import reconstruction
from gluon_lstm.demos.block_diagonal import BlockDiagonal
from gluon_lstm.demos.reconstruction import THRESHOLD, Course, Errors, N, Weights


def networks_of(W: Weights) -> BlockDiagonal:
    """The networks of a reconstruction."""
    networks = [reconstruction.by_name(W, lane) for lane in range(len(W.by))]
    return BlockDiagonal(networks, ModelConfig(N, "peephole-full"))


def train(sequences: int, T: int, seeds: Sequence[int], rate: float, advance: Callable[[int], None]) -> Course:
    """What `reconstruction.train` does without any of the errors."""
    networks = networks_of(reconstruction.begin(reconstruction.generators(seeds, [rate], 0)))
    rngs = reconstruction.generators(seeds, [rate], 1)
    error, norm = [], []
    for _ in range(sequences):
        x, y = reconstruction.task(rngs, T)
        answer = networks.answer(x.reshape(T, 1, -1))
        z = answer.z.reshape(y.shape)
        error.append(reconstruction.error_of(z, y))
        grads = networks.gradients(answer, (z - y).reshape(T, 1, -1))
        for name, grad in networks.clipped(grads, THRESHOLD).items():
            networks.W[name] -= rate * grad
        norm.append(networks.lengths(networks.W))
        advance(T)
    return Course(np.array(error), np.array(norm), np.zeros(len(seeds), int), [""] * len(seeds))


def gradient_error(errors: Errors, T: int, seeds: Sequence[int]) -> float:
    """How far the gradients of a sequence of T steps are from the true ones, as a share of their length: the median
    over the seeds. The weights are those that training begins with, the same at every step.
    """
    x, y = reconstruction.task(reconstruction.generators(seeds, [0], 1), T)
    W = reconstruction.begin(reconstruction.generators(seeds, [0], 0))
    zero, rates = np.zeros((len(seeds), N)), np.zeros(len(seeds))
    _, found = reconstruction.gradients(x, y, zero, zero, [W] * (T + 1), rates, errors - {"steps"})
    theirs = networks_of(reconstruction.spread(reconstruction.total(found), W)).W
    networks = networks_of(W)
    answer = networks.answer(x.reshape(T, 1, -1))
    true = networks.gradients(answer, answer.z - y.reshape(answer.z.shape))
    apart = networks.lengths({name: theirs[name] - true[name] for name in true})
    return float(np.median(apart / networks.lengths(true)))
