"""The LSTM step for writing and scoring: float32 NumPy, the four gates in one product, no gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

PACKED = "ifog"  # the three sigmoid gates side by side
FACTORS = np.float32([-1, -1, -1, -2])  # sigmoid(a) = 1 / (1 + exp(-a)), tanh(a) = 2 / (1 + exp(-2a)) - 1


class Cell:
    """The model of the 14 arrays, ready to step. Equations as in `lstm/reference.py`.

    The weights hold what the exponential of each gate wants to see: so one serves all four.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.H, self.V = arrays["Why"].shape
        factors = np.repeat(FACTORS, self.H)
        self.Wx = np.concatenate([arrays[f"Wx{k}"] for k in PACKED], axis=1)  # (V, 4H)
        self.Wx += np.concatenate([arrays[f"b{k}"] for k in PACKED])  # a row is looked up with its bias
        self.Wx *= factors
        self.Wh = np.concatenate([arrays[f"Wh{k}"] for k in PACKED], axis=1)  # (H, 4H)
        self.Wh *= factors
        self.Why, self.by = np.ascontiguousarray(arrays["Why"]), arrays["by"]

    def lanes(self, N: int = 1) -> Lanes:
        """N texts side by side, in the zero state."""
        return Lanes(self, N)

    def logits(self, h: np.ndarray) -> np.ndarray:
        """Hidden states (..., H) -> logits (..., V)."""
        return h @ self.Why + self.by


class Lanes:
    """The state h, c (N, H) of N texts, and room for a step: nothing is allocated while they go on."""

    def __init__(self, cell: Cell, N: int) -> None:
        H, V = cell.H, cell.V
        self.cell = cell
        self.h, self.c = np.zeros((N, H), np.float32), np.zeros((N, H), np.float32)
        self._A, self._product = np.empty((N, 4 * H), np.float32), np.empty((N, 4 * H), np.float32)
        self._one, self._z = np.empty((N, H), np.float32), np.empty((N, V), np.float32)

    def keep(self, lanes: Sequence[int]) -> None:
        """Go on with some of the texts only."""
        self.h, self.c = self.h[lanes], self.c[lanes]
        room = slice(len(lanes))
        self._A, self._product, self._one, self._z = (
            array[room] for array in (self._A, self._product, self._one, self._z)
        )

    def step(self, x: Sequence[int] | np.ndarray) -> None:
        """Read one id for each text."""
        H, A, h, c, one = self.cell.H, self._A, self.h, self.c, self._one
        np.take(self.cell.Wx, x, axis=0, out=A, mode="clip")
        A += np.dot(h, self.cell.Wh, out=self._product)
        with np.errstate(over="ignore"):  # an exponential too large for float32 is a gate that is shut
            _sigmoid_of_negative(A)
            i, f, o, g = A[:, :H], A[:, H : 2 * H], A[:, 2 * H : 3 * H], A[:, 3 * H :]
            g *= 2
            g -= 1
            c *= f
            c += np.multiply(i, g, out=one)
            np.multiply(c, -2, out=h)
            _sigmoid_of_negative(h)
        h *= 2
        h -= 1
        h *= o

    def logits(self) -> np.ndarray:
        """The logits (N, V) of what comes next, until they are asked for again."""
        z = np.dot(self.h, self.cell.Why, out=self._z)
        z += self.cell.by
        return z


def _sigmoid_of_negative(a: np.ndarray) -> None:
    """1 / (1 + exp(a)), in place."""
    np.exp(a, out=a)
    a += 1
    np.reciprocal(a, out=a)
