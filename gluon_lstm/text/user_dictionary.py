"""Words of the user's own, names above all, as Janome takes them: CSV in one of two forms, told by their commas.

    朝霧てまり,カスタム名詞,アサギリテマリ
    朝霧てまり,1288,1288,4569,名詞,固有名詞,人名,一般,*,*,朝霧てまり,アサギリテマリ,アサギリテマリ

The first is its simpledic: surface, part of speech, reading. The second is ipadic: surface, left and right id, cost,
four parts of speech, two of inflection, base form, reading, pronunciation.

Only the lines themselves are passed on, never the path: a model that was trained with them holds them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.encodings import TextError, blocks, decoded, find_encoding, lines

FIELDS = {3: "simpledic", 13: "ipadic"}
CONTEXTS = 1316  # of IPADIC: a left or right id is less
COST = 32767  # the dictionary keeps costs of 16 bits; beyond, an entry would win or lose always


def read_user_dictionary(path: str | os.PathLike[str], notice: Notice = ignore) -> tuple[str, ...]:
    """The entries in a file, empty lines left out. Raises TextError, naming file and line, and OSError."""
    path = os.fspath(path)
    with open(path, "rb") as file:
        numbered = list(enumerate(lines(decoded(blocks(file), find_encoding(path, notice), path), path), 1))
    entries = [(number, line.strip()) for number, line in numbered if line.strip()]
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
        if problem := _problem(entry, entries[0].count(",")):
            raise ValueError(f"user dictionary: {problem}")


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
        if not all(id.isdecimal() and id.isascii() and int(id) < CONTEXTS for id in (left, right)):
            return f"{left!r}, {right!r}: the left and right id are whole numbers below {CONTEXTS}"
        digits = cost[1:] if cost.startswith("-") else cost
        if not (digits.isdecimal() and digits.isascii() and int(digits) <= COST):
            return f"{cost!r}: the cost is a whole number from -{COST} to {COST}"
    return ""


def janome_with(entries: Sequence[str], **options: Any) -> Any:
    """Janome's tokenizer, with these words besides its own; `options` are its own."""
    from janome.tokenizer import Tokenizer  # here, not above: it loads a dictionary of 80 MB

    if not entries:
        return Tokenizer(**options)
    with tempfile.TemporaryDirectory() as folder:  # Janome reads user dictionaries from files only
        path = Path(folder) / "user.csv"
        path.write_text("\n".join(entries) + "\n", encoding="utf-8")
        return Tokenizer(str(path), udic_type=FIELDS[entries[0].count(",") + 1], **options)
