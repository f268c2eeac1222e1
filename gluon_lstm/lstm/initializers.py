"""Initial weights as NumPy arrays, drawn from a generator that the caller passes."""

from __future__ import annotations

import numpy as np

from gluon_lstm.config import ModelConfig


def notes(config: ModelConfig, V: int, rng: np.random.Generator, D: int | None = None) -> dict[str, np.ndarray]:
    """Return the initial weights of notes 003: all weights and biases normal with standard deviation 0.01.

    D: the size of an input row, where layer 1 reads rows instead of ids; see `ModelConfig.shapes`.
    """
    shapes = config.shapes(V, D)
    return {name: (0.01 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}


def standard(
    config: ModelConfig,
    V: int,
    rng: np.random.Generator,
    D: int | None = None,
    counts: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return the initial weights of the standard recipe.

    - Recurrent weights: orthogonal (Saxe, McClelland & Ganguli 2014, arXiv:1312.6120), which preserves the norm of a
      signal through time.
    - Forget bias: 1 (Jozefowicz, Zaremba & Sutskever 2015, "An Empirical Exploration of Recurrent Network
      Architectures", section 4), so that the cell remembers until it learns to forget.
    - Input weights: uniform with variance 1 / H. A row is the embedding of one token: the scale does not depend on V.
    - Output weights: Glorot & Bengio 2010, equation 16.
    - `by`: the log unigram probabilities (add-one smoothing) where token `counts` (V,) are given, so that the untrained
      model predicts like a unigram model; else 0.
    - Peepholes and all other biases: 0.
    """
    H = config.hidden
    shapes = config.shapes(V, D)
    arrays = {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
    for layer in range(1, config.layers + 1):
        W = {name: arrays[in_model] for name, in_model in config.names(layer).items()}
        for k in config.cell.gates:
            W[f"Wx{k}"][:] = rng.uniform(-1, 1, W[f"Wx{k}"].shape) * np.sqrt(3 / H)
            W[f"Wh{k}"][:] = orthogonal(H, rng)
        if "bf" in W:
            W["bf"][:] = 1
    arrays["Why"][:] = rng.uniform(-1, 1, (H, V)) * np.sqrt(6 / (H + V))
    if counts is not None:
        arrays["by"][:] = np.log((counts + 1) / (counts.sum() + V))
    return arrays


def orthogonal(H: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random orthogonal matrix (H, H), Haar-distributed (Mezzadri 2007, arXiv:math-ph/0609050)."""
    Q, R = np.linalg.qr(rng.standard_normal((H, H)))
    return Q * np.sign(np.diag(R))
