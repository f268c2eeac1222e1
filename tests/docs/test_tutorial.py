"""The tutorial: every chapter runs, without MXNet where it promises so, and the notebooks are those of the sources."""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec

import nbformat
import pytest
from helpers import DOCS

TUTORIAL = DOCS / "tutorial"
CHAPTERS = sorted(TUTORIAL.glob("[0-9]-*.md"))
NOTEBOOKS = sorted(TUTORIAL.glob("*/*.ipynb"))
NUMPY_ALONE = ("2", "4", "5")  # chapters that promise to need no MXNet
ALSO_WITHOUT_MXNET = ("3",)  # chapters that show more where MXNet is
BLOCK_MXNET = "import sys\nsys.modules['mxnet'] = None"
RUNS = [(path, path.name[0] in NUMPY_ALONE) for path in CHAPTERS]
RUNS += [(path, True) for path in CHAPTERS if path.name[0] in ALSO_WITHOUT_MXNET]
chapters = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
notebooks = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")


@pytest.fixture
def tutorial(script, monkeypatch):
    monkeypatch.setenv("MINUTES", "0.02")
    return script("tutorial")


@pytest.mark.parametrize(("chapter", "blocked"), RUNS, ids=lambda value: getattr(value, "stem", str(value)))
def test_every_cell_runs(tutorial, chapter, blocked):
    if not blocked and find_spec("mxnet") is None:
        pytest.skip("needs MXNet")
    cells = tutorial.read(chapter)
    tutorial.execute(cells, first=BLOCK_MXNET if blocked else "")
    promises = [cell for cell in cells if cell.cell_type == "code" and "assert " in cell.source]
    assert len(promises) >= 4


def test_notebooks_are_those_of_the_chapters(tutorial):
    assert tutorial.stale() == []


def test_a_changed_word_in_either_language_is_noticed(tutorial, tmp_path, monkeypatch):
    """With copies of the real files, of which one letter of prose, or of code, is changed."""
    monkeypatch.setattr(tutorial, "TUTORIAL", shutil.copytree(TUTORIAL, tmp_path / "tutorial"))
    chapter = tutorial.chapters()[0]
    text = chapter.read_text(encoding="utf-8")
    for word, changed in (("時間", ["ja"]), ("Time", ["en"]), ("import numpy", ["en", "ja"])):
        chapter.write_text(text.replace(word, word + "x", 1), encoding="utf-8")
        assert tutorial.stale() == [f"{language}/{chapter.stem}.ipynb" for language in changed]


@notebooks
def test_notebooks_hold_pictures_in_their_language_and_nothing_of_the_machine(notebook):
    """No path, no warning, no time of execution, and outputs for every cell that has some."""
    book = nbformat.read(notebook, 4)
    nbformat.validate(book)
    text = nbformat.writes(book)
    assert not re.search(r'/tmp/|/home/|/root/|"stderr"|iopub|"execution_count": \d|"lang"', text)
    assert '"image/png"' in text


def test_notebooks_of_both_languages_share_code_and_printed_results():
    for japanese in (path for path in NOTEBOOKS if path.parent.name == "ja"):
        both = [nbformat.read(TUTORIAL / each / japanese.name, 4) for each in ("ja", "en")]
        codes = [[cell for cell in book.cells if cell.cell_type == "code"] for book in both]
        for one, other in zip(*codes):
            assert one.source.replace('LANGUAGE = "ja"', 'LANGUAGE = "en"') == other.source
            printed = [[each.text for each in cell.outputs if "text" in each] for cell in (one, other)]
            assert printed[0] == printed[1]
            assert not re.search(r"[ぁ-んァ-ヶ]", str([each for each in other.outputs if "markdown" in str(each)]))


@chapters
def test_both_languages_say_the_same(tutorial, chapter):
    """As many headings, list items, table rows and answers; a Japanese sentence is not broken into lines."""
    prose = [cell for cell in tutorial.read(chapter) if cell.cell_type == "markdown"]
    for japanese, english in zip(prose[::2], prose[1::2]):
        for marks in (r"^#+ ", r"^[-*>|] ", r"^\d+\. ", r"^<details>"):
            found = [re.findall(marks, cell.source, re.MULTILINE) for cell in (japanese, english)]
            assert found[0] == found[1], english.source
        text = re.sub(r"^(```|\$\$).*?^\1", "", japanese.source, flags=re.DOTALL | re.MULTILINE)
        assert not re.search(r"^[^\n|>*-].*\n(?!\d+\. )[^\n|>*<-]", text, re.MULTILINE), japanese.source


@notebooks
def test_links_of_the_notebooks_exist(notebook):
    for target in re.findall(r"\]\((?!http)([^)#]+)", notebook.read_text(encoding="utf-8")):
        assert (notebook.parent / target).exists(), target


@pytest.mark.parametrize("language", ["ja", "en"])
def test_list_of_chapters_names_each_with_its_minutes(tutorial, language):
    page = (TUTORIAL / "README.md").read_text(encoding="utf-8")
    for chapter in CHAPTERS:
        prose = next(cell for cell in tutorial.read(chapter) if cell.metadata.get("lang") == language)
        title = re.match(r"# \d\. (.*)", prose.source)[1]
        minutes = re.search(r"(?:時間|Time)\*\*[：:] ?(\d+)", prose.source)[1]
        row = rf"\| \d \| \[{re.escape(title)}\]\({language}/{chapter.stem}.ipynb\) \| {minutes} \|"
        assert re.search(row, page), row
