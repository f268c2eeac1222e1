"""Pictures, tables and source code in the notebooks of docs/tutorial, with labels in the reader's language. No MXNet.

A notebook shows one language; its first cell sets the environment variable LANGUAGES to it. `scripts/tutorial.py` sets
both, so that one execution draws for both, and keeps in each notebook the outputs of its language.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lstm.figures import LINE_COLOR, TEXT_COLOR, png_figure

if TYPE_CHECKING:
    import numpy as np

LANGUAGES = "GLUON_LSTM_TUTORIAL"  # environment variable: ja, en, or both with a space between them
MAX_NUMBERED = 16  # columns of a heat map whose values are also written as numbers

Say = Callable[[str, str], str]  # say(Japanese, English): the text in the language of the output


def show(draw: Callable[[Any, Say], object], width: float = 8, height: float = 3) -> None:
    """Display the picture that draw(figure, say) draws on an empty matplotlib figure of `width` by `height` inches."""
    for language, say in _languages():
        with png_figure(width, height) as (figure, png):
            draw(figure, say)
        _display({"image/png": png()}, language)


def show_table(make: Callable[[Say], Sequence[Sequence[object]]]) -> None:
    """Display the rows that make(say) returns, the headings first, as a table in Markdown; floats with two decimals."""
    for language, say in _languages():
        headings, *rows = make(say)
        lines = ["| " + " | ".join(map(_text, row)) + " |" for row in (headings, ["---"] * len(headings), *rows)]
        _display({"text/markdown": "\n".join(lines)}, language)


def heat_map(axes: Any, columns: Sequence[object], rows: Mapping[str, np.ndarray], limit: float = 1.0) -> None:
    """Draw values by column, one row for each name: white is 0, red is `limit`, blue is -`limit`.

    `columns` are the labels of the columns, such as the characters of a text; each row is (columns,). With few columns
    the values are written as well.
    """
    values = [list(row) for row in rows.values()]
    axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    axes.set_xticks(range(len(columns)), list(map(str, columns)))
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_yticks([k - 0.5 for k in range(1, len(rows))], minor=True)
    axes.grid(which="minor", axis="y", color=LINE_COLOR)
    axes.tick_params(which="both", length=0)
    for k, row in enumerate(values) if len(columns) <= MAX_NUMBERED else ():
        for column, value in enumerate(row):
            color = "white" if abs(value) > 0.6 * limit else TEXT_COLOR
            axes.text(column, k, _text(float(value)), ha="center", va="center", color=color, fontsize=9)


def source(module: str, *names: str) -> str:
    """Return the source of functions, classes or methods ("LSTM.forward") of a module, which is read, not imported.

    So it also shows modules that need MXNet where MXNet is missing. Raises ValueError for a name that is not there.
    """
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {module}")
    text = Path(spec.origin).read_text(encoding="utf-8")
    found = []
    for name in names:
        node: ast.AST = ast.parse(text)
        for part in name.split("."):
            inside = {getattr(child, "name", None): child for child in ast.iter_child_nodes(node)}
            if part not in inside:
                raise ValueError(f"{spec.origin} has no {name}")
            node = inside[part]
        found.append(ast.get_source_segment(text, node, padded=True) or "")
    return "\n\n".join(found)


def _text(value: object) -> str:
    """Return a value as text, a float with two decimals and without a minus sign if it rounds to zero."""
    return f"{round(value, 2) + 0.0:.2f}" if isinstance(value, float) else str(value)


def _languages() -> Iterator[tuple[str, Say]]:
    """Yield (language, say) for each language of the outputs."""
    for language in os.environ.get(LANGUAGES, "ja").split():
        yield language, (lambda ja, en: ja) if language == "ja" else (lambda ja, en: en)


def _display(data: Mapping[str, object], language: str) -> None:
    """Display `data` (MIME type -> content), marked with its language, in the notebook."""
    from IPython.display import display

    display(data, raw=True, metadata={"lang": language})
