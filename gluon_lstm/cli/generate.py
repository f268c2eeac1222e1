"""gluon-lstm generate: write texts that begin with a prefix"""

from __future__ import annotations

import argparse
import sys

from gluon_lstm.cli.options import MODEL, add_options, given
from gluon_lstm.system import limit_blas_threads

EXAMPLES = (
    "gluon-lstm generate runs/mine --prefix こんにち --posts 5",
    "gluon-lstm generate runs/mine --count 20 --temperature 1.0 --seed 1",
    "gluon-lstm generate runs/novel --prefix 吾輩は --length 400 --top-p 0.95",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.sampling.options import SamplingOptions

    parser.add_argument("model", metavar="MODEL", help=MODEL)
    parser.add_argument("--prefix", default="", metavar="TEXT", help="beginning of each text (default: nothing)")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--length", type=int, metavar="N", help="write N characters after the prefix")
    amount.add_argument("--posts", type=int, metavar="K", help="write K posts, each from the prefix (default: 1)")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="write N independent texts (default: 1)")
    parser.add_argument("--seed", type=int, metavar="S", help="seed: the same one writes the same texts")
    add_options(parser, SamplingOptions)


def run(args: argparse.Namespace) -> int:
    if args.count > 1:
        limit_blas_threads()  # a batch runs on each core

    from gluon_lstm.model import Model
    from gluon_lstm.sampling.generator import TextGenerator, fresh_seed, rng_for
    from gluon_lstm.sampling.options import SamplingOptions

    for name, least in (("length", 1), ("posts", 1), ("count", 1), ("seed", 0)):
        value = getattr(args, name)
        if value is not None and value < least:
            raise ValueError(f"`{name}` {value}: use at least {least}")
    options = SamplingOptions(**given(args, SamplingOptions))
    generator = TextGenerator(Model.load(args.model), options, args.notice)
    prefix = generator.prefix(args.prefix)
    seed = fresh_seed() if args.seed is None else args.seed
    if args.count > 1:
        rngs = [rng_for(seed, k) for k in range(args.count)]
        sys.stdout.write("\n".join(generator.generate_batch(prefix, rngs, args.length, args.posts)))
        return 0
    for piece in generator.stream(prefix, rng_for(seed), args.length, args.posts):
        sys.stdout.write(piece)
        sys.stdout.flush()
    return 0
