"""Gradients -> new weights: SGD as the notes print it, Adam with MXNet's own operator, clipping by the global norm."""

from __future__ import annotations

import math
from typing import Any, Protocol

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.model import GATES


class Optimizer(Protocol):
    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0) -> None:
        """Change each array of W in place; its gradient counts `scale` times."""


class SGD:
    """Stochastic gradient descent: param = param - lr * grad (notes 003)."""

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0) -> None:
        for param in W:
            param[:] = param - learning_rate * scale * param.grad


class Adam:
    """Adam (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; both bias corrections folded into the step, section 2).

    The learning rate counts `input_rate` times for the rows of the input weights and `output_rate` times for `Why`. A
    row changes only where its token occurs, and alone, while in a stack with an embedding all tokens share the matrix
    behind it: at one rate for all, the rows would be learned last.
    """

    def __init__(
        self,
        W: Parameters,
        input_rate: float = 1.0,
        output_rate: float = 1.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.rates = {**{f"Wx{k}": input_rate for k in GATES}, "Why": output_rate}
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.steps = 0
        self.moments: dict[str, tuple[Any, Any]] = {
            name: (mx.nd.zeros_like(param), mx.nd.zeros_like(param)) for name, param in W.items()
        }

    def update(self, W: Parameters, learning_rate: float, scale: float = 1.0) -> None:
        self.steps += 1
        rate = learning_rate * math.sqrt(1 - self.beta2**self.steps) / (1 - self.beta1**self.steps)
        for name, param in W.items():
            mean, variance = self.moments[name]
            mx.nd.adam_update(
                param, param.grad, mean, variance, out=param, lr=rate * self.rates.get(name, 1.0),
                beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon, rescale_grad=scale,
            )  # fmt: skip


def global_norm(W: Parameters) -> float:
    """The length of all gradients together, as one vector."""
    squares = mx.nd.multi_sum_sq(*(param.grad for param in W), num_arrays=sum(1 for _ in W))
    return math.sqrt(float(squares.sum().asscalar()))


def clipping(norm: float, threshold: float) -> float:
    """The factor that brings gradients of length `norm` to at most `threshold`, never above 1.

    The rule of notes 004 (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1): direction kept, length cut.
    """
    return min(1.0, threshold / norm) if norm else 1.0
