"""gluon-lstm report: what is in these posts: word tables, a summary, pictures, as one page"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import (
    add_cache,
    add_cleaning,
    add_files,
    add_user_dictionary,
    cache_folder,
    cleaning_options,
    reading_options,
    user_dictionary,
)
from gluon_lstm.cli.terminal import notice, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the report")
    parser.add_argument("--top", type=int, default=20, metavar="K", help="words of a table (default: 20)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--summary", type=int, default=10, metavar="K", help="posts of the summary (default: 10)")
    length.add_argument("--summary-chars", type=int, metavar="N", help="characters of the summary, instead of posts")
    parser.add_argument("--compare", nargs="+", type=Path, default=[], metavar="OTHER", help="posts to compare with")
    parser.add_argument("--daily", action="store_true", help="a page for each day too, where posts have dates")
    parser.add_argument("--language", choices=["en", "ja"], default="en", help="of the report (default: en)")
    group = parser.add_argument_group("words")
    group.add_argument("--words", type=Path, metavar="FILE", help="JSON: parts of speech of tables, words left out")
    group.add_argument("--stop-words", type=Path, metavar="FILE", help="words left out besides, one a line")
    group.add_argument("--compound-nouns", action="store_true", help="neighbouring nouns are one word")
    add_user_dictionary(group)
    group = parser.add_argument_group("originality")
    group.add_argument("--model", type=Path, metavar="MODEL", help="compare samples of this model with the posts")
    group.add_argument("--samples", type=int, default=50, metavar="N", help="of the model (default: 50)")
    group.add_argument("--seed", type=int, default=1, metavar="S", help="the samples come from it (default: 1)")
    add_cache(parser)
    parser.add_argument("--no-cache", action="store_true", help="keep nothing between runs")
    add_cleaning(parser, mentions="keep")


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.report.analysis import AnalysisOptions
    from gluon_lstm.report.build import ReportOptions, report
    from gluon_lstm.report.render import short
    from gluon_lstm.report.words import Selection

    analysis = AnalysisOptions(
        reading=reading_options(args),
        cleaning=cleaning_options(args),
        user_dictionary=user_dictionary(args, notice),
        compound_nouns=args.compound_nouns,
        cache=None if args.no_cache else cache_folder(args),
    )
    options = ReportOptions(
        analysis=analysis,
        selection=Selection.read(args.words, args.stop_words),
        top=args.top,
        summary=args.summary if args.summary_chars is None else None,
        summary_characters=args.summary_chars,
        compare=args.compare,
        daily=args.daily,
        model=args.model,
        samples=args.samples,
        seed=args.seed,
        language=args.language,
    )
    print(short(report(args.files, args.out, options, notice, progress), args.language))
    notice(f"{args.out / 'report.html'}: the whole report")
    return 0
