"""Lines of output in English and Japanese: whether one is the translation of the other by the catalogue."""

from __future__ import annotations

import re
from functools import cache
from string import Formatter

from babel.messages.pofile import read_po

from gluon_lstm.language import DOMAIN, LOCALE

PO = LOCALE / "ja" / "LC_MESSAGES" / f"{DOMAIN}.po"
SEPARATORS = {"; ": "。", ", ": "、"}  # of lists
UNCHANGED = ("  ", "gluon-lstm: ")  # beginnings of lines that are the same in both languages
REAL, WHOLE = r"-?[\d,]+\.\d+", r"-?[\d,]+"  # values of format(), such as {loss:.4f} and {posts:,}


def are_translations(english: str, japanese: str) -> bool:
    """Return whether the program prints `japanese` where it prints `english`.

    They are a message of the catalogue and its translation with the same values, lists of such, or equal and nothing
    that the catalogue translates.
    """
    if english == japanese:
        return not any(one.fullmatch(part) for part in re.split("; |, ", english) for one, _two in _messages())
    for start in UNCHANGED:
        if english.startswith(start) and japanese.startswith(start):
            return are_translations(english[len(start) :], japanese[len(start) :])
    if counted := re.fullmatch(rf"({WHOLE}) (\D+)", english):
        return japanese == f"{_words().get(counted[2])} {counted[1]} 件"
    for one, two in _messages():
        found, other = one.fullmatch(english), two.fullmatch(japanese)
        if found and other:
            values, others = found.groupdict(), other.groupdict()
            if values.keys() == others.keys() and all(are_translations(values[name], others[name]) for name in values):
                return True
    return any(
        are_translations(english[: at.start()], japanese[: other.start()])
        and are_translations(english[at.end() :], japanese[other.end() :])
        for separator, translation in SEPARATORS.items()
        for at in re.finditer(separator, english)
        for other in re.finditer(translation, japanese)
    )


@cache
def _catalogue() -> list[tuple[str, str]]:
    """Return the messages, in all forms of a plural, with their translations."""
    with PO.open("rb") as file:
        messages = [each for each in read_po(file, locale="ja") if each.id]
    return [
        (source, each.string if isinstance(each.string, str) else each.string[0])
        for each in messages
        for source in ([each.id] if isinstance(each.id, str) else each.id)
    ]


@cache
def _words() -> dict[str, str]:
    """Return the translations of messages without placeholders."""
    return {source: translation for source, translation in _catalogue() if "{" not in source}


@cache
def _messages() -> list[tuple[re.Pattern[str], re.Pattern[str]]]:
    """Return the patterns of the messages that have words, and of their translations."""
    having_words = [each for each in _catalogue() if re.search("[a-z]", re.sub("{.*?}", "", each[0]))]
    return [(_pattern(source), _pattern(translation)) for source, translation in having_words]


def _pattern(message: str) -> re.Pattern[str]:
    """Return the pattern of what a message becomes by format(), with a group for each placeholder.

    What stands before a message that continues another one is the group `before`.
    """
    pattern = "(?P<before>.*)" if message[0] in ";, 。、（" else ""
    for text, name, spec, _conversion in Formatter().parse(message):
        pattern += re.sub("`.+?`", r"(?:`\\w+`|--[\\w-]+)", re.escape(text))  # the name of an option
        if name:
            value = WHOLE if spec in (",", ".0f", ",.0f") else REAL if spec.endswith("f") else ".+"
            pattern += f"(?P={name})" if f"(?P<{name}>" in pattern else f"(?P<{name}>{value})"
    return re.compile(pattern)
