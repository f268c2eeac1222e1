"""Request for texts of a model: checked arguments, and the texts as strings, as pieces and as records."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gluon_lstm import __version__
from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.generator import TextGenerator, fresh_seed, rng_for
from gluon_lstm.sampling.options import SamplingOptions, SelectionOptions
from gluon_lstm.sampling.selection import Selection
from gluon_lstm.text.sources.reading import Paths, ReadingOptions
from gluon_lstm.text.weighted_length import weighted_length

MINIMA = {"posts": 1, "length": 1, "count": 1, "seed": 0}  # minimum of each integer argument


class TextRequest:
    """Texts of a model for the arguments of `LanguageModel.generate`. Each request gives its texts once.

    Raises ValueError for an invalid argument, TextError and OSError for the files of `not_in`.
    """

    def __init__(
        self,
        model: Model,
        notice: Notice = ignore,
        prefix: str = "",
        *,
        posts: int | None = None,
        length: int | None = None,
        count: int = 1,
        seed: int | None = None,
        fit_post: bool = False,
        unique: bool = False,
        not_in: Paths = (),
        reading: ReadingOptions | None = None,
        **options: Any,
    ) -> None:
        if not isinstance(prefix, str):
            raise ValueError(_("`prefix` {prefix!r}: use a string").format(prefix=prefix))
        posts = None if posts is None else _checked_integer("posts", posts)
        length = None if length is None else _checked_integer("length", length)
        count = _checked_integer("count", count)
        seed = fresh_seed() if seed is None else _checked_integer("seed", seed)
        if posts is not None and length is not None:
            raise ValueError(
                _("`posts` {posts} and `length` {length}: use one of them").format(posts=posts, length=length)
            )
        sampling = SamplingOptions(**options)
        selection = SelectionOptions(fit_post, unique, not_in, reading or ReadingOptions())
        if selection.active and length is not None:
            raise ValueError(_("`length` {length}: only whole posts are selected; use `posts`").format(length=length))
        self._generator = TextGenerator(model, sampling, notice)
        self._generator.check_posts(1 if selection.active and posts is None else posts)
        self._posts, self._length = posts, length
        self._rngs = [rng_for(seed, k) for k in range(count)]
        self._selection = Selection(selection, model.codec.settings.cleaning, notice) if selection.active else None
        amount = {"posts": posts, "length": length, "count": count, "seed": seed}
        self._arguments = {"prefix": prefix, **amount, **asdict(sampling), **_json_values(selection)}
        self._prefix = self._generator.prefix(prefix)

    def texts(self) -> Iterator[str]:
        """Yield the posts, or the texts of `length` characters, without end of line."""
        if self._selection:
            posts = self._posts or 1
            return self._selection.select(self._generator.endless_posts(self._prefix, self._rngs, posts), posts)
        texts = self._generator.generate_posts(self._prefix, self._rngs, self._length, self._posts)
        return (post for text in texts for post in text)

    def pieces(self) -> Iterator[str]:
        """Return the output of the command `generate` in pieces: a newline ends a post, an empty line a text."""
        if self._selection:
            posts = self._posts or 1
            separated = enumerate(self.texts())
            return (f"{post}\n" if number % posts or not number else f"\n{post}\n" for number, post in separated)
        if len(self._rngs) == 1:
            return self._generator.stream(self._prefix, self._rngs[0], self._length, self._posts)
        texts = self._generator.generate_batch(self._prefix, self._rngs, self._length, self._posts)
        return (text if not number else f"\n{text}" for number, text in enumerate(texts))

    def records(self, model: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield a JSON object for each of `texts`, with what generates it again; `model`: where the model is stored."""
        origin = {"gluon_lstm": __version__, "model": model, **self._arguments}
        for number, text in enumerate(self.texts(), 1):
            yield {"text": text, "number": number, "weighted_length": weighted_length(text), **origin}


def _json_values(selection: SelectionOptions) -> dict[str, Any]:
    """Return the options as JSON values; of the reading options those that differ from the default."""
    defaults, reading = asdict(ReadingOptions()), asdict(selection.reading)
    return {
        "fit_post": selection.fit_post,
        "unique": selection.unique,
        "not_in": list(map(str, selection.not_in)),
        "reading": {name: value for name, value in reading.items() if value != defaults[name]},
    }


def _checked_integer(name: str, value: Any) -> int:
    """Return an argument as int. Raises ValueError for one that is not an integer or is below its minimum."""
    try:
        number = operator.index(value)
    except TypeError:
        number = MINIMA[name] - 1
    if number < MINIMA[name]:
        raise ValueError(
            _("`{name}` {value}: use at least {minimum}").format(name=name, value=value, minimum=MINIMA[name])
        )
    return number
