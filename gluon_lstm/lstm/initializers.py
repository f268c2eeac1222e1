"""Weights before training, as NumPy arrays drawn from a generator that is passed in."""

from __future__ import annotations

import numpy as np

from gluon_lstm.config import ModelConfig


def notes(config: ModelConfig, V: int, rng: np.random.Generator, D: int | None = None) -> dict[str, np.ndarray]:
    """As notes 003 have it: every weight and every bias is 0.01 times a standard normal number.

    D, here and below: how many numbers a row has, where layer 1 reads rows instead of ids.
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
    """What lets an LSTM learn from its first step on.

    Recurrent weights orthogonal (Saxe, McClelland & Ganguli 2014, arXiv:1312.6120), so that a signal keeps its length
    on the way through time; the forget gate's bias 1 (Jozefowicz, Zaremba & Sutskever 2015, "An Empirical Exploration
    of Recurrent Network Architectures", section 4), so that the cell remembers until it learns to forget; a row of an
    input weight is the embedding of one token, so its scale does not depend on V (nor on what a higher layer reads, H
    numbers); the output weights as Glorot & Bengio 2010, equation 16; `by` the logarithm of how frequent each token is
    (add one), where `counts` (V,) says it, so that a model which has learned nothing predicts as the unigram does; the
    peepholes and all other biases 0.
    """
    H = config.hidden
    shapes = config.shapes(V, D)
    arrays = {name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()}
    for layer in range(1, config.layers + 1):
        own = {name: arrays[in_model] for name, in_model in config.names(layer).items()}
        for k in config.cell.gates:
            own[f"Wx{k}"][:] = rng.uniform(-1, 1, own[f"Wx{k}"].shape) * np.sqrt(3 / H)
            own[f"Wh{k}"][:] = orthogonal(H, rng)
        if "bf" in own:
            own["bf"][:] = 1
    arrays["Why"][:] = rng.uniform(-1, 1, (H, V)) * np.sqrt(6 / (H + V))
    if counts is not None:
        arrays["by"][:] = np.log((counts + 1) / (counts.sum() + V))
    return arrays


def orthogonal(H: int, rng: np.random.Generator) -> np.ndarray:
    """A random orthogonal (H, H) matrix, uniform over them all (Mezzadri 2007, arXiv:math-ph/0609050)."""
    Q, R = np.linalg.qr(rng.standard_normal((H, H)))
    return Q * np.sign(np.diag(R))
