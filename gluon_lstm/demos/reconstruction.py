"""The training of notes 000, rebuilt, with every error of the printed code as a switch.

Their w, u and v, what a gate takes of the input, of the hidden state and of the cell, are one array here, and many
networks, one for each seed and learning rate, are computed side by side. The sizes: B networks, N inputs, hidden units
and outputs (`np.dot` of two vectors asks for the same number of each), T time steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from gluon_lstm.numerics import sigmoid

ERRORS = {
    "steps": "weights of its own for every time step",
    "signal": "e_h = 1 for the error of the hidden state",
    "direction": "backward pass from the first step to the last",
    "products": "np.dot where an outer product belongs",
    "peepholes": "no peephole terms in the error of the cell",
    "index": "index -1 at t = 0",
    "clipping": "no clipping",
}
PRINTED = frozenset(ERRORS)

GATES = "ifog"  # as they lie in the arrays below; the first three have peepholes
N = 8
DELAY = 2  # of the task
THRESHOLD = 1.0  # of the repaired version's clipping

Errors = frozenset[str]


class Weights(NamedTuple):
    """Of B networks. Gradients have the same form, or 1 for N where one number is for a whole matrix."""

    W: np.ndarray  # (B, 4, 3, N, N): each gate's weights for x, h and c, which the notes call w, u and v
    b: np.ndarray  # (B, 4, N)
    Why: np.ndarray  # (B, N, N), vv in the notes
    by: np.ndarray  # (B, N), d1 in the notes


NOTES = ("w, u, v", "b", "vv", "d1")


class Step(NamedTuple):
    """What one time step leaves for the backward pass; (B, N) each, but for `seen`."""

    seen: np.ndarray  # (B, 4, 3, N): x, h and c as each gate has seen them
    c_prev: np.ndarray
    gates: np.ndarray  # (B, 4, N)
    c: np.ndarray
    s: np.ndarray  # tanh(c)
    h: np.ndarray
    y: np.ndarray


class Course(NamedTuple):
    """What training did, network by network."""

    error: np.ndarray  # (sequences, B): of the answers, 1 for an answer of 0; see `error_of`
    norm: np.ndarray  # (updates, B): the length of all weights
    nan_at: np.ndarray  # (B,): the step behind which a weight was first no finite number; 0: never
    nan_in: list[str]  # which weights those were, by their names in the notes


def begin(rngs: Sequence[np.random.Generator]) -> Weights:
    """As the notes begin: weights with standard deviation 0.1, biases 0."""
    W = np.stack([0.1 * rng.standard_normal((4, 3, N, N)) for rng in rngs])
    W[:, GATES.index("g"), 2] = 0  # the candidate has no peephole
    Why = np.stack([0.1 * rng.standard_normal((N, N)) for rng in rngs])
    return Weights(W, np.zeros((len(rngs), 4, N)), Why, np.zeros((len(rngs), N)))


def by_name(W: Weights, lane: int) -> dict[str, np.ndarray]:
    """One network under the names of `ModelConfig(N, "peephole-full")`."""
    arrays = {f"W{of}{k}": W.W[lane, g, s] for s, of in enumerate("xhc") for g, k in enumerate(GATES)}
    del arrays["Wcg"]
    biases = {f"b{k}": W.b[lane, g] for g, k in enumerate(GATES)}
    return {**arrays, **biases, "Why": W.Why[lane], "by": W.by[lane]}


def task(rngs: Sequence[np.random.Generator], T: int) -> tuple[np.ndarray, np.ndarray]:
    """A sequence for each network, x and y (T, B, N): a random sign a step, the same to all inputs; what to answer, on
    all outputs, is the sign of DELAY steps ago, and 0 before there is one.
    """
    x = np.stack([rng.choice([-1.0, 1.0], T) for rng in rngs], axis=1)[..., None] * np.ones(N)
    return x, np.concatenate([np.zeros_like(x[:DELAY]), x[:-DELAY]])


def error_of(answers: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The squared error of (T, B, N) against that of an answer of 0: (B,)."""
    return ((answers - y) ** 2).sum(axis=(0, 2)) / (y**2).sum(axis=(0, 2))


