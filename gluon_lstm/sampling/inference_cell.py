"""LSTM cell for inference: float32 NumPy, one matrix product per layer and step for all gates, no gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gluon_lstm.config import PEEPHOLE_GATES, ModelConfig
from gluon_lstm.numerics import sigmoid_of_half


class InferenceCell:
    """Weights of a model, arranged for inference. Equations as in `lstm/reference.py`.

    All matrices are transposed: a lane is a column, because a product with few columns is fastest that way. The
    weights of i, f and o are halved, so that one tanh serves all gates: sigmoid(a) = tanh(a / 2) / 2 + 1 / 2.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: ModelConfig | None = None) -> None:
        """Arrange `arrays` of a model; `config` None: the standard model of the 14 arrays."""
        self.H, self.V = arrays["Why"].shape
        self.config = config or ModelConfig(self.H)
        self.layers = [_Layer(arrays, self.config, number) for number in range(1, self.config.layers + 1)]
        self.Why = np.ascontiguousarray(arrays["Why"].T)  # (V, H)
        self.by = np.ascontiguousarray(arrays["by"][:, None])  # (V, 1)

    def zero_state(self, N: int = 1) -> BatchState:
        """Return the zero state of N lanes."""
        return BatchState(self, N)

    def logits(self, h: np.ndarray) -> np.ndarray:
        """Return the logits (R, V) of hidden states (R, H) of the last layer."""
        z = h @ self.Why.T
        z += self.by[:, 0]
        return z


class _Layer:
    """Weights of one layer, all gates concatenated (G gates, G = 4 for an LSTM).

    First layer: embedding `Wx` (V, G*H) with the bias added to each row, `W` (G*H, H) of the recurrence. Other layers:
    `W` (G*H, 2H) of the layer below and the recurrence, `b` (G*H, 1). `Wc` holds the peephole weights by gate.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: ModelConfig, number: int) -> None:
        weights = {name: arrays[in_model] for name, in_model in config.names(number).items()}
        self.cell = config.cell
        gates = self.cell.fused_gate_order
        scale = np.repeat(np.float32([0.5 if gate in PEEPHOLE_GATES else 1 for gate in gates]), config.hidden)
        Wx = np.concatenate([weights[f"Wx{k}"] for k in gates], axis=1) * scale
        W = np.concatenate([weights[f"Wh{k}"].T for k in gates]) * scale[:, None]
        b = np.concatenate([weights[f"b{k}"] for k in gates]) * scale
        if number == 1:
            self.Wx, self.W = Wx + b, W
        else:
            self.W, self.b = np.concatenate([Wx.T, W], axis=1), b[:, None]
        if self.cell.peepholes:
            self.Wc = {k: 0.5 * weights[f"Wc{k}"].T for k in PEEPHOLE_GATES}

    def peephole(self, c: np.ndarray, gate: str) -> np.ndarray:
        """Return the contribution of the cell state c (H, N) to the halved pre-activation of a gate."""
        Wc = self.Wc[gate]
        return Wc[:, None] * c if Wc.ndim == 1 else Wc @ c


class BatchState:
    """State h, c (L*H, N) of N lanes, all layers concatenated, with the buffers of a step; `step` works in place."""

    def __init__(self, cell: InferenceCell, N: int) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        L, H, V = cell.config.layers, cell.H, cell.V
        self.cell = cell
        self.h, self.c = np.zeros((L * H, N), np.float32), np.zeros((L * H, N), np.float32)
        self.top = self.h[-H:]  # (H, N) hidden state of the last layer
        G = len(cell.config.cell.gates)
        self._rows, self._z = empty(N, G * H), empty(V, N)
        self._A = A = empty(G * H, N)  # pre-activations of all gates, i and f and o halved
        self._sigmoid_gates, self._gates = A[: 3 * H], [A[k * H : (k + 1) * H] for k in range(G)]
        self._layers = [
            # (weights, input and recurrent h contiguous, h of this layer, c of this layer)
            (layer, self.h[max(k - 1, 0) * H : (k + 1) * H], self.h[k * H : (k + 1) * H], self.c[k * H : (k + 1) * H])
            for k, layer in enumerate(cell.layers)
        ]

    def select(self, lanes: Sequence[int]) -> BatchState:
        """Return a copy of the state with these lanes, in this order."""
        selected = BatchState(self.cell, len(lanes))
        selected.h[:], selected.c[:] = self.h[:, lanes], self.c[:, lanes]
        return selected

    def step(self, x: Sequence[int]) -> None:
        """Advance the state by one input id per lane: x (N,)."""
        A = self._A
        for layer, inputs, h, c in self._layers:
            np.dot(layer.W, inputs, out=A)
            if layer is self.cell.layers[0]:
                A += np.take(layer.Wx, x, axis=0, out=self._rows, mode="clip").T
            else:
                A += layer.b
            if layer.cell.gates == "h":
                np.tanh(A, out=h)
            else:
                self._lstm(layer, h, c)

    def _lstm(self, layer: _Layer, h: np.ndarray, c: np.ndarray) -> None:
        """Update h and c (H, N) from the pre-activations."""
        i, f, o, g = self._gates
        if layer.cell.peepholes:
            i += layer.peephole(c, "i")
            f += layer.peephole(c, "f")
            o += layer.peephole(sigmoid_of_half(f) * c + sigmoid_of_half(i) * np.tanh(g), "o")  # the new c
        np.tanh(self._A, out=self._A)
        self._sigmoid_gates *= 0.5
        self._sigmoid_gates += 0.5
        c *= f
        c += np.multiply(i, g, out=g)
        if layer.cell.output_tanh:
            np.tanh(c, out=h)
            h *= o
        else:
            np.multiply(c, o, out=h)

    def logits(self) -> np.ndarray:
        """Return the logits (V, N) of the next ids, in a buffer that the next call overwrites."""
        z = np.dot(self.cell.Why, self.top, out=self._z)
        z += self.cell.by
        return z
