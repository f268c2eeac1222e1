"""Arguments made from option dataclasses, and the way back: what a user gave, error sentences with option names."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from types import ModuleType
from typing import Any, NoReturn

from gluon_lstm.options import Option, options_of, type_of

# Order of the groups in the help of a command.
GROUPS = (
    "positional arguments", "options", "data", "reading", "cleaning", "words", "model", "optimization",
    "regularization", "stopping", "samples", "memorization", "cache",
)  # fmt: skip
MODEL = "a .safetensors file, or the run directory of a training run"


class Parser(argparse.ArgumentParser):
    """An argument parser with one-sentence errors and a usage of one line; `commands` are its subparsers."""

    def __init__(self, **options: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(**{"allow_abbrev": False, "formatter_class": formatter, **options})
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
        """Return the required arguments of the command in one line."""
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
    """Return what a command does: the first line of its module's docstring, after its name."""
    return (module.__doc__ or "").split("\n")[0].split(": ", 1)[-1]


def option_string(name: str) -> str:
    """Return the command line option of a field: `max_vocab` -> --max-vocab."""
    return f"--{name.replace('_', '-')}"


def add_options(
    parser: argparse._ActionsContainer,
    settings: type,
    defaults: Mapping[str, Any] | None = None,
    notes: Any = None,
    only: Sequence[str] = (),
) -> None:
    """Add an argument for each option of the dataclass `settings`, or those in `only`, under its group.

    The arguments have no default of their own: what a user does not give is absent from the namespace. The help shows
    the default of the dataclass, or that of `defaults`, and, where it differs, that of the instance `notes`.
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
        defaults = {"default": _value(default, declared), "notes": _value(other, declared) or "no"}
        if other == default:
            del defaults["notes"]
        arguments: dict[str, Any] = {"default": argparse.SUPPRESS, "help": _help(declared, defaults)}
        kind = type_of(each)
        if kind is bool:
            both = default or other
            arguments["action"] = argparse.BooleanOptionalAction if both else "store_true"
        elif declared.choices:
            arguments["choices"] = list(declared.choices)
        else:
            arguments.update(type=kind, metavar=declared.metavar or each.name.upper())
        action = target.add_argument(option_string(each.name), **arguments)
        vars(action).update(text=declared.help, defaults=defaults)  # for docs/cli.md


def _help(declared: Option, defaults: Mapping[str, str]) -> str:
    """Return the help text with the default of the standard recipe and, where it differs, that of the notes."""
    shown = "; ".join(f"{name}: {value}" for name, value in defaults.items() if value)
    text = declared.help.replace("%", "%%")
    return f"{text} ({shown})" if shown else text


def _value(value: Any, declared: Option) -> str:
    """Return a default as a user would give it; "" where there is none."""
    if value is None or value is False:
        return "0" if declared.zero_is_none else ""
    if value is True:
        return "yes"
    return f"{value:g}" if isinstance(value, float) else str(value)


def given(args: argparse.Namespace, *settings: type) -> dict[str, Any]:
    """Return the options of the dataclasses that the user gave."""
    names = [name for each in settings for name in options_of(each)]
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def with_option_names(sentence: str, parser: argparse.ArgumentParser) -> str:
    """Replace the fields that a library sentence names in backticks by the options of a command."""
    strings = {action.dest: action.option_strings[0] for action in _actions(parser) if action.option_strings}
    return re.sub(r"`(\w+)`", lambda match: strings.get(match[1], match[0]), sentence)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of its subparsers."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for subparser in action.choices.values():
                yield from _actions(subparser)


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the files of posts."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="txt, csv, tsv, json, jsonl, X archive, or a folder")
