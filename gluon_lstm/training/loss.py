"""How wrong a window of predictions is, in nats a token."""

from __future__ import annotations

from typing import Any

from gluon_lstm.compat import mx


def average_cross_entropy(logits: Any, y: Any) -> Any:
    """The mean over time of the mean cross-entropy over the batch: logits (T*N, V), ids y (T, N) -> a scalar NDArray.

    Every step has as many lanes as every other, so that is the mean over all T*N predictions. The value is that of
    notes 003; their `y * log(softmax)` is 0 times minus infinity, NaN, as soon as a probability underflows, while
    log-softmax stays finite.
    """
    logp = mx.nd.log_softmax(logits)
    return -mx.nd.mean(mx.nd.pick(logp, y.reshape(-1)))
