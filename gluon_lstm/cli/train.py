"""gluon-lstm train: train an LSTM on files of posts"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from gluon_lstm.cli.options import (
    add_cache,
    add_cleaning,
    add_files,
    add_user_dictionary,
    cache_folder,
    cleaning_options,
    reading_options,
    user_dictionary,
)
from gluon_lstm.cli.terminal import notice, progress
from gluon_lstm.config import VARIANTS
from gluon_lstm.system import disable_malloc_trim, limit_blas_threads

# option -> (field of the recipe, type, metavar, help); a default is the recipe's
VALUES: dict[str, tuple[str, type, str, str]] = {
    "--epochs": ("epochs", int, "N", "end after N times through the text"),
    "--steps": ("steps", int, "N", "end after N updates"),
    "--minutes": ("minutes", float, "M", "end after M minutes of training"),
    "--batch-size": ("batch_size", int, "N", "lanes read side by side"),
    "--seq-len": ("seq_len", int, "T", "time steps of one window"),
    "--hidden": ("hidden", int, "H", "hidden units of a layer"),
    "--layers": ("layers", int, "L", "cells one above the other"),
    "--learning-rate": ("learning_rate", float, "X", "of an update; the highest, where there is a schedule"),
    "--input-rate": ("input_rate", float, "X", "times the learning rate, for the input weights (Adam)"),
    "--output-rate": ("output_rate", float, "X", "times the learning rate, for Why (Adam)"),
    "--weight-decay": ("weight_decay", float, "X", "share a weight loses in an update, over the learning rate (Adam)"),
    "--clip": ("clip", float, "X", "longest gradient; 0: no clipping"),
    "--dropout": ("dropout", float, "P", "share of the hidden states set to 0 before the next layer and before Why"),
    "--input-dropout": ("input_dropout", float, "P", "share of the input rows set to 0"),
    "--recurrent-dropout": ("recurrent_dropout", float, "P", "share of the recurrent weights set to 0 for an update"),
    "--warmup": ("warmup", float, "X", "share of the run in which the learning rate rises"),
    "--validation": ("validation", float, "X", "share of the text held back"),
    "--patience": ("patience", float, "X", "share of the run without a better validation that ends it; 0: never"),
    "--rollbacks": ("rollbacks", int, "N", "times that a run gone astray goes back, and on at half the rate"),
    "--sample-every": ("sample_every", int, "N", "write a sample each N updates"),
    "--sample-length": ("sample_length", int, "N", "characters of a sample"),
    "--temperature": ("temperature", float, "X", "of the samples"),
    "--seed": ("seed", int, "S", "initial weights, order, dropout and samples come from it"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out, if one has begun there")
    parser.add_argument(
        "--checkpoint-minutes", type=float, default=1.0, metavar="M", help="save a run each M minutes (default: 1)"
    )
    tokenizers = ["char", "janome", "janome-chars"]
    parser.add_argument("--tokenizer", choices=tokenizers, default="char", help="(default: char)")
    parser.add_argument("--raw", action="store_true", help="one stream of characters, no posts, nothing cleaned")
    parser.add_argument("--recipe", choices=["standard", "notes"], default="standard", help="(default: standard)")
    parser.add_argument("--cell", choices=["fast", "scratch"], help="scratch: the code to read; fast: the same, sooner")
    parser.add_argument("--variant", choices=list(VARIANTS), help="what is inside the cell")
    parser.add_argument("--layout", choices=["contiguous", "notebook"], help="how the text is cut into windows")
    parser.add_argument("--optimizer", choices=["adam", "sgd"], help="how gradients change weights")
    parser.add_argument("--schedule", choices=["cosine", "halving", "constant"], help="of the learning rate")
    parser.add_argument("--weights", choices=["standard", "notes"], help="how the weights begin")
    for option, (_, kind, metavar, help) in VALUES.items():
        parser.add_argument(option, type=kind, metavar=metavar, help=help)
    parser.add_argument("--ctx", default="auto", metavar="C", help="auto, cpu, gpu or gpu:K (default: auto)")
    parser.add_argument("--prefix", default="こんにち", metavar="TEXT", help="how samples begin (default: こんにち)")
    group = parser.add_argument_group("tokens and their cache")
    group.add_argument("--min-count", type=int, metavar="N", help="least count of a token (default: words 2, others 1)")
    group.add_argument("--max-vocab", type=int, metavar="V", help="largest vocabulary")
    add_user_dictionary(group)
    add_cache(group)
    group.add_argument("--no-cache", action="store_true", help="keep nothing between runs")
    add_cleaning(parser)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.training.recipe import recipe_of

    recipe = recipe_of(args.recipe, **_overrides(args))
    disable_malloc_trim()
    if recipe.cell == "fast":
        limit_blas_threads()

    from gluon_lstm.text.codec import TextSettings
    from gluon_lstm.text.corpus import CorpusOptions, prepare
    from gluon_lstm.training.run_dir import check_free

    raw = args.raw or (recipe.name == "notes" and args.tokenizer == "char")
    settings = TextSettings(args.tokenizer, raw, cleaning_options(args), user_dictionary(args, notice))
    check_free(args.out, args.resume)
    if args.ctx not in ("auto", "cpu"):
        _choose_device(args.ctx)  # a device that is not there should be heard of before the text is read
    options = CorpusOptions(
        reading=reading_options(args),
        validation=recipe.validation,
        min_count=args.min_count,
        max_vocab=args.max_vocab,
        cache=None if args.no_cache else cache_folder(args),
    )
    corpus = prepare(args.files, settings, options, notice, progress)
    ctx = _choose_device(args.ctx)  # MXNet is imported here, behind the processes that Janome runs in

    from gluon_lstm.training.loop import Run

    every = args.checkpoint_minutes
    training = Run(corpus, recipe, args.out, ctx, args.prefix, notice, progress, checkpoint_minutes=every)
    try:
        training.run(args.resume)
    except KeyboardInterrupt:
        again = args.command_line if args.resume else [*args.command_line, "--resume"]
        notice(f"go on with: gluon-lstm {shlex.join(again)}")
        raise
    notice(f"{args.out}: write with `gluon-lstm generate {args.out} --prefix {args.prefix}`")
    return 0


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    """What the user gave of the recipe's values."""
    names = [name for name, *_ in VALUES.values()] + ["cell", "variant", "layout", "optimizer", "schedule", "weights"]
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _choose_device(name: str) -> Any:
    from gluon_lstm.context import choose

    return choose(name)
