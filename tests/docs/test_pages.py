"""Pages of docs/ against the code: the tree of modules, the table of imports, links, and tables in both languages."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from helpers import DOCS, ROOT
from test_architecture import ARROWS, SHARED
from translation import are_translations

from gluon_lstm.cli.main import parser

READMES = [ROOT / "README.md", ROOT / "README.ja.md", ROOT / "data" / "README.md"]
PAGES = sorted([*DOCS.glob("*.md"), *READMES, ROOT / "CONTRIBUTING.md"])
# pages in two languages with output, each in the language of the page
OUTPUTS = [
    (page, page.with_suffix(".ja.md"))
    for page in (READMES[0], *(DOCS / f"{n}.md" for n in ("export", "sources", "writing")))
]
# pages in two languages with the same sections
BOTH = ["architecture", "gallery", "benchmarks", "inspect", "writing", "cluster"]
architecture = pytest.mark.parametrize("page", ["architecture.md", "architecture.ja.md"])


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(page: Path) -> list[str]:
    """Return the blocks of commands and output."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [block for language, block in found if not language]


def numbers_in_tables(page: str) -> list[str]:
    """Return the cells of all tables that are a number, in order."""
    return re.findall(r"\| ([\d.,]+) (?=\|)", text_of(page))


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@architecture
def test_tree_names_every_module_and_no_other(page):
    (tree,) = re.findall(r"^```\n(gluon_lstm/\n.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
    named = sorted(re.findall(r"\w+\.py\b", tree))
    modules = sorted(p.name for p in (ROOT / "gluon_lstm").rglob("*.py") if p.name != "__init__.py")
    assert [name for name in named if name != "__init__.py"] == modules


@architecture
def test_import_table_is_the_one_that_is_checked(page):
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", text_of(page).split("## ")[2], re.MULTILINE))
    listed = {room: set(re.findall(r"`([\w.]+)`", cell)) for room, cell in rows.items() if room != "cli"}
    rooms = {room: targets for room, targets in ARROWS.items() if room not in {*SHARED, "cli", "__main__"}}
    assert listed == rooms
    (shared,) = re.findall(r"^`options`.* import.*$", text_of(page), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", shared)) == SHARED - {""}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_and_anchors_exist(page: Path):
    for target, _, part in re.findall(r"\]\((?!http)([^)#]*)(#([^)]+))?\)", page.read_text(encoding="utf-8")):
        path = page.parent / target if target else page
        assert path.exists(), target
        if part:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert part in map(anchor, headings), f"{target}#{part}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_no_line_break_inside_a_japanese_sentence(page: Path):
    """It would be shown as a space."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    japanese = "[\u3040-\u30ff\u4e00-\u9fff、（「]"
    assert re.findall(rf"{japanese}\n *{japanese}", prose) == []


@pytest.mark.parametrize("name", BOTH)
def test_both_languages_have_the_same_structure_and_numbers(name):
    english, japanese = text_of(f"{name}.md"), text_of(f"{name}.ja.md")
    for pattern in (r"^#+", r"^```", r"!\[.*\]\((.*)\)$"):
        found = [re.findall(pattern, page, re.MULTILINE) for page in (english, japanese)]
        assert found[0] == [each.replace(".ja.png", ".png") for each in found[1]]
    assert numbers_in_tables(f"{name}.md") == numbers_in_tables(f"{name}.ja.md")


@pytest.mark.parametrize(("english", "japanese"), OUTPUTS, ids=lambda path: path.name)
def test_both_languages_show_the_same_commands_and_the_translated_output(english, japanese):
    """Line by line, without comments: what the program prints in Japanese where it prints the English line.

    Not the installation, whose lines differ, and Python, where the library speaks English.
    """
    texts = ("".join(b for b in blocks(page) if not b.startswith(("git clone", "["))) for page in (english, japanese))
    one, two = (re.sub("  +# .*", "", text).splitlines() for text in texts)
    assert len(one) == len(two) > 6
    assert [pair for pair in zip(one, two) if not are_translations(*pair)] == []


def test_commands_on_the_page_of_writing_are_valid():
    english = blocks(DOCS / "writing.md")
    commands = re.findall(r"^(?:\$ |.*/bin/)gluon-lstm (.*?)(?: >>.*)?$", "".join(english), re.MULTILINE)
    assert len(commands) == 7
    for command in commands:
        parser().parse_args(shlex.split(command))
