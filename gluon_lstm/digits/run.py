"""A whole run: train a classifier, and write history.jsonl and three plots into its directory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gluon_lstm.digits import images, plots
from gluon_lstm.digits.inspect import PAGE, digits_page
from gluon_lstm.digits.recipe import Recipe
from gluon_lstm.digits.training import predict, train
from gluon_lstm.files import atomic_write
from gluon_lstm.pages.page import write
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.training.run_dir import CURVE, HISTORY


def run(
    recipe: Recipe,
    out: Path,
    notice: Notice = ignore,
    progress: Progress = silent,
    inspect: bool = False,
    language: str | None = None,
) -> float:
    """Train by `recipe` and return the validation accuracy after the last epoch.

    After training, write history.jsonl (one Record a line), curve.png, confusion.png and misread.png into `out`, and
    with `inspect` inspect.html, the page of the validation images, which begins in `language` (None: in the browser's).
    Raises ImportError without scikit-learn, ValueError as `train`, and OSError when `out` cannot be written.
    """
    training, validation = images.load()
    out.mkdir(parents=True, exist_ok=True)
    W, records = train(recipe, training, validation, np.random.default_rng(recipe.seed), notice, progress)
    logp = predict(validation, W, recipe)
    with atomic_write(out / HISTORY) as file:
        file.writelines(json.dumps(asdict(record)) + "\n" for record in records)
    plots.save_curves(records, out / CURVE)
    plots.save_confusion(plots.confusion_matrix(validation.labels, logp.argmax(axis=1)), out / plots.CONFUSION)
    plots.save_misclassified(validation, logp, out / plots.MISREAD)
    if inspect:
        write(digits_page(validation, W.to_numpy(), recipe, language), out / PAGE)
    return records[-1].validation_accuracy
