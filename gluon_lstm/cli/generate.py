"""gluon-lstm generate: write texts that begin with a prefix

MXNet is not needed. The prefix is cleaned like the posts; with words its end may be the beginning of a longer word. A
post has at most 1000 characters. The same model, options, seed and machine give the same text.

With --fit-post, --unique and --not-in, posts that do not qualify are generated again; after 200 such posts in a row the
command ends with an error. --format jsonl prints the seed and all else that gives the same text again.
"""

from __future__ import annotations

import argparse
import sys

from gluon_lstm.cli.options import add_model, add_options, given_options
from gluon_lstm.cli.terminal import json_line
from gluon_lstm.language import _
from gluon_lstm.system import limit_blas_threads

EXAMPLES = (
    "gluon-lstm generate runs/mine --prefix こんにち --posts 5",
    "gluon-lstm generate runs/mine --posts 20 --fit-post --not-in posts.txt --format jsonl",
    "gluon-lstm generate runs/novel --prefix 吾輩は --length 400 --top-p 0.95",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.sampling.options import SamplingOptions, SelectionOptions
    from gluon_lstm.text.sources.reading import ReadingOptions

    add_model(parser)
    parser.add_argument("--prefix", default="", metavar="TEXT", help=_("beginning of each text (default: nothing)"))
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--length", type=int, metavar="N", help=_("write N characters after the prefix"))
    amount.add_argument("--posts", type=int, metavar="K", help=_("write K posts, each from the prefix (default: 1)"))
    parser.add_argument("--count", type=int, default=1, metavar="N", help=_("write N independent texts (default: 1)"))
    parser.add_argument("--seed", type=int, metavar="S", help=_("seed: the same one writes the same texts"))
    add_options(parser, SelectionOptions)
    parser.add_argument(
        "--not-in", nargs="+", default=(), metavar="FILE", help=_("no post of these files either; implies --unique")
    )
    parser.add_argument(
        "--format", choices=("text", "jsonl"), default="text", help=_("jsonl: one JSON object a line (default: text)")
    )
    add_options(parser, SamplingOptions)
    add_options(parser, ReadingOptions)


def run(args: argparse.Namespace) -> int:
    if args.count > 1:
        limit_blas_threads()  # a batch runs on each core

    from gluon_lstm.sampling.language_model import LanguageModel
    from gluon_lstm.sampling.options import SamplingOptions, SelectionOptions
    from gluon_lstm.text.sources.reading import ReadingOptions

    lm = LanguageModel.load(args.model, args.notice)
    arguments = {
        "posts": args.posts,
        "length": args.length,
        "count": args.count,
        "seed": args.seed,
        "not_in": args.not_in,
        "reading": ReadingOptions(**given_options(args, ReadingOptions)),
        **given_options(args, SelectionOptions, SamplingOptions),
    }
    if args.format == "jsonl":
        for record in lm.records(args.prefix, **arguments):
            print(json_line(record), flush=True)
        return 0
    for piece in lm.stream(args.prefix, **arguments):
        sys.stdout.write(piece)
        sys.stdout.flush()
    return 0
