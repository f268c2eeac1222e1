"""gluon-lstm demo: show by running what the notes describe"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import summary
from gluon_lstm.cli.terminal import progress
from gluon_lstm.demos import compare, gradients, nan, timing
from gluon_lstm.system import limit_blas_threads

# A demo is a module with `run(out, seed, progress, ...) -> result` and `lines(result)`. One with options of its own has
# `add_arguments(parser)`. Heavy imports are inside `run`.
DEMOS = {
    "compare": compare,
    "gradients": gradients,
    "nan": nan,
    "timing": timing,
}
EXAMPLES = (
    "gluon-lstm demo gradients --out runs/pictures",
    "gluon-lstm demo nan",
    "gluon-lstm demo compare posts.txt --minutes 2 --out runs/pictures",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    demos = parser.add_subparsers(dest="demo", required=True, metavar="NAME", help="demonstration")
    for name, module in DEMOS.items():
        own = demos.add_parser(name, help=summary(module), description=summary(module))
        own.add_argument("--out", type=Path, metavar="DIR", help=f"directory of {name}.png (default: no picture)")
        own.add_argument("--seed", type=int, default=1, metavar="S", help="seed (default: 1)")
        if hasattr(module, "add_arguments"):
            module.add_arguments(own)


def run(args: argparse.Namespace) -> int:
    if args.seed < 0:
        raise ValueError(f"`seed` {args.seed}: use at least 0")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    limit_blas_threads()
    others = ("command", "command_line", "notice", "demo")
    options = {name: value for name, value in vars(args).items() if name not in others}
    demo = DEMOS[args.demo]
    for line in demo.lines(demo.run(progress=progress, **options)):
        print(line)
    return 0
