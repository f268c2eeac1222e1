"""Contents of report.json as plain values; the HTML page and the terminal text show the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from gluon_lstm.report.analysis import Analysis
from gluon_lstm.report.keyness import keywords
from gluon_lstm.report.summary import summarize
from gluon_lstm.report.words import CONTENT_WORDS, WordTable
from gluon_lstm.sampling.memorization import NGRAM_SIZES, Memorization


def word_findings(
    analysis: Analysis,
    tables: Mapping[str, WordTable],
    posts: np.ndarray,
    top: int,
    summary_posts: int | None,
    summary_characters: int | None,
) -> dict[str, Any]:
    """Return the `top` words of each table and the summary of some posts, given by their ascending indices.

    The summary has at most `summary_posts` posts and `summary_characters` code points (None: no limit).
    """
    dates = analysis.dates[posts]
    known = dates[~np.isnat(dates)]
    content = tables[CONTENT_WORDS].select_posts(posts)
    lengths = analysis.lengths[posts]
    chosen = summarize(content.X, lengths, summary_posts, summary_characters)
    return {
        "posts": len(posts),
        "characters": int(lengths.sum()),
        "first_date": str(known.min().astype("datetime64[D]")) if len(known) else None,
        "last_date": str(known.max().astype("datetime64[D]")) if len(known) else None,
        "tables": {
            name: [asdict(row) for row in table.select_posts(posts).rows(top)]
            for name, table in tables.items()
            if name != CONTENT_WORDS
        },
        "summary": [{"post": int(posts[k]), "text": analysis.text(int(posts[k]))} for k in chosen],
    }


def keyness_findings(here: WordTable, there: WordTable, top: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the `top` words distinctive of `here` and of `there`; `names` are the sources of `there`."""
    more_here, more_there = keywords(here, there, top)
    rows = {"here": [row._asdict() for row in more_here], "there": [row._asdict() for row in more_there]}
    return {"compared_with": ", ".join(names), **rows}


def activity_findings(dates: np.ndarray) -> dict[str, Any]:
    """Return the number of posts by day and by hour of the day; both are empty without dates."""
    known = dates[~np.isnat(dates)]
    days, counts = np.unique(known.astype("datetime64[D]"), return_counts=True)
    hours = np.bincount((known - known.astype("datetime64[D]")).astype(np.int64) // 3600, minlength=24)
    return {
        "days": {str(day): int(n) for day, n in zip(days, counts)},
        "hours": hours.tolist() if len(known) else [],
    }


def memorization_findings(measured: Memorization) -> dict[str, Any]:
    """Return the samples of a model and how much of them is copied from the corpus."""
    return {
        "copies": measured.copies,
        "validation_posts": measured.validation_posts,
        "n_grams": [
            {"n": n, "samples": measured.sample_shares.get(n), "validation": measured.validation_shares.get(n)}
            for n in NGRAM_SIZES
        ],
        "samples": [asdict(sample) for sample in measured.samples],
    }
