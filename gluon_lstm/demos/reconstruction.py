"""Training of notes 000, reconstructed; each error of the printed code can be switched on or off.

The notes' w, u and v (a gate's weights for the input, the hidden state and the cell) are one array here. Many networks,
one for each seed and learning rate, are computed together. Sizes: B networks, T time steps, N inputs, hidden units and
outputs (`np.dot` of two vectors requires the same number of each).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from gluon_lstm.language import N_
from gluon_lstm.numerics import sigmoid

ERRORS = {
    "steps": N_("weights of its own for every time step"),
    "signal": N_("e_h = 1 for the error of the hidden state"),
    "direction": N_("backward pass from the first step to the last"),
    "products": N_("np.dot where an outer product belongs"),
    "peepholes": N_("no peephole terms in the error of the cell"),
    "index": N_("index -1 at t = 0"),
    "clipping": N_("no clipping"),
}
PRINTED = frozenset(ERRORS)  # errors of the printed code: all

GATES = "ifog"  # order of the gates in the arrays below; the first three have peepholes
N = 8  # inputs, hidden units and outputs
DELAY = 2  # steps between an input and its target
CLIP_THRESHOLD = 1.0  # maximum gradient norm of the repaired version

Errors = frozenset[str]


class Weights(NamedTuple):
    """Weights of B networks, or their gradients; with "products" a matrix has a single gradient, of shape (1, 1)."""

    W: np.ndarray  # (B, 4, 3, N, N): each gate's weights for x, h and c; w, u and v in the notes
    b: np.ndarray  # (B, 4, N)
    Why: np.ndarray  # (B, N, N), vv in the notes
    by: np.ndarray  # (B, N), d1 in the notes


NAMES_IN_NOTES = ("w, u, v", "b", "vv", "d1")


class StepCache(NamedTuple):
    """Values of one time step that the backward pass needs; (B, N) unless noted."""

    gate_inputs: np.ndarray  # (B, 4, 3, N): x, h and c as read by each gate
    c_prev: np.ndarray
    gates: np.ndarray  # (B, 4, N)
    c: np.ndarray
    tanh_c: np.ndarray
    h: np.ndarray
    y: np.ndarray


class TrainingCurve(NamedTuple):
    """Course of training of B networks."""

    error: np.ndarray  # (sequences, B), see `relative_error`
    norm: np.ndarray  # (updates, B): norm of all weights
    nan_step: np.ndarray  # (B,): first step after which a weight was not finite; 0: none
    nan_arrays: list[str]  # names of those weights in the notes


def initial_weights(rngs: Sequence[np.random.Generator]) -> Weights:
    """Return the initial weights of the notes: N(0, 0.1²), biases 0."""
    W = np.stack([0.1 * rng.standard_normal((4, 3, N, N)) for rng in rngs])
    W[:, GATES.index("g"), 2] = 0  # the candidate has no peephole
    Why = np.stack([0.1 * rng.standard_normal((N, N)) for rng in rngs])
    return Weights(W, np.zeros((len(rngs), 4, N)), Why, np.zeros((len(rngs), N)))


def named_arrays(W: Weights, k: int) -> dict[str, np.ndarray]:
    """Return the arrays of network k under the names of `ModelConfig(N, "peephole-full")`."""
    arrays = {f"W{s}{g}": W.W[k, i, j] for j, s in enumerate("xhc") for i, g in enumerate(GATES)}
    del arrays["Wcg"]
    biases = {f"b{g}": W.b[k, i] for i, g in enumerate(GATES)}
    return {**arrays, **biases, "Why": W.Why[k], "by": W.by[k]}


def task(rngs: Sequence[np.random.Generator], T: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets x, y (T, B, N), one sequence for each network.

    x is a random sign at each step, the same for all inputs. y, the same for all outputs, is x of DELAY steps before,
    and 0 in the first DELAY steps.
    """
    x = np.stack([rng.choice([-1.0, 1.0], T) for rng in rngs], axis=1)[..., None] * np.ones(N)
    return x, np.concatenate([np.zeros_like(x[:DELAY]), x[:-DELAY]])


