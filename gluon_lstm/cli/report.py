"""gluon-lstm report: what is in these posts: word tables, a summary, pictures, as one page"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path

from gluon_lstm.cli.options import add_files, add_options, given_options
from gluon_lstm.cli.terminal import progress
from gluon_lstm.text.cache import CacheOptions
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.sources.reading import ReadingOptions
from gluon_lstm.text.user_dictionary import DictionaryOptions

EXAMPLES = (
    "gluon-lstm report posts.txt --out runs/report",
    "gluon-lstm report tweets.js --out runs/report --daily --language ja",
    "gluon-lstm report posts.txt --out runs/report --model runs/mine --samples 100",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.report.analysis import AnalysisOptions
    from gluon_lstm.report.build import CLEANING, ReportOptions

    add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="directory of the report")
    parser.add_argument("--compare", nargs="+", type=Path, default=[], metavar="OTHER", help="posts to compare with")
    add_options(parser, ReportOptions)
    words = parser.add_argument_group("words")
    words.add_argument("--word-classes", type=Path, metavar="FILE", help="JSON: parts of speech per table, stop words")
    words.add_argument("--stop-words", type=Path, metavar="FILE", help="more words to leave out, one a line")
    for settings in (AnalysisOptions, DictionaryOptions, CacheOptions, ReadingOptions):
        add_options(parser, settings)
    add_options(parser, CleaningOptions, defaults=asdict(CLEANING))


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.report.analysis import AnalysisOptions
    from gluon_lstm.report.build import CLEANING, ReportOptions, build_report
    from gluon_lstm.report.render import render_text
    from gluon_lstm.report.words import Selection

    analysis = AnalysisOptions(
        reading=ReadingOptions(**given_options(args, ReadingOptions)),
        cleaning=replace(CLEANING, **given_options(args, CleaningOptions)),
        user_dictionary=DictionaryOptions(**given_options(args, DictionaryOptions)).entries(args.notice),
        cache=CacheOptions(**given_options(args, CacheOptions)).folder,
        **given_options(args, AnalysisOptions),
    )
    chosen = given_options(args, ReportOptions)
    if {"summary", "summary_chars"} <= chosen.keys():
        raise ValueError("`summary` and `summary_chars` contradict each other: use one of them")
    if "summary_chars" in chosen:
        chosen["summary"] = None
    selection = Selection.read(args.word_classes, args.stop_words)
    options = ReportOptions(analysis=analysis, selection=selection, compare=args.compare, **chosen)
    print(render_text(build_report(args.files, args.out, options, args.notice, progress), options.language))
    args.notice(f"{args.out / 'report.html'}: the whole report")
    return 0
