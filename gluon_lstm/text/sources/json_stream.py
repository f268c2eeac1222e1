"""JSON text as a stream of records, one in memory at a time."""

from __future__ import annotations

import io
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Union

import ijson

from gluon_lstm.text.sources.encodings import BLOCK_SIZE, MAX_POST_CHARACTERS, TextError, split_lines

Record = Union[str, "dict[str, str]"]  # a string, or the strings of an object by dotted name

ITEM = ""  # path element of any list item
# paths of records: a list, and the results of Twitter's search APIs
_RECORD_PATHS = ((ITEM,), ("statuses", ITEM), ("data", ITEM))
_MAX_DEPTH = 100  # maximum nesting
_MAX_NAME = 256  # maximum characters of a dotted name, which repeats the keys of all objects around a string
_MAX_WORD = 1 << 20  # maximum length of a run of _ESCAPE_CHARACTERS
_ESCAPE_CHARACTERS = "0123456789abcdefABCDEFu\\"
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][\da-fA-F]{2})|.)", re.DOTALL
)


def read_json_records(chunks: Iterable[str], name: str) -> Iterator[Record]:
    """Yield the records of a JSON text: of a list, or of the list `statuses` or `data` of an object.

    Raises TextError with the line for invalid JSON, nesting deeper than 100, a record longer than MAX_POST_CHARACTERS,
    and a record that is neither an object nor a string.
    """
    return parse_records(chunks, _RECORD_PATHS, name, 1)


def read_jsonl_records(chunks: Iterable[str], name: str) -> Iterator[Record]:
    """Yield the records of a text with one JSON value a line, without empty lines. Raises as `read_json_records`."""
    for number, line in enumerate(split_lines(chunks, name), 1):
        if not line.isspace():
            yield from parse_records([line], ((),), name, number)


def parse_records(
    chunks: Iterable[str], record_paths: Collection[tuple[str, ...]], name: str, first_line: int
) -> Iterator[Record]:
    """Yield the records at `record_paths`: keys from the top of the JSON text, ITEM for list items."""
    reader = _JsonReader(_without_lone_surrogates(chunks, name), name, first_line)
    path: list[str] = []
    record: dict[str, str] | None = None
    record_depth = 0  # length of the path of `record`
    for event, value in _parse_events(reader):
        if event == "map_key":
            path[-1] = value
        elif event in ("start_map", "start_array"):
            if record is None and tuple(path) in record_paths:
                if event == "start_array":
                    raise reader.error("a list instead of a post")
                record, record_depth = {}, len(path)
            path.append(ITEM)
            if len(path) > _MAX_DEPTH:
                raise reader.error(f"lists and objects are nested more than {_MAX_DEPTH} deep")
        elif event in ("end_map", "end_array"):
            path.pop()
            if record is not None and len(path) == record_depth:
                yield record
                record = None
        elif record is not None:
            name_length = sum(map(len, path[record_depth:])) + len(path) - record_depth - 1
            if event == "string" and name_length <= _MAX_NAME:
                record[".".join(path[record_depth:])] = value
        elif tuple(path) in record_paths:
            if event != "string":
                raise reader.error(f"a {event} instead of a post")
            yield value
        if record is None:
            reader.pending = 0


class _JsonReader:
    """File object for ijson that counts lines, so that an error has a line number."""

    def __init__(self, chunks: Iterable[str], name: str, first_line: int) -> None:
        self.pending = 0  # characters since the last record ended: a bound on the memory of ijson and `parse_records`
        self._name = name
        self._number = self._next_number = first_line
        self._lines = (line for chunk in chunks for line in io.StringIO(chunk, newline=""))

    def read(self, size: int = -1) -> bytes:
        if size == 0:  # ijson's test for a binary file
            return b""
        parts = [self._read_line()]
        # yajl rescans a long string at each read. Reads of doubling size avoid quadratic time.
        enough = 2 * self.pending if self.pending > BLOCK_SIZE else 0
        while parts[-1] and self.pending < enough:
            parts.append(self._read_line())
        return "".join(parts).encode("utf-8")

    def _read_line(self) -> str:
        line = next(self._lines, "")
        if line:
            self._number = self._next_number
            self._next_number += line.endswith(("\n", "\r"))
        self.pending += len(line)
        if self.pending > MAX_POST_CHARACTERS:
            raise self.error(f"a record is longer than {MAX_POST_CHARACTERS:,} characters")
        return line

    def error(self, what: str) -> TextError:
        """Return an error at the current line."""
        return TextError(f"{self._name}: line {self._number}: {what}; fix the file there, or remove that part")


def _parse_events(reader: _JsonReader) -> Iterator[tuple[str, Any]]:
    try:
        # Numbers are not used. As floats they are parsed fast, and long ones do not raise unexpected errors.
        yield from ijson.basic_parse(reader, use_float=True)
    except TextError:  # raised by `reader`, with its line
        raise
    except (ijson.JSONError, ValueError, ArithmeticError) as error:  # errors differ between the backends of ijson
        reason = str(error).strip().split("\n")[0]
        if "trailing garbage" in reason or "Additional data" in reason:  # messages of yajl and Python
            reason = "a second value follows the first; a file with one value a line has the extension .jsonl"
        if "overflow" in reason:
            reason = "a number in it is too large"
        raise reader.error(f"this is not JSON ({reason})") from None


def _without_lone_surrogates(chunks: Iterable[str], name: str) -> Iterator[str]:
    """Yield the JSON text with U+FFFD for each escaped lone surrogate, as in posts truncated inside an emoji.

    The backends of ijson decode such escapes differently, so they are replaced before parsing.
    """
    rest = ""
    for chunk in chunks:
        text = rest + chunk
        end = len(text.rstrip(_ESCAPE_CHARACTERS))  # no escape or pair of escapes spans this position
        rest = text[end:]
        if len(rest) > _MAX_WORD:
            raise TextError(f"{name} has a word longer than {_MAX_WORD:,} characters; give a file of posts")
        yield _ESCAPE.sub(_replace_lone_surrogate, text[:end])
    yield _ESCAPE.sub(_replace_lone_surrogate, rest)


def _replace_lone_surrogate(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["lone"] else escape[0]
