"""Gradients -> new weights: SGD as the notes print it, Adam, clipping by the global norm."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm import kernels
from gluon_lstm.lstm.jobs import Jobs
from gluon_lstm.lstm.operator import in_memory, view
from gluon_lstm.lstm.parameters import Parameters

PIECE = 1 << 17  # numbers of an array that are one job


class Optimizer(Protocol):
    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        """Change each array of W in place; its gradient counts `scale` times.

        `ids` are the tokens of the window: other rows of the input weights have no gradient, and may be passed over.
        """


class SGD:
    """Stochastic gradient descent: param = param - lr * grad (notes 003)."""

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        for param in W:
            param[:] = param - learning_rate * scale * param.grad


class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; both bias corrections folded into the step, section 2).

    The learning rate counts `input_rate` times for the rows of the input weights and `output_rate` times for `Why`. A
    row changes only where its token occurs, and alone, while in a stack with an embedding all tokens share the matrix
    behind it: at one rate for all, the rows would be learned last. `decay` draws every weight but the biases toward 0.

    On the CPU only the rows that had a gradient are touched; on a GPU it is MXNet's own operator, and all rows.
    """

    def __init__(
        self,
        W: Parameters,
        input_rate: float = 1.0,
        output_rate: float = 1.0,
        decay: float = 0.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.rates = {**dict.fromkeys(W.looked_up, input_rate), "Why": output_rate}
        self.decay, self.beta1, self.beta2, self.epsilon = decay, beta1, beta2, epsilon
        self.steps = 0
        self.moments: dict[str, tuple[Any, Any]] = {
            name: (mx.nd.zeros_like(param), mx.nd.zeros_like(param)) for name, param in W.items()
        }

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        self.steps += 1
        corrected = learning_rate * math.sqrt(1 - self.beta2**self.steps) / (1 - self.beta1**self.steps)
        with Jobs() as jobs:
            for name, param in W.items():
                rate = corrected * self.rates.get(name, 1.0)
                keep = 1.0 if name.startswith("b") else 1 - learning_rate * self.decay
                arrays = (param, param.grad, *self.moments[name])
                if in_memory(param):
                    numbers = (rate, scale, keep, self.beta1, self.beta2, self.epsilon)
                    matrices = [np.atleast_2d(view(array)) for array in arrays]
                    for rows in _pieces(matrices[0], _rows(W, name, ids)):
                        jobs.do(kernels.adam, *matrices, rows, *numbers)
                else:
                    param *= keep
                    mx.nd.adam_update(
                        *arrays, out=param, lr=rate,
                        beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon, rescale_grad=scale,
                    )  # fmt: skip


def global_norm(W: Parameters, ids: Any = None) -> float:
    """The length of all gradients together, as one vector. `ids`: the only rows of the input weights that have one."""
    if not in_memory(W.by):
        squares = mx.nd.multi_sum_sq(*(param.grad for param in W), num_arrays=sum(1 for _ in W))
        return math.sqrt(float(squares.sum().asscalar()))
    with Jobs() as jobs:
        for name, param in W.items():
            grad = np.atleast_2d(view(param.grad))
            for rows in _pieces(grad, _rows(W, name, ids)):
                jobs.do(kernels.sum_of_squares, grad, rows)
        return math.sqrt(sum(jobs.results()))


def _rows(W: Parameters, name: str, ids: Any) -> np.ndarray:
    """The rows of an array that had a gradient."""
    if name in W.looked_up and ids is not None:
        return np.asarray(ids, np.int64)
    shape = getattr(W, name).shape
    return np.arange(1 if len(shape) == 1 else shape[0])


def _pieces(matrix: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """`rows` in pieces worth a job each."""
    size = max(PIECE // matrix.shape[1], 1)
    return [rows[at : at + size] for at in range(0, len(rows), size)]


def clipping(norm: float, threshold: float) -> float:
    """The factor that brings gradients of length `norm` to at most `threshold`, never above 1.

    The rule of notes 004 (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1): direction kept, length cut.
    """
    return min(1.0, threshold / norm) if norm else 1.0
