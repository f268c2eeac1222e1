"""The 1,797 digits that come with scikit-learn, split as notes 002 split them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIGITS = 10
SIDE = 8  # rows of a picture, and pixels of a row


@dataclass(frozen=True)
class Images:
    """Pictures of digits: pixels (N, 8, 8), from 0 to 1 (brightest), and labels (N,), the digits 0 to 9."""

    pixels: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def load() -> tuple[Images, Images]:
    """The 1,437 training and the 360 validation images: 80/20, shuffled with the seed 42, not balanced by digit.

    They are files of scikit-learn; nothing is downloaded. Raises ImportError, saying what to install, without it.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise ImportError(
            "the digits are those of scikit-learn, which is not installed: `pip install scikit-learn`"
        ) from error
    digits = load_digits()
    x, x_validation, y, y_validation = train_test_split(
        digits.images / 16, digits.target, test_size=0.2, random_state=42
    )
    return Images(x, y), Images(x_validation, y_validation)


def rows(pixels: np.ndarray, white: float) -> np.ndarray:
    """Pictures (N, 8, 8) as the cell reads them, from top to bottom, one row a step: (8, N, 8), 1 becoming `white`."""
    return white * pixels.transpose(1, 0, 2)
