"""Page of gates: what every gate and state of a model is at each character of a text, for one model or two."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from gluon_lstm.files import check_outputs
from gluon_lstm.language import _
from gluon_lstm.model import Model, model_file
from gluon_lstm.numerics import log_softmax
from gluon_lstm.pages import trace
from gluon_lstm.pages.features import character_features, correlations
from gluon_lstm.pages.options import InspectOptions
from gluon_lstm.pages.page import json_block, labels, render, write
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.language_model import LanguageModel
from gluon_lstm.sampling.scoring import UNICODE_CODE_POINTS
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.pipeline import FileSource, PostSource, TextSource, tokenized_text
from gluon_lstm.text.sources.reading import TextError

OWN_POSTS, OWN_SEED = 10, 1  # of the text that a model writes itself
LIKELIEST = 10  # next tokens that the page lists at each place
BLOCK_TOKENS = 256  # tokens per matrix product with Why
MAX_GATE_BYTES = 100_000_000  # maximum size of the gates of all models, as float16
MAX_MODELS = 2
SCRIPTS = (
    "page.js", "model.js", "lstm.js", "trace.js", "heatmap.js", "cells.js", "view.js", "panels.js", "inspect.js",
)  # fmt: skip


class Text(NamedTuple):
    """Text of a page: characters, a newline for each end of post, and which of them are ends of posts (M,)."""

    characters: str
    ends: np.ndarray


class Tokens(NamedTuple):
    """Tokens of a text: their ids, their text, and the place in the text after each of them."""

    ids: np.ndarray
    texts: list[str]
    ends: np.ndarray


def read_text(source: TextSource, codec: Codec, length: int, notice: Notice = ignore) -> Text:
    """Return the first `length` characters of a source, read and cleaned as the text of a model. Raises TextError."""
    parts, ends, total = [], [], 0
    end = "" if codec.settings.raw else "\n"
    with (
        TemporaryDirectory(prefix="gluon-lstm-") as folder,
        tokenized_text(source, codec.settings, Path(folder)) as found,
    ):
        for tokens in found.tokens:
            parts.append(codec.tokenizer.detokenize(tokens) + end)
            ends += [False] * (len(parts[-1]) - len(end)) + [True] * len(end)
            total += len(parts[-1])
            if total > length:
                notice(
                    _("the page shows the first {length:,} characters of the text; `length` changes that").format(
                        length=length
                    )
                )
                break
    if not total:
        raise TextError(_("the text is empty; give at least one character"))
    return Text("".join(parts)[:length], np.array(ends[:length]))


def own_text(model: Model) -> PostSource:
    """Return a text that the model writes: always the same one."""
    posts = None if model.codec.settings.raw else OWN_POSTS
    return PostSource(LanguageModel(model).generate(posts=posts, seed=OWN_SEED))


def tokens_of(text: Text, codec: Codec) -> Tokens:
    """Return the tokens of a text for one model. With posts the first one is an end of post, from which it reads."""
    pairs = [] if codec.end_of_post is None else [(codec.end_of_post, "")]
    starts = [0] if codec.end_of_post is None else [0, *(np.flatnonzero(text.ends) + 1)]
    for start, end in zip(starts, [*starts[1:], len(text.characters) + 1]):
        post = text.characters[start : end - 1]
        pairs += chain.from_iterable(_pairs(token, codec) for token in codec.tokenizer.tokenize(post))
        if end <= len(text.characters) and codec.end_of_post is not None:
            pairs.append((codec.end_of_post, "\n"))
    ids, texts = zip(*pairs)
    return Tokens(np.array(ids), list(texts), np.cumsum([len(each) for each in texts]))


def _pairs(token: str, codec: Codec) -> Iterator[tuple[int, str]]:
    """Yield (id, text) of the parts of a token that the vocabulary knows; an unknown part is one code point."""
    place = 0
    for id in codec.ids(token):
        size = len(codec.decode_id(id))  # 0 for a word boundary
        yield id, token[place : place + size]
        place += size


def predictions(hidden: np.ndarray, tokens: Tokens, model: Model) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the likeliest next ids (T, K), their probabilities (T, K), and the surprise of each token in bits (T,).

    `hidden` (T, H): the last layer's h after each token. The surprise is -log2 of the probability before the token,
    and for an unknown one also the bits of its code point; the end of post that is read first has none.
    """
    Why, by = (np.float64(model.arrays[name]) for name in ("Why", "by"))
    before = np.concatenate([np.zeros_like(hidden[:1]), hidden])  # (T+1, H)
    ids, probabilities, bits = [], [], np.empty(len(before))
    targets = np.append(tokens.ids, 0)
    for start in range(0, len(before), BLOCK_TOKENS):
        logp = log_softmax(before[start : start + BLOCK_TOKENS] @ Why + by)  # (B, V)
        rows = np.arange(len(logp))
        bits[start : start + len(logp)] = -logp[rows, targets[start : start + len(logp)]] / math.log(2)
        best = np.argsort(-logp, axis=1, kind="stable")[:, :LIKELIEST]
        ids.append(best)
        probabilities.append(np.exp(logp[rows[:, None], best]))
    bits = bits[:-1] + (tokens.ids == model.vocabulary.unknown) * math.log2(UNICODE_CODE_POINTS)
    if model.codec.end_of_post is not None:
        bits[0] = 0
    return np.concatenate(ids)[1:], np.concatenate(probabilities)[1:], bits


