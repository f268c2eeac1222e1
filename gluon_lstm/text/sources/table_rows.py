"""Rows of tables: their delimiter, and quotation marks by the rules that people's files follow.

- A quoted cell ends with a quotation mark before a delimiter or line end; a mark in it is doubled (RFC 4180).
- In files that escape marks with a backslash, \\" is a mark.
- A quotation mark that is opened and followed by text where it should close is none: the line is read as it is.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gluon_lstm.language import N_, _
from gluon_lstm.text.sources.encodings import MAX_POST_CHARACTERS, TextError

DELIMITER_NAMES = {",": N_("commas"), "\t": N_("tabs"), ";": N_("semicolons"), "|": N_("vertical bars")}
_SEPARATOR_LINE = re.compile(r'"?sep=([^\w "\\\r\n])"?[\r\n]*')  # first line that Excel writes and reads
_MARK = "\ufdd1"  # a Unicode noncharacter, reserved for internal use
_RETURN, _MARK_IN_TEXT = _MARK + "r", _MARK + "m"  # placeholders of a CR, and of itself in a text
_NEVER_CLOSED = N_("a quotation mark is opened there and never closed; close it")
_MAX_UNQUOTED = 100  # cells of a line that begin with a mark that is text; each is searched to the end of the line


class Row(NamedTuple):
    """Cells of a row, and the number of its first line."""

    line: int
    cells: list[str]


def lines_of_table(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines of a table. Where the first ends with LF, a CR alone is part of a cell, which no mark encloses.

    Python's csv writes such cells with lineterminator LF. The CR is replaced by _RETURN, which `RowReader` undoes.
    """
    lines = (line.replace(_MARK, _MARK_IN_TEXT) for line in lines)
    first = next(lines, "")
    yield first
    if first.endswith("\r"):
        yield from lines
        return
    held = ""
    for line in lines:
        if line.endswith("\r"):
            held += line[:-1] + _RETURN
            if len(held) <= MAX_POST_CHARACTERS:
                continue
            line = ""  # the row is too long
        yield held + line
        held = ""
    if held:
        yield held


def separator_line(line: str) -> str | None:
    """Return the delimiter that a first line such as sep=; names, else None."""
    found = _SEPARATOR_LINE.fullmatch(line)
    return found[1] if found else None


def find_delimiter(lines: Sequence[str], is_whole: bool, usual: str, names: Sequence[str], path: str) -> str:
    """Return the delimiter of a table from its first lines, or from all its lines (`is_whole`).

    `usual` is that of its extension. A header with one of `names` (casefolded) decides, else the delimiter that gives
    every row the same number of cells. Raises TextError when two delimiters do.
    """
    candidates = [usual, *(delimiter for delimiter in DELIMITER_NAMES if delimiter != usual)]
    rows = {delimiter: _sample_rows(lines, is_whole, delimiter) for delimiter in candidates}
    for delimiter in candidates:
        if rows[delimiter] and any(cell.strip().casefold() in names for cell in rows[delimiter][0]):
            return delimiter
    regular = [delimiter for delimiter in candidates if _width(rows[delimiter]) > 1]
    if not regular or usual in regular:
        return usual
    if len(regular) > 1:
        found = _(" or ").join(f"{_(DELIMITER_NAMES[each])} ({each!r})" for each in regular)
        raise TextError(
            _("{path}: the cells may be separated by {found}; choose one with `delimiter`").format(
                path=path, found=found
            )
        )
    return regular[0]


def _sample_rows(lines: Sequence[str], is_whole: bool, delimiter: str) -> list[list[str]]:
    try:
        rows = [row for row in csv.reader((line.replace("\0", "") for line in lines), delimiter=delimiter) if row]
    except csv.Error:  # a cell larger than the limit of csv
        return []
    return rows if is_whole or len(rows) < 2 else rows[:-1]  # the last row may be cut


def _width(rows: list[list[str]]) -> int:
    """Return the number of cells that all rows have, or 0."""
    widths = {len(row) for row in rows}
    return widths.pop() if len(widths) == 1 else 0


