"""gluon-lstm clean: show what cleaning does to posts, and write the cleaned ones"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import add_cleaning, add_files, cleaning_options, reading_options
from gluon_lstm.cli.terminal import notice, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_files(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the cleaned posts to FILE (.jsonl, or .txt)")
    add_cleaning(parser)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.text.cleaned import write_cleaned
    from gluon_lstm.text.cleaning import Cleaner

    cleaner = Cleaner(cleaning_options(args))
    joined = write_cleaned(args.files, cleaner, args.out, reading_options(args), notice, progress)
    width = max(map(len, cleaner.counts))
    for name, count in cleaner.counts.items():
        print(f"{name:<{width}}  {count:>10,}")
    for name, pairs in cleaner.examples.items():
        for before, after in pairs:
            print(f"\n{name}\n  - {before!r}\n  + {after!r}")
    if args.out:
        spaced = f", newlines made spaces in {joined:,} of them" if joined else ""
        print(f"\n{args.out}: {cleaner.counts['kept']:,} posts{spaced}")
    return 0
