"""gluon-lstm demo: show by running what the notes tell, or ask"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import summary
from gluon_lstm.cli.terminal import progress
from gluon_lstm.demos import compare, gradients, nan, timing
from gluon_lstm.system import limit_blas_threads

# A demo has `run(out, seed, progress, ...) -> result` and `lines(result)`, and where it has options of its own
# `add_arguments(parser)`. It imports what is heavy when it runs.
DEMOS = {
    "compare": compare,
    "gradients": gradients,
    "nan": nan,
    "timing": timing,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    demos = parser.add_subparsers(dest="demo", required=True, metavar="NAME", help="what is shown")
    for name, module in DEMOS.items():
        own = demos.add_parser(name, help=summary(module), description=summary(module))
        own.add_argument("--out", type=Path, metavar="DIR", help=f"where {name}.png is written (default: nowhere)")
        own.add_argument("--seed", type=int, default=1, metavar="S", help="all that is random (default: 1)")
        if hasattr(module, "add_arguments"):
            module.add_arguments(own)


def run(args: argparse.Namespace) -> int:
    if args.seed < 0:
        raise ValueError(f"--seed {args.seed}: use at least 0")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    limit_blas_threads()
    options = {name: value for name, value in vars(args).items() if name not in ("command", "command_line", "demo")}
    demo = DEMOS[args.demo]
    for line in demo.lines(demo.run(progress=progress, **options)):
        print(line)
    return 0
