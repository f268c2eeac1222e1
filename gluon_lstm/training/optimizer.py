"""Optimizers (SGD as the notes print it, Adam) and the global gradient norm."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm.fast import optimizer_kernels as kernels
from gluon_lstm.lstm.fast.inplace_function import as_matrix_view, is_viewable, view_or_copy
from gluon_lstm.lstm.fast.tasks import TaskGroup
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.training.recipe import Recipe

TASK_SIZE = 1 << 18  # elements of an array per task


class Optimizer(Protocol):
    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        """Update each array of W in place with its gradient times `scale`.

        `ids` are the distinct tokens of the window: all other embedding rows have a zero gradient and may be skipped.
        """

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the optimizer state by name: on a CPU views, which the next update changes."""

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned; `arrays` may hold other arrays too."""


class SGD:
    """Stochastic gradient descent: param = param - lr * grad (notes 003)."""

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        for param in W:
            param[:] = param - learning_rate * scale * param.grad

    def state_dict(self) -> dict[str, np.ndarray]:
        return {}

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        pass


class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; both bias corrections folded into the step, section 2).

    `input_rate` and `output_rate` multiply the learning rate of the embedding rows (Wx) and of `Why`. An embedding row
    only changes when its token occurs, so it would learn more slowly than all other weights at the same rate. Each row
    has its own step count for the bias correction: with the global count, the first updates of a rare token would be
    far too large. `decay` is decoupled weight decay (AdamW) of all weights except biases.
    """

    def __init__(
        self,
        W: Parameters,
        input_lr_scale: float = 1.0,
        output_lr_scale: float = 1.0,
        decay: float = 0.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.rates = {**dict.fromkeys(W.embedding_names, input_lr_scale), "Why": output_lr_scale}
        self.decay, self.beta1, self.beta2, self.epsilon = decay, beta1, beta2, epsilon
        self.steps = 0
        self.row_steps = np.zeros(len(getattr(W, W.embedding_names[0])), np.int64)  # updates of each embedding row
        self.moments: dict[str, tuple[Any, Any]] = {
            name: (mx.nd.zeros_like(param), mx.nd.zeros_like(param)) for name, param in W.items()
        }
        self._moment_views = {
            name: [as_matrix_view(moment) for moment in pair]
            for name, pair in self.moments.items()
            if is_viewable(pair[0])
        }

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0, ids: Any = None) -> None:
        self.steps += 1
        embedding_rows = _rows(W, W.embedding_names[0], ids)
        self.row_steps[embedding_rows] += 1
        embedding_corrections = self._corrections(self.row_steps[embedding_rows])
        correction = self._corrections(np.array([self.steps]))
        views = W.views() if self._moment_views else {}
        with TaskGroup() as tasks:
            for name, param in W.items():
                rows = _rows(W, name, ids)
                corrections = embedding_corrections if name in W.embedding_names else correction.repeat(len(rows))
                rates = (learning_rate * self.rates.get(name, 1.0) * corrections).astype(np.float32)
                keep = 1.0 if name.startswith("b") else 1 - learning_rate * self.decay
                if views:
                    matrices = (*views[name], *self._moment_views[name])
                    for part in _slices(matrices[0], len(rows)):
                        scalars = (scale, keep, self.beta1, self.beta2, self.epsilon)
                        tasks.submit(kernels.adam, *matrices, rows[part], rates[part], *scalars)
                else:
                    self._update_on_device((param, param.grad, *self.moments[name]), rows, rates, scale, keep)

    def _corrections(self, steps: np.ndarray) -> np.ndarray:
        """Return the factor of the learning rate for both bias corrections after `steps` updates."""
        return np.sqrt(1 - self.beta2**steps) / (1 - self.beta1**steps)

    def state_dict(self) -> dict[str, np.ndarray]:
        moments = {
            f"adam.{kind}.{name}": view_or_copy(array)
            for name, pair in self.moments.items()
            for kind, array in zip(("mean", "variance"), pair)
        }
        return {"adam.steps": np.array([self.steps]), "adam.row_steps": self.row_steps, **moments}

    def load_state_dict(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.steps = int(arrays["adam.steps"][0])
        self.row_steps[:] = arrays["adam.row_steps"]
        for name, pair in self.moments.items():
            for kind, array in zip(("mean", "variance"), pair):
                array[:] = mx.nd.array(arrays[f"adam.{kind}.{name}"], ctx=array.context, dtype=array.dtype)

    def _update_on_device(
        self, arrays: tuple[Any, ...], rows: np.ndarray, rates: np.ndarray, scale: float, keep: float
    ) -> None:
        """Update one array without a NumPy view of it (GPU, or another dtype than float32)."""
        param, _, mean, variance = matrices = [array.reshape((-1, array.shape[-1])) for array in arrays]
        index = mx.nd.array(rows, ctx=param.context, dtype="int32")
        rate = mx.nd.array(rates[:, None], ctx=param.context, dtype=param.dtype)
        p, g, m, v = (matrix.take(index) for matrix in matrices)
        m = self.beta1 * m + (1 - self.beta1) * scale * g
        v = self.beta2 * v + (1 - self.beta2) * (scale * g) ** 2
        p = keep * p - rate * m / (v.sqrt() + self.epsilon)
        for matrix, new in ((param, p), (mean, m), (variance, v)):
            mx.nd.contrib.index_copy(matrix, index, new, out=matrix)


# optimizer name -> constructor; recipe.OPTIMIZERS lists the same names, for use without MXNet
OPTIMIZERS: dict[str, Callable[[Parameters, Recipe], Optimizer]] = {
    "adam": lambda W, recipe: Adam(W, recipe.input_lr_scale, recipe.output_lr_scale, recipe.weight_decay),
    "sgd": lambda W, recipe: SGD(),
}


def global_norm(W: Parameters, ids: Any = None) -> float:
    """Return the norm of all gradients as one vector; `ids` are the embedding rows with a gradient (None: all)."""
    if not is_viewable(W.by):
        squares = mx.nd.multi_sum_sq(*(param.grad for param in W), num_arrays=sum(1 for _ in W))
        return math.sqrt(float(squares.sum().asscalar()))
    with TaskGroup() as tasks:
        for name, (_, grad) in W.views().items():
            rows = _rows(W, name, ids)
            for part in _slices(grad, len(rows)):
                tasks.submit(kernels.sum_of_squares, grad, rows[part])
        return math.sqrt(sum(tasks.results()))


def _rows(W: Parameters, name: str, ids: Any) -> np.ndarray:
    """Return the indices of the rows of an array that have a gradient."""
    if name in W.embedding_names and ids is not None:
        return np.asarray(ids, np.int64)
    shape = getattr(W, name).shape
    return np.arange(1 if len(shape) == 1 else shape[0])


def _slices(matrix: np.ndarray, rows: int) -> list[slice]:
    """Return slices of `rows` rows, each large enough for a task."""
    size = max(TASK_SIZE // matrix.shape[1], 1)
    return [slice(at, at + size) for at in range(0, rows, size)]
