"""gluon-lstm demo compare: a simple RNN and an LSTM, trained on the same text for the same time, and on a long gap

The author of notes 003 could not see at a glance what the LSTM had changed. Both are trained here with one recipe for
the same time, and measured on the same held-back posts; both write from the same prefix and seeds; and both are given a
task in which nothing but a long memory helps (`recall.py`).
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import gluon_lstm
from gluon_lstm.files import write_png
from gluon_lstm.progress import Progress, silent

if TYPE_CHECKING:
    from gluon_lstm.demos.recall import Recall
    from gluon_lstm.text.corpus import Corpus
    from gluon_lstm.training.recipe import Recipe

VARIANTS = ("rnn", "standard")
POSTS = Path("data") / "posts_ja.txt"
MINUTES, POINTS = 0.1, 6
GAPS, SEEDS = (10, 30, 60), 3
TEXTS = 3


@dataclass(frozen=True)
class Trained:
    """One of the two after its time: (seconds of training, tokens, bits a character) whenever it was measured."""

    parameters: int
    curve: list[tuple[float, int, float]]
    samples: list[str]


@dataclass(frozen=True)
class Comparison:
    trained: dict[str, Trained]  # by variant
    recalls: list[Recall]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help=f"posts to train on (default: {POSTS})")
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, metavar="M", help=f"training of each, on FILE (default: {MINUTES})"
    )
    parser.add_argument("--prefix", default="こんにち", metavar="TEXT", help="how samples begin (default: こんにち)")


def run(
    out: Path | None = None,
    seed: int = 1,
    progress: Progress = silent,
    file: Path | None = None,
    minutes: float = MINUTES,
    prefix: str = "こんにち",
) -> Comparison:
    """Train both, for `minutes` each, on `file` (None: `default_file`), then for each gap; compare.png in `out`.

    Raises ValueError for a text that is too short, or cannot be read as one.
    """
    from gluon_lstm.text.codec import TextSettings
    from gluon_lstm.text.corpus import CorpusOptions, prepare
    from gluon_lstm.training.recipe import recipe_of

    recipes = [recipe_of("standard", variant=variant, minutes=minutes, patience=0, seed=seed) for variant in VARIANTS]
    file = file or default_file()
    corpus = prepare([file], TextSettings(), CorpusOptions(), progress=progress)
    if not len(corpus.validation):
        raise ValueError(f"{file}: too short to hold a part of it back, so nothing can be measured; use more posts")

    from gluon_lstm.demos.recall import recall  # MXNet is imported here, behind the processes that read the text

    trained = {recipe.variant: train(corpus, recipe, prefix, progress) for recipe in recipes}
    recalls = [
        recall(variant, gap, seed + k, progress=progress) for gap in GAPS for variant in VARIANTS for k in range(SEEDS)
    ]
    comparison = Comparison(trained, recalls)
    if out:
        draw(comparison, out / "compare.png")
    return comparison


def default_file() -> Path:
    """The posts that lie beside the package in its source; ValueError where it was installed without them."""
    path = Path(gluon_lstm.__file__).parent.parent / POSTS
    if not path.is_file():
        raise ValueError(f"{POSTS} comes with the source alone: give a FILE of posts to train on")
    return path


def train(corpus: Corpus, recipe: Recipe, prefix: str, progress: Progress) -> Trained:
    from gluon_lstm.model import Model
    from gluon_lstm.sampling.generator import TextGenerator, rng_for
    from gluon_lstm.training import loop
    from gluon_lstm.training.history import read
    from gluon_lstm.training.run_dir import HISTORY
    from gluon_lstm.training.schedule import Schedule

    def named(label: str, total: int | None, unit: str) -> Any:
        return progress(f"{label}, {recipe.variant}", total, unit)

    schedule = Schedule(validate_every=1 / POINTS, validate_epochs=False, validation_cost=math.inf)
    with TemporaryDirectory() as folder:
        last = loop.train(corpus, recipe, Path(folder), progress=named, schedule=schedule)
        generator, records = TextGenerator(Model.load(folder)), read(Path(folder) / HISTORY)
    rngs = [rng_for(recipe.seed, k) for k in range(TEXTS)]
    return Trained(
        parameters=sum(array.size for array in last.arrays.values()),
        curve=[(r.seconds, r.tokens, r.val_bpc) for r in records if r.val_bpc is not None],
        samples=generator.generate_batch(generator.prefix(prefix), rngs, posts=1),
    )


def lines(comparison: Comparison) -> list[str]:
    """Both curves, samples, and the table of the task."""
    from gluon_lstm.demos import recall

    table = ["held back, in bits a character"]
    for variant, one in comparison.trained.items():
        table += [f"{variant}: {one.parameters:,} parameters", f"{'seconds':>10}{'tokens':>12}{'bits':>8}"]
        table += [f"{seconds:>10.1f}{tokens:>12,}{bits:>8.3f}" for seconds, tokens, bits in one.curve]
    table += ["", "what they write"]
    for texts in zip(*(one.samples for one in comparison.trained.values())):
        for variant, text in zip(comparison.trained, texts):
            table.append(f"{variant:<10}{' ⏎ '.join(text.rstrip().splitlines())}")
    table += [
        "",
        f"which of {recall.SYMBOLS} symbols came first, asked behind a gap: share of right answers / updates until they"
        f" were, at most {recall.UPDATES}; {SEEDS} seeds, chance is {1 / recall.SYMBOLS}",
        f"{'gap':>4}" + "".join(f"{variant:>{12 * SEEDS}}" for variant in VARIANTS),
    ]
    for gap in GAPS:
        shares = [f"{r.accuracy:>6.2f} / {r.updates:<3}" for r in comparison.recalls if r.gap == gap]
        table.append(f"{gap:>4}{''.join(shares)}".rstrip())
    return table


def draw(comparison: Comparison, path: Path) -> None:
    """Bits a character against tokens and against seconds, and right answers against the gap, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.6), dpi=70, layout="constrained")
    by_tokens, by_seconds, by_gap = figure.subplots(1, 3)
    for variant, style in zip(VARIANTS, ("s--", "o-")):
        seconds, tokens, bits = zip(*comparison.trained[variant].curve)
        by_tokens.plot(tokens, bits, style, label=variant)
        by_seconds.plot(seconds, bits, style, label=variant)
        shares = [[r.accuracy for r in comparison.recalls if (r.variant, r.gap) == (variant, gap)] for gap in GAPS]
        (line,) = by_gap.plot(GAPS, [sum(each) / len(each) for each in shares], style, label=f"{variant}, mean")
        for gap, each in zip(GAPS, shares):
            by_gap.plot([gap] * len(each), each, "x", color=line.get_color())
    by_tokens.set(xlabel="tokens trained on", ylabel="held back, bits a character")
    by_seconds.set(xlabel="seconds of training", ylabel="held back, bits a character")
    by_gap.set(xlabel="gap, in steps", ylabel="share of right answers", ylim=(0, 1.05))
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.legend()
    write_png(figure, path)
