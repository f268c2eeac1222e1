"""Write the notebooks of docs/tutorial in both languages, with outputs, from the chapters in Markdown.

    python scripts/tutorial.py            execute the chapters and write all notebooks
    python scripts/tutorial.py 2 3        only these chapters
    python scripts/tutorial.py --check    execute nothing; exit with 1 if the text or code of a notebook is not current

A chapter is docs/tutorial/N-name.md in jupytext's Markdown. Code cells are ```python fences. Each piece of prose stands
in a region, `<!-- #region lang="ja" -->` … `<!-- #endregion -->`, and its translation in the next, with lang="en". Both
languages share the code, which runs once. The code in <details>, the answer of an exercise, also runs, but its output
is not shown. The cells of docs/tutorial/install.md are inserted after the introduction of every chapter.
Needs the extra `tutorial`.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from gluon_lstm.files import atomic_write
from gluon_lstm.tutorial import LANGUAGES

TUTORIAL = Path(__file__).resolve().parent.parent / "docs" / "tutorial"
INSTALL = TUTORIAL / "install.md"
READERS = ("ja", "en")
ANSWER = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SKIP = "skip-execution"  # tag of a cell that is shown and not executed
TIMEOUT = 600  # seconds that a cell may take


class ChapterError(ValueError):
    """A chapter that cannot become a notebook; the message says where and why."""


def chapters() -> list[Path]:
    """Return the chapters in order."""
    return sorted(TUTORIAL.glob("[0-9]-*.md"))


def read(chapter: Path) -> list[NotebookNode]:
    """Return the cells of a chapter, with those of the installation after its introduction.

    Raises ChapterError for prose without a language or translation, and for answers that differ between the languages.
    """
    own, install = (jupytext.read(path, fmt="md").cells for path in (chapter, INSTALL))
    cells = [*own[: len(READERS)], *install, *own[len(READERS) :]]
    prose = [cell for cell in cells if cell.cell_type == "markdown"]
    for k, cell in enumerate(prose):
        if cell.metadata.get("lang") != READERS[k % 2]:
            raise ChapterError(f'{chapter}: expected a region lang="{READERS[k % 2]}":\n{cell.source}')
    for japanese, english in zip(prose[::2], prose[1::2]):
        if answers(japanese) != answers(english):
            raise ChapterError(f"{chapter}: the code of the answers differs from that in\n{english.source}")
    return cells


def answers(cell: NotebookNode) -> list[str]:
    """Return the code of the answers in a cell of prose."""
    hidden = re.findall(r"<details>.*?</details>", cell.source, re.DOTALL) if cell.cell_type == "markdown" else []
    return [code for each in hidden for code in ANSWER.findall(each)]


def execute(cells: Sequence[NotebookNode], first: str = "") -> None:
    """Run the code and the answers in one kernel, in the folder of the notebooks; store the outputs in `cells`.

    `first` is code to run before. Raises nbclient's CellExecutionError where a cell fails, and ChapterError where one
    writes to stderr: a warning would show a path of this machine.
    """
    queue = [nbformat.v4.new_code_cell(first)]
    for cell in cells:
        if cell.cell_type == "code":
            queue.append(cell)
        elif cell.metadata.lang == READERS[0]:
            queue += [nbformat.v4.new_code_cell(code) for code in answers(cell)]
    folder = TUTORIAL / READERS[0]
    folder.mkdir(exist_ok=True)
    client = NotebookClient(
        nbformat.v4.new_notebook(cells=queue),
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        skip_cells_with_tag=SKIP,
        shutdown_kernel="immediate",  # it has nothing to save
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env={**os.environ, LANGUAGES: " ".join(READERS)})
    for cell in queue:
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise ChapterError(f"the cell\n{cell.source}\nwrites to stderr:\n{output.text}")


def notebook(cells: Sequence[NotebookNode], language: str) -> NotebookNode:
    """Return the notebook of one language, with the outputs that are in `cells`."""
    own = []
    for cell in cells:
        if cell.cell_type == "code":
            code = cell.source.replace(f'LANGUAGE = "{READERS[0]}"', f'LANGUAGE = "{language}"')
            own.append(nbformat.v4.new_code_cell(code, outputs=_outputs(cell, language)))
        elif cell.metadata.lang == language:
            own.append(nbformat.v4.new_markdown_cell(cell.source))
    for k, cell in enumerate(own):
        cell.id = f"cell-{k}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(
        cells=own, metadata={"kernelspec": kernel, "language_info": {"name": kernel["language"]}}
    )


def _outputs(cell: NotebookNode, language: str) -> list[NotebookNode]:
    """Return the outputs of a cell without those of other languages, and without what differs between executions."""
    outputs = []
    for output in copy.deepcopy(cell.outputs):
        if output.get("metadata", {}).pop("lang", language) == language:
            if "execution_count" in output:
                output.execution_count = None
            outputs.append(output)
    return outputs


def path_of(chapter: Path, language: str) -> Path:
    """Return the path of the notebook of a chapter."""
    return TUTORIAL / language / f"{chapter.stem}.ipynb"


def write(chapter: Path) -> None:
    """Execute a chapter and write its notebooks."""
    cells = read(chapter)
    execute(cells)
    for language in READERS:
        path_of(chapter, language).parent.mkdir(exist_ok=True)
        with atomic_write(path_of(chapter, language)) as file:
            file.write(nbformat.writes(notebook(cells, language)) + "\n")


def stale() -> list[str]:
    """Return the notebooks that are missing, belong to no chapter, or whose text or code is not that of the chapter."""
    expected = {
        path_of(chapter, language): notebook(read(chapter), language) for chapter in chapters() for language in READERS
    }
    found = set(TUTORIAL.glob("*/*.ipynb"))
    different = {path for path in found & set(expected) if _without_outputs(nbformat.read(path, 4)) != expected[path]}
    return sorted(str(path.relative_to(TUTORIAL)) for path in different | (found ^ set(expected)))


def _without_outputs(written: NotebookNode) -> NotebookNode:
    for cell in written.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    return written


def main() -> int:
    """Write or check the notebooks; return the exit code."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("numbers", nargs="*", metavar="N", help="chapters to write (default: all)")
    options.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a notebook is not current")
    args = options.parse_args()
    if args.check:
        names = stale()
        if names:
            print(f"not current: {', '.join(names)}; run python scripts/tutorial.py", file=sys.stderr)
        return 1 if names else 0
    for chapter in chapters():
        if not args.numbers or chapter.name.split("-")[0] in args.numbers:
            start = time.monotonic()
            write(chapter)
            print(f"{chapter.stem}: {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
