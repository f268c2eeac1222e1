"""gluon-lstm models: the models of this package: size, what they were made of, licence, figures

A name in this list stands for a MODEL in every command, and in `train --from`. A file or folder of your own with the
same name is ./NAME. Nothing is downloaded: the models are files of this package.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from gluon_lstm.language import _

EXAMPLES = ("gluon-lstm models", "gluon-lstm models --json", "gluon-lstm generate ja --prefix 今日は")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=_("print one JSON object a line"))


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.pretrained.catalogue import entries

    for entry in entries():
        if args.json:
            print(json.dumps(asdict(entry), ensure_ascii=False))
            continue
        if entry.card is None:
            print(f"{entry.name}: {entry.reason}")
            continue
        print(
            f"{entry.name}: {entry.architecture}, vocabulary of {entry.vocabulary:,} tokens ({entry.tokenizer}),"
            f" {entry.bytes / 1e6:.1f} MB"
        )
        print("  made of:")
        print("\n".join(f"    {source}" for source in entry.card["made_of"]))
        print(f"  licence: {entry.card['licence']}")
        figures = (f"{text} {bpc:.2f}" for text, bpc in entry.card["bits_per_character"].items())
        print(f"  bits per character: {'; '.join(figures)}")
        print("  more: docs/pretrained.md")
    return 0
