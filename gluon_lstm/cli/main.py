"""Entry point of `gluon-lstm`: command dispatch, one-line error messages and exit codes."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Sequence

from gluon_lstm import __version__
from gluon_lstm.blas import blas_kernels, choose_blas_kernels, poor_kernels
from gluon_lstm.cli import (
    agree,
    cache,
    chat,
    clean,
    demo,
    digits,
    evaluate,
    export,
    generate,
    inspect,
    models,
    report,
    train,
)  # fmt: skip
from gluon_lstm.cli.options import (
    Parser,
    add_language,
    examples,
    explanation,
    named_language,
    summary,
    with_option_names,
)
from gluon_lstm.cli.terminal import can_show_japanese, error_message, escape_output, notice
from gluon_lstm.language import _, from_environment, use
from gluon_lstm.signals import raise_on_signal
from gluon_lstm.system import available_cores, cpu_name, versions

# Command name -> module. The first line of the module docstring is the summary of the command. The module defines
# `EXAMPLES`, `add_arguments(parser)` and `run(args) -> exit code`. `args.notice(line)` prints a line on stderr.
COMMANDS = {
    "train": train,
    "generate": generate,
    "chat": chat,
    "evaluate": evaluate,
    "export": export,
    "inspect": inspect,
    "models": models,
    "report": report,
    "clean": clean,
    "cache": cache,
    "agree": agree,
    "digits": digits,
    "demo": demo,
}

atexit.register(gc.freeze)  # Python looks for garbage when it ends: half a second after a training run

EXIT_BAD_INPUT = 2
SIGNAL_EXIT_BASE = 128  # exit code after a signal: this base plus the signal number


def parser(only: str | None = None) -> Parser:
    """Return the parser of the command line with a subparser for each command.

    `only`: add arguments only to this command (None: to all), because adding arguments imports library modules.
    """
    root = Parser(prog="gluon-lstm", description=_("An LSTM for Japanese posts: train it, and let it write."))
    root.add_argument(
        "--version",
        action="version",
        version=f"gluon-lstm {__version__}",
        help=_(
            "show the version and exit; --version --verbose: also the libraries, the processor and its BLAS kernels"
        ),
    )
    add_language(root)
    subparsers = root.add_subparsers(dest="command", metavar="COMMAND")
    for name, module in COMMANDS.items():
        description = f"{summary(module)}\n\n{explanation(module)}"
        root.commands[name] = subparsers.add_parser(
            name, help=summary(module), description=description, epilog=examples(module)
        )
        if only in (None, name):
            module.add_arguments(root.commands[name])
            add_language(root.commands[name])
    return root


@escape_output()
def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0: success. 1: `agree` found a difference. 2: bad input (one line on stderr). 130: Ctrl-C. 143: SIGTERM.
    """
    choose_blas_kernels()
    arguments = list(sys.argv[1:] if argv is None else argv)
    with use(named_language(arguments) or default_language()):
        return _run(arguments)


def default_language() -> str:
    """Return the language of the environment; English where standard output or error cannot show it."""
    language = from_environment(os.environ)
    return language if language != "ja" or can_show_japanese() else "en"


def _run(arguments: list[str]) -> int:
    """Run one command in the language in use."""
    if arguments == ["--version", "--verbose"]:
        print("\n".join(environment_lines()))
        return 0
    command = next((argument for argument in arguments if argument in COMMANDS), "")
    root = parser(only=command)
    args = root.parse_args(arguments)
    if args.command is None:
        root.print_help()
        return 0

    def with_command_options(message: str) -> str:
        return with_option_names(message, root.commands[args.command])

    args.command_line = arguments
    args.notice = lambda line: notice(with_command_options(line))
    try:
        with raise_on_signal():
            return COMMANDS[args.command].run(args)
    except BrokenPipeError:  # the reader closed the pipe; discard further output, also the flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"gluon-lstm: {with_command_options(error_message(error))}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except MemoryError as error:
        message = _("not enough memory ({error}); use a smaller --hidden or --batch-size").format(error=error)
        print(f"gluon-lstm: {message}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt as interrupt:
        print(f"gluon-lstm: {_('interrupted')}", file=sys.stderr)
        return SIGNAL_EXIT_BASE + getattr(interrupt, "number", signal.SIGINT)


def environment_lines() -> list[str]:
    """Return what a report of a problem should say: versions, processor, and the BLAS with its kernels and threads."""
    library, kernels, threads = blas_kernels()
    found = versions(("numpy", "mxnet", "numba", "janome"))
    lines = [
        f"gluon-lstm {__version__}",
        f"Python {sys.version.split()[0]}; " + ", ".join(f"{name} {version}" for name, version in found.items()),
        f"{cpu_name()}, {available_cores()} cores",
        f"products: {library}, {kernels} kernels, {threads} threads",
    ]
    poor = poor_kernels()
    return [*lines, f"warning: {poor}"] if poor else lines
