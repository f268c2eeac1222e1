"""The LSTM step for writing and scoring: float32 NumPy, the four gates in one product, no gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

STACKED = "ifog"  # the gates, one upon another
FACTORS = np.float32([-1, -1, -1, -2])  # sigmoid(a) = 1 / (1 + exp(-a)), tanh(a) = 2 / (1 + exp(-2a)) - 1
SHUT = np.float32(88)  # e^88 is nearly the largest float32: a gate that is shut


class Cell:
    """The model of the 14 arrays, ready to step. Equations as in `lstm/reference.py`.

    Upright: a text is a column, for so a product with one column, or with a few, is fastest. The weights hold what the
    exponential of each gate wants to see, so that one serves all four.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.H, self.V = arrays["Why"].shape
        factors = np.repeat(FACTORS, self.H)
        self.Wx = np.concatenate([arrays[f"Wx{k}"] for k in STACKED], axis=1)  # (V, 4H)
        self.Wx += np.concatenate([arrays[f"b{k}"] for k in STACKED])  # a row is looked up with its bias
        self.Wx *= factors
        self.Wh = np.concatenate([arrays[f"Wh{k}"].T for k in STACKED])  # (4H, H)
        self.Wh *= factors[:, None]
        self.Why = np.ascontiguousarray(arrays["Why"].T)  # (V, H)
        self.by = np.ascontiguousarray(arrays["by"][:, None])  # (V, 1)

    def lanes(self, N: int = 1) -> Lanes:
        """N texts side by side, in the zero state."""
        return Lanes(self, N)

    def logits(self, h: np.ndarray) -> np.ndarray:
        """Hidden states (R, H) -> logits (R, V)."""
        z = h @ self.Why.T
        z += self.by[:, 0]
        return z


class Lanes:
    """The state h, c (H, N) of N texts, and room for a step: nothing is allocated while they go on."""

    def __init__(self, cell: Cell, N: int) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        H, V = cell.H, cell.V
        self.cell = cell
        self.h, self.c = np.zeros((H, N), np.float32), np.zeros((H, N), np.float32)
        self._rows, self._A = empty(N, 4 * H), empty(4 * H, N)
        self._one, self._z = empty(H, N), empty(V, N)

    def keep(self, lanes: np.ndarray) -> Lanes:
        """Some of the texts, to go on with."""
        kept = Lanes(self.cell, len(lanes))
        kept.h[:], kept.c[:] = self.h[:, lanes], self.c[:, lanes]
        return kept

    def step(self, x: np.ndarray) -> None:
        """Read one id for each text: x (N,)."""
        H, A, h, c = self.cell.H, self._A, self.h, self.c
        np.dot(self.cell.Wh, h, out=A)
        A += np.take(self.cell.Wx, x, axis=0, out=self._rows, mode="clip").T
        _sigmoid_of_negative(A)
        i, f, o, g = A[:H], A[H : 2 * H], A[2 * H : 3 * H], A[3 * H :]
        g *= 2
        g -= 1
        c *= f
        c += np.multiply(i, g, out=self._one)
        np.multiply(c, -2, out=h)
        _sigmoid_of_negative(h)
        h *= 2
        h -= 1
        h *= o

    def logits(self) -> np.ndarray:
        """The logits (V, N) of what comes next, until they are asked for again."""
        z = np.dot(self.cell.Why, self.h, out=self._z)
        z += self.cell.by
        return z


def _sigmoid_of_negative(a: np.ndarray) -> None:
    """1 / (1 + exp(a)), in place."""
    np.minimum(a, SHUT, out=a)
    np.exp(a, out=a)
    a += 1
    np.reciprocal(a, out=a)
