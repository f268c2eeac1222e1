"""Language model as a Python object: load, generate, score. NumPy alone."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from typing import Any, Callable, TypeVar

from gluon_lstm.blas import poor_kernels
from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.evaluation import evaluate_posts
from gluon_lstm.sampling.options import SamplingOptions
from gluon_lstm.sampling.request import TextRequest
from gluon_lstm.sampling.scoring import Score

Method = TypeVar("Method", bound=Callable[..., Any])


@cache
def warn_of_poor_kernels() -> None:
    """Warn, once in a process, where the kernels of NumPy's BLAS use less than the processor can."""
    sentence = poor_kernels()
    if sentence:
        warnings.warn(sentence, stacklevel=3)


def _with_arguments(method: Method) -> Method:
    """Show the arguments of TextRequest and all sampling options in the signature of a method (help, inspect)."""
    signature = inspect.signature(method)
    _, _, _, *arguments, _ = inspect.signature(TextRequest.__init__).parameters.values()  # self, model, notice, options
    options = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields(SamplingOptions)
    ]
    parameters = [signature.parameters["self"], *arguments, *options]
    method.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return method


class LanguageModel:
    """Trained model that generates and scores posts.

    Parameters
    ----------
    model : Model
        Architecture, text settings, vocabulary and weights.
    notice : callable, optional
        Called with one sentence for each character of a prefix that the model does not know.
    path : str, optional
        Where the model is stored; `records` names it.

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

    def __init__(self, model: Model, notice: Notice = ignore, path: str | None = None) -> None:
        self.model = model
        self.path = path
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
        return cls(Model.load(path), notice, os.fspath(path))

    def __repr__(self) -> str:
        config, codec = self.model.config, self.model.codec
        cell = config.variant.upper() if config.variant == "rnn" else f"{config.variant} LSTM"
        text = "raw" if codec.settings.raw else codec.settings.tokenizer
        return f"{type(self).__name__}({cell}, {config.size}, vocabulary of {len(codec.vocabulary):,} tokens ({text}))"

    @_with_arguments
    def generate(self, prefix: str = "", **arguments: Any) -> list[str]:
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
        fit_post : bool
            Whole posts that fit X: a weighted length of at most 280.
        unique : bool
            No post twice, in all texts together.
        not_in : list of paths
            No post that stands in one of these files, after the cleaning of the model. Implies `unique`.
        reading : ReadingOptions, optional
            How these files are read.
        **options
            Fields of `SamplingOptions`: `temperature`, `top_k` and so on.

        Returns
        -------
        list of str
            `posts` * `count` posts, or `count` texts of `length` characters after the prefix; without end of line.

        Raises
        ------
        ValueError
            An argument is out of range; `length` is combined with `posts`, `fit_post`, `unique` or `not_in`;
            a file of `not_in` is invalid; 200 posts in a row do not fit or are repeated.
        OSError
            A file of `not_in` cannot be read.
        """
        return list(self._request(prefix, arguments).texts())

    @_with_arguments
    def stream(self, prefix: str = "", **arguments: Any) -> Iterator[str]:
        """Return an iterator of the text that the command `generate` prints, in pieces of a few characters.

        Arguments and errors are those of `generate`; errors are raised by the call, not by the iterator, except too
        many rejected posts. A newline ends each post (or text of `length` characters), and an empty line separates the
        texts. More than one text is generated as a batch, and each of the texts is one piece. With `fit_post`, `unique`
        or `not_in` each post is one piece.
        """
        return self._request(prefix, arguments).pieces()

    @_with_arguments
    def records(self, prefix: str = "", **arguments: Any) -> Iterator[dict[str, Any]]:
        """Return an iterator of JSON objects: the posts or texts of `generate`, each with what generates it again.

        The keys are `text`, `number` (from 1), `weighted_length`, the version of this package, the path of the model,
        and all arguments: with these, `generate` returns the text under this number.
        """
        return self._request(prefix, arguments).records(self.path)

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
            raise ValueError(_("`posts` is one string: use a list of strings"))
        return evaluate_posts(self.model, map(_checked_post, posts))

    def _request(self, prefix: str, arguments: dict[str, Any]) -> TextRequest:
        return TextRequest(self.model, self._notice, prefix, **arguments)


def _checked_post(post: Any) -> str:
    if not isinstance(post, str):
        raise ValueError(_("`posts` has {post!r}: use strings").format(post=post))
    return post
