"""The 1,797 digits of scikit-learn, split as in notes 002."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gluon_lstm.language import _

DIGITS = 10
SIDE = 8  # rows of an image, and pixels of a row


@dataclass(frozen=True)
class Images:
    """Images of digits: pixels (N, 8, 8), from 0 to 1 (brightest), and labels (N,), the digits 0 to 9."""

    pixels: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def load() -> tuple[Images, Images]:
    """Return the 1,437 training and the 360 validation images: 80/20, shuffled with the seed 42, not stratified.

    They are files of scikit-learn; nothing is downloaded. Raises ImportError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ModuleNotFoundError as error:
        raise ImportError(
            _("the digits come with scikit-learn, which is not installed: `pip install scikit-learn`")
        ) from error
    digits = load_digits()
    x, x_validation, y, y_validation = train_test_split(
        digits.images / 16, digits.target, test_size=0.2, random_state=42
    )
    return Images(x, y), Images(x_validation, y_validation)


def rows(pixels: np.ndarray, white: float) -> np.ndarray:
    """Return images (N, 8, 8) as inputs (8, N, 8), one row a step from top to bottom, scaled so that 1 is `white`."""
    return white * pixels.transpose(1, 0, 2)
