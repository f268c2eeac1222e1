"""What a run leaves to look at: its curves, which digit was read as which, and those that were misread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lstm.digits.images import DIGITS, Images
from gluon_lstm.digits.training import Record
from gluon_lstm.files import write_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFUSION, MISREAD = "confusion.png", "misread.png"
COLUMNS, MOST = 10, 100  # of the picture of misread digits


def confusion(labels: np.ndarray, read: np.ndarray) -> np.ndarray:
    """counts[k, j], (10, 10): how many images of the digit k were read as j."""
    counts = np.zeros((DIGITS, DIGITS), int)
    np.add.at(counts, (labels, read), 1)
    return counts


def draw_curves(records: Sequence[Record], path: Path) -> None:
    """Loss and accuracy of both kinds of images against epochs, as a PNG."""
    figure = _figure(9, 4)
    losses, accuracies = figure.subplots(1, 2)
    epochs = [record.epoch for record in records]
    for axes, of in ((losses, "loss"), (accuracies, "accuracy")):
        axes.plot(epochs, [getattr(record, of) for record in records], label="training")
        axes.plot(epochs, [getattr(record, f"validation_{of}") for record in records], label="validation")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.legend()
    losses.set_ylabel("loss, nats an image")
    losses.set_yscale("log")
    accuracies.set_ylabel("accuracy")
    accuracies.set_ylim(top=1.0)
    write_png(figure, path)


def draw_confusion(counts: np.ndarray, path: Path) -> None:
    """The counts of `confusion` as a PNG."""
    figure = _figure(5.5, 5.5)
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(counts), cmap="Blues")  # a root, so that one mistake among 40 can be seen
    for (k, j), count in np.ndenumerate(counts):
        if count:
            axes.text(j, k, str(count), ha="center", va="center", color="white" if k == j else "black")
    axes.set_xticks(range(DIGITS))
    axes.set_yticks(range(DIGITS))
    axes.set_xlabel("read as")
    axes.set_ylabel("digit")
    write_png(figure, path)


def misread(labels: np.ndarray, logp: np.ndarray) -> np.ndarray:
    """Which images are read as another digit, the surest mistake first. `logp` (N, 10) are log-probabilities."""
    wrong = np.flatnonzero(logp.argmax(axis=1) != labels)
    return wrong[np.argsort(-logp.max(axis=1)[wrong], kind="stable")]


def draw_misread(images: Images, logp: np.ndarray, path: Path) -> None:
    """The misread images as a PNG: what each is, what it was read as, and how surely."""
    wrong = misread(images.labels, logp)
    shown = wrong[:MOST]
    lines = max(math.ceil(len(shown) / COLUMNS), 1)
    figure = _figure(COLUMNS, 1.3 * lines + 0.5)
    figure.suptitle(f"{len(wrong)} of {len(images)} misread" + (f", the {MOST} surest" if len(wrong) > MOST else ""))
    axes = figure.add_subplot()
    axes.axis("off")
    for place, k in enumerate(shown):
        x, y = place % COLUMNS, -1.3 * (place // COLUMNS)
        axes.imshow(images.pixels[k], cmap="gray_r", vmin=0, vmax=1, extent=(x, x + 0.9, y - 0.9, y))
        told = f"{images.labels[k]} read as {logp[k].argmax()}\n{100 * np.exp(logp[k].max()):.0f} % sure"
        axes.text(x + 0.45, y + 0.03, told, ha="center", va="bottom", fontsize=8)
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(-1.3 * lines + 0.3, 0.3)
    write_png(figure, path)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
