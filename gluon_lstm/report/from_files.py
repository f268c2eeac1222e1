"""A report from files: options -> analysis of the posts -> report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gluon_lstm.language import _
from gluon_lstm.options import take
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.report.analysis import AnalysisOptions
from gluon_lstm.report.build import CLEANING, ReportOptions, build_report, check_report_outputs
from gluon_lstm.report.words import NOTES_SELECTION, Selection
from gluon_lstm.text.cache import CacheOptions
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.sources.reading import Paths, ReadingOptions
from gluon_lstm.text.user_dictionary import DictionaryOptions

OPTIONS = (ReportOptions, AnalysisOptions, DictionaryOptions, CacheOptions, ReadingOptions, CleaningOptions)


def report(
    paths: Paths,
    out: Path,
    compare: Sequence[Path] = (),
    word_classes: Path | None = None,
    stop_words: Path | None = None,
    like_notes: bool = False,
    notice: Notice = ignore,
    progress: Progress = silent,
    **options: Any,
) -> dict[str, Any]:
    """Write the report on the posts in `paths` to the directory `out`; return the values of report.json.

    `like_notes` counts the words as notes 003 do. `options` are the fields of OPTIONS by name, as docs/cli.md lists
    them. Raises ValueError for an invalid option and the errors of `build_report`.
    """
    values = dict(options)
    if {"summary", "summary_chars"} <= values.keys():
        raise ValueError(_("`summary` and `summary_chars` contradict each other: use one of them"))
    if "summary_chars" in values:
        values["summary"] = None
    if like_notes and word_classes:
        raise ValueError(_("`like_notes` and `word_classes` contradict each other: use one of them"))
    dictionary = DictionaryOptions(**take(DictionaryOptions, values))
    check_report_outputs(out, [word_classes, stop_words, dictionary.user_dictionary])
    analysis = AnalysisOptions(
        reading=ReadingOptions(**take(ReadingOptions, values)),
        cleaning=replace(CLEANING, **take(CleaningOptions, values)),
        user_dictionary=dictionary.entries(notice),
        net_words=not like_notes,
        cache=CacheOptions(**take(CacheOptions, values)).folder,
        **take(AnalysisOptions, values),
    )
    selection = Selection.read(NOTES_SELECTION if like_notes else word_classes, stop_words)
    chosen = ReportOptions(analysis=analysis, selection=selection, compare=compare, **take(ReportOptions, values))
    if values:
        raise TypeError(f"report has no option {', '.join(values)}")
    return build_report(paths, out, chosen, notice, progress)
