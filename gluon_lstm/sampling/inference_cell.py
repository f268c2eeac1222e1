"""The cell for writing and scoring: float32 NumPy, all gates of a step in one product, no gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gluon_lstm.config import PEEPHOLE_GATES, ModelConfig


class InferenceCell:
    """The arrays of a model, ready to step. Equations as in `lstm/reference.py`.

    Upright: a text is a column, for so a product with one column, or with a few, is fastest. The weights of i, f and o
    are halved, so that one tanh serves all gates: sigmoid(a) = tanh(a / 2) / 2 + 1 / 2.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: ModelConfig | None = None) -> None:
        """`configuration`: None for the standard model of the 14 arrays."""
        self.H, self.V = arrays["Why"].shape
        self.config = config or ModelConfig(self.H)
        self.layers = [_Layer(arrays, self.config, number) for number in range(1, self.config.layers + 1)]
        self.Why = np.ascontiguousarray(arrays["Why"].T)  # (V, H)
        self.by = np.ascontiguousarray(arrays["by"][:, None])  # (V, 1)

    def lanes(self, N: int = 1) -> BatchState:
        """N texts side by side, in the zero state."""
        return BatchState(self, N)

    def logits(self, h: np.ndarray) -> np.ndarray:
        """Hidden states (R, H) -> logits (R, V)."""
        z = h @ self.Why.T
        z += self.by[:, 0]
        return z


class _Layer:
    """The weights of one layer: `Wx` (V, 4H) to look up, with the bias in each row, of the first; `W` (4H, H) of the
    recurrence, or (4H, 2H) of the layer below and the recurrence; `b` (4H, 1); `Wc` of the peepholes.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], config: ModelConfig, number: int) -> None:
        own = {name: arrays[in_model] for name, in_model in config.names(number).items()}
        self.cell = config.cell
        gates = self.cell.fused_gate_order
        factors = np.repeat(np.float32([0.5 if gate in PEEPHOLE_GATES else 1 for gate in gates]), config.hidden)
        Wx = np.concatenate([own[f"Wx{k}"] for k in gates], axis=1) * factors
        W = np.concatenate([own[f"Wh{k}"].T for k in gates]) * factors[:, None]
        b = np.concatenate([own[f"b{k}"] for k in gates]) * factors
        if number == 1:
            self.Wx, self.W = Wx + b, W
        else:
            self.W, self.b = np.concatenate([Wx.T, W], axis=1), b[:, None]
        if self.cell.peepholes:
            self.Wc = {k: 0.5 * own[f"Wc{k}"].T for k in PEEPHOLE_GATES}

    def see(self, c: np.ndarray, gate: str) -> np.ndarray:
        """What a gate sees of the cell c (H, N) through its peephole."""
        Wc = self.Wc[gate]
        return Wc[:, None] * c if Wc.ndim == 1 else Wc @ c


class BatchState:
    """The state h, c (L*H, N) of N texts, layer upon layer, and room for a step: it goes on in the same arrays."""

    def __init__(self, cell: InferenceCell, N: int) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        L, H, V = cell.config.layers, cell.H, cell.V
        self.cell = cell
        self.h, self.c = np.zeros((L * H, N), np.float32), np.zeros((L * H, N), np.float32)
        self.top = self.h[-H:]  # what the logits are made of
        G = len(cell.config.cell.gates)
        self._rows, self._z = empty(N, G * H), empty(V, N)
        self._A = A = empty(G * H, N)  # what is inside the gates, one gate upon another
        self._i_f_o, self._gates = A[: 3 * H], [A[k * H : (k + 1) * H] for k in range(G)]
        self._layers = [
            # what is read below and remembered lies together in h
            (layer, self.h[max(k - 1, 0) * H : (k + 1) * H], self.h[k * H : (k + 1) * H], self.c[k * H : (k + 1) * H])
            for k, layer in enumerate(cell.layers)
        ]

    def keep(self, lanes: Sequence[int]) -> BatchState:
        """Some of the texts, to go on with."""
        kept = BatchState(self.cell, len(lanes))
        kept.h[:], kept.c[:] = self.h[:, lanes], self.c[:, lanes]
        return kept

    def step(self, x: Sequence[int]) -> None:
        """Read one id for each text: x (N,)."""
        A = self._A
        for layer, read, h, c in self._layers:
            np.dot(layer.W, read, out=A)
            if layer is self.cell.layers[0]:
                A += np.take(layer.Wx, x, axis=0, out=self._rows, mode="clip").T
            else:
                A += layer.b
            if layer.cell.gates == "h":
                np.tanh(A, out=h)
            else:
                self._lstm(layer, h, c)

    def _lstm(self, layer: _Layer, h: np.ndarray, c: np.ndarray) -> None:
        """From what is inside the gates: the new h and c (H, N)."""
        i, f, o, g = self._gates
        if layer.cell.peepholes:
            i += layer.see(c, "i")
            f += layer.see(c, "f")
            o += layer.see(_sigmoid(f) * c + _sigmoid(i) * np.tanh(g), "o")  # the new c
        np.tanh(self._A, out=self._A)
        self._i_f_o *= 0.5
        self._i_f_o += 0.5
        c *= f
        c += np.multiply(i, g, out=g)
        if layer.cell.output_tanh:
            np.tanh(c, out=h)
            h *= o
        else:
            np.multiply(c, o, out=h)

    def logits(self) -> np.ndarray:
        """The logits (V, N) of what comes next, until they are asked for again."""
        z = np.dot(self.cell.Why, self.top, out=self._z)
        z += self.cell.by
        return z


def _sigmoid(half: np.ndarray) -> np.ndarray:
    """sigmoid(a) from a / 2."""
    return np.tanh(half) * 0.5 + 0.5
