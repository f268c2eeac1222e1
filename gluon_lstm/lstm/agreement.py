"""Proof that the cells agree: the same weights and the same window through all of them, value and gradient.

What is true is what NumPy says in float64 (`reference`), and its gradients must be the slopes of its loss. The weights
are drawn as float32 numbers, so that every cell begins from exactly the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import ModelConfig, WindowSize
from gluon_lstm.lstm import fused, reference, scratch
from gluon_lstm.lstm.fast import window as fast
from gluon_lstm.lstm.parameters import Parameters

Results = dict[str, np.ndarray]  # "loss", "h", "c" and for each array of the model its gradient, "dL/dWxg" ...


@dataclass(frozen=True)
class Implementation:
    """An implementation, and the largest difference allowed to its loss and states, and to its gradients."""

    loss: Callable[..., Any]
    value: float
    gradient: float
    full_peepholes: bool = False  # whether it knows them


# Of differences as `difference` measures them, at least five times what was seen in a thousand small windows. The least
# exact of all that takes part is the log_softmax of MXNet on a CPU: of one logit it makes -1.4e-6 in place of 0.
IMPLEMENTATIONS: dict[str, Implementation] = {
    "scratch": Implementation(scratch.loss, value=2e-5, gradient=1e-3, full_peepholes=True),
    "fast": Implementation(fast.loss, value=2e-6, gradient=1e-4),
    "packed": Implementation(fused.loss, value=2e-5, gradient=1e-3),
}
NUMERICAL, NUMERICAL_TOLERANCE = "slopes", 1e-6  # finite differences, and the largest difference allowed to them
DELTA = 1e-4  # of a finite difference: its error is STEP^2 on the one side, and 1e-16 / STEP on the other
EXHAUSTIVE_SIZE, SAMPLED_ENTRIES = 32, 8  # slopes are taken in all places of an array with few, else in a sample

# A number is small by chance that is less than SMALL_VALUE, or less than this share of the largest gradient: what the
# terms of a sum leave when they cancel cannot be more exact than they are. It is measured by that size instead.
VALUE_FLOOR, GRADIENT_FLOOR = 1.0, 0.05


@dataclass(frozen=True)
class Case:
    """One window for all cells: ids x, y (T, N), state h, c (L*N, H), the arrays, and masks (dropout) or None."""

    x: np.ndarray
    y: np.ndarray
    h: np.ndarray
    c: np.ndarray
    W: Mapping[str, np.ndarray]
    config: ModelConfig
    input_mask: np.ndarray | None = None  # (T, N, 1)
    hidden_mask: np.ndarray | None = None  # (L*T*N, H)


@dataclass(frozen=True)
class Comparison:
    """The largest difference of one quantity in one implementation, and the tolerance it must meet."""

    quantity: str
    implementation: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance  # which NaN is not


def agree(
    problem: Case, rng: np.random.Generator, cells: Mapping[str, Implementation] = IMPLEMENTATIONS
) -> list[Comparison]:
    """Every cell, and finite differences at places drawn from `rng`, against the float64 reference."""
    true = reference_results(problem)
    gradients = {f"dL/d{name}": name for name in problem.W}
    small = dict.fromkeys(true, VALUE_FLOOR)
    small.update(dict.fromkeys(gradients, GRADIENT_FLOOR * max(np.abs(true[quantity]).max() for quantity in gradients)))
    rows = []
    for name, cell in cells.items():
        if problem.config.cell.peepholes == "full" and not cell.full_peepholes:
            continue
        for quantity, found in run_implementation(cell.loss, problem).items():
            tolerance = cell.gradient if quantity in gradients else cell.value
            rows.append(Comparison(quantity, name, difference(found, true[quantity], small[quantity]), tolerance))
    for quantity, name in gradients.items():
        places = sampled_entries(true[quantity], rng)
        found, gradient = numerical_gradient(problem, name, places), true[quantity].flat[places]
        rows.append(Comparison(quantity, NUMERICAL, difference(found, gradient, small[quantity]), NUMERICAL_TOLERANCE))
    return rows


def random_case(
    size: WindowSize,
    rng: np.random.Generator,
    carried: bool = True,
    dropout: float = 0.0,
    variant: str = "standard",
    layers: int = 1,
) -> Case:
    """A window of random ids, with a state as if carried or of zero, and with masks that drop a share `dropout`."""
    N, T, H, V = size.batch_size, size.seq_len, size.hidden, size.vocab_size
    config = ModelConfig(H, variant, layers)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    def mask(*shape: int) -> np.ndarray | None:
        return (rng.random(shape) >= dropout).astype(np.float32) / np.float32(1 - dropout) if dropout else None

    # no gate quite open or shut, no prediction quite sure: the rest that a saturated one leaves is all rounding
    W = {}
    for name, shape in config.shapes(V).items():
        scale = {"by": 0.25, "Why": 0.5 / np.sqrt(H)}.get(name, 0.5)
        if name in config.recurrent or (name.startswith("W") and "_" in name):
            scale = 1 / np.sqrt(H)  # a sum of H terms
        W[name] = np.float32(scale) * normal(*shape)
    x, y = rng.integers(V, size=(2, T, N), dtype=np.int32)
    h, c = np.tanh(normal(layers * N, H)) * np.float32(carried), normal(layers * N, H) * np.float32(carried)
    return Case(x, y, h, c, W, config, mask(T, N, 1), mask(layers * T * N, H))


def run_implementation(cell: Callable[..., Any], p: Case, dtype: str = "float32", ctx: Any = None) -> Results:
    """Loss, last state and gradients of a cell, called as `scratch.loss` is, on NDArrays."""
    W = Parameters(p.W, ctx, dtype, p.config)
    h, c = (mx.nd.array(state, ctx=W.ctx, dtype=dtype) for state in (p.h, p.c))
    with mx.autograd.record():
        loss, h, c = cell(p.x, p.y, h, c, W, p.input_mask, p.hidden_mask)
    loss.backward()
    return _results(loss.asnumpy(), h.asnumpy(), c.asnumpy(), W.gradients())


def reference_results(p: Case) -> Results:
    """What the reference says."""
    return _results(*reference.loss_and_gradients(*_in_float64(p)))


def _in_float64(p: Case) -> tuple[Any, ...]:
    W = {name: _float64(array) for name, array in p.W.items()}
    return p.x, p.y, _float64(p.h), _float64(p.c), W, p.config, p.input_mask, p.hidden_mask


def numerical_gradient(p: Case, name: str, places: np.ndarray) -> np.ndarray:
    """dL/dW[name] at some places of the flattened array, by central differences of the reference's loss."""
    arguments = _in_float64(p)
    moved = arguments[4][name]

    def loss(place: int, step: float) -> float:
        kept = moved.flat[place]
        moved.flat[place] = kept + step
        value = reference.loss(*arguments)
        moved.flat[place] = kept
        return value

    return np.array([(loss(place, DELTA) - loss(place, -DELTA)) / (2 * DELTA) for place in places])


def sampled_entries(gradient: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where slopes are taken: everywhere in a small array, else at the largest gradient and where `rng` says."""
    if gradient.size <= EXHAUSTIVE_SIZE:
        return np.arange(gradient.size)
    return np.append(rng.integers(gradient.size, size=SAMPLED_ENTRIES - 1), np.abs(gradient).argmax())


def difference(found: np.ndarray, true: np.ndarray, small: float = 0.0) -> float:
    """The largest difference as a share of the largest absolute value of `true`, or of `small` where that is more."""
    if found.shape != true.shape:
        return np.inf
    size = max(float(np.abs(true).max()), small)
    return float(np.abs(found - true).max() / (size if size else 1.0))  # gradients that are all 0 have no size


def _results(loss: Any, h: np.ndarray, c: np.ndarray, gradients: Mapping[str, np.ndarray]) -> Results:
    values = {"loss": np.asarray(loss).reshape(()), "h": h, "c": c}
    return {**values, **{f"dL/d{name}": gradient for name, gradient in gradients.items()}}


def _float64(array: np.ndarray) -> np.ndarray:
    return np.array(array, np.float64)
