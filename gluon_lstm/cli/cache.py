"""gluon-lstm cache: the folder where tokens and ids of texts are kept between runs"""

from __future__ import annotations

import argparse

from gluon_lstm.cli.options import add_cache, cache_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["clear"], help="clear: remove everything kept")
    add_cache(parser)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.text.cache import clear_cache

    folder = cache_folder(args)
    print(f"{folder}: {clear_cache(folder):,} bytes set free")
    return 0
