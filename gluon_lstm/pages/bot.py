"""The page of a bot: a model in one HTML file, which writes in the browser."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from gluon_lstm.model import Model
from gluon_lstm.pages.options import BotOptions
from gluon_lstm.pages.page import json_block, labels, render, write
from gluon_lstm.text.codec import Codec

POSTS, RAW_LENGTH = 5, 400  # amount of text that the page proposes
SCRIPTS = ("page.js", "random.js", "model.js", "lstm.js", "writer.js", "bot.js")


def bot_page(model: Model, options: BotOptions) -> str:
    """Return the HTML page of a model.

    The page holds configuration, vocabulary and weights: neither how the model was trained nor a user dictionary.
    """
    raw = model.codec.settings.raw
    return render(
        "bot.html",
        styles=("style.css", "bot.css"),
        scripts=SCRIPTS,
        language=options.language,
        title=options.name,
        posts=not raw,
        amount=RAW_LENGTH if raw else POSTS,
        labels=json_block(labels("bot")),
        model=base64.b64encode(model_file(model, options.precision)).decode("ascii"),
    )


def model_file(model: Model, precision: str) -> bytes:
    """Return the file of a model without what a page does not need."""
    settings = replace(model.codec.settings, user_dictionary=())
    bare = replace(model, codec=Codec(settings, model.vocabulary), metadata={})
    with tempfile.TemporaryDirectory(prefix="gluon-lstm-") as folder:
        bare.save(Path(folder) / "model", precision)
        return (Path(folder) / "model").read_bytes()


def export(model: Model, path: str | os.PathLike[str], options: BotOptions) -> int:
    """Write `bot_page` to `path`, atomically; return its bytes. Raises OSError."""
    return write(bot_page(model, options), path)
