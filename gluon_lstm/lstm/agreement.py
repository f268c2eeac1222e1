"""Agreement check: every implementation against the float64 reference, values and gradients, on one random window.

The reference (`reference`, NumPy float64) is itself checked against finite differences of its loss. The weights are
drawn in float32, so that all implementations start from exactly the same numbers.
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

Quantities = dict[str, np.ndarray]  # "loss", "h", "c", and the gradient of each array: "dL/dWxg", ...


@dataclass(frozen=True)
class Implementation:
    """An implementation of the LSTM: a function called as `scratch.loss`, and its tolerances."""

    loss: Callable[..., Any]
    value_tolerance: float  # of loss and state
    gradient_tolerance: float
    all_variants: bool = False  # also those that are `scratch_only`


# Tolerances of `relative_difference`: at least five times the maximum over a thousand small windows. The least precise
# operation is MXNet's log_softmax on a CPU: for a single logit it returns -1.4e-6 instead of 0.
IMPLEMENTATIONS: dict[str, Implementation] = {
    "scratch": Implementation(scratch.loss, value_tolerance=2e-5, gradient_tolerance=1e-3, all_variants=True),
    "fast": Implementation(fast.loss, value_tolerance=2e-6, gradient_tolerance=1e-4),
    "fused": Implementation(fused.loss, value_tolerance=2e-5, gradient_tolerance=1e-3),
}
NUMERICAL = "numerical"  # name of the finite differences in a comparison
NUMERICAL_TOLERANCE = 1e-6  # tolerance of finite differences
DELTA = 1e-4  # step of a central difference: truncation error DELTA**2, rounding error 1e-16 / DELTA
EXHAUSTIVE_SIZE = 32  # maximum size of an array checked entry by entry
SAMPLED_ENTRIES = 8  # entries checked in larger arrays

# Lower bounds of the scale in `relative_difference`. A quantity can be small because large terms cancel; its error is
# that of the terms.
VALUE_FLOOR = 1.0  # minimum scale of loss and state
GRADIENT_FLOOR = 0.05  # minimum scale of a gradient, as a share of the largest gradient


@dataclass(frozen=True)
class Case:
    """One window and weights: ids x, y (T, N), state h, c (L*N, H), arrays W, dropout masks or None."""

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
    """The relative difference of one quantity of one implementation, and its tolerance."""

    quantity: str
    implementation: str
    difference: float
    tolerance: float

    @property
    def ok(self) -> bool:
        return self.difference <= self.tolerance  # False for NaN


def check_agreement(
    case: Case, rng: np.random.Generator, implementations: Mapping[str, Implementation] = IMPLEMENTATIONS
) -> list[Comparison]:
    """Compare every implementation, and finite differences at entries drawn from `rng`, with the float64 reference."""
    expected = reference_results(case)
    gradients = {f"dL/d{name}": name for name in case.W}
    largest = max(np.abs(expected[quantity]).max() for quantity in gradients)
    floors = dict.fromkeys(expected, VALUE_FLOOR)
    floors.update(dict.fromkeys(gradients, GRADIENT_FLOOR * largest))
    comparisons = []
    for name, implementation in implementations.items():
        if case.config.cell.scratch_only and not implementation.all_variants:
            continue
        for quantity, found in run_implementation(implementation.loss, case).items():
            is_gradient = quantity in gradients
            tolerance = implementation.gradient_tolerance if is_gradient else implementation.value_tolerance
            difference = relative_difference(found, expected[quantity], floors[quantity])
            comparisons.append(Comparison(quantity, name, difference, tolerance))
    for quantity, name in gradients.items():
        entries = sampled_entries(expected[quantity], rng)
        found, gradient = numerical_gradient(case, name, entries), expected[quantity].flat[entries]
        difference = relative_difference(found, gradient, floors[quantity])
        comparisons.append(Comparison(quantity, NUMERICAL, difference, NUMERICAL_TOLERANCE))
    return comparisons


def random_case(
    size: WindowSize,
    rng: np.random.Generator,
    carried: bool = True,
    dropout: float = 0.0,
    variant: str = "standard",
    layers: int = 1,
) -> Case:
    """Return a random window and weights: random (`carried`) or zero state, masks that drop a share `dropout`."""
    N, T, H, V = size.batch_size, size.seq_len, size.hidden, size.vocab_size
    config = ModelConfig(H, variant, layers)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    def mask(*shape: int) -> np.ndarray | None:
        return (rng.random(shape) >= dropout).astype(np.float32) / np.float32(1 - dropout) if dropout else None

    # scales that keep gates and softmax unsaturated: the gradient of a saturated one is mostly rounding error
    W = {}
    for name, shape in config.shapes(V).items():
        scale = {"by": 0.25, "Why": 0.5 / np.sqrt(H)}.get(name, 0.5)
        if name in config.recurrent_names or (name.startswith("W") and "_" in name):
            scale = 1 / np.sqrt(H)  # inputs are H hidden states
        W[name] = np.float32(scale) * normal(*shape)
    x, y = rng.integers(V, size=(2, T, N), dtype=np.int32)
    h, c = np.tanh(normal(layers * N, H)) * np.float32(carried), normal(layers * N, H) * np.float32(carried)
    return Case(x, y, h, c, W, config, mask(T, N, 1), mask(layers * T * N, H))


def run_implementation(
    implementation: Callable[..., Any], case: Case, dtype: str = "float32", ctx: Any = None
) -> Quantities:
    """Return loss, last state and gradients of an implementation, a function called as `scratch.loss`."""
    W = Parameters(case.W, ctx, dtype, case.config)
    h, c = (mx.nd.array(state, ctx=W.ctx, dtype=dtype) for state in (case.h, case.c))
    with mx.autograd.record():
        loss, h, c = implementation(case.x, case.y, h, c, W, case.input_mask, case.hidden_mask)
    loss.backward()
    return _quantities(loss.asnumpy(), h.asnumpy(), c.asnumpy(), W.gradients())


def reference_results(case: Case) -> Quantities:
    """Return loss, last state and gradients of the float64 reference."""
    return _quantities(*reference.loss_and_gradients(*_in_float64(case)))


def _in_float64(case: Case) -> tuple[Any, ...]:
    """Return the arguments of `reference.loss_and_gradients`."""
    W = {name: _float64(array) for name, array in case.W.items()}
    return case.x, case.y, _float64(case.h), _float64(case.c), W, case.config, case.input_mask, case.hidden_mask


def numerical_gradient(case: Case, name: str, entries: np.ndarray) -> np.ndarray:
    """Return dL/dW[name] at some flat indices, by central differences of the reference's loss."""
    arguments = _in_float64(case)
    array = arguments[4][name]

    def loss(entry: int, step: float) -> float:
        original = array.flat[entry]
        array.flat[entry] = original + step
        value = reference.loss(*arguments)
        array.flat[entry] = original
        return value

    return np.array([(loss(entry, DELTA) - loss(entry, -DELTA)) / (2 * DELTA) for entry in entries])


def sampled_entries(gradient: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the flat indices to check: all of a small array, else random ones and that of the largest gradient."""
    if gradient.size <= EXHAUSTIVE_SIZE:
        return np.arange(gradient.size)
    return np.append(rng.integers(gradient.size, size=SAMPLED_ENTRIES - 1), np.abs(gradient).argmax())


def relative_difference(found: np.ndarray, expected: np.ndarray, floor: float = 0.0) -> float:
    """Return the maximum absolute difference divided by max(max |expected|, floor); infinity for different shapes."""
    if found.shape != expected.shape:
        return np.inf
    scale = max(float(np.abs(expected).max()), floor)
    return float(np.abs(found - expected).max() / (scale if scale else 1.0))  # absolute where all gradients are 0


def _quantities(loss: Any, h: np.ndarray, c: np.ndarray, gradients: Mapping[str, np.ndarray]) -> Quantities:
    values = {"loss": np.asarray(loss).reshape(()), "h": h, "c": c}
    return {**values, **{f"dL/d{name}": gradient for name, gradient in gradients.items()}}


def _float64(array: np.ndarray) -> np.ndarray:
    return np.array(array, np.float64)
