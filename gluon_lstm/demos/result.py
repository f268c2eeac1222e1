"""What a demonstration hands back: tables and sentences to print, and a picture that is still to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable, NamedTuple

from gluon_lstm.files import write_png
from gluon_lstm.progress import Progress


class Table(NamedTuple):
    """Rows of a name and its cells, under `columns`, one for each cell."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


class DemoResult(NamedTuple):
    """`draw` puts the picture onto an empty matplotlib Figure."""

    tables: Sequence[Table]
    sentences: Sequence[str]
    draw: Callable[[Any], None]


def show(demonstrate: Callable[..., DemoResult], picture: Path | None, seed: int, progress: Progress) -> DemoResult:
    """What `demonstrate(seed, progress)` hands back; its picture goes into the file `picture`, where one is wanted."""
    shown = demonstrate(seed, progress)
    if picture:
        save(shown.draw, picture)
    return shown


def lines(shown: DemoResult) -> list[str]:
    """The tables and sentences as they are printed."""
    printed: list[str] = []
    for table in shown.tables:
        rows = [("", table.columns), *table.rows]
        first = max(len(name) for name, _ in rows)
        widths = [max(map(len, column)) for column in zip(*(cells for _, cells in rows))]
        printed.append(table.title)
        for name, cells in rows:
            printed.append(f"{name:<{first}}  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)))
        printed.append("")
    return [*printed, *shown.sentences]


def save(draw: Callable[[Any], None], path: Path) -> None:
    """The picture as a PNG. Raises OSError when it cannot be written."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    draw(figure)
    write_png(figure, path)
