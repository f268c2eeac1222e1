"""Command line arguments of option dataclasses: declaration, parsed values, option names in error messages."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from types import ModuleType
from typing import Any, NoReturn

from gluon_lstm.options import Option, options_of, type_of

# order of the argument groups in the help of a command
GROUPS = (
    "positional arguments", "options", "data", "reading", "cleaning", "words", "model", "optimization",
    "regularization", "stopping", "samples", "memorization", "cache",
)  # fmt: skip
# help of the argument MODEL
EXAMPLES_HEADING = "examples:"
MODEL = "a .safetensors file, the run directory of a training run, or a name: see `gluon-lstm models`"


class _HelpFormatter(argparse.HelpFormatter):
    """Formatter that wraps each paragraph of a description and keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(EXAMPLES_HEADING):
            return text
        return "\n\n".join(super(_HelpFormatter, self)._fill_text(part, width, indent) for part in text.split("\n\n"))


class Parser(argparse.ArgumentParser):
    """Argument parser with one-line errors and a one-line usage; `commands` maps names to subparsers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": _HelpFormatter, **options})
        self._optionals.title = "options"  # as from Python 3.10 on
        self.commands: dict[str, Parser] = {}

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def format_usage(self) -> str:
        return f"usage: {self.short_usage()}\n"

    def format_help(self) -> str:
        self.usage = self.short_usage()
        self._action_groups.sort(key=lambda group: GROUPS.index(group.title or "options"))
        return super().format_help()

    def short_usage(self) -> str:
        """Return the program name and the required arguments in one line."""
        required = []
        for action in self._actions:
            name = f"{action.metavar or action.dest}"
            if not action.option_strings:
                many = "..." if action.nargs in ("+", "*") else " ..." if action.nargs == argparse.PARSER else ""
                required.append(f"[{name}]" if action.nargs == "?" else name + many)
            elif action.required:
                required.append(f"{action.option_strings[0]} {name}")
        return " ".join([self.prog, *required, "[options]"])


def summary(module: ModuleType) -> str:
    """Return the summary of a command: the first line of its module docstring without the command name."""
    return (module.__doc__ or "").split("\n")[0].split(": ", 1)[-1]


def explanation(module: ModuleType) -> str:
    """Return the paragraphs after the first line of a module's docstring."""
    return (module.__doc__ or "").partition("\n")[2].strip()


def option_string(name: str) -> str:
    """Return the option string of a field: `max_vocab` -> --max-vocab."""
    return f"--{name.rstrip('_').replace('_', '-')}"


def add_options(
    parser: argparse._ActionsContainer,
    settings: type,
    defaults: Mapping[str, Any] | None = None,
    notes: Any = None,
    only: Sequence[str] = (),
) -> None:
    """Add one argument per option of the dataclass `settings` to its argument group; `only` restricts the options.

    The arguments have no default: an option missing from the command line is absent from the namespace. The help
    shows the default of the dataclass or of `defaults`, and the value of the instance `notes` if different.
    """
    groups: dict[str, Any] = {group.title or "": group for group in getattr(parser, "_action_groups", ())}
    for each in fields(settings):
        declared: Option | None = each.metadata.get("option")
        if declared is None or (only and each.name not in only):
            continue
        default = (defaults or {}).get(each.name, None if each.default is MISSING else each.default)
        other = getattr(notes, each.name) if notes is not None else default
        target = parser
        if declared.group:
            if declared.group not in groups:
                groups[declared.group] = parser.add_argument_group(declared.group)  # type: ignore[attr-defined]
            target = groups[declared.group]
        listed = {"default": _value(default, declared), "notes": _value(other, declared) or "no"}
        if other == default:
            del listed["notes"]
        arguments: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(declared, listed)}
        kind = type_of(each)
        if kind is bool:
            negatable = default or other
            arguments["action"] = argparse.BooleanOptionalAction if negatable else "store_true"
        elif declared.choices:
            arguments["choices"] = list(declared.choices)
        else:
            arguments.update(type=kind, metavar=declared.metavar or each.name.upper())
        action = target.add_argument(option_string(each.name), dest=each.name, **arguments)
        vars(action).update(text=declared.help, defaults=listed)  # for docs/cli.md


def _help(declared: Option, defaults: Mapping[str, str]) -> str:
    """Return the help text followed by the nonempty `defaults` (name -> value)."""
    listed = "; ".join(f"{name}: {value}" for name, value in defaults.items() if value)
    text = declared.help.replace("%", "%%")
    return f"{text} ({listed})" if listed else text


def _value(value: Any, declared: Option) -> str:
    """Return a default as command line text; "" for no default."""
    if value is None or value is False:
        return "0" if declared.zero_is_none else ""
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def given_options(args: argparse.Namespace, *settings: type) -> dict[str, Any]:
    """Return field -> value of the options of `settings` present on the command line."""
    names = [name for each in settings for name in options_of(each)]
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def with_option_names(message: str, parser: argparse.ArgumentParser) -> str:
    """Replace field names in backticks (`max_vocab`) in a message by the option strings of a command (--max-vocab)."""
    strings = {action.dest: action.option_strings[0] for action in _actions(parser) if action.option_strings}
    return re.sub(r"`(\w+)`", lambda match: strings.get(match[1], match[0]), message)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the actions of a parser and, recursively, of its subparsers."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from _actions(subparser)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument FILE ... (files of posts)."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="txt, csv, tsv, json, jsonl, X archive, or a folder")
