"""Options of sampling and selection, without NumPy: the command line sets the BLAS threads before NumPy is imported."""

from __future__ import annotations

from dataclasses import dataclass, field

from gluon_lstm.language import _
from gluon_lstm.options import check, option
from gluon_lstm.text.sources.reading import Paths, ReadingOptions


@dataclass(frozen=True)
class SamplingOptions:
    """Sampling options. Raises ValueError for an invalid value.

    `temperature` divides the logits. `top_p` is nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751). A
    `repetition_penalty` R > 1 makes the last `repetition_window` tokens less likely (Keskar et al. 2019,
    arXiv:1909.05858, section 4.1).
    """

    temperature: float = option(0.8, "sampling temperature; 0: always the likeliest token", "X", minimum=0)
    top_k: int | None = option(None, "sample from the K likeliest tokens", "K", minimum=1)
    top_p: float | None = option(
        None, "sample from the fewest likeliest tokens of total probability P", "P", above=0, maximum=1
    )
    repetition_penalty: float = option(1.0, "divide the score of recent tokens; 1: off", "R", above=0)
    repetition_window: int = option(64, "recent tokens that the penalty counts", "N", minimum=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class SelectionOptions:
    """Posts that are written; others are generated again. Raises ValueError for an invalid value.

    With `not_in`, posts that stand in these files, read with `reading`, are not written; it implies `unique`. Posts are
    compared after the cleaning of the model.
    """

    fit_post: bool = option(False, "whole posts that fit X: a weighted length of at most 280, Japanese counts two")
    unique: bool = option(False, "no post twice")
    not_in: Paths = ()
    reading: ReadingOptions = field(default_factory=ReadingOptions)

    def __post_init__(self) -> None:
        if isinstance(self.not_in, (str, bytes)):
            raise ValueError(_("`not_in` {not_in!r}: use a list of files").format(not_in=self.not_in))

    @property
    def active(self) -> bool:
        """Whether any post can be rejected."""
        return bool(self.fit_post or self.unique or self.not_in)


@dataclass(frozen=True)
class SessionOptions:
    """Options of a writing session. Raises ValueError for an invalid value."""

    picker: bool = option(False, "choose token by token among the ten likeliest")
    continuations: int = option(5, "continuations to choose from", "N", minimum=1, maximum=100)
    length: int | None = option(
        None,
        "maximum characters of a continuation (default: to the end of the post; models of --raw: 60)",
        "N",
        minimum=1,
    )
    seed: int | None = option(None, "seed: the same lines are answered alike", "S", minimum=0)

    def __post_init__(self) -> None:
        check(self)
