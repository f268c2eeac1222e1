"""gluon-lstm evaluate: how well a model predicts a text: bits per character, perplexity"""

from __future__ import annotations

import argparse
import json

from gluon_lstm.cli.options import add_files, reading_options
from gluon_lstm.cli.terminal import notice, progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .safetensors file, or the --out folder of a training run")
    add_files(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.model import Model
    from gluon_lstm.sampling.evaluation import evaluate

    result = evaluate(Model.load(args.model), args.files, reading_options(args), notice, progress)
    values = {
        "bpc": result.bpc,
        "loss": result.loss,
        "perplexity": result.perplexity,
        "tokens": result.tokens,
        "characters": result.units,
        "unknown": result.unknown,
    }
    if args.json:
        print(json.dumps(values))
    else:
        print(f"{result.bpc:.4f} bits per character, ends of posts counted as one ({result.units:,} characters)")
        print(f"{result.loss:.4f} nats a token, perplexity {result.perplexity:,.2f} ({result.tokens:,} tokens)")
        print(f"{result.unknown:,} characters the model has never seen")
    return 0
