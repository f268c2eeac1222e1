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
