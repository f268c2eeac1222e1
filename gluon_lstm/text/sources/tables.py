"""Tables: csv and tsv, one post a row."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from gluon_lstm.language import N_, _
from gluon_lstm.text.sources.base import AUTHOR_NAMES, TEXT_NAMES, FileFormat, Post, SourceLog
from gluon_lstm.text.sources.dates import DATE_FIELDS, TIME_FIELDS, date_of
from gluon_lstm.text.sources.encodings import TextError, split_lines
from gluon_lstm.text.sources.table_rows import (
    DELIMITER_NAMES,
    Row,
    RowReader,
    find_delimiter,
    lines_of_table,
    separator_line,
)
from gluon_lstm.text.sources.text_files import read_file

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

_SAMPLE_LINES = 1000  # lines in which the delimiter is found
_SAMPLE_CHARACTERS = 1 << 18


class Table(FileFormat):
    """Table with a delimiter. The column of posts is `options.column`, or found in the first row."""

    delimiter: ClassVar[str]

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        return posts_of_table(read_file(path, options.encoding, log.notice), self.delimiter, path, options, log)


class CsvFile(Table):
    """Comma-separated values."""

    extensions = (".csv",)
    delimiter = ","


class TsvFile(Table):
    """Tab-separated values."""

    extensions = (".tsv",)
    delimiter = "\t"


def posts_of_table(
    chunks: Iterable[str], usual: str, path: str, options: ReadingOptions, log: SourceLog
) -> Iterator[Post]:
    """Yield the posts of a table; `usual` is the delimiter of its extension."""
    lines = lines_of_table(split_lines(chunks, path))
    sample: list[str] = []
    size = 0
    for line in itertools.islice(lines, _SAMPLE_LINES):
        sample.append(line)
        size += len(line)
        if size > _SAMPLE_CHARACTERS:
            break
    named = separator_line(sample[0])
    delimiter = options.delimiter_character or named
    if delimiter is None:
        names = (*TEXT_NAMES, options.column.strip().casefold()) if options.column else TEXT_NAMES
        is_whole = len(sample) < _SAMPLE_LINES and size <= _SAMPLE_CHARACTERS
        delimiter = find_delimiter(sample, is_whole, usual, names, path)
        if delimiter != usual:
            log.notice(
                _("{path}: cells are separated by {delimiter}").format(
                    path=path, delimiter=_(DELIMITER_NAMES[delimiter])
                )
            )
    first = 2 if named else 1
    reader = RowReader(itertools.chain(sample[first - 1 :], lines), delimiter, path, first)
    return _posts(reader.rows(), delimiter, options, log)


@dataclass(frozen=True)
class _Layout:
    """Layout of a table, found in its first row. Columns are numbered from 0."""

    column: int | None  # of the posts; None: every cell is a post
    dates: tuple[tuple[str, int], ...] = ()  # casefolded names and columns of dates, in order of preference
    times: tuple[tuple[str, int], ...] = ()  # of times of day beside a date
    author: int | None = None
    header: bool = False  # the first row has names
    width: int | None = None  # cells of a row, more are a post split by an unquoted delimiter; None: any number
    exact: bool = False  # a row with fewer cells is an error as well

    def date(self, cells: list[str]) -> int | None:
        if not self.dates:
            return None
        values = {name: cells[at] for name, at in (*self.dates, *self.times) if at < len(cells)}
        return date_of(values, [name for name, _column in self.dates])

    def is_wrong(self, cells: list[str]) -> bool:
        """Return whether a row has more cells than the first, or where that is an error fewer."""
        if self.width is None or len(cells) == self.width:
            return False
        # Empty cells at the end are harmless, but in a file of posts alone a comma at the end is one of the post.
        return self.exact or any(cells[self.width :]) or self.width == 1


def _posts(rows: Iterator[Row], delimiter: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
    layout = None
    found = short = 0
    for line, cells in rows:
        if layout is None:
            layout = _layout(cells, delimiter, options, log.path)
            if layout.header:
                continue
        if layout.is_wrong(cells):
            raise TextError(
                _(
                    "{path}: line {line} has {cells} cells and the first row {width}; put posts that contain the"
                    " delimiter in quotation marks"
                ).format(path=log.path, line=line, cells=len(cells), width=layout.width)
            )
        if layout.column is None:
            yield from map(Post, filter(None, cells))
        elif layout.column < len(cells):
            found += 1
            author = layout.author if layout.author is None or layout.author >= len(cells) else cells[layout.author]
            yield Post(cells[layout.column], layout.date(cells), author if isinstance(author, str) else None)
        else:
            short += 1
    if short and not found:
        raise TextError(
            _("{path}: no row has a column {column}; choose another `column`").format(
                path=log.path, column=options.column
            )
        )
    if short:
        log.left_out[N_("rows without the column of posts")] += short
        log.notice(_("{path}: skipped {short} rows without the column of posts").format(path=log.path, short=short))


def _layout(first: list[str], delimiter: str, options: ReadingOptions, path: str) -> _Layout:
    names = [cell.strip().casefold() for cell in first]
    wanted = options.column
    is_number = wanted is not None and wanted.isdecimal() and int(wanted) > 0
    is_name = wanted is not None and wanted != "all" and not is_number and wanted.strip().casefold() in names
    text_column = next((names.index(name) for name in TEXT_NAMES if name in names), None)
    header = is_name or text_column is not None
    columns = _Layout(
        text_column,
        _date_columns(first, names, options, path, header),
        tuple((name, names.index(name)) for name in TIME_FIELDS if header and name in names),
        header=header,
        width=len(first),
    )
    if header and (wanted is None or options.author is not None):
        author = next((names.index(name) for name in AUTHOR_NAMES if name in names), None)
        columns = replace(columns, author=author)
    if wanted is None and text_column is not None:
        return columns
    if wanted is None and len(first) == 1 and not header:
        return replace(columns, column=0)
    if wanted == "all":
        return _Layout(None, header=header)
    if wanted is not None and is_name:
        return replace(columns, column=names.index(wanted.strip().casefold()))
    if wanted is not None and is_number:
        column = int(wanted) - 1
        if header:
            return replace(columns, column=column)
        # Nobody types a tab: a row of tab-separated values may have more cells after the column of posts.
        ragged = delimiter == "\t" and column != len(first) - 1
        return replace(columns, column=column, width=None if ragged else len(first), exact=delimiter != "\t")
    shown = ", ".join(f"{number} {cell[:20]!r}" for number, cell in enumerate(first[:20], 1))
    problem = _("the column of posts is ambiguous")
    if wanted is not None:
        problem = _("there is no column {column!r}").format(column=wanted)
    remedy = _("set `column` to a name, a number, or all for every cell")
    raise TextError(
        _("{path}: {problem}; the first row has {shown}; {remedy}").format(
            path=path, problem=problem, shown=shown, remedy=remedy
        )
    )


def _date_columns(
    first: list[str], names: list[str], options: ReadingOptions, path: str, header: bool
) -> tuple[tuple[str, int], ...]:
    if options.date is not None:
        wanted = options.date.strip().casefold()
        if wanted.isdecimal() and 0 < int(wanted) <= len(first):
            return (("date", int(wanted) - 1),)
        if wanted not in names:
            shown = ", ".join(repr(cell[:20]) for cell in first[:20])
            raise TextError(
                _("{path}: there is no column {date!r}; the first row has {shown}; correct `date`").format(
                    path=path, date=options.date, shown=shown
                )
            )
        return ((wanted, names.index(wanted)),)
    return tuple((name, names.index(name)) for name in DATE_FIELDS if name in names) if header else ()
