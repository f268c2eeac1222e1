"""Reference implementation in NumPy float64: forward pass and hand-written backpropagation through time. No MXNet.

Every other implementation is checked against this one (`agreement`). Row vectors as in the notes: h W, with h (N, H).
The derivatives are those of notes 001 (the layer) and 004 (the gate equations), summed over a window. Gradients flow
through the peepholes in full; Gers & Schmidhuber (2000) truncate them.

Sizes: N batch, T time steps, H hidden units, V vocabulary, L layers, D numbers of an input row. Arrays for several
layers are stacked, lowest layer first: h and c are (L*N, H), masks of hidden states (L*T*N, H).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gluon_lstm.config import PEEPHOLE_GATES, CellConfig, ModelConfig, array_name
from gluon_lstm.numerics import log_softmax, sigmoid

Arrays = Mapping[str, np.ndarray]


class StepCache(NamedTuple):
    """Values of one time step that the backward pass needs; every array is (N, H)."""

    h_prev: np.ndarray
    c_prev: np.ndarray
    gates: dict[str, np.ndarray]  # activations of g, i, f, o; empty for the simple RNN
    c: np.ndarray
    s: np.ndarray  # tanh(c), or c without the output tanh
    h: np.ndarray


class LayerCache(NamedTuple):
    """Values of one layer over a window that the backward pass needs."""

    x: np.ndarray  # input: ids (T, N), or rows (T, N, D), of higher layers (T, N, H)
    input_mask: np.ndarray | None  # (T, N, 1), layer 1 only
    steps: list[StepCache]


def input_projection(x: np.ndarray, Wx: np.ndarray) -> np.ndarray:
    """Return x Wx (N, H) for rows x (N, D), or for ids x (N,), that is, one-hot rows."""
    return Wx[x] if x.ndim == 1 else x @ Wx


def peephole(c: np.ndarray, Wc: np.ndarray) -> np.ndarray:
    """Return the peephole term (N, H) of a pre-activation: c (N, H) times a vector (H,) or a matrix (H, H)."""
    return c * Wc if Wc.ndim == 1 else c @ Wc


def step(X: Arrays, h_prev: np.ndarray, c_prev: np.ndarray, W: Arrays, cell: CellConfig) -> StepCache:
    """Run one time step on the input projections X[k] of the gates and the state, each (N, H)."""
    A = {k: X[k] + h_prev @ W[f"Wh{k}"] + W[f"b{k}"] for k in cell.gates}
    if cell.gates == "h":
        h = np.tanh(A["h"])
        return StepCache(h_prev, c_prev, {}, c_prev, c_prev, h)
    if cell.peepholes:
        A["i"] = A["i"] + peephole(c_prev, W["Wci"])
        A["f"] = A["f"] + peephole(c_prev, W["Wcf"])
    g, i, f = np.tanh(A["g"]), sigmoid(A["i"]), sigmoid(A["f"])
    c = f * c_prev + i * g
    if cell.peepholes:
        A["o"] = A["o"] + peephole(c, W["Wco"])
    o = sigmoid(A["o"])
    s = np.tanh(c) if cell.output_tanh else c
    return StepCache(h_prev, c_prev, {"g": g, "i": i, "f": f, "o": o}, c, s, o * s)


def step_backward(
    step: StepCache, dh: np.ndarray, dc: np.ndarray, W: Arrays, cell: CellConfig
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return dL/d(pre-activation) of each gate and dL/dc before a step, from dL/dh and dL/dc after it, each (N, H)."""
    if cell.gates == "h":
        return {"h": dh * (1 - step.h**2)}, dc
    g, i, f, o = (step.gates[k] for k in "gifo")
    do = dh * step.s * o * (1 - o)
    dc = dc + dh * o * ((1 - step.s**2) if cell.output_tanh else 1)
    if cell.peepholes:
        dc = dc + peephole(do, W["Wco"].T)
    dA = {
        "g": dc * i * (1 - g**2),
        "i": dc * g * i * (1 - i),
        "f": dc * step.c_prev * f * (1 - f),
        "o": do,
    }
    dc = dc * f
    if cell.peepholes:
        dc = dc + peephole(dA["i"], W["Wci"].T) + peephole(dA["f"], W["Wcf"].T)
    return dA, dc


