"""Classifier of digits: the cell of `lstm/scratch.py` over the rows of pixels, and a linear layer on its last state."""

from __future__ import annotations

from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import ModelConfig
from gluon_lstm.digits.images import DIGITS, SIDE
from gluon_lstm.lstm import initializers, scratch
from gluon_lstm.lstm.parameters import Parameters

nd = mx.nd


def logits(x: Any, W: Parameters, bounded: bool = False) -> Any:
    """Return logits (N, 10) from the hidden state after the last row: rows x (8, N, 8).

    `bounded`: apply tanh to the logits, as notes 002 do before the softmax.
    """
    _, h, _ = scratch.lstm(x, *scratch.begin_state(x.shape[1], W), W)
    z = scratch.logits(h, W)
    return nd.tanh(z) if bounded else z


def loss(x: Any, labels: Any, W: Parameters, bounded: bool = False) -> Any:
    """Return the mean cross-entropy of a batch, (1,), nats per image: rows x (8, N, 8), labels (N,)."""
    return scratch.average_cross_entropy(logits(x, W, bounded), labels)


def zero_weights(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the initial weights of notes 002: 0 in every gate, 0.01 N(0, 1) in `Why` and `by`.

    (The notes truncate the normal distribution at 2.)
    """
    arrays = initializers.notes(config, DIGITS, rng, SIDE)
    return {name: array if name in ("Why", "by") else 0 * array for name, array in arrays.items()}


def standard_weights(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the weights of `initializers.standard` for rows of eight pixels and ten digits."""
    return initializers.standard(config, DIGITS, rng, SIDE)
