"""User dictionary of Janome: words such as names, one a line, as CSV in one of two formats.

    朝霧てまり,カスタム名詞,アサギリテマリ
    朝霧てまり,1288,1288,4569,名詞,固有名詞,人名,一般,*,*,朝霧てまり,アサギリテマリ,アサギリテマリ

The first format is simpledic: surface, part of speech, reading. The second is ipadic: surface, left and right context
id, cost, four parts of speech, two of inflection, base form, reading, pronunciation.

The entries themselves are stored in the model, not the path of the file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gluon_lstm.language import _
from gluon_lstm.options import option
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.encodings import TextError, decode_blocks, detect_encoding, read_blocks, split_lines

FORMATS = {3: "simpledic", 13: "ipadic"}  # by number of fields
NUM_CONTEXT_IDS = 1316  # left and right context ids of IPADIC
MAX_COST = 32767  # maximum absolute cost: the dictionary stores 16 bits
MAX_ENTRIES_PER_SURFACE = 8  # maximum entries of one surface: Janome tries each of them after each candidate before it
MAX_DICTIONARY_CHARACTERS = 2 << 20  # maximum characters of a dictionary, which is stored in the header of a model file
MAX_SURFACE_LENGTH = 50  # maximum characters of a look-up by Janome: longer entries are never found


def read_user_dictionary(path: str | os.PathLike[str], notice: Notice = ignore) -> tuple[str, ...]:
    """Return the entries of a file, without empty lines. Raises TextError (with file and line) and OSError."""
    path = os.fspath(path)
    with open(path, "rb") as file:
        entries = []
        size = 0
        for number, line in enumerate(
            split_lines(decode_blocks(read_blocks(file), detect_encoding(path, notice), path), path), 1
        ):
            size += len(line)
            if size > MAX_DICTIONARY_CHARACTERS:
                raise TextError(
                    _(
                        "{path}: line {number}: the dictionary is longer than {maximum:,} characters; keep the most"
                        " important words"
                    ).format(path=path, number=number, maximum=MAX_DICTIONARY_CHARACTERS)
                )
            if line.strip():
                entries.append((number, line.strip()))
    if not entries:
        raise TextError(
            _(
                "{path}: the dictionary has no entry; write one a line, such as 朝霧てまり,カスタム名詞,アサギリテマリ"
            ).format(path=path)
        )
    first = entries[0][1].count(",")
    for number, entry in entries:
        if problem := _entry_problem(entry, first):
            raise TextError(_("{path}: line {number}: {problem}").format(path=path, number=number, problem=problem))
    return tuple(entry for _, entry in entries)


def check_entries(entries: Sequence[str]) -> None:
    """Raise ValueError for the first entry that is invalid for Janome."""
    for entry in entries:
        if not isinstance(entry, str):
            raise ValueError(
                _("`user_dictionary`: an entry is a line of text, not {type}").format(type=type(entry).__name__)
            )
        if problem := _entry_problem(entry, entries[0].count(",")):
            raise ValueError(_("`user_dictionary`: {problem}").format(problem=problem))
    for surface, n in Counter(entry.split(",", 1)[0] for entry in entries).most_common(1):
        if n > MAX_ENTRIES_PER_SURFACE:
            raise ValueError(
                _("`user_dictionary`: {surface!r} has {n:,} entries; use at most {maximum}").format(
                    surface=surface[:40], n=n, maximum=MAX_ENTRIES_PER_SURFACE
                )
            )


def _entry_problem(entry: str, commas: int) -> str:
    """Return the problem of an entry, given the commas of the first entry of the dictionary; "" for a valid entry."""
    fields = entry.split(",")
    if len(fields) not in FORMATS:
        return _("{entry!r} has {fields} fields; an entry has 3 (simpledic) or 13 (ipadic)").format(
            entry=entry[:40], fields=len(fields)
        )
    if len(fields) != commas + 1:
        return _("{entry!r} has {fields} fields and the first entry {commas}; use one format").format(
            entry=entry[:40], fields=len(fields), commas=commas + 1
        )
    if not fields[0] or not entry.isprintable():
        return _("{entry!r} has an empty surface or a control character").format(entry=entry[:40])
    if len(fields) == 13:
        left, right, cost = fields[1:4]
        if not all(_is_small_integer(id) and int(id) < NUM_CONTEXT_IDS for id in (left, right)):
            return _("{left!r}, {right!r}: the left and right id are whole numbers below {maximum}").format(
                left=left[:40], right=right[:40], maximum=NUM_CONTEXT_IDS
            )
        digits = cost[1:] if cost.startswith("-") else cost
        if not (_is_small_integer(digits) and int(digits) <= MAX_COST):
            return _("{cost!r}: the cost is a whole number from -{maximum} to {maximum}").format(
                cost=cost[:40], maximum=MAX_COST
            )
    return ""


def _is_small_integer(digits: str) -> bool:
    return digits.isdecimal() and digits.isascii() and len(digits) <= 9  # `int` is quadratic in the number of digits


@dataclass(frozen=True)
class DictionaryOptions:
    """The file of a user dictionary."""

    user_dictionary: Path | None = option(None, "words for Janome, names above all: a CSV file", "CSV", "words")

    def entries(self, notice: Notice = ignore) -> tuple[str, ...]:
        """Return the entries of the file; none without a file. Raises as `read_user_dictionary`."""
        return read_user_dictionary(self.user_dictionary, notice) if self.user_dictionary else ()