def logits(h: np.ndarray, W: Arrays) -> np.ndarray:
    """Return the logits (..., V) of hidden states (..., H)."""
    return h @ W["Why"] + W["by"]


def average_cross_entropy(logp: np.ndarray, y: np.ndarray) -> float:
    """Return the mean cross-entropy, nats per token, of log-probabilities (T, N, V) for ids y (T, N)."""
    return -float(np.take_along_axis(logp, y[..., None], axis=-1).mean())


def forward(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    W: Arrays,
    config: ModelConfig,
    input_mask: np.ndarray | None = None,
    hidden_mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[LayerCache]]:
    """Run all layers over ids x (T, N), or rows (T, N, D).

    Return the hidden states of the top layer (T, N, H) with dropout applied, the last h and c (L*N, H), and the cache
    of each layer for `backward`. Dropout masks, already scaled: `input_mask` (T, N, 1) multiplies the input projections
    of layer 1, `hidden_mask` (L*T*N, H) the hidden states passed to the next layer or to `Why`.
    """
    T, N = x.shape[:2]
    L, H = config.layers, config.hidden
    h, c = h.reshape(L, N, H), c.reshape(L, N, H)
    masks = [None] * L if hidden_mask is None else hidden_mask.reshape(L, T, N, H)
    caches = []
    for k in range(L):
        W_k = layer_arrays(config, k + 1, W)
        cache, h_t, c_t = LayerCache(x, input_mask, []), h[k], c[k]
        for t in range(T):
            X = {gate: input_projection(x[t], W_k[f"Wx{gate}"]) for gate in config.cell.gates}
            if input_mask is not None:
                X = {gate: X[gate] * input_mask[t] for gate in X}
            cache.steps.append(step(X, h_t, c_t, W_k, config.cell))
            h_t, c_t = cache.steps[-1].h, cache.steps[-1].c
        caches.append(cache)
        x, input_mask = np.stack([s.h for s in cache.steps]), None  # (T, N, H)
        if masks[k] is not None:
            x = x * masks[k]
    last_h, last_c = ([getattr(cache.steps[-1], name) for cache in caches] for name in "hc")
    return x, np.concatenate(last_h), np.concatenate(last_c), caches


def layer_arrays(config: ModelConfig, layer: int, W: Arrays) -> dict[str, np.ndarray]:
    """Return the arrays of one layer (from 1) under the names of the equations."""
    return {name: W[in_model] for name, in_model in config.names(layer).items()}


