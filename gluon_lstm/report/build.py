"""What is in files of posts, found out and written down: report.html, report.json, words.csv and the pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm.files import atomic_write
from gluon_lstm.options import check, option
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.report import plots
from gluon_lstm.report._dependencies import check_libraries
from gluon_lstm.report.analysis import Analysis, AnalysisOptions, analyse
from gluon_lstm.report.cooccurrence import pairs
from gluon_lstm.report.findings import activity, samples, words_and_summary, words_apart
from gluon_lstm.report.memorization import memorization
from gluon_lstm.report.render import LANGUAGES, page, texts_in
from gluon_lstm.report.words import ALL, CONTENT, Selection, Table, tables
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.corpus import Paths

PICTURES = ("wordcloud", "words", "network", "activity")
DAYS = "days"  # the folder of the results by day
DAY_SUMMARY = 5  # posts, where a summary is not measured in characters
DAY_WORDS = 5  # distinctive words beside a day in the index


CLEANING = CleaningOptions(mentions="keep")  # mentions are counted


@dataclass(frozen=True)
class ReportOptions:
    """What a report holds. `compare` are files, `model` a model file or the folder of a run; mentions are kept."""

    analysis: AnalysisOptions = field(default_factory=lambda: AnalysisOptions(cleaning=CLEANING))
    selection: Selection = field(default_factory=Selection.read)
    top: int = option(20, "words per table", "K", minimum=1)
    summary: int | None = option(10, "posts of the summary", "K", minimum=1)
    summary_chars: int | None = option(None, "characters of the summary, instead of posts", "N", minimum=1)
    compare: Sequence[Path] = ()
    daily: bool = option(False, "a page for each day, where posts have dates")
    model: Path | None = option(None, "compare samples of this model with the posts", "MODEL", "memorization")
    samples: int = option(50, "samples of the model", "N", "memorization", minimum=1)
    seed: int = option(1, "seed of the samples", "S", "memorization", minimum=0)
    language: str = option("en", "language of the report", choices=LANGUAGES)

    def __post_init__(self) -> None:
        check(self)


def report(
    paths: Paths, out: Path, options: ReportOptions | None = None, notice: Notice = ignore, progress: Progress = silent
) -> dict[str, Any]:
    """Write the report on the posts in `paths` to the folder `out`, and return what report.json holds.

    Raises ImportError when a library of the extra is missing, TextError for posts that cannot be read, ValueError for
    options that cannot be met (`daily` without dates), ModelError and OSError.
    """
    check_libraries()
    options = options or ReportOptions()
    analysis = analyse(paths, options.analysis, notice, progress)
    if options.daily and np.isnat(analysis.dates).all():
        raise ValueError(
            "--daily: no post has a date; they are in Twitter archives, or in fields and columns named date or the like"
        )
    other = analyse(options.compare, options.analysis, notice, progress) if options.compare else None
    originals = None
    if options.model is not None:
        reading = options.analysis.reading
        originals = memorization(options.model, paths, reading, options.samples, options.seed, notice, progress)

    found = tables(analysis, options.selection)
    with progress("ranking", len(analysis), "posts") as advance:
        everything = np.arange(len(analysis))
        amounts = options.top, options.summary, options.summary_chars
        findings = {
            "files": [Path(path).name for path in paths],
            **words_and_summary(analysis, found, everything, *amounts),
        }
        if other is not None:
            there = tables(other, options.selection)[ALL]
            findings["distinctive"] = words_apart(
                found[ALL], there, options.top, [path.name for path in options.compare]
            )
        if originals is not None:
            findings["model"] = samples(originals)
        findings["network"] = [pair._asdict() for pair in pairs(found[CONTENT])]
        findings["activity"] = activity(analysis.dates)
        advance(len(analysis))
    drawn = _pictures(analysis, found, options, progress)

    out.mkdir(parents=True, exist_ok=True)
    days = list(_write_days(out, analysis, found, options, progress)) if options.daily else []
    if days:
        findings["days"] = [day for day, _ in days]
    index = [
        {"day": day["day"], "link": f"{DAYS}/{day['day']}.html", "posts": day["posts"], "words": words}
        for day, words in days
    ]
    links = [("#days", texts_in(options.language)["days"])] if days else []
    _write_text(out / "report.html", page(findings, drawn, options.language, links=links, days=index))
    _write_text(out / "report.json", json.dumps(findings, ensure_ascii=False, indent=1) + "\n")
    _write_words(out / "words.csv", found)
    for name in PICTURES:
        if name in drawn:
            _write_picture(out / f"{name}.png", drawn[name])
        else:
            (out / f"{name}.png").unlink(missing_ok=True)  # of an earlier report; it would seem to belong to this one
    return findings


def _pictures(
    analysis: Analysis, found: Mapping[str, Table], options: ReportOptions, progress: Progress
) -> dict[str, bytes]:
    """The pictures that there is something for, as PNG."""
    texts, content = texts_in(options.language), found[CONTENT]
    by_part = {name: found[name].rows(10 * plots.BARS) for name in options.selection.parts_of_speech}
    counts = dict(zip(content.words, content.counts.tolist()))
    draw = {
        "wordcloud": lambda: plots.word_cloud(content.rows(10 * plots.CLOUD_WORDS)),
        "words": lambda: plots.bars(by_part, texts["tables"]),
        "network": lambda: plots.network(pairs(content), counts),
        "activity": lambda: plots.activity(analysis.dates, texts),
    }
    drawn = {}
    with progress("drawing", len(draw), "pictures") as advance:
        for name, picture in draw.items():
            png = picture()
            advance(1)
            if png is not None:
                drawn[name] = png
    return drawn


def _write_days(
    out: Path, analysis: Analysis, found: Mapping[str, Table], options: ReportOptions, progress: Progress
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Write a page a day, with what sets it apart from the other days; what was found, and its distinctive words."""
    texts, folder = texts_in(options.language), out / DAYS
    folder.mkdir(exist_ok=True)
    day_of = analysis.dates.astype("datetime64[D]")
    days = np.unique(day_of[~np.isnat(day_of)])
    most = None if options.summary is None else min(options.summary, DAY_SUMMARY)
    amounts = options.top, most, options.summary_chars
    with progress("by day", len(days), "days") as advance:
        for day in days:
            posts, others = np.flatnonzero(day_of == day), np.flatnonzero(~np.isnat(day_of) & (day_of != day))
            findings = {"day": str(day), **words_and_summary(analysis, found, posts, *amounts)}
            here, there = found[ALL].of(posts), found[ALL].of(others)
            findings["distinctive"] = words_apart(here, there, options.top, [texts["other_days"]])
            cloud = plots.word_cloud(found[CONTENT].of(posts).rows(10 * plots.CLOUD_WORDS), 800, 450)
            drawn = {} if cloud is None else {"wordcloud": cloud}
            links = [("../report.html", texts["whole_report"])]
            html = page(findings, drawn, options.language, f"{texts['title']}: {day}", links)
            _write_text(folder / f"{day}.html", html)
            yield findings, [row["word"] for row in findings["distinctive"]["here"][:DAY_WORDS]]
            advance(1)


def _write_text(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text)


def _write_picture(path: Path, png: bytes) -> None:
    with atomic_write(path, "wb") as file:
        file.write(png)


def _write_words(path: Path, found: Mapping[str, Table]) -> None:
    """Every word of every table. With a byte order mark: Excel takes the file for UTF-8 then."""
    with atomic_write(path) as file:
        file.write("\ufeff")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["table", "word", "count", "posts", "share"])
        for name, table in found.items():
            if name != CONTENT:
                writer.writerows([name, row.word, row.count, row.posts, f"{row.share:.6f}"] for row in table.rows())
