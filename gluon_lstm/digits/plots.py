"""Plots of a run: learning curves, confusion matrix, misclassified images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gluon_lstm.digits.images import DIGITS, Images
from gluon_lstm.digits.training import Record
from gluon_lstm.figures import in_language
from gluon_lstm.files import write_png
from gluon_lstm.language import _

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONFUSION, MISREAD = "confusion.png", "misread.png"
COLUMNS, MAX_SHOWN = 10, 100  # grid of misclassified images


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return counts (10, 10): counts[k, j] is the number of images of the digit k classified as j."""
    counts = np.zeros((DIGITS, DIGITS), int)
    np.add.at(counts, (labels, predicted), 1)
    return counts


@in_language()
def save_curves(records: Sequence[Record], path: Path) -> None:
    """Write a PNG of training and validation loss and accuracy by epoch."""
    figure = _figure(9, 4)
    losses, accuracies = figure.subplots(1, 2)
    epochs = [record.epoch for record in records]
    for axes, quantity in ((losses, "loss"), (accuracies, "accuracy")):
        axes.plot(epochs, [getattr(record, quantity) for record in records], label=_("training"))
        axes.plot(epochs, [getattr(record, f"validation_{quantity}") for record in records], label=_("validation"))
        axes.set_xlabel(_("epoch"))
        axes.grid(alpha=0.3)
        axes.legend()
    losses.set_ylabel(_("loss, nats per image"))
    losses.set_yscale("log")
    accuracies.set_ylabel(_("accuracy"))
    accuracies.set_ylim(top=1.0)
    write_png(figure, path)


@in_language()
def save_confusion(counts: np.ndarray, path: Path) -> None:
    """Write a PNG of the counts of `confusion_matrix`."""
    figure = _figure(5.5, 5.5)
    axes = figure.add_subplot()
    axes.imshow(np.sqrt(counts), cmap="Blues")  # square root, so that one mistake among 40 is visible
    for (k, j), count in np.ndenumerate(counts):
        if count:
            axes.text(j, k, str(count), ha="center", va="center", color="white" if k == j else "black")
    axes.set_xticks(range(DIGITS))
    axes.set_yticks(range(DIGITS))
    axes.set_xlabel(_("classified as"))
    axes.set_ylabel(_("digit"))
    write_png(figure, path)


def misclassified(labels: np.ndarray, logp: np.ndarray) -> np.ndarray:
    """Return the indices of misclassified images, the most confident first: log-probabilities `logp` (N, 10)."""
    wrong = np.flatnonzero(logp.argmax(axis=1) != labels)
    return wrong[np.argsort(-logp.max(axis=1)[wrong], kind="stable")]


@in_language()
def save_misclassified(images: Images, logp: np.ndarray, path: Path) -> None:
    """Write a PNG of the misclassified images, each with its label, the predicted digit and its probability."""
    wrong = misclassified(images.labels, logp)
    shown = wrong[:MAX_SHOWN]
    lines = max(math.ceil(len(shown) / COLUMNS), 1)
    figure = _figure(COLUMNS, 1.3 * lines + 0.5)
    title = _("{wrong} of {images} misclassified").format(wrong=len(wrong), images=len(images))
    if len(wrong) > MAX_SHOWN:
        title += _(", the {shown} most confident").format(shown=MAX_SHOWN)
    figure.suptitle(title)
    axes = figure.add_subplot()
    axes.axis("off")
    for cell, k in enumerate(shown):
        x, y = cell % COLUMNS, -1.3 * (cell // COLUMNS)
        axes.imshow(images.pixels[k], cmap="gray_r", vmin=0, vmax=1, extent=(x, x + 0.9, y - 0.9, y))
        answer = _("{digit} as {answer}").format(digit=images.labels[k], answer=logp[k].argmax())
        caption = f"{answer}\np = {np.exp(logp[k].max()):.2f}"
        axes.text(x + 0.45, y + 0.03, caption, ha="center", va="bottom", fontsize=8)
    axes.set_xlim(0, COLUMNS)
    axes.set_ylim(-1.3 * lines + 0.3, 0.3)
    write_png(figure, path)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")
