"""`gluon-lstm`: the choice of the command, and its errors in one sentence each."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from gluon_lstm import __version__
from gluon_lstm.cli import agree, cache, clean, demo, digits, evaluate, generate, report, train
from gluon_lstm.cli.options import Parser, summary, with_option_names
from gluon_lstm.cli.terminal import escape_output, notice
from gluon_lstm.signals import raise_on_signal

# A command is a module: the first line of its docstring is its summary; it has `EXAMPLES`, `add_arguments(parser)` and
# `run(args) -> exit code`. `args.notice` prints one line to a person.
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
BY_SIGNAL = 128  # plus the signal number: the exit code of a process that a signal ended


def parser(only: str | None = None) -> Parser:
    """Return the parser of the command line, its `commands` with their arguments.

    `only`: the one command whose arguments are added; it imports what declares them, and no start pays for the others.
    """
    whole = Parser(prog="gluon-lstm", description="An LSTM for Japanese posts: train it, and let it write.")
    whole.add_argument("--version", action="version", version=f"gluon-lstm {__version__}")
    subparsers = whole.add_subparsers(dest="command", metavar="COMMAND")
    for name, module in COMMANDS.items():
        examples = "\n".join(("examples:", *(f"  {line}" for line in module.EXAMPLES)))
        whole.commands[name] = subparsers.add_parser(
            name, help=summary(module), description=summary(module), epilog=examples
        )
        if only in (None, name):
            module.add_arguments(whole.commands[name])
    return whole


@escape_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0, 2 for bad input (one sentence on stderr), 130 for Ctrl-C, 143 for
    SIGTERM.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((argument for argument in arguments if argument in COMMANDS), "")
    whole = parser(only=command)
    args = whole.parse_args(arguments)
    if args.command is None:
        whole.print_help()
        return 0

    def with_options(sentence: str) -> str:
        return with_option_names(sentence, whole.commands[args.command])

    args.command_line = arguments
    args.notice = lambda line: notice(with_options(line))
    try:
        with raise_on_signal():
            return COMMANDS[args.command].run(args)
    except BrokenPipeError:  # the reader of the output is gone; print nothing more, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"gluon-lstm: {with_options(_sentence(error))}", file=sys.stderr)
        return BAD_INPUT
    except MemoryError as error:
        print(f"gluon-lstm: not enough memory ({error}); use a smaller --hidden or --batch-size", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        print("gluon-lstm: interrupted", file=sys.stderr)
        return BY_SIGNAL + getattr(interrupt, "number", signal.SIGINT)


def _sentence(error: Exception) -> str:
    """Return an error as one sentence."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
