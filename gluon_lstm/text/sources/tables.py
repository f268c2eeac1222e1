"""Tables: csv and tsv, one post a row."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from gluon_lstm.progress import Notice
from gluon_lstm.text.sources.base import TEXT_NAMES, FileFormat, Post
from gluon_lstm.text.sources.dates import DATE_FIELDS, read_date
from gluon_lstm.text.sources.encodings import MAX_POST_CHARACTERS, TextError, read_file, split_lines

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions


class Table(FileFormat):
    """Table with a delimiter. The column of posts is `options.column`, or found in the first row."""

    delimiter: ClassVar[str]

    def posts(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[Post]:
        rows = _rows(read_file(path, options.encoding, notice), self.delimiter, path)
        return _posts_of_table(rows, options.column, path, notice)


class CsvFile(Table):
    """Comma-separated values."""

    extensions = (".csv",)
    delimiter = ","


class TsvFile(Table):
    """Tab-separated values."""

    extensions = (".tsv",)
    delimiter = "\t"


@dataclass(frozen=True)
class _Layout:
    """Layout of a table, found in its first row."""

    column: int | None  # column of the posts, from 0; None: every cell is a post
    date: int | None  # column of the dates
    header: bool  # the first row has names
    width: int | None  # maximum cells of a row, more are a post split by an unquoted delimiter; None: any number


def _rows(chunks: Iterable[str], delimiter: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) of each row, without blank lines."""
    ended = False
    start = length = 0  # first line of the current row, and its characters so far

    def source() -> Iterator[str]:
        nonlocal ended, length
        for line in split_lines(chunks, path):
            length += len(line)
            if length > MAX_POST_CHARACTERS:
                problem = f"{path}: line {start}: a row is longer than {MAX_POST_CHARACTERS:,} characters"
                raise TextError(f"{problem}; a quotation mark may be left open there")
            yield line.replace("\0", "") if sys.version_info < (3, 11) else line  # its csv refuses NULs
        ended = True

    reader = csv.reader(source(), delimiter=delimiter)
    while True:
        start, length = reader.line_num + 1, 0
        limit = csv.field_size_limit(
            MAX_POST_CHARACTERS
        )  # a setting of the whole process, so changed for this row only
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TextError(f"{path}: line {start}: {error}; a quotation mark may be left open there") from None
        finally:
            csv.field_size_limit(limit)
        if ended:  # the text ended inside a row
            raise TextError(f"{path}: line {start}: a quotation mark is opened there and never closed; close it")
        if row:
            yield start, row


def _posts_of_table(
    rows: Iterator[tuple[int, list[str]]], wanted: str | None, path: str, notice: Notice
) -> Iterator[Post]:
    layout = None
    found = short = 0
    for line, cells in rows:
        if layout is None:
            layout = _layout(cells, wanted, path)
            if layout.header:
                continue
        if layout.width is not None and any(cells[layout.width :]):
            wide = f"{path}: line {line} has {len(cells)} cells and the first row {layout.width}"
            raise TextError(f"{wide}; put posts that contain the delimiter in quotation marks")
        if layout.column is None:
            yield from map(Post, filter(None, cells))
        elif layout.column < len(cells):
            found += 1
            yield Post(cells[layout.column], _date(cells, layout.date))
        else:
            short += 1
    if short and not found:
        raise TextError(f"{path}: no row has a column {wanted}; choose another `column`")
    if short:
        notice(f"{path}: skipped {short} rows without the column of posts")


def _date(cells: list[str], column: int | None) -> int | None:
    return read_date(cells[column]) if column is not None and column < len(cells) else None


def _layout(first: list[str], wanted: str | None, path: str) -> _Layout:
    names = [cell.strip().casefold() for cell in first]
    header = any(name in TEXT_NAMES for name in names)
    width = len(first) if header else None
    date = next((names.index(name) for name in DATE_FIELDS if name in names), None)
    if wanted is None and header:
        return _Layout(next(names.index(name) for name in TEXT_NAMES if name in names), date, True, width)
    if wanted is None and len(first) == 1:
        return _Layout(0, None, False, 1)
    if wanted == "all":
        return _Layout(None, None, header, None)
    if wanted is not None and wanted.isdecimal() and int(wanted) > 0:
        return _Layout(int(wanted) - 1, date if header else None, header, width)
    if wanted is not None and wanted.strip().casefold() in names:
        return _Layout(names.index(wanted.strip().casefold()), date, True, len(first))
    columns = ", ".join(f"{number} {cell[:20]!r}" for number, cell in enumerate(first[:20], 1))
    problem = "the column of posts is ambiguous" if wanted is None else f"there is no column {wanted!r}"
    remedy = "set `column` to a name, a number, or all for every cell"
    raise TextError(f"{path}: {problem}; the first row has {columns}; {remedy}")
