"""A model and files somebody has -> its score on them."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence

import numpy as np

from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.scoring import Score, score
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.parallel import tokenize_posts
from gluon_lstm.text.sources.reading import ReadingOptions, TextError, read_posts, read_text


def evaluate(
    model: Model,
    paths: Sequence[str | os.PathLike[str]],
    reading: ReadingOptions | None = None,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> Score:
    """The score of `model` on the text in `paths`, read, cleaned and cut as the text it was trained on.

    Raises TextError for files that cannot be read, or in which nothing is left to score.
    """
    codec, reading = model.codec, reading or ReadingOptions()
    end_of_post = codec.end_of_post
    ids = array("i")
    units = 0
    if end_of_post is None:
        for chunk in read_text(paths, reading, notice):
            ids.extend(codec.encode(chunk))
            units += len(chunk)
    else:
        posts = Cleaner(codec.settings.cleaning).clean_posts(read_posts(paths, reading, notice))
        for tokens in tokenize_posts(
            posts, codec.settings.effective_tokenizer, user_dictionary=codec.settings.user_dictionary
        ):
            ids.extend(id for token in tokens for id in codec.ids(token))
            ids.append(end_of_post)
            units += len(codec.tokenizer.detokenize(tokens)) + 1
    if not ids:
        raise TextError(f"{', '.join(map(str, paths))}: nothing is left after cleaning, so there is nothing to score")
    with progress("scoring", len(ids), "tokens") as advance:
        return score(
            InferenceCell(model.arrays, model.config), codec, np.frombuffer(ids, dtype=np.int32), units, advance
        )
