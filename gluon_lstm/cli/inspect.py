"""gluon-lstm inspect: watch the gates of a model, or of two side by side, on a text, as one page

FILE.html shows the text shaded by any gate or state of any cell, the likeliest next characters, the surprise in bits,
the cells that correlate with what a person can name, and the cells that are on in a selected part. Without --text or
--file the model writes the text. The page holds the text and what the model does on it, not the model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import add_model, add_options, given_options
from gluon_lstm.language import _

EXAMPLES = (
    "gluon-lstm inspect ja --text 「今日は雨だ」と彼は言った。 --out gates.html",
    "gluon-lstm inspect runs/mine --file posts.txt --out gates.html",
    "gluon-lstm inspect ja runs/mine --file posts.txt --length 1000 --out both.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.pages.options import InspectOptions
    from gluon_lstm.text.sources.reading import ReadingOptions

    add_model(parser)
    parser.add_argument("other", nargs="?", metavar="OTHER", help=_("a second model, shown beside the first"))
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.html", help=_("the page to write"))
    given = parser.add_mutually_exclusive_group()
    given.add_argument("--text", metavar="TEXT", help=_("the text that the models read"))
    given.add_argument("--file", type=Path, metavar="FILE", help=_("posts that the models read"))
    add_options(parser, InspectOptions)
    add_options(parser, ReadingOptions)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.pages.inspect import inspect
    from gluon_lstm.pages.options import InspectOptions
    from gluon_lstm.text.pipeline import FileSource, PostSource
    from gluon_lstm.text.sources.reading import ReadingOptions

    reading = ReadingOptions(**given_options(args, ReadingOptions))
    options = InspectOptions(**given_options(args, InspectOptions))
    source: FileSource | PostSource | None = None
    if args.file is not None:
        source = FileSource([args.file], reading, args.notice)
    elif args.text is not None:
        source = PostSource([args.text])
    models = [args.model, *filter(None, [args.other])]
    size = inspect(models, source, args.out, options, args.notice)
    print(_("{page}: {megabytes:.1f} MB; open it in a browser").format(page=args.out, megabytes=size / 1e6))
    return 0
