"""Language model as a Python object: load, generate, score. NumPy alone."""

from __future__ import annotations

import inspect
import operator
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any, Callable, TypeVar

from gluon_lstm.blas import poor_kernels
from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.evaluation import evaluate_posts
from gluon_lstm.sampling.generator import TextGenerator, fresh_seed, rng_for
from gluon_lstm.sampling.options import SamplingOptions
from gluon_lstm.sampling.scoring import Score

MINIMA = {"posts": 1, "length": 1, "count": 1, "seed": 0}  # minimum of each integer argument

Method = TypeVar("Method", bound=Callable[..., Any])


@cache
def warn_of_poor_kernels() -> None:
    """Warn, once in a process, where the kernels of NumPy's BLAS use less than the processor can."""
    sentence = poor_kernels()
    if sentence:
        warnings.warn(sentence, stacklevel=3)


def _with_sampling_options(method: Method) -> Method:
    """Show the fields of SamplingOptions, not `**options`, in the signature of a method (help, inspect)."""
    signature = inspect.signature(method)
    kept = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    options = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields(SamplingOptions)
    ]
    method.__signature__ = signature.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return method


class LanguageModel:
    """Trained model that generates and scores posts.

    Parameters
    ----------
    model : Model
        Architecture, text settings, vocabulary and weights.
    notice : callable, optional
        Called with one sentence for each character of a prefix that the model does not know.

    Examples
    --------
    >>> lm = LanguageModel.load("runs/mine")
    >>> lm
    LanguageModel(standard LSTM, 1 layer of 2 units, vocabulary of 4 tokens (char))
    >>> lm.generate("あ", posts=2, seed=1)
    ['あい', 'あい']
    >>> lm.score(["あい", "い"]).bpc
    2.0
    """

    def __init__(self, model: Model, notice: Notice = ignore) -> None:
        self.model = model
        self._notice = notice

    @classmethod
    def load(cls, path: str | os.PathLike[str], notice: Notice = ignore) -> LanguageModel:
        """Load a model file, or the best (else the last) weights of a run directory.

        Raises
        ------
        ModelError
            The file is not a valid model (a subclass of ValueError).
        OSError
            The file cannot be read.
        """
        return cls(Model.load(path), notice)

    def __repr__(self) -> str:
        config, codec = self.model.config, self.model.codec
        cell = config.variant.upper() if config.variant == "rnn" else f"{config.variant} LSTM"
        text = "raw" if codec.settings.raw else codec.settings.tokenizer
        return f"{type(self).__name__}({cell}, {config.size}, vocabulary of {len(codec.vocabulary):,} tokens ({text}))"

    @_with_sampling_options
    def generate(
        self,
        prefix: str = "",
        *,
        posts: int | None = None,
        length: int | None = None,
        count: int = 1,
        seed: int | None = None,
        **options: Any,
    ) -> list[str]:
        """Generate posts, or texts of a given length: those that the command `generate` prints.

        Parameters
        ----------
        prefix : str
            Beginning of each post or text. Cleaned like the posts that the model was trained on.
        posts : int, optional
            Posts per text, at least 1. Default 1. Not for a model of raw text.
        length : int, optional
            Characters (code points) after the prefix, at least 1; instead of `posts`. Default for raw text: 400.
        count : int
            Independent texts, at least 1.
        seed : int, optional
            Seed of the random numbers, at least 0; text k uses `rng_for(seed, k)`. Default: a new seed.
        **options
            Fields of `SamplingOptions`: `temperature`, `top_k` and so on.

        Returns
        -------
        list of str
            `posts` * `count` posts, or `count` texts of `length` characters after the prefix; without end of line.

        Raises
        ------
        ValueError
            An argument is out of range, or `posts` and `length` are given together.
        """
        generator, seed = self._generator(prefix, posts, length, count, seed, options)
        rngs = [rng_for(seed, k) for k in range(count)]
        return [
            post for text in generator.generate_posts(generator.prefix(prefix), rngs, length, posts) for post in text
        ]

    @_with_sampling_options
    def stream(
        self,
        prefix: str = "",
        *,
        posts: int | None = None,
        length: int | None = None,
        count: int = 1,
        seed: int | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """Return an iterator of the text that the command `generate` prints, in pieces of a few characters.

        Arguments and errors are those of `generate`; errors are raised by the call, not by the iterator. A newline ends
        each post (or text of `length` characters), and an empty line separates the texts. More than one text is
        generated as a batch, and each of the texts is one piece.
        """
        generator, seed = self._generator(prefix, posts, length, count, seed, options)
        read = generator.prefix(prefix)
        if count == 1:
            return generator.stream(read, rng_for(seed), length, posts)
        texts = generator.generate_batch(read, [rng_for(seed, k) for k in range(count)], length, posts)
        return (separator + text for separator, text in zip(["", *"\n" * (count - 1)], texts))

    def score(self, posts: Iterable[str]) -> Score:
        """Score posts as one stream, cleaned as the training text was: the result of `evaluate` on a file of them.

        Parameters
        ----------
        posts : iterable of str
            Posts in order. Cleaning may change or drop some of them, duplicates for example. For a model of raw text
            each post is a line.

        Returns
        -------
        Score
            `bpc` in bits per character, `loss` in nats per token, `perplexity`, and the counts behind them.

        Raises
        ------
        ValueError
            `posts` is not an iterable of str, or no post is left after cleaning.
        """
        if isinstance(posts, str):
            raise ValueError("`posts` is one string: use a list of strings")
        return evaluate_posts(self.model, map(_checked_post, posts))

    def _generator(
        self,
        prefix: str,
        posts: int | None,
        length: int | None,
        count: int,
        seed: int | None,
        options: dict[str, Any],
    ) -> tuple[TextGenerator, int]:
        """Return the generator of the options and the seed. Raises ValueError for an invalid argument."""
        if not isinstance(prefix, str):
            raise ValueError(f"`prefix` {prefix!r}: use a string")
        for name, value in {"posts": posts, "length": length, "count": count, "seed": seed}.items():
            if value is not None or name == "count":
                _check_integer(name, value)
        if posts is not None and length is not None:
            raise ValueError(f"`posts` {posts} and `length` {length}: use one of them")
        generator = TextGenerator(self.model, SamplingOptions(**options), self._notice)
        generator.check_posts(posts)
        return generator, fresh_seed() if seed is None else seed


def _check_integer(name: str, value: Any) -> None:
    """Raise ValueError for an argument that is not an integer or is below its minimum."""
    try:
        valid = operator.index(value) >= MINIMA[name]
    except TypeError:
        valid = False
    if not valid:
        raise ValueError(f"`{name}` {value}: use at least {MINIMA[name]}")


def _checked_post(post: Any) -> str:
    if not isinstance(post, str):
        raise ValueError(f"`posts` has {post!r}: use strings")
    return post
