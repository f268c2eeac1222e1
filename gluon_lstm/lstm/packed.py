"""The cell of `scratch` in as few NDArray operators as it takes: the fast cell of a GPU, where `fast` cannot look in.

Few and large ones, because starting an operator on a GPU takes time of its own: one look-up of each input weight, one
product and one cross-entropy for the window, one product for the four gates of a step. (No GPU was at hand to measure
it on.) FullyConnected, and not `nd.dot` and a sum: a quarter less time on a CPU, where it was measured.
"""

from __future__ import annotations

from typing import Any

from gluon_lstm.compat import mx
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.lstm.scratch import average_cross_entropy, on_device

nd = mx.nd


def loss(x: Any, y: Any, h: Any, c: Any, W: Parameters, keep_rows: Any = None, keep_hidden: Any = None) -> Any:
    """Loss of one window (nats a token) and the last h, c, as `scratch` computes them; call inside `autograd.record()`.

    Ids x, y (T, N), `keep_rows` (T, N, 1) and `keep_hidden` (T*N, H) or None: NumPy or NDArrays; state h, c (N, H):
    NDArrays on the device and in the type of W.
    """
    x, y, keep_rows, keep_hidden = on_device(W, x, y, keep_rows, keep_hidden)
    H = W.H
    Wh = nd.concat(W.Whi, W.Whf, W.Who, W.Whg, dim=1).T  # (4H, H): the gates lie side by side, i f o g
    b = nd.concat(W.bi, W.bf, W.bo, W.bg, dim=0)  # (4H,)
    hs = []
    for X in rows(x, W, keep_rows):  # (N, 4H)
        a = nd.FullyConnected(h, Wh, b, num_hidden=4 * H) + X
        i, f, o = nd.split(nd.sigmoid(nd.slice_axis(a, axis=1, begin=0, end=3 * H)), num_outputs=3, axis=1)
        g = nd.tanh(nd.slice_axis(a, axis=1, begin=3 * H, end=4 * H))
        c = f * c + i * g
        h = o * nd.tanh(c)
        hs.append(h)
    hidden = nd.concat(*hs, dim=0)  # (T*N, H)
    if keep_hidden is not None:
        hidden = hidden * keep_hidden
    logits = nd.FullyConnected(hidden, W.Why.T, W.by, num_hidden=W.V)  # (T*N, V)
    return average_cross_entropy(logits, y), h, c


def rows(x: Any, W: Parameters, keep: Any) -> list[Any]:
    """What the ids x (T, N) add inside the gates, times `keep` (T, N, 1) where given: T arrays (N, 4H).

    The rows are joined, not the weights: a window names fewer of them than a large vocabulary has.
    """
    weights = (W.Wxi, W.Wxf, W.Wxo, W.Wxg)
    looked_up = [nd.Embedding(x, Wx, input_dim=W.V, output_dim=W.H, dtype=Wx.dtype) for Wx in weights]  # each (T, N, H)
    X = nd.concat(*looked_up, dim=2)
    if keep is not None:
        X = X * keep
    steps = nd.split(X, num_outputs=x.shape[0], axis=0, squeeze_axis=True)
    return steps if isinstance(steps, list) else [steps]
