"""The language model as a Gluon HybridBlock: the framework's counterpart of the code of notes 003.

`gluon.rnn.LSTM` multiplies its input by a matrix, where this package looks up a row per gate. So the block's embedding
has rows of 4H numbers, the four rows of a token, and the input matrix of layer 1 is the identity, not trained. That is
exact, and cheaper than the other exact way, one-hot rows of V numbers. Of Gluon's two biases per gate one is trained,
the other stays 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import ARRAY_NAMES, GLUON_GATE_ORDER, ModelConfig, array_name, require_arrays

gluon = mx.gluon


class LSTMLanguageModel(gluon.HybridBlock):  # type: ignore[misc, name-defined]
    """HybridBlock: ids x (T, N) and state h, c (L, N, H) -> logits (T, N, V), and the last h, c.

    Supports `hybridize`, `export` and `gluon.Trainer(block.collect_params(), ...)`. Raises ValueError for a variant
    that `gluon.rnn.LSTM` does not implement.
    """

    def __init__(self, config: ModelConfig, V: int, **options: Any) -> None:
        if config.variant != "standard":
            raise ValueError(f"`variant` {config.variant}: gluon.rnn.LSTM implements only the standard variant")
        super().__init__(**options)
        self.config = config
        H = config.hidden
        with self.name_scope():
            self.embedding = gluon.nn.Embedding(V, 4 * H)
            self.lstm = gluon.rnn.LSTM(H, config.layers, input_size=4 * H)
            self.output = gluon.nn.Dense(V, flatten=False, in_units=H)
        self.lstm.l0_i2h_weight.grad_req = "null"
        for k in range(config.layers):
            getattr(self.lstm, f"l{k}_h2h_bias").grad_req = "null"

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], config: ModelConfig | None = None, ctx: Any = None
    ) -> LSTMLanguageModel:
        """Return a block with the weights `arrays` on the device `ctx` (None: the CPU).

        `config`: None for the standard model of the 14 arrays. For a Model: `from_arrays(model.arrays, model.config)`.
        Raises ValueError that names missing arrays.
        """
        require_arrays(config.shapes(1) if config else ARRAY_NAMES, arrays)
        H, V = arrays["Why"].shape
        block = cls(config or ModelConfig(H), V)
        block.initialize(mx.init.Zero(), ctx=ctx or mx.cpu())
        block.lstm.l0_i2h_weight.set_data(mx.nd.eye(4 * H))
        for parameter, names, transposed in block._trained():
            parts = [arrays[name].T if transposed else arrays[name] for name in names]
            parameter.set_data(mx.nd.array(np.concatenate(parts, axis=block._gate_axis(parameter)), dtype="float32"))
        return block

    def hybrid_forward(self, F: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
        hidden, (h, c) = self.lstm(self.embedding(x), [h, c])  # (T, N) -> (T, N, 4H) -> (T, N, H)
        return self.output(hidden), h, c

    def begin_state(self, N: int, ctx: Any = None) -> tuple[Any, Any]:
        """Return the zero state h, c, each (L, N, H)."""
        h, c = self.lstm.begin_state(N, ctx=ctx or mx.cpu())
        return h, c

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the weights under the names of `config.shapes`: the inverse of `from_arrays`, to the last bit."""
        return self._split(lambda parameter: parameter.data())

    def gradients(self) -> dict[str, np.ndarray]:
        """Return the gradients of the last `backward()` under the names of `config.shapes`."""
        return self._split(lambda parameter: parameter.grad())

    def _split(self, value: Callable[[Any], Any]) -> dict[str, np.ndarray]:
        """Split value(parameter) of each trained parameter into the arrays of the model."""
        found = {}
        for parameter, names, transposed in self._trained():
            parts = np.split(value(parameter).asnumpy(), len(names), axis=self._gate_axis(parameter))
            for name, part in zip(names, parts):
                found[name] = np.ascontiguousarray(part.T if transposed else part)
        return {name: found[name] for name in self.config.shapes(1)}

    def _gate_axis(self, parameter: Any) -> int:
        """Return the axis of a parameter along which the gates are concatenated."""
        return 1 if parameter is self.embedding.weight else 0

    def _trained(self) -> Iterator[tuple[Any, list[str], bool]]:
        """Yield each trained parameter, the names of the arrays in it, and whether it holds them transposed."""
        yield self.embedding.weight, [f"Wx{k}" for k in GLUON_GATE_ORDER], False
        for k in range(self.config.layers):
            for part, role in (("i2h_weight", "Wx"), ("h2h_weight", "Wh"), ("i2h_bias", "b")):
                if (part, k) != ("i2h_weight", 0):
                    names = [array_name(f"{role}{gate}", k + 1) for gate in GLUON_GATE_ORDER]
                    yield getattr(self.lstm, f"l{k}_{part}"), names, role != "b"
        yield self.output.weight, ["Why"], True
        yield self.output.bias, ["by"], False