def relative_error(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the squared error divided by that of the output 0, (B,): outputs and targets y (T, B, N)."""
    return ((outputs - y) ** 2).sum(axis=(0, 2)) / (y**2).sum(axis=(0, 2))


def forward(x: np.ndarray, h: np.ndarray, c: np.ndarray, W: Weights) -> StepCache:
    """Compute one time step from x, h, c (B, N). The printed forward pass has no errors."""
    gate_inputs = np.zeros((*W.b.shape[:2], 3, N))
    gate_inputs[:, :, 0], gate_inputs[:, :, 1], gate_inputs[:, :2, 2] = x[:, None], h[:, None], c[:, None]
    A = np.einsum("bgsm,bgsmn->bgn", gate_inputs, W.W) + W.b
    i, f, g = sigmoid(A[:, 0]), sigmoid(A[:, 1]), np.tanh(A[:, 3])
    c_prev, c = c, f * c + i * g
    gate_inputs[:, 2, 2] = c
    o = sigmoid(A[:, 2] + np.einsum("bm,bmn->bn", c, W.W[:, 2, 2]))
    tanh_c = np.tanh(c)
    h = o * tanh_c
    y = np.einsum("bm,bmn->bn", h, W.Why) + W.by
    return StepCache(gate_inputs, c_prev, np.stack([i, f, o, g], axis=1), c, tanh_c, h, y)


def backward(
    step: StepCache, target: np.ndarray, dh: np.ndarray, dc: np.ndarray, W: Weights, errors: Errors
) -> tuple[Weights, np.ndarray, np.ndarray]:
    """Return the step's gradients, and dL/dh and dL/dc (B, N) of the state before it.

    `dh`, `dc` (B, N): gradients of the later steps with respect to this step's state. L is half the squared error,
    summed over outputs and steps.
    """
    i, f, o, g = step.gates.swapaxes(0, 1)
    dy = step.y - target
    dh = np.ones_like(dh) if "signal" in errors else dh + times_transpose(dy, W.Why)
    do = dh * step.tanh_c * o * (1 - o)
    dc = dc + dh * o * (1 - step.tanh_c**2)
    if "peepholes" not in errors:
        dc = dc + times_transpose(do, W.W[:, 2, 2])
    dA = np.stack([dc * g * i * (1 - i), dc * step.c_prev * f * (1 - f), do, dc * i * (1 - g**2)], axis=1)
    if "products" in errors:  # a scalar in place of a matrix
        dW = np.einsum("bgsm,bgm->bgs", step.gate_inputs, dA)[..., None, None]
        dWhy = np.einsum("bm,bm->b", step.h, dy)[..., None, None]
    else:
        dW = step.gate_inputs[..., None] * dA[:, :, None, None]
        dWhy = step.h[..., None] * dy[:, None]
    dc = dc * f
    if "peepholes" not in errors:
        dc = dc + times_transpose(dA[:, 0], W.W[:, 0, 2]) + times_transpose(dA[:, 1], W.W[:, 1, 2])
    dh = np.einsum("bgn,bgmn->bm", dA, W.W[:, :, 1])
    return Weights(dW, dA, dWhy, dy), dh, dc


def times_transpose(d: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Return d Wᵀ for each network: d (B, N), W (B, N, N)."""
    return np.einsum("bn,bmn->bm", d, W)


def broadcast_gradients(grads: Weights, weights: Weights) -> Weights:
    """Return the gradients in the shapes of the weights."""
    return Weights(*(np.broadcast_to(d, a.shape) for d, a in zip(grads, weights)))


def norms(weights: Weights) -> np.ndarray:
    """Return the Euclidean norm (B,) of each network's weights, computed without overflow."""
    flat = np.concatenate([array.reshape(len(array), -1) for array in weights], axis=1)
    largest = np.abs(flat).max(axis=1)
    return largest * np.sqrt(((flat / np.maximum(largest, 1e-300)[:, None]) ** 2).sum(axis=1))


def sgd_step(weights: Weights, grads: Weights, rates: np.ndarray, errors: Errors) -> Weights:
    """Return the weights after one step of gradient descent, clipped unless "clipping" is in `errors`.

    rates (B,): learning rates, which stand for both alpha and gamma of the notes.
    """
    if "clipping" not in errors:
        rates = rates * np.minimum(1, CLIP_THRESHOLD / np.maximum(norms(broadcast_gradients(grads, weights)), 1e-300))
    return Weights(*(a - rates.reshape(-1, *[1] * (a.ndim - 1)) * d for a, d in zip(weights, grads)))


def gradients(
    x: np.ndarray, y: np.ndarray, h: np.ndarray, c: np.ndarray, W: list[Weights], rates: np.ndarray, errors: Errors
) -> tuple[list[StepCache], list[Weights]]:
    """Return the steps of one sequence x, y (T, B, N) from the state h, c, and the gradients of each step.

    W[t] are the weights of step t. With the error "steps" the updated W[t] is stored as W[t + 1], as printed.
    """
    zero = np.zeros_like(h)
    steps: list[StepCache] = []
    grads: list[Weights] = []
    for t in range(len(x)):
        steps.append(forward(x[t], h, c, W[t]))
        h, c = steps[t].h, steps[t].c
        if "direction" in errors:  # the gradients of later steps are never used
            grads.append(backward(steps[t], y[t], zero, zero, W[t], errors)[0])
            if "steps" in errors:
                W[t + 1] = sgd_step(W[t], grads[t], rates, errors)
    if "direction" not in errors:
        dh = dc = zero
        for t in reversed(range(len(x))):
            grad, dh, dc = backward(steps[t], y[t], dh, dc, W[t], errors)
            grads.insert(0, grad)
        if "steps" in errors:
            for t in range(len(x)):
                W[t + 1] = sgd_step(W[t], grads[t], rates, errors)
    return steps, grads


def sum_gradients(grads: Sequence[Weights]) -> Weights:
    """Return the sum of the gradients over the steps."""
    return Weights(*(sum(parts) for parts in zip(*grads)))


def seeds_and_rates(seeds: Sequence[int], rates: Sequence[float]) -> list[tuple[int, float]]:
    """Return (seed, rate) of each network."""
    return list(product(seeds, rates))


def rngs_for(seeds: Sequence[int], rates: Sequence[float], purpose: int) -> list[np.random.Generator]:
    """Return a generator for each network, the same for the same seed; purpose 0: weights, 1: sequences."""
    return [np.random.default_rng([seed, purpose]) for seed, _ in seeds_and_rates(seeds, rates)]


@np.errstate(all="ignore")
def train(
    errors: Errors, sequences: int, T: int, seeds: Sequence[int], rates: Sequence[float], advance: Callable[[int], None]
) -> TrainingCurve:
    """Train a network for every seed and rate on `sequences` of T steps; call `advance(T)` after each.

    With the error "steps" the weights of the first step are never updated, as printed: each sequence starts from them.
    """
    rate = np.array([rate for _, rate in seeds_and_rates(seeds, rates)])
    rngs = rngs_for(seeds, rates, 0)
    W = [initial_weights(rngs) for _ in range(T + 1)] if "steps" in errors else [initial_weights(rngs)] * (T + 1)
    rngs = rngs_for(seeds, rates, 1)
    zero = np.zeros((len(rate), N))
    h, c = zero, zero
    error, norm = [], []
    nan_step, nan_arrays = np.zeros(len(rate), int), [""] * len(rate)
    for sequence in range(sequences):
        x, y = task(rngs, T)
        if "index" not in errors:
            h, c = zero, zero
        steps, grads = gradients(x, y, h, c, W, rate, errors)
        h, c = steps[-1].h, steps[-1].c
        error.append(relative_error(np.array([step.y for step in steps]), y))
        if "steps" not in errors:
            W = [sgd_step(W[0], sum_gradients(grads), rate, errors)] * (T + 1)
        updates = W[1:] if "steps" in errors else W[:1]
        for k, weights in enumerate(updates, 1):
            norm.append(norms(weights))
            for b in np.flatnonzero(~np.isfinite(norm[-1]) & (nan_step == 0)):
                nan_step[b] = sequence * T + k * T // len(updates)
                names = [name for name, array in zip(NAMES_IN_NOTES, weights) if not np.isfinite(array[b]).all()]
                nan_arrays[b] = ", ".join(names)
        advance(T)
    return TrainingCurve(np.array(error), np.array(norm), nan_step, nan_arrays)
