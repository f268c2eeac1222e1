"""Functions shared by all NumPy code: stable sigmoid and log-softmax, gate order of fused arrays, clipping factor.

All functions of arrays keep the dtype of their argument.
"""

from __future__ import annotations

import numpy as np

LSTM_GATES = sorted("gifo")  # the gates that `reorder_gates` permutes


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return the elementwise sigmoid of a: 1 / (1 + exp(-a)), written with tanh, which cannot overflow."""
    return sigmoid_of_half(0.5 * a)


def sigmoid_of_half(half: np.ndarray) -> np.ndarray:
    """Return the elementwise sigmoid of a, given a / 2: for weights that are halved in advance."""
    return 0.5 * np.tanh(half) + 0.5


def log_softmax(z: np.ndarray) -> np.ndarray:
    """Return the log-softmax over the last axis of z (..., V): z - log(sum(exp(z))), shifted so as not to overflow."""
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def reorder_gates(fused: np.ndarray, source: str, target: str) -> np.ndarray:
    """Return a copy of `fused` (..., 4H) with its gates in the order `target` instead of `source`.

    The orders in use (see `config`): "fgio" in notes 001; "ifgo" in PyTorch and MXNet, whose weights are transposed and
    whose two biases add up to b; "ifog" in the fast implementations. Raises ValueError unless both name the four gates.
    """
    for order in (source, target):
        if sorted(order) != LSTM_GATES:
            raise ValueError(f"gate order {order!r}: name each of the gates f, g, i, o once, as in 'fgio'")
    if fused.ndim == 0 or fused.shape[-1] % 4:
        raise ValueError(f"the fused array has the shape {fused.shape}: expected (..., 4H), four gates")
    gates = fused.reshape(*fused.shape[:-1], 4, fused.shape[-1] // 4)  # (..., 4H) -> (..., 4, H)
    return gates[..., [source.index(k) for k in target], :].reshape(fused.shape)


def clip_coef(norm: float, threshold: float) -> float:
    """Return the factor, at most 1, that scales gradients of norm `norm` to at most `threshold`.

    Notes 004; Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1.
    """
    return min(1.0, threshold / norm) if norm else 1.0
