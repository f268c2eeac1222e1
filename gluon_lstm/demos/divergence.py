"""The LSTM of notes 000 as printed, without one of its errors, and repaired with one of them.

Their training is rebuilt (`reconstruction`) with each error of the printed code as a switch. One at a time they are
taken out of the printed version, and put into the repaired one. At the end the cell of `lstm.reference`, with
backpropagation through time and clipping, learns the task (`repaired`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gluon_lstm.demos import reconstruction, repaired
from gluon_lstm.demos.reconstruction import ERRORS, PRINTED, Course, Errors, N
from gluon_lstm.demos.result import DemoResult, Table
from gluon_lstm.progress import Progress, silent

SEEDS = 5
RATES = (0.01, 0.1, 0.3, 1.0)  # alpha and gamma, which the notes do not tell
BEST = RATES.index(0.3)  # for the repaired version
LONG = (2, 450)  # sequences, and the steps of each
SHORT = (200, 16)
LAST = {LONG: 1, SHORT: 20}  # sequences over which an error is averaged
BOUNDED = 1000  # an error beyond it is on its way to NaN
UNLEARNED, WORSE = 0.9, 2  # an error that is next to that of an answer of 0; how often the repaired one is a worse one
HIGHEST = 30  # error in the picture
REPAIRED: Errors = frozenset()


class Experiment(NamedTuple):
    """The courses of training and how far the gradients are from the true ones, by what is wrong; and the course of the
    repaired version in the cell of `lstm.reference`, at the best rate.
    """

    long: dict[Errors, Course]
    short: dict[Errors, Course]
    gradients: dict[Errors, float]
    repaired: Course


def demonstrate(seed: int, progress: Progress = silent) -> DemoResult:
    """The whole demonstration, over the seeds `seed` to `seed` + 4."""
    experiment = run(range(seed, seed + SEEDS), progress)
    return DemoResult(tables(experiment), sentences(experiment), lambda figure: draw(experiment, figure))


def run(seeds: Sequence[int], progress: Progress = silent) -> Experiment:
    """Every version, on a few long sequences and on many short ones."""
    printed = [PRINTED, *(PRINTED - {error} for error in ERRORS)]
    one = [REPAIRED, *(frozenset({error}) for error in ERRORS)]
    steps = len(printed) * math.prod(LONG) + (len(printed) + len(one) + 1) * math.prod(SHORT)
    with progress("training", steps, "steps") as advance:
        return Experiment(
            {errors: reconstruction.train(errors, *LONG, seeds, RATES, advance) for errors in printed},
            {errors: reconstruction.train(errors, *SHORT, seeds, RATES, advance) for errors in (*printed, *one)},
            {errors: repaired.gradient_error(errors, SHORT[1], seeds) for errors in one},
            repaired.train(*SHORT, seeds, RATES[BEST], advance),
        )


def by_rate(of_networks: np.ndarray) -> np.ndarray:
    """(rates, seeds)"""
    return of_networks.reshape(-1, len(RATES)).T


def errors_left(course: Course, size: tuple[int, int]) -> np.ndarray:
    """(rates, seeds)"""
    return by_rate(course.error[-LAST[size] :].mean(axis=0))


def cells(course: Course, size: tuple[int, int]) -> list[str]:
    """For each rate: in how many seeds a weight overflowed, and at which step, or the median of the errors left."""
    return [
        f"NaN {np.count_nonzero(at)}/{len(at)}, {np.median(at[at > 0]):.0f}" if at.any() else f"{np.median(left):.2g}"
        for at, left in zip(by_rate(course.nan_at), errors_left(course, size))
    ]


def bounded(experiment: Experiment, errors: Errors) -> str:
    """The highest rate up to which no error grew out of hand, be the sequences long or short."""
    left = np.hstack([errors_left(experiment.long[errors], LONG), errors_left(experiment.short[errors], SHORT)])
    grew = [rate for rate, of_seeds in zip(RATES, left) if not (of_seeds < BOUNDED).all()]
    below = [rate for rate in RATES if not grew or rate < grew[0]]
    return f"{below[-1]:g}" if below else "none"


def tables(experiment: Experiment) -> list[Table]:
    rates = [f"rate {rate:g}" for rate in RATES]
    long, short = experiment.long, experiment.short
    printed = {PRINTED: "as printed", **{PRINTED - {error}: f"without: {words}" for error, words in ERRORS.items()}}
    one = {REPAIRED: "repaired", **{frozenset({error}): f"with: {words}" for error, words in ERRORS.items()}}
    left = "NaN in how many seeds, and where they overflowed, or the error left (1: an answer of 0)"
    sizes = {size: f"{size[0]} sequences of {size[1]} steps" for size in (LONG, SHORT)}
    return [
        Table(
            f"As printed, and without one of its errors, {sizes[LONG]}: {left}",
            [*rates, "bounded up to"],
            [(name, [*cells(long[errors], LONG), bounded(experiment, errors)]) for errors, name in printed.items()],
        ),
        Table(
            f"As printed, and without one of its errors, {sizes[SHORT]}",
            rates,
            [(name, cells(short[errors], SHORT)) for errors, name in printed.items()],
        ),
        Table(
            f"Repaired, and with one of the errors, {sizes[SHORT]}",
            [*rates, "gradient off by"],
            [
                (name, [*cells(short[errors], SHORT), f"{experiment.gradients[errors]:.0%}"])
                for errors, name in one.items()
            ],
        ),
    ]


def verdict(experiment: Experiment, error: str) -> str:
    """What an error does on its own, in the repaired version."""
    with_error, without = (experiment.short[errors] for errors in (frozenset({error}), REPAIRED))
    best, wanted = (np.nanmin(np.median(errors_left(course, SHORT), axis=1)) for course in (with_error, without))
    if with_error.nan_at.any():
        return "makes NaN"
    if best > UNLEARNED:
        return "learns nothing"
    return "learns worse" if best > WORSE * wanted else "does no harm here"


def sentences(experiment: Experiment) -> list[str]:
    printed = experiment.long[PRINTED]
    died = printed.nan_at > 0
    first = " or ".join(sorted({name for name in printed.nan_in if name})) or "nothing"
    verdicts: dict[str, list[str]] = {}
    for error, words in ERRORS.items():
        verdicts.setdefault(verdict(experiment, error), []).append(words)
    left = ", ".join(f"{error:.2g}" for error in experiment.repaired.error[-LAST[SHORT] :].mean(axis=0))
    return [
        f"As printed, NaN in {np.count_nonzero(died)} of {len(died)} runs; first to overflow: {first}",
        *(
            f"  rate {rate:g}: {overflow(rate)}; measured: {', '.join(map(str, np.sort(at[at > 0]))) or 'no step'}"
            for rate, at in zip(RATES, by_rate(printed.nan_at))
        ),
        *(f"On its own {kind}: {'; '.join(words)}" for kind, words in verdicts.items()),
        f"Repaired, in the cell of lstm.reference, rate {RATES[BEST]:g}, error left by seed: {left}",
    ]


def overflow(rate: float) -> str:
    """What becomes of the output's error once e_h = 1 has driven all hidden units to -1: a step multiplies it by
    1 - rate (1 + N^2), the N^2 of which is from vv and the 1 from d1. (With outer products it is N in place of N^2.)
    """
    growth = abs(1 - rate * (1 + N**2))
    end = f" overflows after {math.log(np.finfo(float).max, growth):.0f}" if growth > 1 else ", which dies out"
    return f"the output's error times {growth:.3g} a step{end}"


def draw(experiment: Experiment, figure: Any) -> None:
    """Left the length of the weights until they are NaN, right what is learned of the task."""
    left, right = figure.subplots(1, 2)
    printed, steps = experiment.long[PRINTED], np.arange(1, LONG[1] + 1)
    for k, rate in enumerate(RATES):
        power = np.log10(printed.norm[: len(steps), k])
        (line,) = left.plot(steps, power, label=f"as printed, rate {rate:g}")
        if printed.nan_at[k]:
            last = np.flatnonzero(np.isfinite(power))[-1]
            left.plot(steps[last], power[last], "x", color=line.get_color(), markersize=9, markeredgewidth=2)
    at = np.arange(1, SHORT[0] + 1) * SHORT[1]
    within = at <= LONG[1]
    left.plot(at[within], np.log10(experiment.repaired.norm[within, 0]), "k--", label=f"repaired, rate {RATES[BEST]:g}")
    left.yaxis.set_major_formatter("1e{x:.0f}")  # matplotlib's own logarithm overflows so near to 1e308
    left.set(xlabel="step", ylabel="length of all weights (x: then NaN)")
    left.set_title("Notes 000")

    for errors in (REPAIRED, *(frozenset({error}) for error in ERRORS)):
        error = np.median(experiment.short[errors].error.reshape(SHORT[0], -1, len(RATES))[..., BEST], axis=1)
        smooth = np.convolve(error, np.ones(10) / 10, mode="valid")
        style = {"color": "black", "linewidth": 2} if errors == REPAIRED else {}
        label = "".join(ERRORS[error] for error in errors) or "repaired"
        if not smooth.min() < HIGHEST:
            label += " (above the picture)"
        right.plot(np.arange(len(smooth)) + 10, smooth, label=label, **style)
    right.set(yscale="log", ylim=(0.03, HIGHEST), xlabel="sequence", ylabel="error (1: an answer of 0)")
    right.yaxis.set_major_formatter("{x:g}")
    right.set_title(f"The repaired version, and with one error, rate {RATES[BEST]:g}")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