def forward(x: np.ndarray, h: np.ndarray, c: np.ndarray, W: Weights) -> Step:
    """One time step: x and the state h, c, (B, N) each. In the notes it is right."""
    seen = np.zeros((*W.b.shape[:2], 3, N))
    seen[:, :, 0], seen[:, :, 1], seen[:, :2, 2] = x[:, None], h[:, None], c[:, None]
    A = np.einsum("bgsm,bgsmn->bgn", seen, W.W) + W.b
    i, f, g = sigmoid(A[:, 0]), sigmoid(A[:, 1]), np.tanh(A[:, 3])
    c_prev, c = c, f * c + i * g
    seen[:, 2, 2] = c
    o = sigmoid(A[:, 2] + np.einsum("bm,bmn->bn", c, W.W[:, 2, 2]))
    s = np.tanh(c)
    h = o * s
    return Step(seen, c_prev, np.stack([i, f, o, g], axis=1), c, s, h, np.einsum("bm,bmn->bn", h, W.Why) + W.by)


def backward(
    step: Step, target: np.ndarray, dh: np.ndarray, dc: np.ndarray, W: Weights, errors: Errors
) -> tuple[Weights, np.ndarray, np.ndarray]:
    """From what the steps behind give to dL/dh and dL/dc: this step's gradients, and dL/dh and dL/dc before it.

    L is half the squared error, summed over outputs and steps.
    """
    i, f, o, g = step.gates.swapaxes(0, 1)
    dy = step.y - target
    dh = np.ones_like(dh) if "signal" in errors else dh + through(dy, W.Why)
    do = dh * step.s * o * (1 - o)
    dc = dc + dh * o * (1 - step.s**2)
    if "peepholes" not in errors:
        dc = dc + through(do, W.W[:, 2, 2])
    dA = np.stack([dc * g * i * (1 - i), dc * step.c_prev * f * (1 - f), do, dc * i * (1 - g**2)], axis=1)
    if "products" in errors:  # one number for a whole matrix
        dW = np.einsum("bgsm,bgm->bgs", step.seen, dA)[..., None, None]
        dWhy = np.einsum("bm,bm->b", step.h, dy)[..., None, None]
    else:
        dW = step.seen[..., None] * dA[:, :, None, None]
        dWhy = step.h[..., None] * dy[:, None]
    dc = dc * f
    if "peepholes" not in errors:
        dc = dc + through(dA[:, 0], W.W[:, 0, 2]) + through(dA[:, 1], W.W[:, 1, 2])
    dh = np.einsum("bgn,bgmn->bm", dA, W.W[:, :, 1])
    return Weights(dW, dA, dWhy, dy), dh, dc


def through(d: np.ndarray, W: np.ndarray) -> np.ndarray:
    return np.einsum("bn,bmn->bm", d, W)


def spread(grads: Weights, weights: Weights) -> Weights:
    """Gradients in the shapes of the weights, also those that are one number for a whole matrix."""
    return Weights(*(np.broadcast_to(d, a.shape) for d, a in zip(grads, weights)))


def lengths(weights: Weights) -> np.ndarray:
    """Of each network's arrays as one vector (B,); finite as long as they all are."""
    flat = np.concatenate([array.reshape(len(array), -1) for array in weights], axis=1)
    largest = np.abs(flat).max(axis=1)
    return largest * np.sqrt(((flat / np.maximum(largest, 1e-300)[:, None]) ** 2).sum(axis=1))


def changed(weights: Weights, grads: Weights, rates: np.ndarray, errors: Errors) -> Weights:
    """Gradient descent with a rate for each network (the notes' alpha and gamma are one here)."""
    if "clipping" not in errors:
        rates = rates * np.minimum(1, THRESHOLD / np.maximum(lengths(spread(grads, weights)), 1e-300))
    return Weights(*(a - rates.reshape(-1, *[1] * (a.ndim - 1)) * d for a, d in zip(weights, grads)))


