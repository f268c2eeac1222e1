"""Page of digits: what the classifier answers after each row of an image, and which row decided."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gluon_lstm.digits.images import Images, rows
from gluon_lstm.digits.recipe import Recipe
from gluon_lstm.numerics import log_softmax
from gluon_lstm.pages import trace
from gluon_lstm.pages.page import json_block, labels, render

PAGE = "inspect.html"
SCRIPTS = ("page.js", "model.js", "lstm.js", "trace.js", "heatmap.js", "cells.js", "digits.js")


def deciding_rows(probabilities: np.ndarray) -> np.ndarray:
    """Return for each image the row (from 0) from which on the answer stays the same (N,): probabilities (N, 8, 10)."""
    answers = probabilities.argmax(axis=2)  # (N, 8)
    other = answers != answers[:, -1:]
    return np.where(other.any(axis=1), other.shape[1] - other[:, ::-1].argmax(axis=1), 0)


def digits_page(images: Images, arrays: Mapping[str, np.ndarray], recipe: Recipe, language: str | None = None) -> str:
    """Return the HTML page of a classifier with these weights on images; `language` None: that of the browser."""
    (values,) = trace.read(rows(images.pixels, recipe.white), arrays, recipe.config)
    z = values["h"] @ arrays["Why"] + arrays["by"]  # (8, N, 10)
    probabilities = np.exp(log_softmax(np.tanh(z) if recipe.bounded_logits else z)).transpose(1, 0, 2)
    data = {
        "variant": recipe.variant,
        "hidden": recipe.hidden,
        "layers": [trace.packed_layer(values)],
        "pixels": trace.packed(images.pixels, "F16"),
        "labels": trace.packed(images.labels, "I32"),
        "p": trace.packed(probabilities, "F16"),
        "decided": trace.packed(deciding_rows(probabilities), "I32"),
    }
    return render(
        "digits.html",
        title="gluon-lstm digits",
        styles=("style.css", "inspect.css", "digits.css"),
        scripts=SCRIPTS,
        language=language,
        labels=json_block(labels("cells", "digits")),
        data=json_block(data),
    )
