"""docs/errata.md: snippets run, commands and linked pages exist, both languages have the same tables."""

from __future__ import annotations

import doctest
import re
import shlex

import pytest
from helpers import DOCS

from gluon_lstm.cli.main import parser

PAGE = (DOCS / "errata.md").read_text(encoding="utf-8")
ENGLISH, JAPANESE = PAGE.split("# 5 つのノートの正誤表\n")
COMMANDS = sorted(set(re.findall(r"`(gluon-lstm [^`]+)`", PAGE)))


def test_snippets_run():
    pytest.importorskip("gluon_lstm.compat", exc_type=ImportError)
    session = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    parsed = doctest.DocTestParser().get_doctest(session, {}, "docs/errata.md", None, 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL).run(parsed)
    assert result.attempted > 70 and not result.failed


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_valid(command):
    parser().parse_args(shlex.split(command)[1:])


def test_options_without_command_are_options_of_train():
    options = set(re.findall(r"`(--[^`]+)`", PAGE))
    assert options
    for option in options - {"--seed"}:
        values = shlex.split(option)
        if len(values) == 1 and values[0] in ("--clip", "--encoding", "--ctx"):
            values.append("1")
        parser().parse_args(["train", "FILE", "--out", "DIR", *values])


def test_linked_pages_exist():
    links = set(re.findall(r"\]\(([\w.-]+)\)", PAGE))
    assert links and all((DOCS / link).exists() for link in links)


@pytest.mark.parametrize("page", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_both_languages_cover_all_notes(page):
    assert re.findall(r"^## \D*(\d{3})", page, re.MULTILINE) == ["000", "001", "002", "003", "004"]


def test_both_languages_have_the_same_proofs():
    """Same number of table rows, with the same commands, pages and snippet letters in the proof column."""
    english, japanese = (re.findall(r"^\|.*\|.*\|(.*)\|.*\|$", half, re.MULTILINE) for half in (ENGLISH, JAPANESE))
    assert len(english) == len(japanese)
    for cells in zip(english, japanese):
        one, other = (re.findall(r"gluon-lstm [^`]+|[\w-]+\.md|\b[a-i]\b", cell) for cell in cells)
        assert one == other
