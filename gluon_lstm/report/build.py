"""Report on files of posts: report.html, report.json, words.csv and the plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm.files import REPORT_FILES, atomic_write, check_outputs
from gluon_lstm.language import LANGUAGES, _
from gluon_lstm.options import check, option
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.report import plots
from gluon_lstm.report._dependencies import check_libraries
from gluon_lstm.report.analysis import Analysis, AnalysisOptions, analyze
from gluon_lstm.report.cooccurrence import strongest_pairs
from gluon_lstm.report.findings import activity_findings, keyness_findings, memorization_findings, word_findings
from gluon_lstm.report.render import load_labels, render_html
from gluon_lstm.report.words import ALL_WORDS, CONTENT_WORDS, Selection, WordTable, word_tables
from gluon_lstm.sampling.memorization import memorization
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.sources.authors import ALL_AUTHORS
from gluon_lstm.text.sources.files import files_to_read
from gluon_lstm.text.sources.reading import Paths, TextError

PLOTS = ("wordcloud", "words", "network", "activity")
DAYS_DIR = "days"  # subdirectory of the day pages
MAX_DAY_SUMMARY_POSTS = 5  # maximum posts in the summary of a day
MAX_DAY_WORDS = 5  # maximum distinctive words of a day in the index


CLEANING = CleaningOptions(mentions="keep", width="fold")  # mentions are counted, and words in one form


@dataclass(frozen=True)
class ReportOptions:
    """Contents of a report. `compare` are files of other posts. Raises ValueError for an invalid value."""

    analysis: AnalysisOptions = field(default_factory=lambda: AnalysisOptions(cleaning=CLEANING))
    selection: Selection = field(default_factory=Selection.read)
    top: int = option(20, "words per table", "K", minimum=1)
    summary: int | None = option(10, "posts of the summary", "K", minimum=1)
    summary_chars: int | None = option(None, "characters of the summary, instead of posts", "N", minimum=1)
    compare: Sequence[Path] = ()
    compare_author: str | None = option(
        None, "writer of the posts to compare with; *: all (default: all but the report's)", "NAME"
    )
    daily: bool = option(False, "a page for each day, where posts have dates")
    model: Path | None = option(None, "compare samples of this model with the posts", "MODEL", "memorization")
    samples: int = option(50, "samples of the model", "N", "memorization", minimum=1)
    seed: int = option(1, "seed of the samples", "S", "memorization", minimum=0)
    language: str = option("en", "language of the report", choices=LANGUAGES)

    def __post_init__(self) -> None:
        check(self)


def build_report(
    paths: Paths, out: Path, options: ReportOptions | None = None, notice: Notice = ignore, progress: Progress = silent
) -> dict[str, Any]:
    """Write the report on the posts in `paths` to the directory `out`; return the values of report.json.

    Raises ImportError when a library of the extra is missing, TextError for unreadable posts, ValueError for `daily`
    without dates and for a report that would overwrite a file read, ModelError and OSError.
    """
    check_libraries()
    options = options or ReportOptions()
    read = [file.path for each in (paths, options.compare) for file in files_to_read(each, options.analysis.reading)]
    check_report_outputs(out, [*read, options.model])
    analysis = analyze(paths, options.analysis, notice, progress)
    if options.daily and np.isnat(analysis.dates).all():
        raise ValueError(
            _(
                "`daily`: no post has a date;"
                " use posts with dates (Twitter archives, or a column or field such as `date`)"
            )
        )
    other = _analyze_compared(options, notice, progress) if options.compare else None
    measured = None
    if options.model is not None:
        reading = options.analysis.reading
        measured = memorization(options.model, paths, reading, options.samples, options.seed, notice, progress)

    for summary in (*analysis.summaries, *(other.summaries if other else ())):
        notice(summary.line())
    tables = word_tables(analysis, options.selection)
    with progress(_("ranking"), len(analysis), _("posts")) as advance:
        all_posts = np.arange(len(analysis))
        limits = options.top, options.summary, options.summary_chars
        findings = {
            "files": [Path(path).name for path in paths],
            **word_findings(analysis, tables, all_posts, *limits),
        }
        if other is not None:
            other_words = word_tables(other, options.selection)[ALL_WORDS]
            findings["distinctive"] = keyness_findings(
                tables[ALL_WORDS], other_words, options.top, [path.name for path in options.compare]
            )
        if measured is not None:
            findings["model"] = memorization_findings(measured)
        findings["network"] = [pair._asdict() for pair in strongest_pairs(tables[CONTENT_WORDS])]
        findings["activity"] = activity_findings(analysis.dates)
        advance(len(analysis))
    pngs = _draw_plots(analysis, tables, options, progress)

    out.mkdir(parents=True, exist_ok=True)
    days = list(_write_day_pages(out, analysis, tables, options, progress)) if options.daily else []
    if days:
        findings["days"] = [day for day, _words in days]
    index = [
        {"day": day["day"], "link": f"{DAYS_DIR}/{day['day']}.html", "posts": day["posts"], "words": words}
        for day, words in days
    ]
    links = [("#days", load_labels(options.language)["days"])] if days else []
    _write_text(out / "report.html", render_html(findings, pngs, options.language, links=links, days=index))
    _write_text(out / "report.json", json.dumps(findings, ensure_ascii=False, indent=1) + "\n")
    _write_words_csv(out / "words.csv", tables)
    for name in PLOTS:
        if name in pngs:
            _write_png(out / f"{name}.png", pngs[name])
        else:
            (out / f"{name}.png").unlink(missing_ok=True)  # stale plot of an earlier report
    return findings


def _analyze_compared(options: ReportOptions, notice: Notice, progress: Progress) -> Analysis:
    """Return the analysis of the posts to compare with: of one writer, or of all but the writer of the report."""
    reading, chosen = options.analysis.reading, options.compare_author
    unwanted = reading.author if chosen is None and reading.author != ALL_AUTHORS else None
    reading = replace(reading, author=chosen or ALL_AUTHORS, except_author=unwanted)
    try:
        return analyze(options.compare, replace(options.analysis, reading=reading), notice, progress)
    except TextError as error:
        raise TextError(str(error).replace("`author`", "`compare_author`")) from None


def check_report_outputs(out: Path, inputs: Iterable[str | Path | None]) -> None:
    """Raise ValueError if a report in the directory `out` would overwrite one of the files `inputs`."""
    check_outputs([*(out / name for name in REPORT_FILES), *(out / DAYS_DIR).glob("*.html")], filter(None, inputs))


def _draw_plots(
    analysis: Analysis, tables: Mapping[str, WordTable], options: ReportOptions, progress: Progress
) -> dict[str, bytes]:
    """Return the plots as PNG by name, without those that would be empty."""
    labels, content = load_labels(options.language), tables[CONTENT_WORDS]
    by_part_of_speech = {
        name: tables[name].rows(10 * plots.BARS_PER_PANEL) for name in options.selection.parts_of_speech
    }
    counts = dict(zip(content.words, content.counts.tolist()))
    draw = {
        "wordcloud": lambda: plots.word_cloud(content.rows(10 * plots.MAX_CLOUD_WORDS)),
        "words": lambda: plots.bars(by_part_of_speech, labels["tables"]),
        "network": lambda: plots.network(strongest_pairs(content), counts),
        "activity": lambda: plots.activity(analysis.dates, labels),
    }
    pngs = {}
    with progress(_("drawing"), len(draw), _("plots")) as advance:
        for name, plot in draw.items():
            png = plot()
            advance(1)
            if png is not None:
                pngs[name] = png
    return pngs


def _write_day_pages(
    out: Path, analysis: Analysis, tables: Mapping[str, WordTable], options: ReportOptions, progress: Progress
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Write a page for each day; yield the findings of the day and its words distinctive against the other days."""
    labels, directory = load_labels(options.language), out / DAYS_DIR
    directory.mkdir(exist_ok=True)
    day_of = analysis.dates.astype("datetime64[D]")
    days = np.unique(day_of[~np.isnat(day_of)])
    summary_posts = None if options.summary is None else min(options.summary, MAX_DAY_SUMMARY_POSTS)
    limits = options.top, summary_posts, options.summary_chars
    with progress(_("by day"), len(days), _("days")) as advance:
        for day in days:
            posts, others = np.flatnonzero(day_of == day), np.flatnonzero(~np.isnat(day_of) & (day_of != day))
            findings = {"day": str(day), **word_findings(analysis, tables, posts, *limits)}
            here, there = (tables[ALL_WORDS].select_posts(which) for which in (posts, others))
            findings["distinctive"] = keyness_findings(here, there, options.top, [labels["other_days"]])
            content = tables[CONTENT_WORDS].select_posts(posts)
            cloud = plots.word_cloud(content.rows(10 * plots.MAX_CLOUD_WORDS), 800, 450)
            pngs = {} if cloud is None else {"wordcloud": cloud}
            links = [("../report.html", labels["whole_report"])]
            html = render_html(findings, pngs, options.language, labels["title_of_day"].format(day=day), links)
            _write_text(directory / f"{day}.html", html)
            yield findings, [row["word"] for row in findings["distinctive"]["here"][:MAX_DAY_WORDS]]
            advance(1)


def _write_text(path: Path, text: str) -> None:
    with atomic_write(path) as file:
        file.write(text)


def _write_png(path: Path, png: bytes) -> None:
    with atomic_write(path, "wb") as file:
        file.write(png)


def _write_words_csv(path: Path, tables: Mapping[str, WordTable]) -> None:
    """Write all rows of all tables as CSV, with a byte order mark, from which Excel detects UTF-8."""
    with atomic_write(path) as file:
        file.write("\ufeff")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["table", "word", "count", "posts", "share"])
        for name, table in tables.items():
            if name != CONTENT_WORDS:
                writer.writerows([name, row.word, row.count, row.posts, f"{row.share:.6f}"] for row in table.rows())
