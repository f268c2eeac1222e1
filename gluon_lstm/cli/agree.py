"""gluon-lstm agree: check that every implementation of the cell computes the same numbers

One window of random ids runs through the implementations scratch, fast and fused and through the float64 reference,
which finite differences check in turn. Prints the largest difference of the loss, of the last state and of each
gradient, with its tolerance. The exit code is 1 if one is above its tolerance.
"""

from __future__ import annotations

import argparse

from gluon_lstm.cli.options import add_options, given_options
from gluon_lstm.config import WindowSize
from gluon_lstm.language import _
from gluon_lstm.training.recipe import Recipe

CELL_OPTIONS = ("variant", "layers")

EXAMPLES = (
    "gluon-lstm agree",
    "gluon-lstm agree --variant peephole --layers 2",
    "gluon-lstm agree --batch-size 32 --seq-len 64 --hidden 128 --seed 7",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_options(parser, WindowSize)
    add_options(parser, Recipe, only=CELL_OPTIONS)
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help=_("seed of weights, state and ids (default: 1)")
    )


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from gluon_lstm.lstm.agreement import check_agreement, random_case

    if args.seed < 0:
        raise ValueError(_("`{name}` {value}: use at least {minimum}").format(name="seed", value=args.seed, minimum=0))
    size = WindowSize(**given_options(args, WindowSize))
    cell = {name: value for name, value in given_options(args, Recipe).items() if name in CELL_OPTIONS}
    rng = np.random.default_rng(args.seed)
    comparisons = check_agreement(random_case(size, rng, **cell), rng)

    implementations = list(dict.fromkeys(row.implementation for row in comparisons))
    cells = {(row.quantity, row.implementation): f"{row.difference:.1e} / {row.tolerance:.0e}" for row in comparisons}
    print(_("largest difference from the float64 reference / tolerance"))
    print(f"{'':<8}" + "".join(f"{name:>20}" for name in implementations))
    for quantity in dict.fromkeys(row.quantity for row in comparisons):
        print(f"{quantity:<8}" + "".join(f"{cells.get((quantity, name), ''):>20}" for name in implementations))
    failed = [f"{row.implementation} {row.quantity}" for row in comparisons if not row.ok]
    if failed:
        print(_("above the tolerance: {failed}").format(failed=", ".join(failed)))
    else:
        print(_("all within the tolerances"))
    return 1 if failed else 0
