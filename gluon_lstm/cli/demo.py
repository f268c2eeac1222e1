"""gluon-lstm demo: answer questions of the notes by running code

Each demo prints its numbers and, with --out, writes a picture NAME.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gluon_lstm.cli.options import add_language, option_string
from gluon_lstm.cli.terminal import progress
from gluon_lstm.demos import DEMOS, load
from gluon_lstm.files import check_outputs
from gluon_lstm.language import _
from gluon_lstm.system import limit_blas_threads

EXAMPLES = (
    "gluon-lstm demo gradients --out runs/pictures",
    "gluon-lstm demo nan",
    "gluon-lstm demo compare posts.txt --minutes 2 --out runs/pictures",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    demos = parser.add_subparsers(dest="demo", required=True, metavar="NAME", help=_("name of the demo"))
    for name, demo in DEMOS.items():
        own = demos.add_parser(name, help=_(demo.summary), description=_(demo.summary))
        own.add_argument(
            "--out", type=Path, metavar="DIR", help=_("write {name}.png into this directory").format(name=name)
        )
        own.add_argument("--seed", type=int, default=1, metavar="S", help=_("random seed (default: 1)"))
        for option in demo.options:
            settings = {
                "type": option.type,
                "default": option.default,
                "metavar": option.metavar,
                "help": _(option.help),
            }
            if option.positional:
                own.add_argument(option.name, nargs="?", **settings)
            else:
                own.add_argument(option_string(option.name), **settings)
        add_language(own)


def run(args: argparse.Namespace) -> int:
    if args.seed < 0:
        raise ValueError(_("`{name}` {value}: use at least {minimum}").format(name="seed", value=args.seed, minimum=0))
    options = {option.name: getattr(args, option.name) for option in DEMOS[args.demo].options}
    if args.out:
        check_outputs([args.out / f"{args.demo}.png"], filter(None, [options.get("file")]))
        args.out.mkdir(parents=True, exist_ok=True)
    limit_blas_threads()
    demo = load(args.demo)
    for line in demo.lines(demo.run(out=args.out, seed=args.seed, progress=progress, **options)):
        print(line)
    return 0
