"""The page of a training run: curve, samples, settings, events and advice; it reloads itself while the run lives."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gluon_lstm.pages import page
from gluon_lstm.pages.advice import advise
from gluon_lstm.pages.curve import curve

RELOAD_SECONDS = 5
SECONDS_UP_TO = 120  # longer times are shown in minutes
TRAINING, COMPLETE, STOPPED = "training", "complete", "stopped"  # status of a run


@dataclass(frozen=True)
class RunView:
    """What the page of a run shows, as plain values.

    `records`: the lines of history.jsonl. `baselines`: name -> bits per character. `samples`: (heading, text), the
    first and the newest. `settings`: name -> value. `bits_per_nat`: bits per character of a nat per token.
    """

    name: str
    status: str
    records: Sequence[Mapping[str, Any]]
    baselines: Mapping[str, float]
    bits_per_nat: float
    samples: Sequence[tuple[str, str]]
    settings: Mapping[str, Any]
    tokens: int
    weights: int
    seconds_left: float | None = None
    base: str = "none"


def run_page(view: RunView, language: str | None = None) -> str:
    """Return the HTML page of a run. It begins in `language`; None: in that of the reader's browser."""
    records, baselines = view.records, view.baselines
    last = records[-1] if records else None
    in_minutes = last is not None and last["seconds"] > SECONDS_UP_TO
    unit = 60 if in_minutes else 1
    trained = [(r["seconds"], r["moving_loss"] * view.bits_per_nat) for r in records if r["moving_loss"] is not None]
    validated = [(r["seconds"], r["val_bpc"]) for r in records if r["val_bpc"] is not None]
    lines = {
        name: [(seconds / unit, bits) for seconds, bits in line]
        for name, line in (("training", trained), ("validation", validated))
    }
    return page.render(
        "run.html",
        title=view.name,
        styles=("style.css", "run.css"),
        scripts=("run.js",),
        language=language,
        view=view,
        all_labels=page.labels("run"),
        reload=RELOAD_SECONDS if view.status == TRAINING else None,
        duration=duration,
        in_minutes=in_minutes,
        curve=curve(lines, baselines),
        last=last,
        rate=last["tokens"] / last["seconds"] if last and last["seconds"] else None,
        best=min(validated, key=lambda point: point[1]) if validated else None,
        rolled_back=[record for record in records if record["rolled_back_to"] is not None],
        advice=advise(records, view.status != TRAINING, view.tokens, view.weights, baselines.get("bigram"), view.base),
    )


def duration(seconds: float, labels: Mapping[str, str]) -> str:
    """Return a duration in the language of the labels: in seconds, or in minutes if it is longer than that."""
    if seconds <= SECONDS_UP_TO:
        return labels["in_seconds"].format(seconds)
    return labels["in_minutes"].format(seconds / 60)


def write(view: RunView, path: str | os.PathLike[str], language: str | None = None) -> None:
    """Write `run_page` to `path`, atomically. Raises OSError."""
    page.write(run_page(view, language), path)
