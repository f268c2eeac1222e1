"""gluon-lstm train: train an LSTM on files of posts

The run directory gets last.safetensors and, with a validation set, best.safetensors (each of them is a model),
history.jsonl, samples.txt, curve.png, index.html (the run as a page, which follows it in a browser) and
state.safetensors. Of several limits the first reached ends the run; a
validation result that has long stopped improving ends it too.

Training on Japanese posts starts from the weights of ja, a model that already knows Japanese (gluon-lstm models), and
says so; --from none starts from random weights, --from MODEL from any model. Cell, layers and size are those of the
model, and the defaults of learning rate and dropout change: see docs/pretrained.md.

With --resume the same command continues a run after any interruption. Ctrl-C and SIGTERM finish the update and save
(exit codes 130 and 143); a second one exits at once. With --steps or --epochs the weights are then equal to the last
bit. Limits are totals and may grow.

On several machines or cores: mpirun -n W gluon-lstm train ... divides each update among W processes, with the same
result: see docs/cluster.md.

history.jsonl has a JSON object a line: step, epoch (from 0), seconds (training alone), tokens, train_loss, moving_loss,
val_loss, val_bpc, val_perplexity, learning_rate, rolled_back_to; null where nothing was measured.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gluon_lstm.cli.options import add_files, add_options, given_options
from gluon_lstm.cli.terminal import notice, progress
from gluon_lstm.files import RUN_PAGE
from gluon_lstm.language import _
from gluon_lstm.system import disable_malloc_trim, limit_blas_threads
from gluon_lstm.training.recipe import NOTES, RECIPES

if TYPE_CHECKING:
    from gluon_lstm.training.processes import Processes

EXAMPLES = (
    "gluon-lstm train twitter-archive.zip --out runs/words --tokenizer janome",
    "gluon-lstm train posts.txt --out runs/mine --minutes 40 --resume",
    "gluon-lstm train new_posts.txt --out runs/newer --from runs/mine",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.training.from_files import OPTIONS

    add_files(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=_("run directory"))
    parser.add_argument(
        "--recipe", choices=list(RECIPES), default="standard", help=_("source of all defaults (default: standard)")
    )
    for settings in OPTIONS:
        add_options(parser, settings, notes=NOTES if isinstance(NOTES, settings) else None)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.training.from_files import OPTIONS, RunOptions, in_processes, train

    options = given_options(args, *OPTIONS)
    disable_malloc_trim()
    if options.get("implementation") != "scratch":
        limit_blas_threads()

    def first(processes: Processes | None) -> int:
        try:
            train(args.files, args.out, args.recipe, args.notice, progress, processes, **options)
        except KeyboardInterrupt:
            command = resume_command(args.command_line, processes.size if processes else 1)
            notice(_("continue with: {command}").format(command=command))  # args.notice can change a command
            raise
        notice(_("{page}: the run as a page, for a browser").format(page=args.out / RUN_PAGE))
        command = generate_command(args.out, options.get("prefix", RunOptions.prefix))
        notice(_("{out}: write with: {command}").format(out=args.out, command=command))
        return 0

    def report(line: str) -> None:
        print(f"gluon-lstm: {line}", file=sys.stderr, flush=True)

    return in_processes(first, report, options.get("hang_seconds", RunOptions.hang_seconds))


def resume_command(arguments: Sequence[str], processes: int = 1) -> str:
    """Return the command that continues a run started with these arguments, quoted for a shell."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)  # only files follow a --
    resume = [] if "--resume" in arguments[:end] else ["--resume"]
    launcher = ["mpirun", "-n", str(processes)] if processes > 1 else []
    return shlex.join([*launcher, "gluon-lstm", *arguments[:end], *resume, *arguments[end:]])


def generate_command(out: Path, prefix: str) -> str:
    """Return the command that generates texts with the model in `out`, quoted for a shell."""
    model = os.path.join(".", out) if str(out).startswith("-") else str(out)
    given = [f"--prefix={prefix}"] if prefix.startswith("-") else ["--prefix", prefix]
    return shlex.join(["gluon-lstm", "generate", model, *given])
