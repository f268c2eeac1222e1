"""Words of the user's own, names above all, as Janome takes them: CSV in one of two forms, told by their commas.

    朝霧てまり,カスタム名詞,アサギリテマリ
    朝霧てまり,1288,1288,4569,名詞,固有名詞,人名,一般,*,*,朝霧てまり,アサギリテマリ,アサギリテマリ

The first is its simpledic: surface, part of speech, reading. The second is ipadic: surface, left and right id, cost,
four parts of speech, two of inflection, base form, reading, pronunciation.

Only the lines themselves are passed on, never the path: a model that was trained with them holds them.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gluon_lstm.options import option
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.encodings import TextError, blocks, decoded, find_encoding, lines

FIELDS = {3: "simpledic", 13: "ipadic"}
CONTEXTS = 1316  # of IPADIC: a left or right id is less
MAX_COST = 32767  # the dictionary keeps costs of 16 bits; beyond, an entry would win or lose always
MAX_ENTRIES_PER_SURFACE = 8  # entries of one surface: Janome tries each of them behind each of those before
MAX_DICTIONARY_CHARACTERS = 2 << 20  # characters of a dictionary: a model file, which holds it, has no room for more
MAX_SURFACE_LENGTH = 50  # characters that Janome shows a dictionary at a time: no entry that is longer is ever found


def read_user_dictionary(path: str | os.PathLike[str], notice: Notice = ignore) -> tuple[str, ...]:
    """The entries in a file, empty lines left out. Raises TextError, naming file and line, and OSError."""
    path = os.fspath(path)
    with open(path, "rb") as file:
        entries = []
        size = 0
        for number, line in enumerate(lines(decoded(blocks(file), find_encoding(path, notice), path), path), 1):
            size += len(line)
            if size > MAX_DICTIONARY_CHARACTERS:
                problem = (
                    f"{path}: line {number}: the dictionary is longer than {MAX_DICTIONARY_CHARACTERS:,} characters"
                )
                raise TextError(f"{problem}; keep the words that matter")
            if line.strip():
                entries.append((number, line.strip()))
    if not entries:
        raise TextError(f"{path}: no entry is in it; write one a line, such as 朝霧てまり,カスタム名詞,アサギリテマリ")
    first = entries[0][1].count(",")
    for number, entry in entries:
        if problem := _problem(entry, first):
            raise TextError(f"{path}: line {number}: {problem}")
    return tuple(entry for _, entry in entries)


def check_entries(entries: Sequence[str]) -> None:
    """ValueError for the first entry that Janome could not use."""
    for entry in entries:
        if not isinstance(entry, str):
            raise ValueError(f"user dictionary: an entry is a line of text, not {type(entry).__name__}")
        if problem := _problem(entry, entries[0].count(",")):
            raise ValueError(f"user dictionary: {problem}")
    for surface, n in Counter(entry.split(",", 1)[0] for entry in entries).most_common(1):
        if n > MAX_ENTRIES_PER_SURFACE:
            raise ValueError(
                f"user dictionary: {surface[:40]!r} has {n:,} entries; give it at most {MAX_ENTRIES_PER_SURFACE}"
            )


def _problem(entry: str, commas: int) -> str:
    """What is wrong with an entry of a dictionary whose first entry has so many commas; "" when nothing is."""
    fields = entry.split(",")
    if len(fields) not in FIELDS:
        return f"{entry[:40]!r} has {len(fields)} fields; an entry has 3 (simpledic) or 13 (ipadic)"
    if len(fields) != commas + 1:
        return f"{entry[:40]!r} has {len(fields)} fields and the first entry {commas + 1}; keep to one form"
    if not fields[0] or not entry.isprintable():
        return f"{entry[:40]!r} has no surface or a control character"
    if len(fields) == 13:
        left, right, cost = fields[1:4]
        if not all(_is_number(id) and int(id) < CONTEXTS for id in (left, right)):
            return f"{left[:40]!r}, {right[:40]!r}: the left and right id are whole numbers below {CONTEXTS}"
        digits = cost[1:] if cost.startswith("-") else cost
        if not (_is_number(digits) and int(digits) <= MAX_COST):
            return f"{cost[:40]!r}: the cost is a whole number from -{MAX_COST} to {MAX_COST}"
    return ""


def _is_number(digits: str) -> bool:
    return digits.isdecimal() and digits.isascii() and len(digits) <= 9  # `int` takes long over long ones


def janome_with(entries: Sequence[str], **options: Any) -> Any:
    """Janome's tokenizer, with these words besides its own; `options` are its own."""
    from janome.tokenizer import Tokenizer  # here, not above: it loads a dictionary of 80 MB

    tokenizer = Tokenizer(**options)
    if entries:
        tokenizer.user_dic = _Words(entries)
    return tokenizer


class _Words:
    """Entries as Janome asks for them.

    Janome's own takes them from a CSV file, and compiles them in a time that hangs on how they begin: for thousands of
    names seconds, for some lists hours.
    """

    def __init__(self, entries: Sequence[str]) -> None:
        self._extra: list[tuple[str, ...]] = []  # part of speech, inflection, base form, reading, pronunciation
        self._found: dict[bytes, list[tuple[int, str, int, int, int]]] = defaultdict(list)
        for number, entry in enumerate(entries):
            fields = entry.split(",")
            surface = fields[0]
            if len(fields) == 3:
                left, right, cost = 0, 0, -100_000  # as Janome has it: such a word always wins
                self._extra.append((f"{fields[1]},*,*,*", "*", "*", surface, fields[2], fields[2]))
            else:
                left, right, cost = map(int, fields[1:4])
                self._extra.append((",".join(fields[4:8]), *fields[8:]))
            if len(surface) <= MAX_SURFACE_LENGTH:
                self._found[surface.encode()].append((number, surface, left, right, cost))
        self._lengths = sorted(set(map(len, self._found)))

    def lookup(self, text: bytes) -> list[tuple[int, str, int, int, int]]:
        """The number, surface, left and right id and cost of each entry that `text` begins with."""
        found = (self._found.get(text[:length], ()) for length in self._lengths if length <= len(text))
        return [entry for entries in found for entry in entries]

    def lookup_extra(self, number: int) -> tuple[str, ...]:
        return self._extra[number]


@dataclass(frozen=True)
class DictionaryOptions:
    """The file of a user dictionary."""

    user_dictionary: Path | None = option(None, "words for Janome, names above all: a CSV file", "CSV", "words")

    def entries(self, notice: Notice = ignore) -> tuple[str, ...]:
        """Return the entries of the file; none without a file. Raises as `read_user_dictionary`."""
        return read_user_dictionary(self.user_dictionary, notice) if self.user_dictionary else ()
