"""The LSTM of `scratch` in few, large NDArray operators: the fast implementation for a GPU.

Launching an operator on a GPU has a fixed cost, so a window takes one embedding per input weight, one output product
and one cross-entropy, and a step one product for all gates. Not measured on a GPU. FullyConnected instead of `nd.dot`
and an addition: a quarter less time, measured on a CPU.
"""

from __future__ import annotations

from typing import Any

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Layer, Parameters
from gluon_lstm.lstm.scratch import average_cross_entropy, to_device

nd = mx.nd


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, input_mask: Any = None, hidden_mask: Any = None) -> Any:
    """Return the loss of one window (nats per token) and the last h, c, as `scratch.loss`.

    Arguments as in `scratch.loss`; h, c are NDArrays on the device and in the dtype of W. Call it inside
    `autograd.record()`. Raises ValueError for a variant that only `scratch` implements.
    """
    if W.config.cell.scratch_only:
        raise ValueError(f"`variant` {W.config.variant}: only the scratch implementation has it")
    x, y, input_mask, hidden_mask = to_device(W, x, y, input_mask, hidden_mask)
    T, N = x.shape
    gates, layers = W.config.cell.fused_gate_order, W.layers
    X, last = embed(x, W, gates, input_mask), []  # (T, N, 4H)
    for k, layer in enumerate(layers):
        Wh, b = concat_gates(layer, "Wh", gates).T, concat_gates(layer, "b", gates)  # (4H, H), (4H,)
        h_k, c_k = h[k * N : (k + 1) * N], c[k * N : (k + 1) * N]  # (N, H)
        hs = []
        for t in range(T):
            h_k, c_k = step(nd.FullyConnected(h_k, Wh, b, num_hidden=len(b)) + X[t], c_k, layer)
            hs.append(h_k)
        last.append((h_k, c_k))
        hidden = nd.concat(*hs, dim=0)  # (T*N, H)
        if hidden_mask is not None:
            hidden = hidden * hidden_mask[k * T * N : (k + 1) * T * N]
        if k + 1 < len(layers):
            Wx = concat_gates(layers[k + 1], "Wx", gates).T  # (4H, H)
            X = nd.FullyConnected(hidden, Wx, no_bias=True, num_hidden=len(b)).reshape((T, N, -1))  # (T, N, 4H)
    logits = nd.FullyConnected(hidden, W.Why.T, W.by, num_hidden=W.V)  # (T*N, V)
    h, c = (nd.concat(*states, dim=0) for states in zip(*last))  # (L*N, H)
    return average_cross_entropy(logits, y), h, c


def concat_gates(layer: Layer, role: str, gates: str) -> Any:
    """Return the arrays of one role ("Wx", "Wh", "b") of all gates, concatenated along the last axis: (..., 4H)."""
    return nd.concat(*(getattr(layer, f"{role}{gate}") for gate in gates), dim=-1)


def step(a: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """Return h, c (N, H) after a step from the pre-activations a (N, 4H), without peephole terms, and c before it."""
    if W.cell.gates == "h":
        return nd.tanh(a), c
    i, f, o, g = nd.split(a, num_outputs=4, axis=1)  # (N, 4H) -> 4 times (N, H)
    if W.cell.peepholes:
        i, f = i + c * W.Wci, f + c * W.Wcf
    c = nd.sigmoid(f) * c + nd.sigmoid(i) * nd.tanh(g)
    if W.cell.peepholes:
        o = o + c * W.Wco
    return nd.sigmoid(o) * (nd.tanh(c) if W.cell.output_tanh else c), c


def embed(x: Any, W: Parameters, gates: str, mask: Any) -> Any:
    """Return the input projections (T, N, 4H) of ids x (T, N), multiplied by `mask` (T, N, 1) where given.

    The selected rows are concatenated, not the weights: a window selects fewer rows than a large vocabulary has.
    """
    weights = [getattr(W, f"Wx{gate}") for gate in gates]
    rows = [nd.Embedding(x, Wx, input_dim=W.V, output_dim=W.H, dtype=Wx.dtype) for Wx in weights]  # each (T, N, H)
    X = nd.concat(*rows, dim=2)  # (T, N, 4H)
    return X if mask is None else X * mask
