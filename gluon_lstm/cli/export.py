"""gluon-lstm export: a model in one HTML file, which writes in any browser without a network

The page holds the vocabulary and the weights, not the posts. What the vocabulary gives away is listed before the file
is written. A model can repeat parts of the posts that it was trained on: --posts counts how often.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import add_model, add_options, given_options
from gluon_lstm.cli.terminal import progress
from gluon_lstm.language import _

EXAMPLES = (
    "gluon-lstm export runs/mine --html bot.html --name ぼくのbot",
    "gluon-lstm export runs/mine --html bot.html --posts posts.txt",
    "gluon-lstm export ja --html ja.html",
)
MAX_LISTED = 12  # tokens of a kind that are listed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.pages.options import BotOptions
    from gluon_lstm.text.sources.reading import ReadingOptions

    add_model(parser)
    parser.add_argument("--html", type=Path, required=True, metavar="FILE", help=_("the page to write"))
    parser.add_argument(
        "--posts", nargs="+", metavar="FILE", help=_("posts of the training: measure bits per character, and copies")
    )
    add_options(parser, BotOptions)
    add_options(parser, ReadingOptions)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.files import check_outputs
    from gluon_lstm.model import Model, model_file
    from gluon_lstm.pages.bot import export
    from gluon_lstm.pages.options import BotOptions
    from gluon_lstm.pages.privacy import revealing_tokens
    from gluon_lstm.text.sources.reading import ReadingOptions

    check_outputs([args.html], [model_file(args.model), *(args.posts or ())], "html")
    model = Model.load(args.model)
    options = BotOptions(**given_options(args, BotOptions))
    reading = ReadingOptions(**given_options(args, ReadingOptions))
    revealing = revealing_tokens(model)
    print(_("the page gives away the vocabulary: {tokens:,} tokens").format(tokens=len(model.vocabulary)))
    for kind, tokens in revealing.items():
        listed = " ".join(tokens[:MAX_LISTED])
        if len(tokens) > MAX_LISTED:
            listed += _(" and {others:,} more").format(others=len(tokens) - MAX_LISTED)
        print(
            "  " + _("{count:,} that look like {kind}: {tokens}").format(count=len(tokens), kind=_(kind), tokens=listed)
        )
    if not revealing:
        print("  " + _("none of them looks like a name, an address or a number"))
    if args.posts:
        from gluon_lstm.pages.quality import measure

        found = measure(model, args.posts, reading, options.precision, args.notice, progress)
        figures = ", ".join(f"{precision} {bpc:.4f}" for precision, bpc in found.bits_per_character.items())
        print(_("bits per character on these posts: {figures}").format(figures=figures))
        line = _("{copies:,} of {samples:,} samples are copies: verbatim in one post as a whole")
        print(line.format(copies=found.copies, samples=found.samples))
    else:
        print(_("not measured: bits per character of the stored weights, and copies of posts; give --posts FILE"))
    size = export(model, args.html, options)
    line = _("{page}: {megabytes:.1f} MB, weights as {precision}; open it in a browser")
    print(line.format(page=args.html, megabytes=size / 1e6, precision=options.precision))
    return 0
