"""The same model in NumPy float64, forward and backward through time by hand: what every other form is checked against.

Row vectors as in the notes: x is a row of ids, h and c are (N, H), products are taken from the right. The derivatives
are those of notes 001 (the layer) and 004 (the gate equations), summed over a window; those of the peepholes are the
exact ones, through time, where Gers & Schmidhuber (2000) cut them short.

What belongs to several layers lies layer by layer, from below: h and c are (L*N, H), masks of hidden states (L*T*N, H).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gluon_lstm.config import CellConfig, ModelConfig, array_name

Arrays = Mapping[str, np.ndarray]


class Step(NamedTuple):
    """What one time step leaves for the backward pass; every array is (N, H)."""

    h_prev: np.ndarray
    c_prev: np.ndarray
    gates: dict[str, np.ndarray]
    c: np.ndarray
    s: np.ndarray  # what the output gate lets through: tanh(c), or c
    h: np.ndarray


class Tape(NamedTuple):
    """What one layer leaves for the backward pass."""

    x: np.ndarray  # what it read: ids (T, N), or the layer below (T, N, H)
    keep: np.ndarray | None  # the mask of that
    steps: list[Step]


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * a) + 0.5  # never overflows


def input_projection(x: np.ndarray, Wx: np.ndarray) -> np.ndarray:
    """x . Wx for rows x (N, D), or for ids (N,), which stand for one-hot rows."""
    return Wx[x] if x.ndim == 1 else x @ Wx


def peephole(c: np.ndarray, Wc: np.ndarray) -> np.ndarray:
    """What a gate sees of the cell through its peephole, a vector or a matrix."""
    return c * Wc if Wc.ndim == 1 else c @ Wc


def step(X: Arrays, h_prev: np.ndarray, c_prev: np.ndarray, W: Arrays, cell: CellConfig) -> Step:
    """One time step: what the input gives inside each gate, state, each (N, H) -> what is behind it."""
    A = {k: X[k] + h_prev @ W[f"Wh{k}"] + W[f"b{k}"] for k in cell.gates}
    if cell.gates == "h":
        h = np.tanh(A["h"])
        return Step(h_prev, c_prev, {}, c_prev, c_prev, h)
    if cell.peepholes:
        A["i"] = A["i"] + peephole(c_prev, W["Wci"])
        A["f"] = A["f"] + peephole(c_prev, W["Wcf"])
    g, i, f = np.tanh(A["g"]), sigmoid(A["i"]), sigmoid(A["f"])
    c = f * c_prev + i * g
    if cell.peepholes:
        A["o"] = A["o"] + peephole(c, W["Wco"])
    o = sigmoid(A["o"])
    s = np.tanh(c) if cell.output_tanh else c
    return Step(h_prev, c_prev, {"g": g, "i": i, "f": f, "o": o}, c, s, o * s)


def step_backward(
    step: Step, dh: np.ndarray, dc: np.ndarray, W: Arrays, cell: CellConfig
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """From dL/dh and dL/dc behind a step: dL/d(the sum inside each gate), and dL/dc before the step."""
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
    """Hidden states (..., H) -> logits (..., V)."""
    return h @ W["Why"] + W["by"]


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def average_cross_entropy(logp: np.ndarray, y: np.ndarray) -> float:
    """Log-probabilities (T, N, V), ids y (T, N) -> nats a token."""
    return -float(np.take_along_axis(logp, y[..., None], axis=-1).mean())


def forward(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    W: Arrays,
    config: ModelConfig,
    input_mask: np.ndarray | None = None,
    hidden_mask: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[Tape]]:
    """All layers over ids (T, N), or rows (T, N, D): what the top one gives (T, N, H), last h and c, and the tapes.

    `keep_rows` (T, N, 1) multiplies what the input gives inside the gates, `keep_hidden` (L*T*N, H) what a layer gives
    to the next, or to `Why` (dropout).
    """
    T, N = x.shape[:2]
    L, H = config.layers, config.hidden
    h, c = h.reshape(L, N, H), c.reshape(L, N, H)
    masks = [None] * L if hidden_mask is None else hidden_mask.reshape(L, T, N, H)
    tapes, keep = [], input_mask
    for k in range(L):
        own = arrays_of(config, k + 1, W)
        tape, h_t, c_t = Tape(x, keep, []), h[k], c[k]
        for t in range(T):
            X = {gate: input_projection(x[t], own[f"Wx{gate}"]) for gate in config.cell.gates}
            if keep is not None:
                X = {gate: X[gate] * keep[t] for gate in X}
            tape.steps.append(step(X, h_t, c_t, own, config.cell))
            h_t, c_t = tape.steps[-1].h, tape.steps[-1].c
        tapes.append(tape)
        x, keep = np.stack([s.h for s in tape.steps]), None
        if masks[k] is not None:
            x = x * masks[k]
    last_h, last_c = ([getattr(tape.steps[-1], name) for tape in tapes] for name in "hc")
    return x, np.concatenate(last_h), np.concatenate(last_c), tapes


def arrays_of(config: ModelConfig, layer: int, W: Arrays) -> dict[str, np.ndarray]:
    """The arrays of one layer (from 1) under the names of the equations."""
    return {name: W[in_model] for name, in_model in config.names(layer).items()}


def backward(
    tapes: list[Tape], dhidden: np.ndarray, W: Arrays, config: ModelConfig, hidden_mask: np.ndarray | None
) -> dict[str, np.ndarray]:
    """From dL/d(what the top layer gives) (T, N, H), the gradients of every array of the layers."""
    T, N, H = dhidden.shape
    masks = None if hidden_mask is None else hidden_mask.reshape(-1, T, N, H)
    grads: dict[str, np.ndarray] = {}
    for k in reversed(range(len(tapes))):
        own = arrays_of(config, k + 1, W)
        if masks is not None:
            dhidden = dhidden * masks[k]
        found, dhidden = _layer_backward(tapes[k], dhidden, own, config.cell)
        grads.update({array_name(name, k + 1): grad for name, grad in found.items()})
    return grads


def backward_steps(
    steps: list[Step], dhidden: np.ndarray, W: Arrays, cell: CellConfig
) -> Iterator[tuple[int, np.ndarray, dict[str, np.ndarray]]]:
    """From the last step of a layer to its first: t, dL/dh[t] (N, H), and dL/d(the sum inside each gate).

    `dhidden` (T, N, H) is what comes to each h[t] from above; dL/dh[t] is that and all that comes from later steps.
    """
    dh, dc = np.zeros_like(dhidden[0]), np.zeros_like(dhidden[0])
    for t in reversed(range(len(steps))):
        dh = dhidden[t] + dh
        dA, dc = step_backward(steps[t], dh, dc, W, cell)
        yield t, dh, dA
        dh = sum(dA[k] @ W[f"Wh{k}"].T for k in cell.gates)


def _layer_backward(
    tape: Tape, dhidden: np.ndarray, W: Arrays, cell: CellConfig
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The gradients of one layer's arrays, and dL/d(what it read), (T, N, D), or 0 where that was ids."""
    grads = {name: np.zeros_like(array) for name, array in W.items()}
    dx = np.zeros(tape.x.shape)
    for t, _, dA in backward_steps(tape.steps, dhidden, W, cell):
        s, x = tape.steps[t], tape.x[t]
        for k in cell.gates:
            dX = dA[k] if tape.keep is None else dA[k] * tape.keep[t]
            if x.ndim == 1:
                np.add.at(grads[f"Wx{k}"], x, dX)
            else:
                grads[f"Wx{k}"] += x.T @ dX
                dx[t] += dX @ W[f"Wx{k}"].T
            grads[f"Wh{k}"] += s.h_prev.T @ dA[k]
            grads[f"b{k}"] += dA[k].sum(axis=0)
        for k, seen in zip("ifo", (s.c_prev, s.c_prev, s.c)) if cell.peepholes else ():
            diagonal = grads[f"Wc{k}"].ndim == 1
            grads[f"Wc{k}"] += (seen * dA[k]).sum(axis=0) if diagonal else seen.T @ dA[k]
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
    """One window: ids x, y (T, N) and state h, c -> the loss, last h and c, and dL/dW for each of the arrays, cut off
    at the beginning of the window.

    The loss, in nats a token, is the mean over time of the mean cross-entropy over the batch. `configuration`: None
    for the standard model of the 14 arrays.
    """
    W = {name: np.asarray(array, dtype=np.float64) for name, array in W.items()}
    config = config or ModelConfig(len(W["Why"]))
    hidden, h_last, c_last, tapes = forward(x, h, c, W, config, input_mask, hidden_mask)
    logp = log_softmax(logits(hidden, W))
    loss = average_cross_entropy(logp, y)
    dz = np.exp(logp)  # (T, N, V)
    np.put_along_axis(dz, y[..., None], np.take_along_axis(dz, y[..., None], axis=-1) - 1, axis=-1)
    dz /= y.size
    grads = backward(tapes, dz @ W["Why"].T, W, config, hidden_mask)
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
    """The loss of `loss_and_gradients` alone, in the precision of what is given."""
    config = config or ModelConfig(len(W["Why"]))
    hidden = forward(x, h, c, W, config, input_mask, hidden_mask)[0]
    return average_cross_entropy(log_softmax(logits(hidden, W)), y)
