"""LSTM cell for inference: float32 NumPy, one matrix product per layer and step for all gates, no gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from gluon_lstm.config import PEEPHOLE_GATES, ModelConfig
from gluon_lstm.numerics import sigmoid_of_half

HALF = np.float32(0.5)  # a Python float takes longer to convert


class InferenceCell:
    """Weights of a model, arranged for inference. Equations as in `lstm/reference.py`.

    The weights of i, f and o are halved, so that one tanh serves all gates: sigmoid(a) = tanh(a / 2) / 2 + 1 / 2.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: ModelConfig | None = None) -> None:
        """Arrange `arrays` of a model; `config` None: the standard model of the 14 arrays."""
        self.H, self.V = arrays["Why"].shape
        self.config = config or ModelConfig(self.H)
        self.layers = [_Layer(arrays, self.config, number) for number in range(1, self.config.layers + 1)]
        Why, by = arrays["Why"], arrays["by"]
        self.output = _Matrix(np.concatenate([Why, by[None]]))  # (H+1, V), for h with a 1 at its end

    def zero_state(self, N: int = 1) -> BatchState:
        """Return the zero state of N lanes."""
        return BatchState(self, N)

    def logits(self, h: np.ndarray) -> np.ndarray:
        """Return the logits (R, V) of hidden states (R, H) of the last layer."""
        Why, by = self.output.W[:-1], self.output.W[-1]
        z = h @ Why
        z += by
        return z


class _Matrix:
    """Matrix W (m, n) for the product W^T h with h (m, N): a lane is a column, and one column is a vector.

    A product with few columns is fastest from the transposed matrix, a product with one from the matrix itself.
    """

    def __init__(self, W: np.ndarray) -> None:
        self.W = W

    @cached_property
    def transposed(self) -> np.ndarray:
        return np.ascontiguousarray(self.W.T)

    def product(self, h: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Write W^T h into `out` (n, N) and return it."""
        if h.shape[1] == 1:
            np.dot(h[:, 0], self.W, out=out[:, 0])
        else:
            np.dot(self.transposed, h, out=out)
        return out


class _Layer:
    """Weights of one layer, all gates concatenated (G gates, G = 4 for an LSTM).

    First layer: embedding `Wx` (V, G*H) with the bias added to each row, `W` (H, G*H) of the recurrence. Other layers:
    `W` (2H, G*H) of the layer below and the recurrence, `b` (G*H,). `Wc` holds the peephole weights by gate.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: ModelConfig, number: int) -> None:
        weights = {name: arrays[in_model] for name, in_model in config.names(number).items()}
        self.cell = config.cell
        gates = self.cell.fused_gate_order
        scale = np.repeat(np.float32([0.5 if gate in PEEPHOLE_GATES else 1 for gate in gates]), config.hidden)
        Wx = np.concatenate([weights[f"Wx{k}"] for k in gates], axis=1) * scale
        Wh = np.concatenate([weights[f"Wh{k}"] for k in gates], axis=1) * scale
        b = np.concatenate([weights[f"b{k}"] for k in gates]) * scale
        if number == 1:
            self.Wx, self.W = Wx + b, _Matrix(Wh)
        else:
            self.W, self.b = _Matrix(np.concatenate([Wx, Wh])), b
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
        self._h = np.concatenate([np.zeros((L * H, N), np.float32), np.ones((1, N), np.float32)])
        self.h, self.c = self._h[:-1], np.zeros((L * H, N), np.float32)
        self.top = self.h[-H:]  # (H, N) hidden state of the last layer
        self._top_and_one = self._h[-H - 1 :]
        G = len(cell.config.cell.gates)
        self._z = empty(V, N)
        self._A = A = empty(G * H, N)  # pre-activations of all gates, i and f and o halved
        self._lanes = list(A.T)  # those of each lane (G*H,)
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
            layer.W.product(inputs, A)
            if layer is self.cell.layers[0]:
                for a, id in zip(self._lanes, x):
                    a += layer.Wx[id]
            else:
                A += layer.b[:, None]
            self._update(layer, h, c)

    def run(self, x: np.ndarray) -> np.ndarray:
        """Advance the state of one lane by the ids x (T,); return the last layer's h after each of them (T, H).

        The layers run one after the other, so that the inputs of all steps of a layer are one product.
        """
        (A,), H = self._lanes, self.cell.H
        outputs = np.empty((0, H), np.float32)
        for layer, _, h, c in self._layers:
            inputs = layer.Wx[x] if layer is self.cell.layers[0] else outputs @ layer.W.W[:H] + layer.b
            Wh = layer.W.W[-H:]
            outputs = np.empty((len(x), H), np.float32)
            for t in range(len(x)):
                np.dot(h[:, 0], Wh, out=A)
                A += inputs[t]
                self._update(layer, h, c)
                outputs[t] = h[:, 0]
        return outputs

    def _update(self, layer: _Layer, h: np.ndarray, c: np.ndarray) -> None:
        """Update h and c (H, N) from the pre-activations."""
        if layer.cell.gates == "h":
            np.tanh(self._A, out=h)
            return
        i, f, o, g = self._gates
        if layer.cell.peepholes:
            i += layer.peephole(c, "i")
            f += layer.peephole(c, "f")
            o += layer.peephole(sigmoid_of_half(f) * c + sigmoid_of_half(i) * np.tanh(g), "o")  # the new c
        np.tanh(self._A, out=self._A)
        self._sigmoid_gates *= HALF
        self._sigmoid_gates += HALF
        c *= f
        c += np.multiply(i, g, out=g)
        if layer.cell.output_tanh:
            np.tanh(c, out=h)
            h *= o
        else:
            np.multiply(c, o, out=h)

    def logits(self) -> np.ndarray:
        """Return the logits (V, N) of the next ids, in a buffer that the next call overwrites."""
        return self.cell.output.product(self._top_and_one, self._z)