def model_data(name: str, model: Model, text: Text, features: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the JSON values of one model: its tokens, gates, predictions, correlations and the parts of its loss."""
    codec, config = model.codec, model.config
    tokens = tokens_of(text, codec)
    layers = trace.read(tokens.ids[:, None], model.arrays, config)
    next_ids, next_p, bits = predictions(layers[-1]["h"][:, 0], tokens, model)
    at_tokens = {key: np.append(0.0, values)[tokens.ends] for key, values in features.items()}
    stacked = np.stack(list(at_tokens.values()))
    kinds = _kinds(tokens, codec, at_tokens)
    used, places = np.unique(np.concatenate([tokens.ids[:, None], next_ids], axis=1), return_inverse=True)
    places = places.reshape(len(bits), -1)  # of ids in `used`
    special = {codec.vocabulary.unknown: "unknown", codec.end_of_post: "end", codec.boundary: "boundary"}
    return {
        "name": name,
        "variant": config.variant,
        "hidden": config.hidden,
        "vocabulary": len(codec.vocabulary),
        "posts": codec.end_of_post is not None,
        "texts": tokens.texts,
        "table": [[codec.decode_id(id), special.get(id, "")] for id in used.tolist()],
        "ids": trace.packed(places[:, 0], "I32"),
        "next": trace.packed(places[:, 1:], "I32"),
        "p": trace.packed(next_p, "F16"),
        "bits": trace.packed(bits, "F32"),
        "layers": [trace.packed_layer(values) for values in layers],
        "correlations": [
            {key: trace.packed(correlations(stacked, values[key][:, 0]), "F16") for key in values} for values in layers
        ],
        "features": [key for key, values in at_tokens.items() if np.ptp(values)],
        "parts": [
            [kind, int(np.sum(kinds == kind)), float(bits[kinds == kind].sum())]
            for kind in dict.fromkeys(kinds.tolist())
            if kind != "start"
        ],
        "characters": len(text.characters),
    }


def _kinds(tokens: Tokens, codec: Codec, features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the kind of each token by its last character (T,): the parts of the loss."""
    conditions = {
        "start": tokens.ends == 0,
        "end": tokens.ids == codec.end_of_post,
        "unknown": tokens.ids == codec.vocabulary.unknown,
        "boundary": tokens.ids == codec.boundary,
        **{key: features[key] > 0 for key in ("kana", "kanji", "ascii")},
    }
    return np.select(list(conditions.values()), list(conditions), "other")


def inspect_page(models: Mapping[str, Model], text: Text, options: InspectOptions) -> str:
    """Return the HTML page of one or two models, by name, on a text. Raises ValueError for too much of it."""
    steps = len(text.characters) + 1
    gates = sum(m.config.layers * m.config.hidden * len(m.config.cell.gates) for m in models.values())
    if 2 * gates * steps > MAX_GATE_BYTES:
        raise ValueError(
            _("`length` {length:,}: the gates of this text need {size:,.0f} MB; use at most {maximum:,}").format(
                length=len(text.characters),
                size=2 * gates * steps / 1e6,
                maximum=MAX_GATE_BYTES // (2 * gates),
            )
        )
    features = character_features(*text)
    data = {
        "features": list(features),
        "models": [model_data(name, model, text, features) for name, model in models.items()],
    }
    return render(
        "inspect.html",
        title="gluon-lstm inspect",
        styles=("style.css", "inspect.css"),
        scripts=SCRIPTS,
        language=options.language,
        labels=json_block(labels("cells", "inspect")),
        data=json_block(data),
    )


def inspect(
    paths: Sequence[str | os.PathLike[str]],
    source: TextSource | None,
    out: str | os.PathLike[str],
    options: InspectOptions,
    notice: Notice = ignore,
) -> int:
    """Write the page of one or two models to `out`, atomically; return its bytes.

    The text is read as that of the first model; without a source it is what this model writes. Raises ModelError,
    TextError and OSError for files that cannot be read or written, ValueError for too long a text.
    """
    if len(paths) > MAX_MODELS:
        raise ValueError(_("{paths} models: a page shows one or two").format(paths=len(paths)))
    names = [Path(path).name for path in paths]
    if len(set(names)) < len(names):
        names = [os.fspath(path) for path in paths]
    models = dict(zip(names, map(Model.load, paths)))
    read = source.paths if isinstance(source, FileSource) else ()
    check_outputs([out], [*map(model_file, paths), *read])
    first = next(iter(models.values()))
    text = read_text(source or own_text(first), first.codec, options.length, notice)
    return write(inspect_page(models, text, options), out)
