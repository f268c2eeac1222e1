"""What is found in posts, as plain values: what report.json holds, and the page and the terminal show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gluon_lstm.report.analysis import Analysis
from gluon_lstm.report.keyness import keywords
from gluon_lstm.report.memorization import SIZES, Memorization
from gluon_lstm.report.summary import summarize
from gluon_lstm.report.words import CONTENT, Table


def words_and_summary(
    analysis: Analysis,
    found: Mapping[str, Table],
    posts: np.ndarray,
    top: int,
    most: int | None,
    characters: int | None,
) -> dict[str, Any]:
    """Of some of the posts (their indices, ascending): the `top` words of each table, and the summary.

    The summary has at most `most` posts and `characters` code points.
    """
    dates = analysis.dates[posts]
    known = dates[~np.isnat(dates)]
    content = found[CONTENT].of(posts)
    lengths = analysis.lengths[posts]
    chosen = summarize(content.X, lengths, most, characters)
    return {
        "posts": len(posts),
        "characters": int(lengths.sum()),
        "first_date": str(known.min().astype("datetime64[D]")) if len(known) else None,
        "last_date": str(known.max().astype("datetime64[D]")) if len(known) else None,
        "tables": {
            name: [asdict(row) for row in table.of(posts).rows(top)] for name, table in found.items() if name != CONTENT
        },
        "summary": [{"post": int(posts[k]), "text": analysis.text(int(posts[k]))} for k in chosen],
    }


def words_apart(here: Table, there: Table, top: int, names: Sequence[str]) -> dict[str, Any]:
    """What is distinctive of either side; `names` say what is there."""
    more_here, more_there = keywords(here, there, top)
    rows = {"here": [row._asdict() for row in more_here], "there": [row._asdict() for row in more_there]}
    return {"compared_with": ", ".join(names), **rows}


def activity(dates: np.ndarray) -> dict[str, Any]:
    """Posts by day, and by hour of the day; without dates both are empty."""
    known = dates[~np.isnat(dates)]
    days, counts = np.unique(known.astype("datetime64[D]"), return_counts=True)
    hours = np.bincount((known - known.astype("datetime64[D]")).astype(np.int64) // 3600, minlength=24)
    return {
        "days": {str(day): int(n) for day, n in zip(days, counts)},
        "hours": hours.tolist() if len(known) else [],
    }


def samples(originals: Memorization) -> dict[str, Any]:
    """What a model wrote, and how much of it is not its own."""
    return {
        "copies": originals.copies,
        "validation_posts": originals.validation_posts,
        "n_grams": [
            {"n": n, "samples": originals.sample_shares.get(n), "validation": originals.validation_shares.get(n)}
            for n in SIZES
        ],
        "samples": [asdict(sample) for sample in originals.samples],
    }
