"""gluon-lstm digits: learn to read 8x8 digits row by row (notes 002)"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.terminal import notice, progress
from gluon_lstm.config import VARIANTS

# option -> (type, metavar, help); a default is the recipe's
VALUES: dict[str, tuple[type, str, str]] = {
    "--hidden": (int, "H", "hidden units (50)"),
    "--epochs": (int, "N", "times through the training images (100)"),
    "--batch-size": (int, "N", "images of an update (100)"),
    "--learning-rate": (float, "X", "of Adam, the highest (0.03; notes: 0.001 throughout)"),
    "--noise": (float, "X", "standard deviation of what is added to training pixels, of 0 to 1 (0.2; notes: 0)"),
    "--white": (float, "X", "what the brightest pixel is read as (1; notes: 16)"),
    "--seed": (int, "S", "weights, order and noise come from it (1)"),
}
SWITCHES = {
    "--bounded-logits": "a tanh before the softmax (notes)",
    "--drop-last": "leave out the last, smaller batch of an epoch (notes)",
    "--shuffle": "a new order in each epoch (not in the notes)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the run")
    parser.add_argument("--recipe", choices=["standard", "notes"], default="standard", help="(default: standard)")
    parser.add_argument("--variant", choices=list(VARIANTS), help="of the cell (standard; notes: no-output-tanh)")
    for option, (kind, metavar, help) in VALUES.items():
        parser.add_argument(option, type=kind, metavar=metavar, help=help)
    parser.add_argument("--weights", choices=["standard", "zeros"], help="how they begin (standard; notes: zeros)")
    for option, help in SWITCHES.items():
        parser.add_argument(option, action=argparse.BooleanOptionalAction, help=help)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.digits.recipe import recipe_of

    others = ("command", "command_line", "out", "recipe")
    given = {name: value for name, value in vars(args).items() if name not in others and value is not None}
    recipe = recipe_of(args.recipe, **given)

    from gluon_lstm.digits.run import run
    from gluon_lstm.training.run_dir import check_free

    check_free(args.out)
    accuracy = run(recipe, args.out, notice, progress)
    notice(f"{args.out}: history.jsonl, curve.png, confusion.png, misread.png")
    print(f"validation accuracy {accuracy:.4f}")
    return 0
