"""The same model in Gluon's words: what the framework would have done for the readers of notes 003.

`gluon.rnn.LSTM` multiplies its input by a matrix, where our model looks up a row for each gate. So the four rows of a
token are its embedding, 4H numbers, and that matrix is the identity, which is not trained: exact, and any size of
vocabulary is looked up (as one-hot rows of V numbers, the other exact way, it would be multiplied out). Of the two
biases that Gluon adds up one is trained, the other stays 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import NAMES, ModelConfig, array_name, require_arrays
from gluon_lstm.model import Model

GLUON_GATE_ORDER = "ifgo"  # the gates of `gluon.rnn.LSTM`, one upon another
gluon = mx.gluon


class LSTMLanguageModel(gluon.HybridBlock):  # type: ignore[misc, name-defined]
    """Ids x (T, N) and state h, c (L, N, H) -> logits (T, N, V), and the last h and c.

    A HybridBlock like any other: `hybridize`, `export`, `gluon.Trainer(block.collect_params(), ...)`. Raises ValueError
    for a variant that `gluon.rnn.LSTM` does not have.
    """

    def __init__(self, config: ModelConfig, V: int, **options: Any) -> None:
        if config.variant != "standard":
            raise ValueError(f"gluon.rnn.LSTM is the standard cell: there is no {config.variant} in it")
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
    def from_model(cls, model: Model, ctx: Any = None) -> LSTMLanguageModel:
        """The block of a model file."""
        return cls.from_arrays(model.arrays, model.config, ctx)

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, np.ndarray], config: ModelConfig | None = None, ctx: Any = None
    ) -> LSTMLanguageModel:
        """The block with these weights (None: the 14 arrays of the standard model), on the device `ctx` (the CPU).

        Raises ValueError where one is missing.
        """
        require_arrays(config.shapes(1) if config else NAMES, arrays)
        H, V = arrays["Why"].shape
        block = cls(config or ModelConfig(H), V)
        block.initialize(mx.init.Zero(), ctx=ctx or mx.cpu())
        block.lstm.l0_i2h_weight.set_data(mx.nd.eye(4 * H))
        for parameter, names, transposed in block._places():
            parts = [arrays[name].T if transposed else arrays[name] for name in names]
            parameter.set_data(mx.nd.array(np.concatenate(parts, axis=block._axis(parameter)), dtype="float32"))
        return block

    def hybrid_forward(self, F: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
        hidden, (h, c) = self.lstm(self.embedding(x), [h, c])
        return self.output(hidden), h, c

    def begin_state(self, N: int, ctx: Any = None) -> tuple[Any, Any]:
        """The zero state h, c, each (L, N, H)."""
        h, c = self.lstm.begin_state(N, ctx=ctx or mx.cpu())
        return h, c

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The weights under our names, as NumPy arrays: what `from_arrays` was given, bit for bit."""
        return self._under_our_names(lambda parameter: parameter.data())

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients of the last `backward()` under our names."""
        return self._under_our_names(lambda parameter: parameter.grad())

    def _under_our_names(self, value: Any) -> dict[str, np.ndarray]:
        found = {}
        for parameter, names, transposed in self._places():
            parts = np.split(value(parameter).asnumpy(), len(names), axis=self._axis(parameter))
            for name, part in zip(names, parts):
                found[name] = np.ascontiguousarray(part.T if transposed else part)
        return {name: found[name] for name in self.config.shapes(1)}

    def _axis(self, parameter: Any) -> int:
        """Along which the arrays of the gates lie in a parameter."""
        return 1 if parameter is self.embedding.weight else 0

    def _places(self) -> Iterator[tuple[Any, list[str], bool]]:
        """Each trained parameter, the arrays that lie in it, and whether they lie there transposed."""
        yield self.embedding.weight, [f"Wx{k}" for k in GLUON_GATE_ORDER], False
        for k in range(self.config.layers):
            for part, role in (("i2h_weight", "Wx"), ("h2h_weight", "Wh"), ("i2h_bias", "b")):
                if (part, k) != ("i2h_weight", 0):
                    names = [array_name(f"{role}{gate}", k + 1) for gate in GLUON_GATE_ORDER]
                    yield getattr(self.lstm, f"l{k}_{part}"), names, role != "b"
        yield self.output.weight, ["Why"], True
        yield self.output.bias, ["by"], False
