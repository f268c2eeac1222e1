"""Training of the classifier, with loss and accuracy after each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.digits.classifier import logits, loss, standard_weights, zero_weights
from gluon_lstm.digits.images import Images, rows
from gluon_lstm.digits.recipe import Recipe
from gluon_lstm.language import _
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.training.optimizer import Adam
from gluon_lstm.training.schedule import cosine


@dataclass(frozen=True)
class Record:
    """One line of history.jsonl: losses (nats per image) and accuracies (0 to 1) after an epoch (from 0).

    Measured on all images, without noise.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


def train(
    recipe: Recipe,
    training: Images,
    validation: Images,
    rng: np.random.Generator,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> tuple[Parameters, list[Record]]:
    """Return the weights after the last epoch, and a record of each epoch.

    Initial weights, order and noise are drawn from `rng`. Raises ValueError when dropping the last batch leaves none.
    """
    if recipe.drop_last and recipe.batch_size > len(training):
        raise ValueError(
            _("`batch_size` {batch_size}: with `drop_last` use at most {training}, all images").format(
                batch_size=recipe.batch_size, training=len(training)
            )
        )
    make = standard_weights if recipe.init == "standard" else zero_weights
    W = Parameters(make(recipe.config, rng), config=recipe.config)
    adam, records = Adam(W), []
    with progress(_("training"), recipe.epochs, _("epochs")) as advance:
        for epoch in range(recipe.epochs):
            all_batches = list(batches(len(training), recipe, rng))
            for k, batch in enumerate(all_batches):
                pixels = training.pixels[batch]
                if recipe.noise:
                    pixels = pixels + recipe.noise * rng.standard_normal(pixels.shape)
                share = (epoch + k / len(all_batches)) / recipe.epochs
                update(Images(pixels, training.labels[batch]), W, adam, recipe, share)
            record = Record(epoch, *measure(training, W, recipe), *measure(validation, W, recipe))
            records.append(record)
            advance(1)
            notice(
                _(
                    "Epoch {epoch}. Loss: {loss:.4f}, accuracy {accuracy:.4f}, validation accuracy"
                    " {validation_accuracy:.4f}"
                ).format(
                    epoch=epoch,
                    loss=record.loss,
                    accuracy=record.accuracy,
                    validation_accuracy=record.validation_accuracy,
                )
            )
    return W, records


def batches(n: int, recipe: Recipe, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield the indices of `n` images in batches: each index once, shuffled if `recipe.shuffle`.

    The last batch may be smaller, and is left out if `recipe.drop_last`.
    """
    order = rng.permutation(n) if recipe.shuffle else np.arange(n)
    end = n - n % recipe.batch_size if recipe.drop_last else n
    for start in range(0, end, recipe.batch_size):
        yield order[start : start + recipe.batch_size]


def update(batch: Images, W: Parameters, adam: Adam, recipe: Recipe, progress: float) -> None:
    """Do one update of Adam; `progress`: share of the run that is done, 0 to 1."""
    x, labels = _on_device(batch, W, recipe)
    with mx.autograd.record():
        value = loss(x, labels, W, recipe.bounded_logits)
    value.backward()
    mx.nd.waitall()  # Adam reads and writes the arrays' memory
    adam.update(W, learning_rate(recipe, progress))


def learning_rate(recipe: Recipe, progress: float) -> float:
    """Return the learning rate at `progress`, the share of the run that is done, 0 to 1.

    The cosine schedule is equation 5 of Loshchilov & Hutter 2017 (arXiv:1608.03983), without restarts.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return recipe.learning_rate * cosine(progress)


def predict(images: Images, W: Parameters, recipe: Recipe) -> np.ndarray:
    """Return the log-probabilities (N, 10) of the digits; the largest is the predicted digit."""
    return mx.nd.log_softmax(logits(_on_device(images, W, recipe)[0], W, recipe.bounded_logits)).asnumpy()


def measure(images: Images, W: Parameters, recipe: Recipe) -> tuple[float, float]:
    """Return the mean cross-entropy, nats per image, and the accuracy."""
    logp = predict(images, W, recipe)
    correct = logp.argmax(axis=1) == images.labels
    return -float(logp[np.arange(len(images)), images.labels].mean()), float(correct.mean())


def _on_device(images: Images, W: Parameters, recipe: Recipe) -> tuple[Any, Any]:
    x = mx.nd.array(rows(images.pixels, recipe.white), ctx=W.ctx, dtype=W.by.dtype)  # (8, N, 8)
    return x, mx.nd.array(images.labels, ctx=W.ctx, dtype="int32")
