"""Write the gettext catalogue of the Japanese messages: gluon_lstm/locale/ja/LC_MESSAGES/gluon_lstm.po and its .mo.

    python scripts/catalogue.py            collect the messages of the source, update the .po file, compile it
    python scripts/catalogue.py --check    exit with 1 if a file is not current or a message lacks its translation

A new message comes into the .po file without a translation: write it there, and run the script again. It needs Babel
(`pip install -c constraints.txt ".[test]"`).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from gluon_lstm.cli.main import COMMANDS, parser
from gluon_lstm.cli.options import GROUPS, explanation, summary
from gluon_lstm.demos import DEMOS
from gluon_lstm.language import DOMAIN, LOCALE
from gluon_lstm.pretrained.catalogue import entries

PACKAGE = LOCALE.parent
PO = LOCALE / "ja" / "LC_MESSAGES" / f"{DOMAIN}.po"
MO = PO.with_suffix(".mo")
KEYWORDS = {
    "_": None,
    "N_": None,
    "ngettext": (1, 2),
    "LeftOut": None,
}  # function -> position of the message, None: the first
ARGPARSE = (  # sentences of argparse that a user can meet, from Python 3.9 to 3.13
    "usage: ",
    "%(heading)s:",
    "show this help message and exit",
    "the following arguments are required: %s",
    "unrecognized arguments: %s",
    "not allowed with argument %s",
    "ignored explicit argument %r",
    "expected one argument",
    "expected at most one argument",
    "expected at least one argument",
    "one of the arguments %s is required",
    "invalid %(type)s value: %(value)r",
    "invalid choice: %(value)r (choose from %(choices)s)",
    "argument %(argument_name)s: %(message)s",
    "unknown parser %(parser_name)r (choices: %(choices)s)",
)
SYSTEM = (  # reasons of OSError that a user can meet
    "No such file or directory",
    "Permission denied",
    "Is a directory",
    "Not a directory",
    "No space left on device",
    "Read-only file system",
    "File name too long",
    "Input/output error",
)
# what a translation keeps: placeholders of format() and of %, options, names of options in backticks
KEPT = re.compile(r"\{[^{}]*\}|%\(\w+\)[rs]|%[rs]|(?<![\w-])--\w[\w-]*|`\w+`")


class PlainCatalog(Catalog):
    """Catalogue whose header has no dates and no version of Babel, so that equal messages make equal files."""

    mime_headers = [("Content-Type", "text/plain; charset=utf-8"), ("Plural-Forms", "nplurals=1; plural=0;")]  # noqa: RUF012


def messages() -> Catalog:
    """Return the messages of the package, without translations, in the order of the files."""
    catalog = Catalog(project=DOMAIN, domain=DOMAIN)
    for file, _line, message, _comments, _context in extract_from_dir(
        PACKAGE, [("**.py", "python")], keywords=KEYWORDS
    ):
        catalog.add(message, locations=[(f"gluon_lstm/{Path(file).as_posix()}", 0)])
    for name, module in COMMANDS.items():
        declared = (vars(action).get("text", "") for action in parser().commands[name]._actions)
        for text in (summary(module), explanation(module), *filter(None, declared)):
            catalog.add(text, locations=[(f"gluon_lstm/cli/{name}.py", 0)])
    for demo in DEMOS.values():
        for text in (demo.summary, *(option.help for option in demo.options)):
            catalog.add(text, locations=[("gluon_lstm/demos/__init__.py", 0)])
    for room in ("pages", "report"):
        labels = json.loads((PACKAGE / room / "labels.json").read_text(encoding="utf-8"))
        for context, text in contexts(labels):
            catalog.add(text, locations=[(f"gluon_lstm/{room}/labels.json", 0)], context=context)
    for entry in entries():
        for text in entry.card_texts():
            catalog.add(text, locations=[("gluon_lstm/cli/models.py", 0)])
    for text in GROUPS:
        catalog.add(text, locations=[("gluon_lstm/cli/options.py", 0)])
    for text in (*ARGPARSE, *SYSTEM):
        catalog.add(text, locations=[("Python", 0)])
    return catalog


def contexts(labels: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (context, text) of nested labels, as `gluon_lstm.language.translate_labels` looks them up."""
    for key, value in labels.items():
        if isinstance(value, Mapping):
            yield from contexts(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def updated() -> Catalog:
    """Return the catalogue of the .po file with the messages of the source, and no others."""
    with PO.open("rb") as file:
        old = read_po(file, locale="ja", domain=DOMAIN)
    catalog = PlainCatalog("ja", DOMAIN, "# Japanese messages of gluon_lstm; see scripts/catalogue.py", fuzzy=False)
    for message in messages():
        if message.id:
            known = old.get(message.id, message.context)
            catalog.add(message.id, known.string if known else "", message.locations, context=message.context)
    return catalog


def po_file(catalog: Catalog) -> bytes:
    """Return the content of the .po file."""
    content = BytesIO()
    write_po(content, catalog, width=120, include_lineno=False)
    return content.getvalue()


def mo_file(catalog: Catalog) -> bytes:
    """Return the content of the .mo file."""
    content = BytesIO()
    write_mo(content, catalog)
    return content.getvalue()


def problems(catalog: Catalog) -> Iterator[str]:
    """Yield what is wrong with the translations: missing ones, and placeholders or options that differ."""
    for message in catalog:
        if message.id:
            source, translation = _last(message.id), _last(message.string)
            if not translation:
                yield f"no translation: {source!r}"
            elif lost := _kept(source, message) ^ _kept(translation, message):
                yield f"{', '.join(sorted(lost))} in one language alone: {source!r}"


def _kept(text: str, message: Message) -> set[str]:
    return {each for each in KEPT.findall(text) if not each.startswith("`") or each in _last(message.id)}


def _last(texts: Any) -> str:
    """Return the plural form of a message that has one."""
    return texts if isinstance(texts, str) else texts[-1]


def main() -> int:
    """Write or check the files; return the exit code."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--check", action="store_true", help="write nothing; exit with 1 if something is wrong")
    args = options.parse_args()
    catalog = updated()
    found = list(problems(catalog))
    for path, content in ((PO, po_file(catalog)), (MO, mo_file(catalog))):
        if not args.check:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            found.append(f"not current: {path}; run python scripts/catalogue.py")
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
