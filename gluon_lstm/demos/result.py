"""Result of a demo: tables and sentences to print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gluon_lstm.columns import ljust, rjust, width


class Table(NamedTuple):
    """Title, column headings, and rows of (name, cells); one cell for each heading."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


class DemoResult(NamedTuple):
    tables: Sequence[Table]
    sentences: Sequence[str]


def lines(result: DemoResult) -> list[str]:
    """Return the lines to print: aligned tables, each followed by an empty line, then the sentences."""
    printed: list[str] = []
    for table in result.tables:
        rows = [("", table.columns), *table.rows]
        name_width = max(width(name) for name, _cells in rows)
        widths = [max(map(width, column)) for column in zip(*(cells for _, cells in rows))]
        printed.append(table.title)
        for name, cells in rows:
            padded = "  ".join(map(rjust, cells, widths))
            printed.append(f"{ljust(name, name_width)}  {padded}")
        printed.append("")
    return [*printed, *result.sentences]
