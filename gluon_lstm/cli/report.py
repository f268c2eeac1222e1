"""gluon-lstm report: what is in these posts: word tables, a summary, pictures, as one page

DIR gets report.html (one file, for phones too), report.json with every number, words.csv with every word, and the
pictures wordcloud.png, words.png, network.png and, where posts have dates, activity.png (on the clock of Japan). Words
are counted by base form, without those that say nothing alone (の, さん, てる, する); words of the net (推し, ワイ,
エモい) are known. --like-notes counts as notes 003 do. The summary are the posts that LexRank ranks highest (Erkan &
Radev 2004), without near-duplicates. --compare lists the words that are more frequent in one of the texts, by
log-likelihood ratio (Dunning 1993; Rayson & Garside 2000). --model marks in each sample the longest part that occurs in
one post, and measures which of its n-grams (n = 3 to 8) occur in the posts. A report needs:
pip install -c constraints.txt ".[report]"
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from gluon_lstm.cli.options import add_files, add_options, given_options
from gluon_lstm.cli.terminal import progress
from gluon_lstm.language import _, language

EXAMPLES = (
    "gluon-lstm report posts.txt --out runs/report",
    "gluon-lstm report tweets.js --out runs/report --daily --language ja",
    "gluon-lstm report posts.txt --out runs/report --model runs/mine --samples 100",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.report.from_files import CLEANING, OPTIONS

    add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=_("directory of the report"))
    parser.add_argument("--compare", nargs="+", type=Path, default=[], metavar="OTHER", help=_("posts to compare with"))
    words = parser.add_argument_group(_("words"))
    words.add_argument(
        "--word-classes", type=Path, metavar="FILE", help=_("JSON: parts of speech per table, stop words")
    )
    words.add_argument("--stop-words", type=Path, metavar="FILE", help=_("more words to leave out, one a line"))
    words.add_argument("--like-notes", action="store_true", help=_("count all nouns and verbs, as notes 003 do"))
    for settings in OPTIONS:
        add_options(parser, settings, defaults=asdict(CLEANING) if isinstance(CLEANING, settings) else None)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.report.from_files import OPTIONS, report
    from gluon_lstm.report.render import render_text

    words = {"word_classes": args.word_classes, "stop_words": args.stop_words, "like_notes": args.like_notes}
    options = {"language": language(), **given_options(args, *OPTIONS)}
    findings = report(args.files, args.out, args.compare, **words, **options, notice=args.notice, progress=progress)
    print(render_text(findings, options["language"]))
    args.notice(_("{page}: the whole report").format(page=args.out / "report.html"))
    return 0
