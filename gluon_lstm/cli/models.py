"""gluon-lstm models: the models of this package: size, what they were made of, licence, figures

A name in this list stands for a MODEL in every command, and in `train --from`. A file or folder of your own with the
same name is ./NAME. Nothing is downloaded: the models are files of this package.
"""

from __future__ import annotations

import argparse
import json

from gluon_lstm.language import _, ngettext

EXAMPLES = ("gluon-lstm models", "gluon-lstm models --json", "gluon-lstm generate ja --prefix 今日は")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help=_("print one JSON object a line"))


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.pretrained.catalogue import entries

    for entry in entries():
        if args.json:
            print(json.dumps(entry.record(), ensure_ascii=False))
            continue
        if entry.card is None or entry.config is None:
            print(f"{entry.name}: {entry.reason}")
            continue
        config = entry.config
        size = ngettext(
            "{layers} layer of {hidden:,} units", "{layers} layers of {hidden:,} units", config.layers
        ).format(layers=config.layers, hidden=config.hidden)
        print(
            _(
                "{name}: {variant} cell, {size}, vocabulary of {vocabulary:,} tokens ({tokenizer}), {megabytes:.1f} MB"
            ).format(
                name=entry.name,
                variant=config.variant,
                size=size,
                vocabulary=entry.vocabulary,
                tokenizer=entry.tokenizer,
                megabytes=entry.bytes / 1e6,
            )
        )
        licence = entry.card["licence"]
        print("  " + _("made of:"))
        print("\n".join(f"    {_(source)}" for source in entry.card["made_of"]))
        print("  " + _("licence: {licence}").format(licence=_(licence)))
        figures = (f"{_(text)} {bpc:.2f}" for text, bpc in entry.card["bits_per_character"].items())
        print("  " + _("bits per character: {figures}").format(figures="; ".join(figures)))
        print("  " + _("more: {page}").format(page=_("docs/pretrained.md")))
    return 0
