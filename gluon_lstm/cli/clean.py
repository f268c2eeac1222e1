"""gluon-lstm clean: show what cleaning does to posts, and write the cleaned ones

Prints what was read and left out by source, how many posts each step changed or dropped with examples before and
after, and the first three and three random posts as a model reads them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import add_files, add_options, given_options
from gluon_lstm.cli.terminal import progress
from gluon_lstm.columns import ljust, width
from gluon_lstm.language import _

MAX_SHOWN = 300  # characters of a post that are printed

EXAMPLES = (
    "gluon-lstm clean posts.txt",
    "gluon-lstm clean tweets.js --out posts.jsonl",
    "gluon-lstm clean posts.csv --column body --mentions keep --out posts.txt",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.text.cleaning import CleaningOptions
    from gluon_lstm.text.sources.reading import ReadingOptions

    add_files(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help=_("write the cleaned posts to FILE (.jsonl, or .txt)"))
    parser.add_argument("--force", action="store_true", help=_("replace FILE if it already exists"))
    for settings in (ReadingOptions, CleaningOptions):
        add_options(parser, settings)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.text.cleaned_files import write_cleaned
    from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
    from gluon_lstm.text.sources.reading import ReadingOptions

    cleaner = Cleaner(CleaningOptions(**given_options(args, CleaningOptions)))
    reading = ReadingOptions(**given_options(args, ReadingOptions))
    result = write_cleaned(args.files, cleaner, args.out, reading, args.notice, progress, force=args.force)
    for summary in result.summaries:
        print(summary.line())
    names = {name: name if name in cleaner.examples else _(name) for name in cleaner.counts}  # steps: as the options
    columns = max(map(width, names.values()))
    print()
    for name, count in cleaner.counts.items():
        print(f"{ljust(names[name], columns)}  {count:>10,}")
    for name, pairs in cleaner.examples.items():
        for before, after in pairs:
            print(f"\n{name}\n  - {before!r}\n  + {after!r}")
    headings = (_("first posts, as a model reads them"), _("random posts, as a model reads them"))
    for heading, posts in zip(headings, (result.first, result.sample)):
        if posts:
            print(f"\n{heading}")
        for post in posts:
            print("  | " + post[:MAX_SHOWN].replace("\n", "\n  : ") + ("…" if len(post) > MAX_SHOWN else ""))
    if args.out:
        line = _("{out}: {posts:,} posts").format(out=args.out, posts=cleaner.counts["kept"])
        if result.joined:
            line += _(", newlines replaced by spaces in {joined:,} of them").format(joined=result.joined)
        print(f"\n{line}")
    return 0
