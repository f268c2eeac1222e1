"""gluon-lstm digits: learn to read 8x8 digits row by row (notes 002)

The cell as a classifier: the 8x8 digits of scikit-learn (1,437 for training, 360 for validation), each read as eight
rows of eight pixels. DIR gets history.jsonl, curve.png, confusion.png and misread.png; with --inspect also a page that
shows the answer after each row. The last line printed is the validation accuracy. It needs: pip install -c
constraints.txt ".[report]"
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import add_options, given_options
from gluon_lstm.cli.terminal import progress
from gluon_lstm.language import _

EXAMPLES = (
    "gluon-lstm digits --out runs/digits --inspect",
    "gluon-lstm digits --out runs/digits-notes --recipe notes",
    "gluon-lstm digits --out runs/digits-rnn --variant rnn --epochs 50",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.digits.recipe import NOTES, Recipe

    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=_("run directory"))
    parser.add_argument(
        "--recipe",
        choices=["standard", "notes"],
        default="standard",
        help=_("source of all defaults (default: standard)"),
    )
    parser.add_argument("--inspect", action="store_true", help=_("also write inspect.html: which row decided"))
    add_options(parser, Recipe, notes=NOTES)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.digits.recipe import Recipe, recipe_of

    recipe = recipe_of(args.recipe, **given_options(args, Recipe))

    from gluon_lstm.digits.run import run
    from gluon_lstm.training.run_dir import check_free

    check_free(args.out)
    accuracy = run(recipe, args.out, args.notice, progress, args.inspect, getattr(args, "language", None))
    page = ", inspect.html" if args.inspect else ""
    args.notice(f"{args.out}: history.jsonl, curve.png, confusion.png, misread.png{page}")
    print(_("validation accuracy {accuracy:.4f}").format(accuracy=accuracy))
    return 0
