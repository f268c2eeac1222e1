"""Demo: a simple RNN and an LSTM trained on the same text for the same time, and tested on a long-range task.

The author of notes 003 saw at a glance no difference between the two. Here both are trained with one recipe for the
same time, evaluated on the same validation posts, and sampled with the same prefix and seeds; both also learn a task
that requires long-term memory (`recall`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import gluon_lstm
from gluon_lstm.columns import rjust
from gluon_lstm.figures import in_language
from gluon_lstm.files import write_png
from gluon_lstm.language import _
from gluon_lstm.progress import Progress, silent

if TYPE_CHECKING:
    from gluon_lstm.demos.recall import RecallResult
    from gluon_lstm.text.corpus import Corpus
    from gluon_lstm.training.recipe import Recipe

VARIANTS = ("rnn", "standard")
POSTS = Path("data") / "posts_ja.txt"
MINUTES = 0.1  # training time of each model
VALIDATIONS = 6  # points of each curve, about
GAPS, SEEDS = (10, 30, 60), 3  # of the long-range task
SAMPLES = 3


@dataclass(frozen=True)
class TrainedModel:
    """Learning curve and samples of one model."""

    parameters: int
    curve: list[tuple[float, int, float]]  # (seconds of training, tokens, validation bits per character)
    samples: list[str]


@dataclass(frozen=True)
class CompareResult:
    trained: dict[str, TrainedModel]  # by variant
    recalls: list[RecallResult]


def run(
    out: Path | None = None,
    seed: int = 1,
    progress: Progress = silent,
    file: Path | None = None,
    minutes: float = MINUTES,
    prefix: str = "こんにち",
) -> CompareResult:
    """Train both models for `minutes` on `file` (None: `default_file()`), then on the long-range task.

    Write compare.png into the directory `out`. Raises ValueError for a file that is too short or invalid.
    """
    from gluon_lstm.text.corpus import prepare
    from gluon_lstm.text.settings import CorpusOptions, TextSettings
    from gluon_lstm.training.recipe import recipe_of

    recipes = [recipe_of("standard", variant=variant, minutes=minutes, patience=0, seed=seed) for variant in VARIANTS]
    file = file or default_file()
    corpus = prepare([file], TextSettings(), CorpusOptions(), progress=progress)
    if not len(corpus.validation):
        raise ValueError(_("{file}: too short for a validation set; use more posts").format(file=file))

    from gluon_lstm.demos.recall import (
        train_and_test,  # imports MXNet, so after the processes that read the text
    )

    trained = {recipe.variant: train(corpus, recipe, prefix, progress) for recipe in recipes}
    recalls = [
        train_and_test(variant, gap, seed + k, progress=progress)
        for gap in GAPS
        for variant in VARIANTS
        for k in range(SEEDS)
    ]
    result = CompareResult(trained, recalls)
    if out:
        save_plot(result, out / "compare.png")
    return result


def default_file() -> Path:
    """Return the path of the posts of the source tree. Raises ValueError for an installation without them."""
    path = Path(gluon_lstm.__file__).parent.parent / POSTS
    if not path.is_file():
        raise ValueError(
            _("{posts} is part of the source tree only: name a file of posts to train on").format(posts=POSTS)
        )
    return path


def train(corpus: Corpus, recipe: Recipe, prefix: str, progress: Progress) -> TrainedModel:
    """Train one model on the corpus and sample texts that begin with `prefix`."""
    from gluon_lstm.model import Model
    from gluon_lstm.sampling.generator import TextGenerator, rng_for
    from gluon_lstm.training import session
    from gluon_lstm.training.history import read
    from gluon_lstm.training.run_dir import HISTORY
    from gluon_lstm.training.schedule import Schedule

    def labelled(label: str, total: int | None, unit: str) -> Any:
        return progress(f"{label}, {recipe.variant}", total, unit)

    schedule = Schedule(validate_every=1 / VALIDATIONS, validate_epochs=False, validation_cost=math.inf)
    with TemporaryDirectory() as folder:
        last = session.train(corpus, recipe, Path(folder), progress=labelled, schedule=schedule)
        generator, records = TextGenerator(Model.load(folder)), read(Path(folder) / HISTORY)
    rngs = [rng_for(recipe.seed, k) for k in range(SAMPLES)]
    return TrainedModel(
        parameters=sum(array.size for array in last.arrays.values()),
        curve=[(r.seconds, r.tokens, r.val_bpc) for r in records if r.val_bpc is not None],
        samples=generator.generate_batch(generator.prefix(prefix), rngs, posts=1),
    )


def lines(result: CompareResult) -> list[str]:
    """Return both learning curves, samples, and a table of the long-range task."""
    from gluon_lstm.demos.recall import SYMBOLS, UPDATES

    table = [_("validation, bits per character")]
    headings = "".join(map(rjust, (_("seconds"), _("tokens"), _("bits")), (10, 12, 8)))
    for variant, one in result.trained.items():
        parameters = _("{variant}: {parameters:,} parameters").format(variant=variant, parameters=one.parameters)
        table += [parameters, headings]
        table += [f"{seconds:>10.1f}{tokens:>12,}{bits:>8.3f}" for seconds, tokens, bits in one.curve]
    table += ["", _("samples")]
    for texts in zip(*(one.samples for one in result.trained.values())):
        for variant, text in zip(result.trained, texts):
            table.append(f"{variant:<10}{' ⏎ '.join(text.rstrip().splitlines())}")
    table += [
        "",
        _(
            "recall of the first of {symbols} symbols after a gap: accuracy / updates of training, at most {updates};"
            " {seeds} seeds, chance is {chance}"
        ).format(symbols=SYMBOLS, updates=UPDATES, seeds=SEEDS, chance=1 / SYMBOLS),
        rjust(_("gap"), 4) + "".join(f"{variant:>{12 * SEEDS}}" for variant in VARIANTS),
    ]
    for gap in GAPS:
        shares = [f"{r.accuracy:>6.2f} / {r.updates:<3}" for r in result.recalls if r.gap == gap]
        table.append(f"{gap:>4}{''.join(shares)}".rstrip())
    return table


@in_language()
def save_plot(result: CompareResult, path: Path) -> None:
    """Write a PNG: validation bits per character by tokens and by seconds, and accuracy by gap."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), dpi=70, layout="constrained")
    by_tokens, by_seconds, by_gap = figure.subplots(1, 3)
    for variant, style in zip(VARIANTS, ("s--", "o-")):
        seconds, tokens, bits = zip(*result.trained[variant].curve)
        by_tokens.plot(tokens, bits, style, label=variant)
        by_seconds.plot(seconds, bits, style, label=variant)
        shares = [[r.accuracy for r in result.recalls if (r.variant, r.gap) == (variant, gap)] for gap in GAPS]
        (line,) = by_gap.plot(
            GAPS, [sum(each) / len(each) for each in shares], style, label=_("{variant}, mean").format(variant=variant)
        )
        for gap, each in zip(GAPS, shares):
            by_gap.plot([gap] * len(each), each, "x", color=line.get_color())
    by_tokens.set(xlabel=_("tokens trained on"), ylabel=_("validation, bits per character"))
    by_seconds.set(xlabel=_("seconds of training"), ylabel=_("validation, bits per character"))
    by_gap.set(xlabel=_("gap, in steps"), ylabel=_("accuracy"), ylim=(0, 1.05))
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.legend()
    write_png(figure, path)