def gradients(
    x: np.ndarray, y: np.ndarray, h: np.ndarray, c: np.ndarray, W: list[Weights], rates: np.ndarray, errors: Errors
) -> tuple[list[Step], list[Weights]]:
    """One sequence x, y (T, B, N) from the state h, c, with the weights W[t] at step t: its steps, and their gradients.

    Where every step has weights of its own, W[t + 1] is set to what W[t] is changed to; as printed, before step t + 1.
    """
    nothing = np.zeros_like(h)
    steps: list[Step] = []
    grads: list[Weights] = []
    for t in range(len(x)):
        steps.append(forward(x[t], h, c, W[t]))
        h, c = steps[t].h, steps[t].c
        if "direction" in errors:  # what the steps behind give would come too late: it is not heard of
            grads.append(backward(steps[t], y[t], nothing, nothing, W[t], errors)[0])
            if "steps" in errors:
                W[t + 1] = changed(W[t], grads[t], rates, errors)
    if "direction" not in errors:
        dh = dc = nothing
        for t in reversed(range(len(x))):
            grad, dh, dc = backward(steps[t], y[t], dh, dc, W[t], errors)
            grads.insert(0, grad)
        if "steps" in errors:
            for t in range(len(x)):
                W[t + 1] = changed(W[t], grads[t], rates, errors)
    return steps, grads


def total(grads: Sequence[Weights]) -> Weights:
    return Weights(*(sum(parts) for parts in zip(*grads)))


def lanes(seeds: Sequence[int], rates: Sequence[float]) -> list[tuple[int, float]]:
    """(seed, rate) of each network."""
    return list(product(seeds, rates))


def generators(seeds: Sequence[int], rates: Sequence[float], purpose: int) -> list[np.random.Generator]:
    """A generator for each network, the same for the same seed; purpose 0: weights, 1: sequences."""
    return [np.random.default_rng([seed, purpose]) for seed, _ in lanes(seeds, rates)]


@np.errstate(all="ignore")
def train(
    errors: Errors, sequences: int, T: int, seeds: Sequence[int], rates: Sequence[float], advance: Callable[[int], None]
) -> Course:
    """Train a network for every seed and rate on `sequences` of T steps; `advance(T)` when one is done.

    With weights for every step, the first step's are never changed, as printed: each sequence begins again from them.
    """
    rate = np.array([rate for _, rate in lanes(seeds, rates)])
    rngs = generators(seeds, rates, 0)
    W = [begin(rngs) for _ in range(T + 1)] if "steps" in errors else [begin(rngs)] * (T + 1)
    rngs = generators(seeds, rates, 1)
    zero = np.zeros((len(rate), N))
    h, c = zero, zero
    error, norm = [], []
    nan_at, nan_in = np.zeros(len(rate), int), [""] * len(rate)
    for sequence in range(sequences):
        x, y = task(rngs, T)
        if "index" not in errors:
            h, c = zero, zero
        steps, grads = gradients(x, y, h, c, W, rate, errors)
        h, c = steps[-1].h, steps[-1].c
        error.append(error_of(np.array([step.y for step in steps]), y))
        if "steps" not in errors:
            W = [changed(W[0], total(grads), rate, errors)] * (T + 1)
        updates = W[1:] if "steps" in errors else W[:1]
        for k, weights in enumerate(updates, 1):
            norm.append(lengths(weights))
            for lane in np.flatnonzero(~np.isfinite(norm[-1]) & (nan_at == 0)):
                nan_at[lane] = sequence * T + k * T // len(updates)
                broken = [name for name, array in zip(NOTES, weights) if not np.isfinite(array[lane]).all()]
                nan_in[lane] = ", ".join(broken)
        advance(T)
    return Course(np.array(error), np.array(norm), nan_at, nan_in)
