"""What the READMEs say of the code is so."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest
from helpers import ROOT

READMES = [ROOT / "README.md", ROOT / "README.ja.md"]


def blocks(readme: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", readme.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_cell_shown_is_the_cell_that_runs(readme):
    code = (ROOT / "gluon_lstm/lstm/scratch.py").read_text(encoding="utf-8")
    cell = code.split("    Xg, Xi, Xf, Xo = X\n")[1].split("    return h, c")[0]
    assert blocks(readme, "python") == [dedent(cell)]


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_the_picture_of_the_package_names_every_module_and_no_other(readme):
    (tree,) = [block for block in blocks(readme, "") if block.startswith("gluon_lstm/")]
    modules = {path.name for path in (ROOT / "gluon_lstm").rglob("*.py") if path.parent.name != "cli"}
    assert set(re.findall(r"\w+\.py", tree)) == modules - {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_everything_linked_is_there(readme):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", readme.read_text(encoding="utf-8"))
    assert links and all((ROOT / link).exists() for link in links)


def test_both_readmes_show_the_same_commands_and_options():
    english, japanese = (sorted(re.findall(r"`(--[a-z-]+)", readme.read_text(encoding="utf-8"))) for readme in READMES)
    assert english == japanese
