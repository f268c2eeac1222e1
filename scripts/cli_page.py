"""Write docs/cli.md and docs/cli.ja.md: every command with its options, from the parser of the command line.

    python scripts/cli_page.py            write both pages
    python scripts/cli_page.py --check    exit with 1 if a page is not current

The Japanese help texts are in the catalogue of the package: see scripts/catalogue.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from gluon_lstm.cli.main import COMMANDS, parser
from gluon_lstm.cli.options import Parser, explanation, group_titles, summary
from gluon_lstm.language import use

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"en": ROOT / "docs" / "cli.md", "ja": ROOT / "docs" / "cli.ja.md"}
IN_THE_LEAD = ("help", "language")  # options of every command, which the first paragraph explains
TEXTS = {
    "en": {
        "title": "# Command line",
        "lead": """\
This page is made from the program by `python scripts/cli_page.py`. Every command has `--help` and `--language en|ja`:
the language of messages, figures, reports and pages. Without it, messages, figures and reports are in the language of
the locale (the first of the environment variables `LC_ALL`, `LC_MESSAGES` and `LANG` that is not empty; English for any
but Japanese, and where the terminal cannot show Japanese), and pages begin in that of the browser. Figures with
Japanese labels need the extra `report`, and are in English without it. What programs read (`--json`, `--format jsonl`,
`history.jsonl`, exit codes, generated text) is the same in both languages. The Python interface speaks English.""",
        "head": "| option | meaning |\n|---|---|",
        "examples": "Examples:",
    },
    "ja": {
        "title": "# コマンドライン",
        "lead": """\
このページは `python scripts/cli_page.py` が生成します。どのコマンドにも `--help` と `--language en|ja` があります。

`--language` は、メッセージ、図、レポート、ページの言語です。

指定しなければ、メッセージ、図、レポートはロケールの言語、ページはブラウザの言語で始まります。

ロケールは、環境変数 `LC_ALL`、`LC_MESSAGES`、`LANG` のうち、空でない最初のものです。

日本語でない場合と、端末が日本語を表示できない場合は、英語になります。

図を日本語にするには追加パッケージ `report` が必要です。なければ英語になります。

`--json`、`--format jsonl`、`history.jsonl`、終了コード、生成したテキストは、どちらの言語でも同じです。

Python から使うときのメッセージは英語です。""",
        "head": "| オプション | 意味 |\n|---|---|",
        "examples": "例：",
    },
}


def page(language: str) -> str:
    """Return one page as Markdown."""
    texts = TEXTS[language]
    parts = [texts["title"], texts["lead"]]
    with use(language):
        for name, command in parser().commands.items():
            parts += list(_command(name, command, texts))
    return "\n\n".join(parts) + "\n"


def _command(name: str, command: Parser, texts: dict[str, str]) -> Iterator[str]:
    """Yield the blocks of one command: heading, usage, a table per group, examples."""
    yield f"## gluon-lstm {name}"
    yield summary(COMMANDS[name])
    yield f"```\n{command.short_usage()}\n```"
    yield explanation(COMMANDS[name])
    titles = group_titles()
    for group in sorted(command._action_groups, key=lambda group: titles.index(group.title or "")):
        rows = []
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                for demo, own in action.choices.items():
                    rows.append(f"| `{demo}` | {own.description} |")
                    rows += [_row(each, f"`{demo}` ") for each in _own(own)]
            elif action.dest not in IN_THE_LEAD:
                rows.append(_row(action))
        if rows:
            heading = f"**{group.title}**\n\n" if group.title in titles[2:] else ""
            yield heading + "\n".join((texts["head"], *rows))
    examples = "\n".join(COMMANDS[name].EXAMPLES)
    yield f"{texts['examples']}\n\n```\n{examples}\n```"


def _own(command: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a demonstration, without those that all commands have."""
    return [action for action in command._actions if action.dest not in IN_THE_LEAD]


def _row(action: argparse.Action, before: str = "") -> str:
    """Return the table row of one argument."""
    value = "\\|".join(map(str, action.choices)) if action.choices else str(action.metavar or "")
    names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    takes_value = action.nargs != 0 and not isinstance(action, argparse.BooleanOptionalAction)
    shown = f"{names} {value}" if action.option_strings and takes_value else names
    meaning = (action.help or "").replace("%%", "%")
    return f"| {before}`{shown}` | {meaning.replace('&', '&amp;').replace('|', chr(92) + '|')} |"


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
