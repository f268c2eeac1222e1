"""gluon-lstm evaluate: how well a model predicts a text: bits per character, perplexity

The text is cleaned and tokenized like the training text and scored as one stream, with the state carried. Bits per
character compare models with different tokenizers. MXNet is not needed.
"""

from __future__ import annotations

import argparse
import json

from gluon_lstm.cli.options import add_files, add_model, add_options, given_options
from gluon_lstm.cli.terminal import progress
from gluon_lstm.language import _
from gluon_lstm.system import limit_blas_threads

EXAMPLES = (
    "gluon-lstm evaluate runs/mine other_posts.txt",
    "gluon-lstm evaluate runs/mine/last.safetensors posts.csv --column body",
    "gluon-lstm evaluate runs/mine other_posts.txt --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.text.sources.reading import ReadingOptions

    add_model(parser)
    add_files(parser)
    parser.add_argument("--json", action="store_true", help=_("print one JSON object"))
    add_options(parser, ReadingOptions)


def run(args: argparse.Namespace) -> int:
    limit_blas_threads()  # steps and logits are computed on a core each

    from gluon_lstm.model import Model
    from gluon_lstm.sampling.evaluation import evaluate
    from gluon_lstm.text.sources.reading import ReadingOptions

    reading = ReadingOptions(**given_options(args, ReadingOptions))
    result = evaluate(Model.load(args.model), args.files, reading, args.notice, progress)
    values = {
        "bpc": result.bpc,
        "loss": result.loss,
        "perplexity": result.perplexity,
        "tokens": result.tokens,
        "characters": result.characters,
        "unknown": result.unknown,
    }
    if args.json:
        print(json.dumps(values))
    else:
        lines = (
            _("{bpc:.4f} bits per character ({characters:,} characters, each end of post counted as one)"),
            _("{loss:.4f} nats per token, perplexity {perplexity:,.2f} ({tokens:,} tokens)"),
            _("{unknown:,} characters unknown to the model"),
        )
        print("\n".join(lines).format(**values))
    return 0
