"""Evaluation of a model on files, or on posts in memory, as one stream."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.scoring import Score, score
from gluon_lstm.text.pipeline import FileSource, PostSource, TextSource, tokenized_text
from gluon_lstm.text.sources.reading import ReadingOptions, TextError


def evaluate(
    model: Model,
    paths: Sequence[str | os.PathLike[str]],
    reading: ReadingOptions | None = None,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> Score:
    """Return the score of `model` on the files `paths`, cleaned and tokenized as its training text was.

    Raises TextError for files that cannot be read, or that have no post left after cleaning.
    """
    return _evaluate(model, FileSource(paths, reading or ReadingOptions(), notice), progress)


def evaluate_posts(model: Model, posts: Iterable[str], progress: Progress = silent) -> Score:
    """Return the score of `model` on posts: the same as `evaluate` returns for a file of these posts.

    For a model of raw text the file is one with a post a line. Raises TextError when no post is left after cleaning.
    """
    return _evaluate(model, PostSource([posts] if isinstance(posts, str) else posts), progress)


def _evaluate(model: Model, source: TextSource, progress: Progress) -> Score:
    codec = model.codec
    end_of_post = codec.end_of_post
    ids = array("i")
    with (
        TemporaryDirectory(prefix="gluon-lstm-") as folder,
        tokenized_text(source, codec.settings, Path(folder), progress=progress) as text,
    ):
        for tokens in text.tokens:
            ids.extend(id for token in tokens for id in codec.ids(token))
            if end_of_post is not None:
                ids.append(end_of_post)
    if not ids:
        raise TextError(_("the text is empty; give at least one character"))
    characters = text.characters + text.posts  # an end of post counts as one
    with progress(_("scoring"), len(ids), _("tokens")) as advance:
        cell = InferenceCell(model.arrays, model.config)
        return score(cell, codec, np.frombuffer(ids, dtype=np.int32), characters, advance)
