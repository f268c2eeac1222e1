"""gluon-lstm cache: clear the folder that keeps tokens and ids between runs

Removes the tokens and ids that train and report keep.
"""

from __future__ import annotations

import argparse

from gluon_lstm.cli.options import add_options, given_options
from gluon_lstm.language import _

EXAMPLES = (
    "gluon-lstm cache clear",
    "gluon-lstm cache clear --cache /tmp/tokens",
    "gluon-lstm train posts.txt --out runs/mine --no-cache",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.text.cache import CacheOptions

    parser.add_argument("action", choices=["clear"], metavar="clear", help=_("remove everything kept"))
    add_options(parser, CacheOptions, only=["cache"])


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.text.cache import CacheOptions, clear_cache, default_cache

    folder = CacheOptions(**given_options(args, CacheOptions)).folder or default_cache()
    print(_("{folder}: freed {size:,} bytes").format(folder=folder, size=clear_cache(folder)))
    return 0
