"""The LSTM written out gate by gate, one NDArray expression for each, as notes 003 print it (and notes 004 derive it).

With x[t] the one-hot row of a token id, the product x[t] . Wxg is the row of Wxg that the id names: it is looked up
instead of multiplied out. That is the only difference from the printed code, and changes no value.
"""

from __future__ import annotations

from typing import Any

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Parameters

nd = mx.nd


def begin_state(N: int, W: Parameters) -> tuple[Any, Any]:
    """The zero state (h, c), each (N, H)."""
    shape = (N, W.H)
    return nd.zeros(shape, ctx=W.ctx, dtype=W.bg.dtype), nd.zeros(shape, ctx=W.ctx, dtype=W.bg.dtype)


def lstm(x: Any, h: Any, c: Any, W: Parameters, keep: Any = None) -> tuple[Any, Any, Any]:
    """Run the cell over one window: ids x (T, N), state h, c (N, H) -> hidden states (T*N, H), and the last h, c.

    To be called inside `autograd.record()` when gradients are wanted. Row t*N + n of the hidden states is step t of
    lane n. `keep` (T, N, 1), when given, multiplies what each input row gives (dropout).
    """
    hs = []
    for Xg, Xi, Xf, Xo in zip(*(rows(x, Wx, keep) for Wx in (W.Wxg, W.Wxi, W.Wxf, W.Wxo))):  # each (N, H)
        g = nd.tanh(Xg + nd.dot(h, W.Whg) + W.bg)
        i = nd.sigmoid(Xi + nd.dot(h, W.Whi) + W.bi)
        f = nd.sigmoid(Xf + nd.dot(h, W.Whf) + W.bf)
        o = nd.sigmoid(Xo + nd.dot(h, W.Who) + W.bo)

        c = f * c + i * g
        h = o * nd.tanh(c)
        hs.append(h)
    return nd.concat(*hs, dim=0), h, c


def output(h: Any, W: Parameters) -> Any:
    """Hidden states (T*N, H) -> logits (T*N, V)."""
    return nd.dot(h, W.Why) + W.by


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, keep_rows: Any = None, keep_hidden: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c: ids x, y (T, N), state h, c (N, H).

    `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H), where given, multiply the input rows and the hidden states on
    their way to `Why` (dropout). These four may be NumPy arrays.
    """
    x, y, keep_rows, keep_hidden = on_device(W, x, y, keep_rows, keep_hidden)
    hidden, h, c = lstm(x, h, c, W, keep_rows)
    if keep_hidden is not None:
        hidden = hidden * keep_hidden
    return average_cross_entropy(output(hidden, W), y), h, c


def on_device(W: Parameters, x: Any, y: Any, keep_rows: Any, keep_hidden: Any) -> list[Any]:
    """The ids as int32 and the masks in the type of the weights: NDArrays on the device of W."""
    arrays = zip((x, y, keep_rows, keep_hidden), ("int32", "int32", W.bg.dtype, W.bg.dtype))
    return [None if array is None else nd.array(array, ctx=W.ctx, dtype=dtype) for array, dtype in arrays]


def average_cross_entropy(logits: Any, y: Any) -> Any:
    """The mean over time of the mean cross-entropy over the batch: logits (T*N, V), ids y (T, N) -> (1,), nats a token.

    Every step has as many lanes as every other, so that is the mean over all T*N predictions. The value is that of
    notes 003; their `y * log(softmax)` is 0 times minus infinity, NaN, as soon as a probability underflows, while
    log-softmax stays finite.
    """
    logp = nd.log_softmax(logits)
    return -nd.mean(nd.pick(logp, y.reshape(-1)))


def rows(x: Any, Wx: Any, keep: Any = None) -> list[Any]:
    """The rows of Wx (V, H) named by ids x (T, N): T arrays (N, H).

    Looked up for the whole window at once, then split: the gradient of one look-up at each step would be T arrays as
    large as Wx.
    """
    V, H = Wx.shape
    X = nd.Embedding(x, Wx, input_dim=V, output_dim=H, dtype=Wx.dtype)  # (T, N, H)
    if keep is not None:
        X = X * keep
    steps = nd.split(X, num_outputs=x.shape[0], axis=0, squeeze_axis=True)
    return steps if isinstance(steps, list) else [steps]
