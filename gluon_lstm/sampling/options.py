"""Options of the sampler, without NumPy: the command line sets the BLAS threads before NumPy is imported."""

from __future__ import annotations

from dataclasses import dataclass

from gluon_lstm.options import check, option


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
