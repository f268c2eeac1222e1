"""Epochs over the training images, and how well both kinds of images are read behind each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.digits.classifier import logits, loss, standard_weights, zero_weights
from gluon_lstm.digits.images import Images, rows
from gluon_lstm.digits.recipe import Recipe
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.training.optimizer import Adam
from gluon_lstm.training.schedule import cosine


@dataclass(frozen=True)
class Record:
    """One line of history.jsonl: what all training and all validation images gave behind an epoch (from 0).

    Losses are nats an image, accuracies shares of 1. No noise is added here.
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
    """The weights behind the last epoch, whichever did best, and a record of each epoch.

    Weights, order and noise come from `rng`. Raises ValueError when no whole batch is left to train on.
    """
    if recipe.drop_last and recipe.batch_size > len(training):
        raise ValueError(f"--batch-size {recipe.batch_size}: with --drop-last use at most {len(training)}, all images")
    make = standard_weights if recipe.init == "standard" else zero_weights
    W = Parameters(make(recipe.config, rng), config=recipe.config)
    adam, records = Adam(W), []
    with progress("training", recipe.epochs, "epochs") as advance:
        for epoch in range(recipe.epochs):
            all_batches = list(batches(len(training), recipe, rng))
            for k, batch in enumerate(all_batches):
                pixels = training.pixels[batch]
                if recipe.noise:
                    pixels = pixels + recipe.noise * rng.standard_normal(pixels.shape)
                done = (epoch + k / len(all_batches)) / recipe.epochs
                update(Images(pixels, training.labels[batch]), W, adam, recipe, done)
            record = Record(epoch, *measure(training, W, recipe), *measure(validation, W, recipe))
            records.append(record)
            advance(1)
            notice(
                f"Epoch {epoch}. Loss: {record.loss:.4f}, accuracy {record.accuracy:.4f},"
                f" validation accuracy {record.validation_accuracy:.4f}"
            )
    return W, records


def batches(n: int, recipe: Recipe, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The places of `n` images, batch by batch: each once, in a new order, the last batch being what is left."""
    order = rng.permutation(n) if recipe.shuffle else np.arange(n)
    end = n - n % recipe.batch_size if recipe.drop_last else n
    for at in range(0, end, recipe.batch_size):
        yield order[at : at + recipe.batch_size]


def update(batch: Images, W: Parameters, adam: Adam, recipe: Recipe, done: float) -> None:
    """One step of Adam, when the share `done` (0 to 1) of the run is behind."""
    x, labels = _on_device(batch, W, recipe)
    with mx.autograd.record():
        value = loss(x, labels, W, recipe.bounded_logits)
    value.backward()
    mx.nd.waitall()  # from here on the memory of the arrays is ours
    adam.update(W, learning_rate(recipe, done))


def learning_rate(recipe: Recipe, done: float) -> float:
    """The learning rate when the share `done` (0 to 1) of the run is behind.

    The cosine is equation 5 of Loshchilov & Hutter 2017 (arXiv:1608.03983), without restarts.
    """
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return recipe.learning_rate * cosine(done)


def predict(images: Images, W: Parameters, recipe: Recipe) -> np.ndarray:
    """The log-probability of each digit, (N, 10); the digit read is the one with the highest."""
    return mx.nd.log_softmax(logits(_on_device(images, W, recipe)[0], W, recipe.bounded_logits)).asnumpy()


def measure(images: Images, W: Parameters, recipe: Recipe) -> tuple[float, float]:
    """Mean cross-entropy, nats an image, and the share that is read right."""
    logp = predict(images, W, recipe)
    right = logp.argmax(axis=1) == images.labels
    return -float(logp[np.arange(len(images)), images.labels].mean()), float(right.mean())


def _on_device(images: Images, W: Parameters, recipe: Recipe) -> tuple[Any, Any]:
    x = mx.nd.array(rows(images.pixels, recipe.white), ctx=W.ctx, dtype=W.by.dtype)  # (8, N, 8)
    return x, mx.nd.array(images.labels, ctx=W.ctx, dtype="int32")
