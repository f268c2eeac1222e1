"""`gluon-lstm`: which command is meant, and how its errors are said."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from gluon_lstm import __version__
from gluon_lstm.cli import agree, cache, clean, demo, digits, evaluate, generate, report, train
from gluon_lstm.cli.options import Parser, summary
from gluon_lstm.cli.terminal import escape_output
from gluon_lstm.signals import raise_on_signal

COMMANDS = {
    "train": train,
    "generate": generate,
    "evaluate": evaluate,
    "report": report,
    "clean": clean,
    "cache": cache,
    "agree": agree,
    "digits": digits,
    "demo": demo,
}

BAD_INPUT = 2
BY_SIGNAL = 128  # plus its number: how a shell tells that a signal ended a process


def parser() -> Parser:
    """The whole command line. Importing it costs little: each command imports what it needs when it runs."""
    whole = Parser(prog="gluon-lstm", description="An LSTM for Japanese posts: train it, and let it write.")
    whole.add_argument("--version", action="version", version=f"gluon-lstm {__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        module.add_arguments(commands.add_parser(name, help=summary(module), description=summary(module)))
    return whole


@escape_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 for bad input (one sentence on stderr), 130 for Ctrl-C, 143 for a
    request of the system to end.
    """
    args = parser().parse_args(argv)
    args.command_line = list(sys.argv[1:] if argv is None else argv)
    try:
        with raise_on_signal():
            return COMMANDS[args.command].run(args)
    except BrokenPipeError:  # whoever read our output has gone; nothing is left to say, not even on exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"gluon-lstm: {_sentence(error)}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError as error:
        print(f"gluon-lstm: not enough memory ({error}); use a smaller --hidden or --batch-size", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        print("gluon-lstm: interrupted", file=sys.stderr)
        return BY_SIGNAL + getattr(interrupt, "number", signal.SIGINT)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
