"""gluon-lstm generate: write texts that begin with a prefix"""

from __future__ import annotations

import argparse
import sys

from gluon_lstm.cli.terminal import notice
from gluon_lstm.system import limit_blas_threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .safetensors file, or the --out folder of a training run")
    parser.add_argument("--prefix", default="", metavar="TEXT", help="how each text begins (default: nothing)")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--length", type=int, metavar="N", help="write N characters behind the prefix")
    amount.add_argument("--posts", type=int, metavar="K", help="write K posts, each from the prefix (default: 1)")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="write N independent texts (default: 1)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="X", help="boldness (default: 0.8)")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest tokens only")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw from the likeliest tokens of probability P only")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="R", help="more than 1: repeat less")
    parser.add_argument("--seed", type=int, metavar="S", help="the same seed writes the same texts")


def run(args: argparse.Namespace) -> int:
    if args.count > 1:
        limit_blas_threads()  # there is a batch for each core

    from gluon_lstm.model import Model
    from gluon_lstm.sampling.generator import TextGenerator, fresh_seed, rng_for
    from gluon_lstm.sampling.sampler import SamplingOptions

    for name, least in (("length", 1), ("posts", 1), ("count", 1), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f"--{name} {value}: use at least {least}")
    options = SamplingOptions(args.temperature, args.top_k, args.top_p, args.repetition_penalty)
    generator = TextGenerator(Model.load(args.model), options, notice)
    prefix = generator.prefix(args.prefix)
    seed = fresh_seed() if args.seed is None else args.seed
    if args.count > 1:
        rngs = [rng_for(seed, k) for k in range(args.count)]
        sys.stdout.write("\n".join(generator.texts(prefix, rngs, args.length, args.posts)))
        return 0
    for piece in generator.text(prefix, rng_for(seed), args.length, args.posts):
        sys.stdout.write(piece)
        sys.stdout.flush()
    return 0
