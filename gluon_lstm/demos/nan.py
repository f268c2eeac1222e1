"""Demo: why the LSTM of notes 000 became NaN.

The training of the notes is reconstructed with each error of the printed code as a switch (`reconstruction`). Each
error is removed from the printed version, and added to the repaired version, alone. The repaired version is also
trained with the cell of `lstm.reference`, backpropagation through time and clipping (`repaired`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gluon_lstm.demos import reconstruction, repaired
from gluon_lstm.demos.reconstruction import ERRORS, PRINTED, Errors, N, TrainingCurve
from gluon_lstm.demos.result import DemoResult, Table, lines
from gluon_lstm.figures import in_language
from gluon_lstm.files import write_png
from gluon_lstm.language import _
from gluon_lstm.progress import Progress, silent

__all__ = ["lines", "run"]

SEEDS = 5
RATES = (0.01, 0.1, 0.3, 1.0)  # learning rates (alpha and gamma), which the notes do not give
BEST_RATE = 0.3  # best rate of the repaired version
LONG = (2, 450)  # number of sequences, steps of each
SHORT = (200, 16)
AVERAGED_SEQUENCES = {LONG: 1, SHORT: 20}  # last sequences, over which the final error is averaged
MAX_BOUNDED_ERROR = 1000  # above it the weights have diverged
MIN_UNLEARNED_ERROR = 0.9  # above it nothing was learned; the output 0 has error 1
WORSE_FACTOR = 2  # final error relative to the repaired version, above which a version learns worse
MAX_PLOTTED_ERROR = 30
REPAIRED: Errors = frozenset()


class Experiment(NamedTuple):
    """Training curves and gradient errors of all versions, by their errors."""

    long: dict[Errors, TrainingCurve]
    short: dict[Errors, TrainingCurve]
    gradients: dict[Errors, float]
    repaired: TrainingCurve  # with the cell of `lstm.reference`, at the best rate


def run(out: Path | None = None, seed: int = 1, progress: Progress = silent) -> DemoResult:
    """Train all versions with the seeds `seed` to `seed` + 4; write nan.png into the directory `out`."""
    experiment = train_all(range(seed, seed + SEEDS), progress)
    if out:
        save_plot(experiment, out / "nan.png")
    return DemoResult(tables(experiment), sentences(experiment))


def train_all(seeds: Sequence[int], progress: Progress = silent) -> Experiment:
    """Train every version on a few long sequences and on many short ones."""
    printed = [PRINTED, *(PRINTED - {error} for error in ERRORS)]
    one = [REPAIRED, *(frozenset({error}) for error in ERRORS)]
    steps = len(printed) * math.prod(LONG) + (len(printed) + len(one) + 1) * math.prod(SHORT)
    with progress(_("training"), steps, _("steps")) as advance:
        return Experiment(
            {errors: reconstruction.train(errors, *LONG, seeds, RATES, advance) for errors in printed},
            {errors: reconstruction.train(errors, *SHORT, seeds, RATES, advance) for errors in (*printed, *one)},
            {errors: repaired.gradient_error(errors, SHORT[1], seeds) for errors in one},
            repaired.train(*SHORT, seeds, BEST_RATE, advance),
        )


def by_rate(values: np.ndarray) -> np.ndarray:
    """Return the values (B,) of the networks as an array (rates, seeds)."""
    return values.reshape(-1, len(RATES)).T


def final_errors(curve: TrainingCurve, size: tuple[int, int]) -> np.ndarray:
    """Return the error at the end of training, (rates, seeds)."""
    return by_rate(curve.error[-AVERAGED_SEQUENCES[size] :].mean(axis=0))


def table_cells(curve: TrainingCurve, size: tuple[int, int]) -> list[str]:
    """Return a cell for each rate: number of seeds with NaN and median step of overflow, or median final error."""
    return [
        f"NaN {np.count_nonzero(at)}/{len(at)}, {np.median(at[at > 0]):.0f}" if at.any() else f"{np.median(left):.2g}"
        for at, left in zip(by_rate(curve.nan_step), final_errors(curve, size))
    ]


def max_bounded_rate(experiment: Experiment, errors: Errors) -> str:
    """Return the highest rate up to which the final error stays bounded, with long and with short sequences."""
    final = np.hstack([final_errors(experiment.long[errors], LONG), final_errors(experiment.short[errors], SHORT)])
    diverged = [rate for rate, errors_of_rate in zip(RATES, final) if not (errors_of_rate < MAX_BOUNDED_ERROR).all()]
    below = [rate for rate in RATES if not diverged or rate < diverged[0]]
    return f"{below[-1]:g}" if below else _("none")


def tables(experiment: Experiment) -> list[Table]:
    rates = [_("rate {rate:g}").format(rate=rate) for rate in RATES]
    long, short = experiment.long, experiment.short
    printed, one = {PRINTED: _("as printed")}, {REPAIRED: _("repaired")}
    for error, words in ERRORS.items():
        printed[PRINTED - {error}] = _("without: {error}").format(error=_(words))
        one[frozenset({error})] = _("with: {error}").format(error=_(words))
    cells = _("seeds with NaN and median step of overflow, or final error (1: that of the output 0)")
    sizes = {
        size: _("{sequences} sequences of {steps} steps").format(sequences=size[0], steps=size[1])
        for size in (LONG, SHORT)
    }
    return [
        Table(
            _("As printed, and without one of its errors, {size}: {cells}").format(size=sizes[LONG], cells=cells),
            [*rates, _("bounded up to")],
            [
                (name, [*table_cells(long[errors], LONG), max_bounded_rate(experiment, errors)])
                for errors, name in printed.items()
            ],
        ),
        Table(
            _("As printed, and without one of its errors, {size}").format(size=sizes[SHORT]),
            rates,
            [(name, table_cells(short[errors], SHORT)) for errors, name in printed.items()],
        ),
        Table(
            _("Repaired, and with one of the errors, {size}").format(size=sizes[SHORT]),
            [*rates, _("gradient off by")],
            [
                (name, [*table_cells(short[errors], SHORT), f"{experiment.gradients[errors]:.0%}"])
                for errors, name in one.items()
            ],
        ),
    ]


def verdict(experiment: Experiment, error: str) -> str:
    """Return the sentence on the effect of an error added to the repaired version; `{errors}` are those with it."""
    with_error, without = (experiment.short[errors] for errors in (frozenset({error}), REPAIRED))
    best, repaired_best = (np.nanmin(np.median(final_errors(curve, SHORT), axis=1)) for curve in (with_error, without))
    if with_error.nan_step.any():
        return _("On its own makes NaN: {errors}")
    if best > MIN_UNLEARNED_ERROR:
        return _("On its own learns nothing: {errors}")
    if best > WORSE_FACTOR * repaired_best:
        return _("On its own learns worse: {errors}")
    return _("On its own does no harm here: {errors}")


def sentences(experiment: Experiment) -> list[str]:
    printed = experiment.long[PRINTED]
    has_nan = printed.nan_step > 0
    first = _(" or ").join(sorted({name for name in printed.nan_arrays if name})) or _("nothing")
    verdicts: dict[str, list[str]] = {}
    for error, words in ERRORS.items():
        verdicts.setdefault(verdict(experiment, error), []).append(_(words))
    final = ", ".join(f"{error:.2g}" for error in experiment.repaired.error[-AVERAGED_SEQUENCES[SHORT] :].mean(axis=0))
    return [
        _("As printed, NaN in {nan} of {runs} runs; first to overflow: {first}").format(
            nan=np.count_nonzero(has_nan), runs=len(has_nan), first=first
        ),
        *(
            "  "
            + _("rate {rate:g}: {prediction}; measured: {steps}").format(
                rate=rate,
                prediction=predicted_overflow(rate),
                steps=", ".join(map(str, np.sort(steps[steps > 0]))) or _("no step"),
            )
            for rate, steps in zip(RATES, by_rate(printed.nan_step))
        ),
        *(kind.format(errors="; ".join(words)) for kind, words in verdicts.items()),
        _("Repaired, in the cell of lstm.reference, rate {rate:g}, final error by seed: {final}").format(
            rate=BEST_RATE, final=final
        ),
    ]


def predicted_overflow(rate: float) -> str:
    """Return a sentence on the growth of the output error after e_h = 1 has driven all hidden units to -1.

    Each step multiplies the error by 1 - rate (1 + N^2): N^2 from vv, 1 from d1. (With outer products N replaces N^2.)
    """
    growth = abs(1 - rate * (1 + N**2))
    if growth <= 1:
        return _("output error times {growth:.3g} a step, which decays").format(growth=growth)
    steps = math.log(np.finfo(float).max, growth)
    return _("output error times {growth:.3g} a step overflows after {steps:.0f}").format(growth=growth, steps=steps)


@in_language()
def save_plot(experiment: Experiment, path: Path) -> None:
    """Write a PNG: left the norm of the weights until they are NaN, right the error by sequence."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    printed, steps = experiment.long[PRINTED], np.arange(1, LONG[1] + 1)
    for k, rate in enumerate(RATES):
        power = np.log10(printed.norm[: len(steps), k])
        (line,) = left.plot(steps, power, label=_("as printed, rate {rate:g}").format(rate=rate))
        if printed.nan_step[k]:
            last = np.flatnonzero(np.isfinite(power))[-1]
            left.plot(steps[last], power[last], "x", color=line.get_color(), markersize=9, markeredgewidth=2)
    at = np.arange(1, SHORT[0] + 1) * SHORT[1]
    within = at <= LONG[1]
    left.plot(
        at[within],
        np.log10(experiment.repaired.norm[within, 0]),
        "k--",
        label=_("repaired, rate {rate:g}").format(rate=BEST_RATE),
    )
    left.yaxis.set_major_formatter("1e{x:.0f}")  # a logarithmic axis overflows near 1e308
    left.set(xlabel=_("step"), ylabel=_("norm of all weights (x: then NaN)"))
    left.set_title(_("Notes 000"))

    for errors in (REPAIRED, *(frozenset({error}) for error in ERRORS)):
        error = np.median(
            experiment.short[errors].error.reshape(SHORT[0], -1, len(RATES))[..., RATES.index(BEST_RATE)], axis=1
        )
        smooth = np.convolve(error, np.ones(10) / 10, mode="valid")
        style = {"color": "black", "linewidth": 2} if errors == REPAIRED else {}
        label = "".join(_(ERRORS[error]) for error in errors) or _("repaired")
        if not smooth.min() < MAX_PLOTTED_ERROR:
            label += _(" (above the plot)")
        right.plot(np.arange(len(smooth)) + 10, smooth, label=label, **style)
    right.set(
        yscale="log", ylim=(0.03, MAX_PLOTTED_ERROR), xlabel=_("sequence"), ylabel=_("error (1: that of the output 0)")
    )
    right.yaxis.set_major_formatter("{x:g}")
    right.set_title(_("The repaired version, and with one error, rate {rate:g}").format(rate=BEST_RATE))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    write_png(figure, path)
