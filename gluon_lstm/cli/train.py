"""gluon-lstm train: train an LSTM on files of posts

The run directory gets last.safetensors and, with a validation set, best.safetensors (each of them is a model),
history.jsonl, samples.txt, curve.png and state.safetensors. Of several limits the first reached ends the run; a
validation result that has long stopped improving ends it too.

With --resume the same command continues a run after any interruption. Ctrl-C and SIGTERM finish the update and save
(exit codes 130 and 143); a second one exits at once. With --steps or --epochs the weights are then equal to the last
bit. Limits are totals and may grow.

history.jsonl has a JSON object a line: step, epoch (from 0), seconds (training alone), tokens, train_loss, moving_loss,
val_loss, val_bpc, val_perplexity, learning_rate, rolled_back_to; null where nothing was measured.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from gluon_lstm.cli.options import add_files, add_options, given_options
from gluon_lstm.cli.terminal import progress
from gluon_lstm.system import disable_malloc_trim, limit_blas_threads
from gluon_lstm.training.recipe import NOTES, RECIPES

EXAMPLES = (
    "gluon-lstm train posts.txt --out runs/mine --minutes 20",
    "gluon-lstm train twitter-archive.zip --out runs/words --tokenizer janome",
    "gluon-lstm train posts.txt --out runs/mine --minutes 40 --resume",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.training.from_files import OPTIONS

    add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="run directory")
    parser.add_argument(
        "--recipe", choices=list(RECIPES), default="standard", help="source of all defaults (default: standard)"
    )
    for settings in OPTIONS:
        add_options(parser, settings, notes=NOTES if isinstance(NOTES, settings) else None)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.training.from_files import OPTIONS, train

    options = given_options(args, *OPTIONS)
    disable_malloc_trim()
    if options.get("implementation") != "scratch":
        limit_blas_threads()
    try:
        train(args.files, args.out, args.recipe, args.notice, progress, **options)
    except KeyboardInterrupt:
        again = args.command_line if options.get("resume") else [*args.command_line, "--resume"]
        args.notice(f"continue with: gluon-lstm {shlex.join(again)}")
        raise
    prefix = shlex.quote(options.get("prefix", "こんにち"))
    args.notice(f"{args.out}: write with: gluon-lstm generate {shlex.quote(str(args.out))} --prefix {prefix}")
    return 0
