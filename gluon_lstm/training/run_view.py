"""What the page of a run shows, collected from the run and its directory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from gluon_lstm.pages.run import RunView
from gluon_lstm.training.baselines import bits_per_character
from gluon_lstm.training.recipe import NO_BASE
from gluon_lstm.training.run import Run
from gluon_lstm.training.run_dir import RunDirectory
from gluon_lstm.training.run_log import SAMPLE_MARK

LN2 = math.log(2)
MAX_SAMPLE = 2000  # characters of a sample in the page


def run_view(run: Run, run_dir: RunDirectory, baselines: Mapping[str, float], status: str) -> RunView:
    """Return the view of a run with this status; `baselines`: name -> nats per token."""
    corpus, recipe = run.corpus, run.recipe
    text = {
        "posts": f"{corpus.posts:,}",
        "characters": f"{corpus.characters:,}",
        "vocabulary": f"{len(corpus.codec.vocabulary):,}",
    }
    seconds_per_update = run.state.seconds / run.steps if run.steps else 0.0
    return RunView(
        name=run_dir.out.resolve().name,
        status=status,
        records=[asdict(record) for record in run_dir.history.records],
        baselines={name: bits_per_character(corpus, loss) for name, loss in baselines.items()},
        bits_per_nat=len(corpus.validation) / max(corpus.validation_chars, 1) / LN2,
        samples=first_and_newest(run_dir.samples.path),
        settings={**text, **{name: value for name, value in asdict(recipe).items() if value is not None}},
        tokens=len(corpus.train),
        weights=run.trainer.W.count(),
        seconds_left=run.limits.seconds_left(run.elapsed, seconds_per_update),
        base=recipe.from_ or NO_BASE,
    )


def first_and_newest(path: Path) -> list[tuple[str, str]]:
    """Return (heading, text) of the first and of the newest sample in a samples.txt; one of them, or none."""
    if not path.exists():
        return []
    _, *samples = f"\n{path.read_text(encoding='utf-8', errors='replace')}".split(f"\n{SAMPLE_MARK}")
    found = [sample.partition("\n")[::2] for sample in (samples[:1] + samples[1:][-1:])]
    return [(heading, text.strip("\n")[:MAX_SAMPLE]) for heading, text in found]
