"""Write docs/cli.md and docs/cli.ja.md: every command with its options, from the parser of the command line.

    python scripts/cli_page.py            write both pages
    python scripts/cli_page.py --check    exit with 1 if a page is not current

The Japanese help texts are in scripts/cli_ja.json: option -> text, or "command --option" where commands differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from gluon_lstm.cli.main import COMMANDS, parser
from gluon_lstm.cli.options import GROUPS, Parser, explanation, summary

ROOT = Path(__file__).resolve().parent.parent
JAPANESE = Path(__file__).with_name("cli_ja.json")
PAGES = {"en": ROOT / "docs" / "cli.md", "ja": ROOT / "docs" / "cli.ja.md"}
TEXTS = {
    "en": {
        "title": "# Command line",
        "lead": "This page is made from the program by `python scripts/cli_page.py`. Every command has `--help`.",
        "head": "| option | meaning |\n|---|---|",
        "examples": "Examples:",
    },
    "ja": {
        "title": "# コマンドライン",
        "lead": "このページは `python scripts/cli_page.py` が生成します。どのコマンドにも `--help` があります。",
        "head": "| オプション | 意味 |\n|---|---|",
        "examples": "例：",
    },
}


def page(language: str) -> str:
    """Return one page as Markdown."""
    texts = TEXTS[language]
    translated: dict[str, str] = json.loads(JAPANESE.read_text(encoding="utf-8")) if language == "ja" else {}
    parts = [texts["title"], texts["lead"]]
    for name, command in parser().commands.items():
        parts += list(_command(name, command, texts, translated))
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Parser, texts: dict[str, str], ja: dict[str, str]) -> Iterator[str]:
    """Yield the blocks of one command: heading, usage, a table per group, examples."""
    yield f"## gluon-lstm {name}"
    yield _text(name, summary(COMMANDS[name]), ja)
    yield f"```\n{command.short_usage()}\n```"
    yield _text(f"{name} explanation", explanation(COMMANDS[name]), ja)
    for group in sorted(command._action_groups, key=lambda group: GROUPS.index(group.title or "options")):
        rows = []
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                for demo, own in action.choices.items():
                    rows.append(f"| `{demo}` | {_text(f'{name} {demo}', own.description or '', ja)} |")
                    rows += [_row(f"{name} {demo}", each, ja, f"`{demo}` ") for each in _own(own)]
            elif action.dest != "help":
                rows.append(_row(name, action, ja))
        if rows:
            title = group.title if group.title in GROUPS[2:] else ""
            heading = f"**{_text(f'group {title}', title, ja)}**\n\n" if title else ""
            yield heading + "\n".join((texts["head"], *rows))
    examples = "\n".join(COMMANDS[name].EXAMPLES)
    yield f"{texts['examples']}\n\n```\n{examples}\n```"


def _own(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a demonstration, without --help."""
    return [action for action in command._actions if action.dest != "help"]


def _row(command: str, action: argparse.Action, ja: dict[str, str], before: str = "") -> str:
    """Return the table row of one argument."""
    value = "\\|".join(map(str, action.choices)) if action.choices else str(action.metavar or "")
    names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    takes_value = action.nargs != 0 and not isinstance(action, argparse.BooleanOptionalAction)
    shown = f"{names} {value}" if action.option_strings and takes_value else names
    key = action.option_strings[0] if action.option_strings else action.dest
    english = getattr(action, "text", (action.help or "").replace("%%", "%"))
    meaning = _text(f"{command} {key}" if f"{command} {key}" in ja else key, english, ja)
    defaults = {name: value for name, value in getattr(action, "defaults", {}).items() if value}
    if defaults:
        words = [f"{_text(name, name, ja)}: {value}" for name, value in defaults.items()]
        meaning += f" ({'; '.join(words)})"
    return f"| {before}`{shown}` | {meaning.replace('&', '&amp;').replace('|', chr(92) + '|')} |"


def _text(key: str, english: str, ja: dict[str, str]) -> str:
    """Return a text in the language of the page. Raises KeyError where the Japanese text is missing."""
    return ja[key] if ja else english


def main() -> int:
    """Write or check the pages; return the exit code."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is not current")
    args = options.parse_args()
    stale = []
    for language, path in PAGES.items():
        text = page(language)
        if args.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"not current: {', '.join(stale)}; run python scripts/cli_page.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
