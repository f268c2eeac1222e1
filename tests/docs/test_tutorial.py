"""The tutorial: every chapter runs, without MXNet where it promises so, and the notebooks are those of the sources."""

from __future__ import annotations

import inspect
import re
import shutil
from importlib.util import find_spec

import nbformat
import pytest
from helpers import DOCS

from gluon_lstm.lstm import layers, reference
from gluon_lstm.tutorial import source

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


def prose(japanese, english):
    """Return the text of a chapter of one piece of prose and a cell."""
    regions = "".join(
        f'<!-- #region lang="{language}" -->\n{text}\n<!-- #endregion -->\n\n'
        for language, text in (("ja", japanese), ("en", english))
    )
    return regions + "```python\nimport warnings\n\nwarnings.warn('old')\n```\n"


def answer(code):
    return f"<details><summary>?</summary>\n\n```python\n{code}\n```\n\n</details>"


def test_answers_that_differ_between_the_languages_are_refused(tutorial, tmp_path):
    path = tmp_path / "8-x.md"
    path.write_text(prose(answer("x = 1"), answer("x = 2")), encoding="utf-8")
    with pytest.raises(tutorial.ChapterError, match="answers differs"):
        tutorial.read(path)
    path.write_text(prose("本文", "").replace('lang="en"', 'lang="ja"'), encoding="utf-8")
    with pytest.raises(tutorial.ChapterError, match='expected a region lang="en"'):
        tutorial.read(path)


def test_warnings_and_wrong_answers_of_a_chapter_are_errors(tutorial, tmp_path):
    path = tmp_path / "8-x.md"
    path.write_text(prose("本文", "text"), encoding="utf-8")
    with pytest.raises(tutorial.ChapterError, match="stderr"):
        tutorial.execute(tutorial.read(path))
    path.write_text(prose(answer("assert 1 + 1 == 3"), answer("assert 1 + 1 == 3")), encoding="utf-8")
    with pytest.raises(Exception, match="AssertionError"):
        tutorial.execute(tutorial.read(path))


def test_source_is_that_of_the_file():
    assert source("gluon_lstm.lstm.layers", "LSTM.forward") + "\n" == inspect.getsource(layers.LSTM.forward)
    both = source("gluon_lstm.lstm.reference", "step", "logits")
    assert both.split("\n\n") == [inspect.getsource(f).rstrip() for f in (reference.step, reference.logits)]
    with pytest.raises(ValueError, match=r"layers.py has no LSTM.back"):
        source("gluon_lstm.lstm.layers", "LSTM.back")
    with pytest.raises(ValueError, match="no module gluon_lstm"):
        source("gluon_lstm.lstm.nothing", "step")


@notebooks
def test_notebooks_hold_pictures_in_their_language_and_nothing_of_the_machine(notebook):
    """No path, no warning, no time of execution."""
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
