"""From rows of pixels to the logits of ten digits: the cell of `lstm/scratch.py`, its last state, and one product."""

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
    """Rows x (8, N, 8) -> logits (N, 10), from the state behind the last row.

    `bounded`: within -1 and 1, by a tanh. Notes 002 have it before their softmax.
    """
    _, h, _ = scratch.lstm(x, *scratch.begin_state(x.shape[1], W), W)
    z = scratch.logits(h, W)
    return nd.tanh(z) if bounded else z


def loss(x: Any, labels: Any, W: Parameters, bounded: bool = False) -> Any:
    """The mean cross-entropy of a batch, (1,), nats an image: rows x (8, N, 8), labels (N,)."""
    return scratch.average_cross_entropy(logits(x, W, bounded), labels)


def zero_weights(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """As notes 002 begin: 0 in every gate, 0.01 times a standard normal number in `Why` and `by`.

    (They draw that number anew where it is beyond 2.)
    """
    arrays = initializers.notes(config, DIGITS, rng, SIDE)
    return {name: array if name in ("Why", "by") else 0 * array for name, array in arrays.items()}


def standard_weights(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """As `initial.standard` has them, for rows of eight pixels and ten digits."""
    return initializers.standard(config, DIGITS, rng, SIDE)
