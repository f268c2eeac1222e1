"""gluon-lstm agree: check that every implementation of the cell gives the same numbers"""

from __future__ import annotations

import argparse

from gluon_lstm.config import VARIANTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for option, default, metavar, help in (
        ("--batch-size", 8, "N", "lanes read side by side"),
        ("--seq-len", 20, "T", "time steps of the window"),
        ("--hidden", 48, "H", "hidden units of a layer"),
        ("--layers", 1, "L", "cells one above the other"),
        ("--vocabulary", 300, "V", "tokens"),
        ("--seed", 1, "S", "weights, state and ids come from it"),
    ):
        parser.add_argument(option, type=int, default=default, metavar=metavar, help=f"{help} (default: {default})")
    parser.add_argument("--variant", choices=list(VARIANTS), default="standard", help="of the cell (default: standard)")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from gluon_lstm.lstm.agreement import Sizes, agree, random_case

    if args.seed < 0:
        raise ValueError(f"--seed {args.seed}: use at least 0")
    sizes = Sizes(args.batch_size, args.seq_len, args.hidden, args.vocabulary)
    rng = np.random.default_rng(args.seed)
    rows = agree(random_case(sizes, rng, variant=args.variant, layers=args.layers), rng)

    implementations = list(dict.fromkeys(row.implementation for row in rows))
    cells = {(row.quantity, row.implementation): f"{row.difference:.1e} / {row.tolerance:.0e}" for row in rows}
    print("largest difference from the float64 reference / tolerance")
    print(f"{'':<8}" + "".join(f"{name:>20}" for name in implementations))
    for quantity in dict.fromkeys(row.quantity for row in rows):
        print(f"{quantity:<8}" + "".join(f"{cells.get((quantity, name), ''):>20}" for name in implementations))
    missed = [f"{row.implementation} {row.quantity}" for row in rows if not row.ok]
    print(f"not met: {', '.join(missed)}" if missed else "all tolerances are met")
    return 1 if missed else 0
