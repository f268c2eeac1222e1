"""The same model in NumPy float64, forward and backward through time by hand: what every other form is checked against.

Row vectors as in the notes: x is a row of ids, h and c are (N, H), products are taken from the right. The derivatives
are those of notes 001 (the layer) and 004 (the gate equations), summed over a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gluon_lstm.model import GATES

Arrays = Mapping[str, np.ndarray]


class Step(NamedTuple):
    """What one time step leaves for the backward pass; every array is (N, H) but the ids x, (N,)."""

    x: np.ndarray
    h_prev: np.ndarray
    c_prev: np.ndarray
    g: np.ndarray
    i: np.ndarray
    f: np.ndarray
    o: np.ndarray
    tanh_c: np.ndarray


def sigmoid(a: np.ndarray) -> np.ndarray:
    return 0.5 * np.tanh(0.5 * a) + 0.5  # never overflows


def step(x: np.ndarray, h_prev: np.ndarray, c_prev: np.ndarray, W: Arrays) -> tuple[np.ndarray, np.ndarray, Step]:
    """One time step: ids x (N,), state (N, H) -> h, c, and what backward needs."""
    g = np.tanh(W["Wxg"][x] + h_prev @ W["Whg"] + W["bg"])
    i = sigmoid(W["Wxi"][x] + h_prev @ W["Whi"] + W["bi"])
    f = sigmoid(W["Wxf"][x] + h_prev @ W["Whf"] + W["bf"])
    o = sigmoid(W["Wxo"][x] + h_prev @ W["Who"] + W["bo"])
    c = f * c_prev + i * g
    tanh_c = np.tanh(c)
    return o * tanh_c, c, Step(x, h_prev, c_prev, g, i, f, o, tanh_c)


def step_backward(s: Step, dh: np.ndarray, dc: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """From dL/dh and dL/dc behind a step: dL/d(the sum inside each gate), and dL/dc before the step."""
    dc = dc + dh * s.o * (1 - s.tanh_c**2)
    dA = {
        "g": dc * s.i * (1 - s.g**2),
        "i": dc * s.g * s.i * (1 - s.i),
        "f": dc * s.c_prev * s.f * (1 - s.f),
        "o": dh * s.tanh_c * s.o * (1 - s.o),
    }
    return dA, dc * s.f


def logits(h: np.ndarray, W: Arrays) -> np.ndarray:
    """Hidden states (..., H) -> logits (..., V)."""
    return h @ W["Why"] + W["by"]


def log_softmax(z: np.ndarray) -> np.ndarray:
    z = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


def forward(
    x: np.ndarray, y: np.ndarray, h: np.ndarray, c: np.ndarray, W: Arrays
) -> tuple[float, np.ndarray, np.ndarray, list[Step], np.ndarray]:
    """One window: ids x, y (T, N), state (N, H) -> loss, last h and c, the steps, hidden states (T, N, H).

    The loss, in nats a token, is the mean over time of the mean cross-entropy over the batch.
    """
    steps, hs = [], []
    for x_t in x:
        h, c, s = step(x_t, h, c, W)
        steps.append(s)
        hs.append(h)
    hidden = np.stack(hs)
    logp = log_softmax(logits(hidden, W))
    loss = -np.take_along_axis(logp, y[..., None], axis=-1).mean()
    return float(loss), h, c, steps, hidden


def loss_and_gradients(
    x: np.ndarray, y: np.ndarray, h: np.ndarray, c: np.ndarray, W: Arrays
) -> tuple[float, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Loss, last h and c, and dL/dW for each of the 14 arrays, truncated at the beginning of the window."""
    W = {name: np.asarray(array, dtype=np.float64) for name, array in W.items()}
    loss, h_last, c_last, steps, hidden = forward(x, y, h, c, W)
    T, N = x.shape
    dz = np.exp(log_softmax(logits(hidden, W)))  # (T, N, V)
    np.put_along_axis(dz, y[..., None], np.take_along_axis(dz, y[..., None], axis=-1) - 1, axis=-1)
    dz /= T * N

    grads = {name: np.zeros_like(array) for name, array in W.items()}
    grads["Why"] = np.einsum("tnh,tnv->hv", hidden, dz)
    grads["by"] = dz.sum(axis=(0, 1))
    dh_next = np.zeros_like(h_last)
    dc = np.zeros_like(c_last)
    for t in reversed(range(T)):
        s = steps[t]
        dA, dc = step_backward(s, dz[t] @ W["Why"].T + dh_next, dc)
        dh_next = sum(dA[k] @ W[f"Wh{k}"].T for k in GATES)
        for k in GATES:
            np.add.at(grads[f"Wx{k}"], s.x, dA[k])
            grads[f"Wh{k}"] += s.h_prev.T @ dA[k]
            grads[f"b{k}"] += dA[k].sum(axis=0)
    return loss, h_last, c_last, grads
