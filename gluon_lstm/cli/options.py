"""Command line arguments of option dataclasses: declaration, parsed values, option names in error messages."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from types import ModuleType
from typing import Any, NoReturn

from gluon_lstm.columns import wrap
from gluon_lstm.language import LANGUAGES, _, ngettext
from gluon_lstm.options import Option, options_of, type_of
from gluon_lstm.system import launched_rank

vars(argparse).update(_=_, ngettext=ngettext)  # the functions that argparse passes its own sentences to

LANGUAGE = "language"  # field of an option dataclass
# order of the argument groups in the help of a command
GROUPS = (
    "positional arguments", "options", "data", "reading", "cleaning", "words", "model", "optimization",
    "regularization", "stopping", "samples", "memorization", "cache",
)  # fmt: skip


class _HelpFormatter(argparse.HelpFormatter):
    """Formatter that wraps each paragraph of a description, as wide as it is, and keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith(_("examples:")):
            return text
        return "\n\n".join("\n".join(wrap(part, width)) for part in text.split("\n\n"))

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrap(text, width)


class Parser(argparse.ArgumentParser):
    """Argument parser with one-line errors and a one-line usage; `commands` maps names to subparsers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": _HelpFormatter, **options})
        self._optionals.title = _("options")  # as from Python 3.10 on
        self.commands: dict[str, Parser] = {}

    def error(self, message: str) -> NoReturn:
        if launched_rank():  # of the processes of mpirun the first one says it
            self.exit(2)
        self.exit(2, _("{program}: {message} (see {program} --help)").format(program=self.prog, message=message) + "\n")

    def format_usage(self) -> str:
        return f"{_('usage: ')}{self.short_usage()}\n"

    def format_help(self) -> str:
        self.usage = self.short_usage()
        self._action_groups.sort(key=lambda group: group_titles().index(group.title or _("options")))
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
        return " ".join([self.prog, *required, f"[{_('options')}]"])


def summary(module: ModuleType) -> str:
    """Return the summary of a command: the first line of its module docstring without the command name."""
    return _((module.__doc__ or "").split("\n")[0].split(": ", 1)[-1])


def explanation(module: ModuleType) -> str:
    """Return the paragraphs after the first line of a module's docstring."""
    return _((module.__doc__ or "").partition("\n")[2].strip())


def examples(module: ModuleType) -> str:
    """Return the examples of a command under their heading."""
    return "\n".join((_("examples:"), *(f"  {line}" for line in module.EXAMPLES)))


def group_titles() -> list[str]:
    """Return the titles of GROUPS in the language in use."""
    return [_(title) for title in GROUPS]


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
    shows the default of the dataclass or of `defaults`, and the value of the instance `notes` if different. The option
    `language` of a page or a report is that of the command (`add_language`).
    """
    groups: dict[str, Any] = {group.title or "": group for group in getattr(parser, "_action_groups", ())}
    for each in fields(settings):
        declared: Option | None = each.metadata.get("option")
        if declared is None or each.name == LANGUAGE or (only and each.name not in only):
            continue
        default = (defaults or {}).get(each.name, None if each.default is MISSING else each.default)
        other = getattr(notes, each.name) if notes is not None else default
        target = parser
        if declared.group:
            title = _(declared.group)
            if title not in groups:
                groups[title] = parser.add_argument_group(title)  # type: ignore[attr-defined]
            target = groups[title]
        of_notes = "" if other == default else _value(other, declared) or _("no")
        text = _with_defaults(_(declared.help), _value(default, declared), of_notes)
        arguments: dict[str, Any] = {"default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        kind = type_of(each)
        if kind is bool:
            negatable = default or other
            arguments["action"] = argparse.BooleanOptionalAction if negatable else "store_true"
        elif declared.choices:
            arguments["choices"] = list(declared.choices)
        else:
            arguments.update(type=kind, metavar=declared.metavar or each.name.upper())
        action = target.add_argument(option_string(each.name), dest=each.name, **arguments)
        vars(action)["text"] = declared.help  # for scripts/catalogue.py


def _with_defaults(text: str, default: str, notes: str) -> str:
    """Return a help text followed by the default and the value of the notes; "": none."""
    if default and notes:
        text = _("{text} (default: {default}; notes: {notes})").format(text=text, default=default, notes=notes)
    elif default:
        text = _("{text} (default: {default})").format(text=text, default=default)
    elif notes:
        text = _("{text} (notes: {notes})").format(text=text, notes=notes)
    return text


def _value(value: Any, declared: Option) -> str:
    """Return a default as command line text; "" for no default."""
    if value is None or value is False:
        return "0" if declared.zero_is_none else ""
    if value is True:
        return _("yes")
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
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help=_("txt, csv, tsv, json, jsonl, X archive, or a folder")
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the positional argument MODEL."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help=_("a .safetensors file, the run directory of a training run, or a name: see `gluon-lstm models`"),
    )


def add_language(parser: argparse.ArgumentParser) -> None:
    """Add --language. It is absent from the namespace where the command line does not name it, like other options."""
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        default=argparse.SUPPRESS,
        help=_("language of messages, reports and pages (default: that of the locale; pages: the browser's)"),
    )


def named_language(arguments: Sequence[str]) -> str | None:
    """Return the valid value of --language on the command line before it is parsed, None if there is none."""
    scanner = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    scanner.add_argument("--language", nargs="?")
    language = scanner.parse_known_args(arguments)[0].language
    return language if language in LANGUAGES else None
