"""The LSTM step for writing and scoring: float32 NumPy, the four gates in one product, no gradients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

PACKED = "ifog"  # the three sigmoid gates side by side, so that one call serves them all


class Cell:
    """The model of the 14 arrays, ready to step. Equations as in `lstm/reference.py`."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.H, self.V = arrays["Why"].shape
        self.Wx = np.concatenate([arrays[f"Wx{k}"] for k in PACKED], axis=1)  # (V, 4H)
        self.Wx += np.concatenate([arrays[f"b{k}"] for k in PACKED])  # a row is looked up with its bias
        self.Wh = np.concatenate([arrays[f"Wh{k}"] for k in PACKED], axis=1)  # (H, 4H)
        self.Why, self.by = arrays["Why"], arrays["by"]

    def begin(self, N: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """The zero state (h, c), each (N, H)."""
        return np.zeros((N, self.H), np.float32), np.zeros((N, self.H), np.float32)

    def step(self, x: np.ndarray, h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ids x (N,) and state (N, H) -> the next state; the given one is left as it is."""
        H = self.H
        A = h @ self.Wh  # (N, 4H)
        A += self.Wx[x]
        A[:, : 3 * H] *= 0.5  # sigmoid(a) = 0.5 tanh(0.5 a) + 0.5: one tanh for all four gates
        np.tanh(A, out=A)
        A[:, : 3 * H] *= 0.5
        A[:, : 3 * H] += 0.5
        i, f, o, g = A[:, :H], A[:, H : 2 * H], A[:, 2 * H : 3 * H], A[:, 3 * H :]
        c = f * c + i * g
        return o * np.tanh(c), c

    def logits(self, h: np.ndarray) -> np.ndarray:
        """Hidden states (..., H) -> logits (..., V)."""
        return h @ self.Why + self.by