class RowReader:
    """Rows of a table with a known delimiter, without blank lines.

    Raises TextError with the line of an ambiguous quotation mark.
    """

    def __init__(self, lines: Iterator[str], delimiter: str, path: str, first_line: int = 1) -> None:
        self._lines, self._delimiter, self._path = lines, delimiter, path
        self._returned: deque[str] = deque()  # lines read for a row that turned out to end earlier
        self._row: list[str] = []  # lines of the current row
        self._length = 0  # characters of these
        self._line = first_line  # first line of the current row
        self._width = 0  # cells of the first row
        self._backslash = False  # whether \" is a mark
        self._other_backslash = re.compile(rf'\\(?!["\\{re.escape(delimiter)}])')
        self._quoted = False  # whether marks have enclosed a cell
        self._literal = 0  # line of the first quotation mark that is text
        self._spanning = 0  # line of the first quoted cell whose lines look like rows
        self._unclosed = 0  # line of a mark that was never closed, and read as text

    def rows(self) -> Iterator[Row]:
        """Yield the rows."""
        reader = self._reader()
        while True:
            limit = csv.field_size_limit(MAX_POST_CHARACTERS)  # a setting of the process, so changed for this row only
            try:
                cells = next(reader, None)
            except (csv.Error, _RowTooLong) as error:
                cells = self._read_otherwise(error)
                reader = self._reader()
            finally:
                csv.field_size_limit(limit)
            if cells is None:
                return
            line, self._line = self._line, self._line + len(self._row)
            if cells:
                self._check(line, cells)
                if _MARK in self._row[0] or (len(self._row) > 1 and _MARK in "".join(self._row)):
                    cells = [cell.replace(_RETURN, "\r").replace(_MARK_IN_TEXT, _MARK) for cell in cells]
                yield Row(line, cells)
            self._row, self._length = [], 0

    def _reader(self) -> Iterator[list[str]]:
        if self._backslash:
            return csv.reader(self._next_lines(), delimiter=self._delimiter, strict=True, escapechar="\\")
        return csv.reader(self._next_lines(), delimiter=self._delimiter, strict=True)

    def _next_lines(self) -> Iterator[str]:
        while True:
            line = self._returned.popleft() if self._returned else next(self._lines, "")
            if not line:
                return
            self._row.append(line)
            self._length += len(line)
            if self._length > MAX_POST_CHARACTERS:
                raise _RowTooLong(_("a row is longer than {maximum:,} characters").format(maximum=MAX_POST_CHARACTERS))
            if self._backslash:  # only \" and \\ are escapes: C:\dir stays
                line = self._other_backslash.sub(r"\\\\", line)
            yield line.replace("\0", "") if sys.version_info < (3, 11) else line  # its csv refuses NULs

    def _read_otherwise(self, error: Exception) -> list[str]:
        """Return the cells of a row that breaks the rules of quotation marks so far, read by the other rules."""
        lines = self._row
        if not self._backslash and any('\\"' in line for line in lines):
            self._return_lines(lines)
            self._backslash = True
            try:
                cells = next(self._reader(), None)
                if cells and len(cells) == (self._width or len(cells)):
                    return cells
            except (csv.Error, _RowTooLong):
                pass
            self._return_lines(self._row)
            self._row = [self._returned.popleft() for _ in lines]
            self._backslash = False
        is_closed = "expected after" in str(error)  # csv: ',' expected after '"'
        cells = _literal_cells(lines[0], self._delimiter)
        is_cut = not is_closed and (self._quoted or (len(cells) == 1 and len(lines) > 1))
        if len(cells) != (self._width or len(cells)) or is_cut:
            raise self._quotation_error(error, is_closed)
        self._unclosed = self._unclosed or (0 if is_closed else self._line)
        self._literal = self._literal or self._line
        self._return_lines(lines[1:])
        self._row = lines[:1]
        return cells

    def _quotation_error(self, error: Exception, is_closed: bool) -> TextError:
        if isinstance(error, _RowTooLong):
            what = _("{problem}; a quotation mark may be left open there").format(problem=error)
        elif is_closed:
            what = _("a quotation mark is followed by text; double the mark, or quote the whole cell")
        else:
            what = _(_NEVER_CLOSED)
        return TextError(_("{path}: line {line}: {problem}").format(path=self._path, line=self._line, problem=what))

    def _return_lines(self, lines: list[str]) -> None:
        self._returned.extendleft(reversed(lines))
        self._row, self._length = [], 0

    def _check(self, line: int, cells: list[str]) -> None:
        """Raise TextError when marks that are text and quoted cells that look like several rows are in one file."""
        self._width = self._width or len(cells)
        if '"' in self._row[0] and not (self._literal and self._quoted):
            marks = sum(text.count('"') for text in self._row)
            is_text = marks == sum(cell.count('"') for cell in cells)  # none of them encloses a cell
            self._literal = self._literal or (line if is_text else 0)
            self._quoted = self._quoted or not is_text
        if len(self._row) > 1 and not self._spanning and self._width > 1:
            inside = {text.count(self._delimiter) for text in self._row[1:-1] or self._row[1:]}
            self._spanning = line if inside == {self._width - 1} else 0
        if self._literal and self._spanning:
            raise TextError(
                _(
                    "{path}: line {spanning}: the quotation marks there enclose lines that look like rows,"
                    " but in line {literal} a mark is text; double the marks that are text and quote their"
                    " cells"
                ).format(path=self._path, spanning=self._spanning, literal=self._literal)
            )
        if self._unclosed and len(cells) != self._width:
            raise TextError(
                _("{path}: line {line}: {problem}").format(
                    path=self._path, line=self._unclosed, problem=_(_NEVER_CLOSED)
                )
            )


class _RowTooLong(Exception):
    pass


def _literal_cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of one line: quoted where a quotation mark closes before a delimiter or the end, else as typed.

    >>> _literal_cells('1,"a, b",彼は"はい"と,"い"い', ",")
    ['1', 'a, b', '彼は"はい"と', '"い"い']
    """
    text, cells, position, failed = line.rstrip("\r\n"), [], 0, 0
    quoted = re.compile(rf'"((?:[^"]|"")*)"(?={re.escape(delimiter)}|$)')
    while True:
        found = None
        if text.startswith('"', position) and failed < _MAX_UNQUOTED:
            found = quoted.match(text, position)
            failed += found is None
        end = found.end() if found else text.find(delimiter, position)
        end = len(text) if end < 0 else end
        cells.append(found[1].replace('""', '"') if found else text[position:end])
        if end >= len(text):
            return cells
        position = end + 1
