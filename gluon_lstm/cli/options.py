"""Options that several commands share, and the arguments they become."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def summary(module: ModuleType) -> str:
    """What a command does: the first line of its module's docstring, behind its name."""
    return (module.__doc__ or "").split("\n")[0].split(": ", 1)[-1]


def add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="txt, csv, tsv, json, jsonl, Twitter archive, folder")
    group = parser.add_argument_group("reading")
    group.add_argument("--column", metavar="C", help="csv, tsv: the column with the posts, by name or number (from 1)")
    group.add_argument("--field", metavar="F", help="json, jsonl: the field with the posts")
    group.add_argument("--encoding", metavar="E", help="of the files; found out when not given")


def reading_options(args: argparse.Namespace) -> Any:
    from gluon_lstm.text.sources.reading import ReadingOptions

    return ReadingOptions(column=args.column, field=args.field, encoding=args.encoding)


def add_cleaning(parser: argparse.ArgumentParser, mentions: str = "symbol") -> None:
    group = parser.add_argument_group("cleaning")
    for name, values, help in (
        ("entities", "decode|keep", "HTML entities such as &amp;"),
        ("controls", "remove|keep", "control characters"),
        ("urls", "remove|keep", "links and mail addresses"),
        ("retweets", "drop|strip|keep", "RT @name: other people's words"),
        ("mentions", "symbol|remove|keep", "@name; the symbol is @ alone"),
        ("hashtags", "keep|remove", "#tags"),
        ("emoji", "keep|remove", "emoji"),
        ("width", "fold|keep", "full-width ASCII and half-width kana"),
        ("blanks", "drop|keep", "empty posts"),
        ("duplicates", "drop|keep", "posts seen before"),
    ):
        choices = values.split("|")
        default = mentions if name == "mentions" else choices[0]
        group.add_argument(f"--{name}", choices=choices, default=default, help=f"{help} (default: {default})")
    group.add_argument("--runs", type=int, default=3, metavar="N", help="longest run of ー, !, w; 0: any (default: 3)")


def cleaning_options(args: argparse.Namespace) -> Any:
    from dataclasses import fields

    from gluon_lstm.text.cleaning import CleaningOptions

    return CleaningOptions(**{field.name: getattr(args, field.name) for field in fields(CleaningOptions)})


def add_user_dictionary(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--user-dictionary", type=Path, metavar="CSV", help="words that Janome is to know, names above all"
    )


def user_dictionary(args: argparse.Namespace, notice: Any) -> tuple[str, ...]:
    from gluon_lstm.text.user_dictionary import read_user_dictionary

    return read_user_dictionary(args.user_dictionary, notice) if args.user_dictionary else ()


def add_cache(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--cache", type=Path, metavar="DIR", help="(default: $XDG_CACHE_HOME/gluon-lstm)")


def cache_folder(args: argparse.Namespace) -> Path:
    from gluon_lstm.text.cache import default_cache

    return args.cache or default_cache()
