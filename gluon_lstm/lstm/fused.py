"""The cell of `scratch` in as few NDArray operators as it takes: the fast cell of a GPU, where `fast` cannot look in.

Few and large ones, because starting an operator on a GPU takes time of its own: one look-up of each input weight, one
product and one cross-entropy for the window, one product for the four gates of a step. (No GPU was at hand to measure
it on.) FullyConnected, and not `nd.dot` and a sum: a quarter less time on a CPU, where it was measured.
"""

from __future__ import annotations

from typing import Any

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Layer, Parameters
from gluon_lstm.lstm.scratch import average_cross_entropy, on_device

nd = mx.nd


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, input_mask: Any = None, hidden_mask: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c, as `scratch` computes them; call inside `autograd.record()`.

    Ids x, y (T, N), `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H) or None: NumPy or NDArrays; state h, c (N, H):
    NDArrays on the device and in the type of W; for L layers as in `scratch.lstm`. Full peepholes are left to
    `scratch`.
    """
    x, y, input_mask, hidden_mask = on_device(W, x, y, input_mask, hidden_mask)
    T, N = x.shape
    gates, layers = W.config.cell.fused_gate_order, W.layers
    X, last = embed(x, W, gates, input_mask), []
    for k, layer in enumerate(layers):
        Wh, b = concat_gates(layer, "Wh", gates).T, concat_gates(layer, "b", gates)  # (4H, H), (4H,)
        h_k, c_k = h[k * N : (k + 1) * N], c[k * N : (k + 1) * N]
        hs = []
        for t in range(T):
            h_k, c_k = step(nd.FullyConnected(h_k, Wh, b, num_hidden=len(b)) + X[t], c_k, layer)
            hs.append(h_k)
        last.append((h_k, c_k))
        hidden = nd.concat(*hs, dim=0)  # (T*N, H)
        if hidden_mask is not None:
            hidden = hidden * hidden_mask[k * T * N : (k + 1) * T * N]
        if k + 1 < len(layers):
            Wx = concat_gates(layers[k + 1], "Wx", gates).T
            X = nd.FullyConnected(hidden, Wx, no_bias=True, num_hidden=len(b)).reshape((T, N, -1))
    logits = nd.FullyConnected(hidden, W.Why.T, W.by, num_hidden=W.V)  # (T*N, V)
    h, c = (nd.concat(*states, dim=0) for states in zip(*last))
    return average_cross_entropy(logits, y), h, c


def concat_gates(layer: Layer, role: str, gates: str) -> Any:
    """An array of each gate, (..., 4H) in all."""
    return nd.concat(*(getattr(layer, f"{role}{gate}") for gate in gates), dim=-1)


def step(a: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """From what is inside all gates (N, 4H), without what they see of the cell, and c before a step: h and c behind."""
    if W.cell.gates == "h":
        return nd.tanh(a), c
    i, f, o, g = nd.split(a, num_outputs=4, axis=1)
    if W.cell.peepholes:
        i, f = i + c * W.Wci, f + c * W.Wcf
    c = nd.sigmoid(f) * c + nd.sigmoid(i) * nd.tanh(g)
    if W.cell.peepholes:
        o = o + c * W.Wco
    return nd.sigmoid(o) * (nd.tanh(c) if W.cell.output_tanh else c), c


def embed(x: Any, W: Parameters, gates: str, keep: Any) -> Any:
    """What the ids x (T, N) add inside the gates, times `keep` (T, N, 1) where given: (T, N, 4H).

    The rows are joined, not the weights: a window names fewer of them than a large vocabulary has.
    """
    weights = [getattr(W, f"Wx{gate}") for gate in gates]
    rows = [nd.Embedding(x, Wx, input_dim=W.V, output_dim=W.H, dtype=Wx.dtype) for Wx in weights]  # each (T, N, H)
    X = nd.concat(*rows, dim=2)
    return X if keep is None else X * keep
