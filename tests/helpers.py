"""Paths and builders shared by the tests."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DOCS, SCRIPTS = ROOT / "docs", ROOT / "scripts"
POSTS = ROOT / "data" / "posts_ja.txt"
CORPORA = Path(os.environ.get("GLUON_LSTM_CORPORA", ROOT.parent / "shared" / "corpora"))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def reference_step(variant, x, h, c, W):
    """Return h, c of one lane after one step, from the printed equations: x (D,), with D = V (one-hot) or H."""
    if variant == "rnn":  # the simple RNN of notes 003
        return np.tanh(x @ W["Wxh"] + h @ W["Whh"] + W["bh"]), c
    g, i, f, o = (x @ W[f"Wx{k}"] + h @ W[f"Wh{k}"] + W[f"b{k}"] for k in "gifo")
    if variant == "peephole":  # a diagonal matrix, written as the matrix
        i, f = i + c @ np.diag(W["Wci"]), f + c @ np.diag(W["Wcf"])
    if variant == "peephole-full":  # notes 000: v[0] c[t-1], v[2] c[t-1], and below v[1] c[t]
        i, f = i + c @ W["Wci"], f + c @ W["Wcf"]
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    if variant == "peephole":
        o = o + c @ np.diag(W["Wco"])
    if variant == "peephole-full":
        o = o + c @ W["Wco"]
    return sigmoid(o) * (c if variant == "no-output-tanh" else np.tanh(c)), c


def central_difference(loss, array, index, step=1e-5):
    """dloss/darray[index]; `loss()` reads `array`, which is changed in place and restored."""
    value = array[index]
    losses = []
    for moved in (value + step, value - step):
        array[index] = moved
        losses.append(loss())
    array[index] = value
    return (losses[0] - losses[1]) / (2 * step)