def backward(
    caches: list[LayerCache], dhidden: np.ndarray, W: Arrays, config: ModelConfig, hidden_mask: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Return the gradients of all arrays of the layers, from dL/d(hidden states of the top layer) (T, N, H)."""
    T, N, H = dhidden.shape
    masks = None if hidden_mask is None else hidden_mask.reshape(-1, T, N, H)
    grads: dict[str, np.ndarray] = {}
    for k in reversed(range(len(caches))):
        W_k = layer_arrays(config, k + 1, W)
        if masks is not None:
            dhidden = dhidden * masks[k]
        found, dhidden = _layer_backward(caches[k], dhidden, W_k, config.cell)
        grads.update({array_name(name, k + 1): grad for name, grad in found.items()})
    return grads


def backward_steps(
    steps: list[StepCache], dhidden: np.ndarray, W: Arrays, cell: CellConfig
) -> Iterator[tuple[int, np.ndarray, dict[str, np.ndarray]]]:
    """Yield t, dL/dh[t] (N, H) and dL/d(pre-activation) of each gate, from the last step of a layer to the first.

    `dhidden` (T, N, H): the part of dL/dh[t] from the next layer or the logits; the steps after t add theirs.
    """
    dh, dc = np.zeros_like(dhidden[0]), np.zeros_like(dhidden[0])
    for t in reversed(range(len(steps))):
        dh = dhidden[t] + dh
        dA, dc = step_backward(steps[t], dh, dc, W, cell)
        yield t, dh, dA
        dh = sum(dA[k] @ W[f"Wh{k}"].T for k in cell.gates)


def _layer_backward(
    cache: LayerCache, dhidden: np.ndarray, W: Arrays, cell: CellConfig
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the gradients of one layer's arrays, and dL/d(its input rows) (T, N, D), zeros (T, N) for ids."""
    grads = {name: np.zeros_like(array) for name, array in W.items()}
    dx = np.zeros(cache.x.shape)
    for t, _, dA in backward_steps(cache.steps, dhidden, W, cell):
        s, x = cache.steps[t], cache.x[t]
        for k in cell.gates:
            dX = dA[k] if cache.input_mask is None else dA[k] * cache.input_mask[t]
            if x.ndim == 1:
                np.add.at(grads[f"Wx{k}"], x, dX)
            else:
                grads[f"Wx{k}"] += x.T @ dX
                dx[t] += dX @ W[f"Wx{k}"].T
            grads[f"Wh{k}"] += s.h_prev.T @ dA[k]
            grads[f"b{k}"] += dA[k].sum(axis=0)
        for k, c in zip(PEEPHOLE_GATES, (s.c_prev, s.c_prev, s.c)) if cell.peepholes else ():
            diagonal = grads[f"Wc{k}"].ndim == 1
            grads[f"Wc{k}"] += (c * dA[k]).sum(axis=0) if diagonal else c.T @ dA[k]
    return grads, dx


def loss_and_gradients(
    x: np.ndarray,
    y: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    W: Arrays,
    config: ModelConfig | None = None,
    input_mask: np.ndarray | None = None,
    hidden_mask: np.ndarray | None = None,
) -> tuple[float, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return the loss of one window (nats per token), the last h and c, and the gradient of each array.

    Ids x, y (T, N); state h, c (L*N, H) before the window, treated as constant (truncated backpropagation through
    time). The loss is the mean over time of the mean cross-entropy over the batch. `config`: None for the standard
    model of the 14 arrays. Masks as in `forward`.
    """
    W = {name: np.asarray(array, dtype=np.float64) for name, array in W.items()}
    config = config or ModelConfig(len(W["Why"]))
    hidden, h_last, c_last, caches = forward(x, h, c, W, config, input_mask, hidden_mask)
    logp = log_softmax(logits(hidden, W))
    loss = average_cross_entropy(logp, y)
    dz = np.exp(logp)  # (T, N, V)
    np.put_along_axis(dz, y[..., None], np.take_along_axis(dz, y[..., None], axis=-1) - 1, axis=-1)
    dz /= y.size
    grads = backward(caches, dz @ W["Why"].T, W, config, hidden_mask)
    grads["Why"] = np.einsum("tnh,tnv->hv", hidden, dz)
    grads["by"] = dz.sum(axis=(0, 1))
    return loss, h_last, c_last, {name: grads[name] for name in config.shapes(1)}


def loss(
    x: np.ndarray,
    y: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    W: Arrays,
    config: ModelConfig | None = None,
    input_mask: np.ndarray | None = None,
    hidden_mask: np.ndarray | None = None,
) -> float:
    """Return the loss of `loss_and_gradients` without gradients, in the precision of the arguments."""
    config = config or ModelConfig(len(W["Why"]))
    hidden = forward(x, h, c, W, config, input_mask, hidden_mask)[0]
    return average_cross_entropy(log_softmax(logits(hidden, W)), y)
