"""Gradients -> new weights: SGD as the notes print it, Adam, clipping by the global norm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm.fast import kernels
from gluon_lstm.lstm.fast.inplace_function import as_numpy_view, is_viewable, view_or_copy
from gluon_lstm.lstm.fast.tasks import TaskGroup
from gluon_lstm.lstm.parameters import Parameters

TASK_SIZE = 1 << 18  # numbers of an array that are one job


class Optimizer(Protocol):
    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        """Change each array of W in place; its gradient counts `scale` times.

        `ids` are the tokens of the window: other rows of the input weights have no gradient, and may be passed over.
        """

    def arrays(self) -> dict[str, np.ndarray]:
        """What is remembered from one update to the next; not copies where the memory can be seen."""

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Remember what `arrays` gave; other arrays may be among them."""


class SGD:
    """Stochastic gradient descent: param = param - lr * grad (notes 003)."""

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        for param in W:
            param[:] = param - learning_rate * scale * param.grad

    def arrays(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        pass


class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; both bias corrections folded into the step, section 2).

    The learning rate counts `input_rate` times for the rows of the input weights and `output_rate` times for `Why`. A
    row changes only where its token occurs, and alone, while in a stack with an embedding all tokens share the matrix
    behind it: at one rate for all, the rows would be learned last. So each row is an Adam of its own, which counts its
    own updates: corrected as if it had been updated each time, a rare token would leap. `decay` draws every weight but
    the biases toward 0.
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
        self.rates = {**dict.fromkeys(W.embedding_names, input_rate), "Why": output_rate}
        self.decay, self.beta1, self.beta2, self.epsilon = decay, beta1, beta2, epsilon
        self.steps = 0
        self.row_steps = np.zeros(len(getattr(W, W.embedding_names[0])), np.int64)  # of each row of the input weights
        self.moments: dict[str, tuple[Any, Any]] = {
            name: (mx.nd.zeros_like(param), mx.nd.zeros_like(param)) for name, param in W.items()
        }

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        self.steps += 1
        self.row_steps[_rows(W, W.embedding_names[0], ids)] += 1
        with TaskGroup() as jobs:
            for name, param in W.items():
                rows = _rows(W, name, ids)
                steps = self.row_steps[rows] if name in W.embedding_names else np.full(len(rows), self.steps)
                corrections = np.sqrt(1 - self.beta2**steps) / (1 - self.beta1**steps)
                rates = (learning_rate * self.rates.get(name, 1.0) * corrections).astype(np.float32)
                keep = 1.0 if name.startswith("b") else 1 - learning_rate * self.decay
                arrays = (param, param.grad, *self.moments[name])
                if is_viewable(param):
                    matrices = [np.atleast_2d(as_numpy_view(array)) for array in arrays]
                    for piece in _pieces(matrices[0], len(rows)):
                        numbers = (rates[piece], scale, keep, self.beta1, self.beta2, self.epsilon)
                        jobs.submit(kernels.adam, *matrices, rows[piece], *numbers)
                else:
                    self._update_on_device(arrays, rows, rates, scale, keep)

    def arrays(self) -> dict[str, np.ndarray]:
        moments = {
            f"adam.{kind}.{name}": view_or_copy(array)
            for name, pair in self.moments.items()
            for kind, array in zip(("mean", "variance"), pair)
        }
        return {"adam.steps": np.array([self.steps]), "adam.row_steps": self.row_steps, **moments}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.steps = int(arrays["adam.steps"][0])
        self.row_steps[:] = arrays["adam.row_steps"]
        for name, pair in self.moments.items():
            for kind, array in zip(("mean", "variance"), pair):
                array[:] = mx.nd.array(arrays[f"adam.{kind}.{name}"], ctx=array.context, dtype=array.dtype)

    def _update_on_device(
        self, arrays: tuple[Any, ...], rows: np.ndarray, rates: np.ndarray, scale: float, keep: float
    ) -> None:
        """The same where the memory cannot be seen."""
        param, _, mean, variance = matrices = [array.reshape((-1, array.shape[-1])) for array in arrays]
        index = mx.nd.array(rows, ctx=param.context, dtype="int32")
        rate = mx.nd.array(rates[:, None], ctx=param.context, dtype=param.dtype)
        p, g, m, v = (matrix.take(index) for matrix in matrices)
        m = self.beta1 * m + (1 - self.beta1) * scale * g
        v = self.beta2 * v + (1 - self.beta2) * (scale * g) ** 2
        p = keep * p - rate * m / (v.sqrt() + self.epsilon)
        for matrix, new in ((param, p), (mean, m), (variance, v)):
            mx.nd.contrib.index_copy(matrix, index, new, out=matrix)


def global_norm(W: Parameters, ids: Any = None) -> float:
    """The length of all gradients together, as one vector. `ids`: the only rows of the input weights that have one."""
    if not is_viewable(W.by):
        squares = mx.nd.multi_sum_sq(*(param.grad for param in W), num_arrays=sum(1 for _ in W))
        return math.sqrt(float(squares.sum().asscalar()))
    with TaskGroup() as jobs:
        for name, param in W.items():
            grad = np.atleast_2d(as_numpy_view(param.grad))
            rows = _rows(W, name, ids)
            for piece in _pieces(grad, len(rows)):
                jobs.submit(kernels.sum_of_squares, grad, rows[piece])
        return math.sqrt(sum(jobs.results()))


def _rows(W: Parameters, name: str, ids: Any) -> np.ndarray:
    """The rows of an array that had a gradient."""
    if name in W.embedding_names and ids is not None:
        return np.asarray(ids, np.int64)
    shape = getattr(W, name).shape
    return np.arange(1 if len(shape) == 1 else shape[0])


def _pieces(matrix: np.ndarray, rows: int) -> list[slice]:
    """That many rows in pieces worth a job each."""
    size = max(TASK_SIZE // matrix.shape[1], 1)
    return [slice(at, at + size) for at in range(0, rows, size)]


def clip_coef(norm: float, threshold: float) -> float:
    """The factor that brings gradients of length `norm` to at most `threshold`, never above 1.

    The rule of notes 004 (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1): direction kept, length cut.
    """
    return min(1.0, threshold / norm) if norm else 1.0
