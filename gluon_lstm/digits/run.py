"""A run: digits in, and in its folder what was measured by epoch and three pictures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from gluon_lstm.digits import images, pictures
from gluon_lstm.digits.recipe import Recipe
from gluon_lstm.digits.training import predict, train
from gluon_lstm.files import written_whole
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.training.folder import CURVE, HISTORY


def run(recipe: Recipe, out: Path, notice: Notice = ignore, progress: Progress = silent) -> float:
    """Train by `recipe`; the validation accuracy behind the last epoch.

    `out` gets history.jsonl (a Record a line), curve.png, confusion.png and misread.png, all of them at the end. Raises
    what `images.load`, `train` and writing raise.
    """
    training, validation = images.load()
    out.mkdir(parents=True, exist_ok=True)
    W, records = train(recipe, training, validation, np.random.default_rng(recipe.seed), notice, progress)
    logp = predict(validation, W, recipe)
    with written_whole(out / HISTORY) as file:
        file.writelines(json.dumps(asdict(record)) + "\n" for record in records)
    pictures.draw_curves(records, out / CURVE)
    pictures.draw_confusion(pictures.confusion(validation.labels, logp.argmax(axis=1)), out / pictures.CONFUSION)
    pictures.draw_misread(validation, logp, out / pictures.MISREAD)
    return records[-1].validation_accuracy
