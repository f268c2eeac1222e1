"""The LSTM written out gate by gate, one NDArray expression for each, as notes 003 print it (and notes 004 derive it).

With x[t] the one-hot row of a token id, the product x[t] . Wxg is the row of Wxg that the id names: it is looked up
instead of multiplied out. That is the only difference from the printed code, and changes no value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Layer, Parameters

nd = mx.nd


def begin_state(N: int, W: Parameters) -> tuple[Any, Any]:
    """The zero state (h, c), each (N, H); of L layers (L*N, H), from below."""
    shape = (W.config.layers * N, W.H)
    return nd.zeros(shape, ctx=W.ctx, dtype=W.by.dtype), nd.zeros(shape, ctx=W.ctx, dtype=W.by.dtype)


def step(X: Sequence[Any], h: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """One time step of one layer: what the input gives inside each gate, and the state h, c, all (N, H) -> new h, c."""
    if W.cell.gates == "h":
        return step_rnn(X, h, c, W)
    if W.cell.peepholes:
        return step_with_peepholes(X, h, c, W)

    Xg, Xi, Xf, Xo = X
    g = nd.tanh(Xg + nd.dot(h, W.Whg) + W.bg)
    i = nd.sigmoid(Xi + nd.dot(h, W.Whi) + W.bi)
    f = nd.sigmoid(Xf + nd.dot(h, W.Whf) + W.bf)
    o = nd.sigmoid(Xo + nd.dot(h, W.Who) + W.bo)

    c = f * c + i * g
    h = o * nd.tanh(c) if W.cell.output_tanh else o * c
    return h, c


def step_with_peepholes(X: Sequence[Any], h: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """The same, but the gates see the cell: through vectors, or through full matrices as in notes 000."""
    see = nd.multiply if W.cell.peepholes == "diagonal" else nd.dot
    Xg, Xi, Xf, Xo = X
    g = nd.tanh(Xg + nd.dot(h, W.Whg) + W.bg)
    i = nd.sigmoid(Xi + nd.dot(h, W.Whi) + see(c, W.Wci) + W.bi)
    f = nd.sigmoid(Xf + nd.dot(h, W.Whf) + see(c, W.Wcf) + W.bf)

    c = f * c + i * g
    o = nd.sigmoid(Xo + nd.dot(h, W.Who) + see(c, W.Wco) + W.bo)  # the new c
    h = o * nd.tanh(c)
    return h, c


def step_rnn(X: Sequence[Any], h: Any, c: Any, W: Layer) -> tuple[Any, Any]:
    """The simple recurrent network that notes 003 compare with. It has no cell: c stays what it is."""
    (Xh,) = X
    return nd.tanh(Xh + nd.dot(h, W.Whh) + W.bh), c


def lstm(x: Any, h: Any, c: Any, W: Parameters, keep: Any = None, hidden_mask: Any = None) -> tuple[Any, Any, Any]:
    """Run the cell over one window: ids x (T, N), state h, c (N, H) -> hidden states (T*N, H), and the last h, c.

    To be called inside `autograd.record()` when gradients are wanted. Row t*N + n of the hidden states is step t of
    lane n. `keep` (T, N, 1), when given, multiplies what each input row gives, `keep_hidden` (T*N, H) the hidden states
    on their way up (dropout). Instead of ids, x may be rows of numbers (T, N, D), for input weights (D, H).

    Of L layers, state (L*N, H) and `keep_hidden` (L*T*N, H) lie layer by layer, from below.
    """
    T, N = x.shape[:2]
    last = []
    for k, layer in enumerate(W.layers):
        h_k, c_k = h[k * N : (k + 1) * N], c[k * N : (k + 1) * N]
        hs = []
        for X in zip(*(inputs(x, getattr(layer, f"Wx{gate}"), keep) for gate in layer.cell.gates)):  # each (N, H)
            h_k, c_k = step(X, h_k, c_k, layer)
            hs.append(h_k)
        last.append((h_k, c_k))
        hidden = nd.concat(*hs, dim=0)  # (T*N, H)
        if hidden_mask is not None:
            hidden = hidden * hidden_mask[k * T * N : (k + 1) * T * N]
        x, keep = hidden.reshape((T, N, -1)), None
    return hidden, nd.concat(*(h_k for h_k, _ in last), dim=0), nd.concat(*(c_k for _, c_k in last), dim=0)


def output(h: Any, W: Parameters) -> Any:
    """Hidden states (T*N, H) -> logits (T*N, V)."""
    return nd.dot(h, W.Why) + W.by


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, input_mask: Any = None, hidden_mask: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c: ids x, y (T, N), state h, c (N, H).

    `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H), where given, multiply the input rows and the hidden states on
    their way up (dropout). These four may be NumPy arrays. For L layers, state and mask are as in `lstm`.
    """
    x, y, input_mask, hidden_mask = on_device(W, x, y, input_mask, hidden_mask)
    hidden, h, c = lstm(x, h, c, W, input_mask, hidden_mask)
    return average_cross_entropy(output(hidden, W), y), h, c


def on_device(W: Parameters, x: Any, y: Any, input_mask: Any, hidden_mask: Any) -> list[Any]:
    """The ids as int32 and the masks in the type of the weights: NDArrays on the device of W."""
    arrays = zip((x, y, input_mask, hidden_mask), ("int32", "int32", W.by.dtype, W.by.dtype))
    return [None if array is None else nd.array(array, ctx=W.ctx, dtype=dtype) for array, dtype in arrays]


def average_cross_entropy(logits: Any, y: Any) -> Any:
    """The mean over time of the mean cross-entropy over the batch: logits (T*N, V), ids y (T, N) -> (1,), nats a token.

    Every step has as many lanes as every other, so that is the mean over all T*N predictions. The value is that of
    notes 003; their `y * log(softmax)` is 0 times minus infinity, NaN, as soon as a probability underflows, while
    log-softmax stays finite.
    """
    logp = nd.log_softmax(logits)
    return -nd.mean(nd.pick(logp, y.reshape(-1)))


def inputs(x: Any, Wx: Any, keep: Any = None) -> list[Any]:
    """x . Wx, times `keep` where given: T arrays (N, H). Of ids x (T, N) it is the rows of Wx (V, H) that they name.

    Made for the whole window at once, then split: the gradient of one look-up at each step would be T arrays as large
    as Wx.
    """
    if x.ndim == 2:
        V, H = Wx.shape
        X = nd.Embedding(x, Wx, input_dim=V, output_dim=H, dtype=Wx.dtype)  # (T, N, H)
    else:
        X = nd.dot(x, Wx)
    if keep is not None:
        X = X * keep
    steps = nd.split(X, num_outputs=x.shape[0], axis=0, squeeze_axis=True)
    return steps if isinstance(steps, list) else [steps]
