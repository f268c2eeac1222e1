"""The LSTM written out gate by gate, one NDArray expression per gate, as printed in notes 003 and derived in notes 004.

Read `step` first. It is the whole cell; everything else applies it to a window and computes the loss.

Sizes: N batch (lanes), T time steps of a window, H hidden units, V vocabulary, L layers, D numbers of an input row.
Row vectors: h W, with h (N, H) and W (H, H).

One difference from the printed code, which changes no value: notes 003 multiply the one-hot row of a token id by Wxg.
The product is the row of Wxg with that index, so the row is looked up (an embedding).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Layer, Parameters

nd = mx.nd


def step(X: Sequence[Any], h: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """Return h, c after one time step of one layer.

    X: the input projection x Wx of each gate, in the order of `W.cell.gates`. X[k], h and c are (N, H).
    """
    if W.cell.gates == "h":
        return step_rnn(X, h, c, W)
    if W.cell.peepholes:
        return step_with_peepholes(X, h, c, W)

    Xg, Xi, Xf, Xo = X  # each (N, H)
    g = nd.tanh(Xg + nd.dot(h, W.Whg) + W.bg)  # candidate
    i = nd.sigmoid(Xi + nd.dot(h, W.Whi) + W.bi)  # input gate
    f = nd.sigmoid(Xf + nd.dot(h, W.Whf) + W.bf)  # forget gate
    o = nd.sigmoid(Xo + nd.dot(h, W.Who) + W.bo)  # output gate

    c = f * c + i * g  # cell state
    h = o * nd.tanh(c) if W.cell.output_tanh else o * c  # hidden state
    return h, c


def step_with_peepholes(X: Sequence[Any], h: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """Return h, c after one time step with peepholes: i and f also read the old cell state, o the new one.

    Diagonal peepholes multiply by a vector (H,), full ones, as in notes 000, by a matrix (H, H).
    """
    peephole = nd.multiply if W.cell.peepholes == "diagonal" else nd.dot
    Xg, Xi, Xf, Xo = X
    g = nd.tanh(Xg + nd.dot(h, W.Whg) + W.bg)
    i = nd.sigmoid(Xi + nd.dot(h, W.Whi) + peephole(c, W.Wci) + W.bi)
    f = nd.sigmoid(Xf + nd.dot(h, W.Whf) + peephole(c, W.Wcf) + W.bf)

    c = f * c + i * g
    o = nd.sigmoid(Xo + nd.dot(h, W.Who) + peephole(c, W.Wco) + W.bo)
    h = o * nd.tanh(c)
    return h, c


def step_rnn(X: Sequence[Any], h: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """Return h, c after one time step of the simple RNN, the baseline of notes 003. It has no cell: c is unchanged."""
    (Xh,) = X
    return nd.tanh(Xh + nd.dot(h, W.Whh) + W.bh), c


def lstm(
    x: Any, h: Any, c: Any, W: Parameters, input_mask: Any = None, hidden_mask: Any = None
) -> tuple[Any, Any, Any]:
    """Run all layers over one window; return the hidden states of the top layer (T*N, H) and the last h, c.

    x: ids (T, N), or rows of numbers (T, N, D) for input weights (D, H). h, c: the state before the window, (L*N, H),
    lowest layer first. Row t*N + n of the hidden states is step t of lane n. Call it inside `autograd.record()` when
    gradients are needed.

    Dropout masks, already scaled, or None: `input_mask` (T, N, 1) multiplies the input projections of layer 1,
    `hidden_mask` (L*T*N, H) the hidden states passed to the next layer or to the output, not those of the recurrence.
    """
    T, N = x.shape[:2]
    last = []
    for k, layer in enumerate(W.layers):
        h_k, c_k = h[k * N : (k + 1) * N], c[k * N : (k + 1) * N]  # (L*N, H) -> (N, H)
        hs = []
        Xs = [input_projection(x, getattr(layer, f"Wx{gate}"), input_mask) for gate in layer.cell.gates]
        for X in zip(*Xs):  # one step: (N, H) for each gate
            h_k, c_k = step(X, h_k, c_k, layer)
            hs.append(h_k)
        last.append((h_k, c_k))
        hidden = nd.concat(*hs, dim=0)  # T times (N, H) -> (T*N, H)
        if hidden_mask is not None:
            hidden = hidden * hidden_mask[k * T * N : (k + 1) * T * N]
        x, input_mask = hidden.reshape((T, N, -1)), None  # (T*N, H) -> (T, N, H), input of the next layer
    h, c = (nd.concat(*states, dim=0) for states in zip(*last))  # L times (N, H) -> (L*N, H)
    return hidden, h, c


def input_projection(x: Any, Wx: Any, mask: Any = None) -> list[Any]:
    """Return x Wx for each step, T arrays (N, H), multiplied by `mask` (T, N, 1) where given.

    x: ids (T, N) that select rows of Wx (V, H), or rows (T, N, D) for Wx (D, H). Computed once for the window, then
    split: with one look-up per step, autograd would allocate T gradients of the size of Wx.
    """
    if x.ndim == 2:
        V, H = Wx.shape
        X = nd.Embedding(x, Wx, input_dim=V, output_dim=H, dtype=Wx.dtype)  # (T, N) -> (T, N, H)
    else:
        X = nd.dot(x, Wx)  # (T, N, D) -> (T, N, H)
    if mask is not None:
        X = X * mask
    steps = nd.split(X, num_outputs=x.shape[0], axis=0, squeeze_axis=True)  # (T, N, H) -> T times (N, H)
    return steps if isinstance(steps, list) else [steps]  # MXNet returns a bare NDArray for T = 1


def logits(h: Any, W: Parameters) -> Any:
    """Return the logits (T*N, V) of hidden states (T*N, H)."""
    return nd.dot(h, W.Why) + W.by


def average_cross_entropy(logits: Any, y: Any) -> Any:
    """Return the mean cross-entropy (1,), in nats per token, of logits (T*N, V) for ids y (T, N).

    Notes 003 average over the batch, then over time; all steps have N lanes, so that equals the mean over all T*N
    predictions. Their `y * log(softmax)` is 0 times minus infinity, NaN, when a probability underflows; log-softmax
    stays finite.
    """
    logp = nd.log_softmax(logits)
    return -nd.mean(nd.pick(logp, y.reshape(-1)))  # (T, N) -> (T*N,)


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, input_mask: Any = None, hidden_mask: Any = None) -> Any:
    """Return the loss of one window, (1,) in nats per token, and the last h, c.

    Ids x, y (T, N); x, y and the masks may be NumPy arrays. State and masks as in `lstm`.
    """
    x, y, input_mask, hidden_mask = to_device(W, x, y, input_mask, hidden_mask)
    hidden, h, c = lstm(x, h, c, W, input_mask, hidden_mask)
    return average_cross_entropy(logits(hidden, W), y), h, c


def begin_state(N: int, W: Parameters) -> tuple[Any, Any]:
    """Return the zero state h, c, each (L*N, H), lowest layer first."""
    shape = (W.config.layers * N, W.H)
    return nd.zeros(shape, ctx=W.ctx, dtype=W.by.dtype), nd.zeros(shape, ctx=W.ctx, dtype=W.by.dtype)


def to_device(W: Parameters, x: Any, y: Any, input_mask: Any, hidden_mask: Any) -> list[Any]:
    """Return the arguments as NDArrays on the device of W: ids in int32, masks in the dtype of W; None stays None."""
    arrays = zip((x, y, input_mask, hidden_mask), ("int32", "int32", W.by.dtype, W.by.dtype))
    return [None if array is None else nd.array(array, ctx=W.ctx, dtype=dtype) for array, dtype in arrays]
