"""What docs/errata.md says of the notes is so: its snippets run, its commands exist, and so do the pages it links."""

from __future__ import annotations

import doctest
import re
import shlex

import pytest
from helpers import DOCS

from gluon_lstm.cli.main import parser

PAGE = (DOCS / "errata.md").read_text(encoding="utf-8")
ENGLISH, JAPANESE = PAGE.split("# 5 つのノートの正誤表\n")
NAMES = sorted(set(re.findall(r"`(gluon-lstm [^`]+)`", PAGE)))


def test_the_snippets_are_true():
    pytest.importorskip("gluon_lstm.compat", exc_type=ImportError)
    session = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    parsed = doctest.DocTestParser().get_doctest(session, {}, "docs/errata.md", None, 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL).run(parsed)
    assert result.attempted > 70 and not result.failed


@pytest.mark.parametrize("command", NAMES)
def test_every_command_can_be_given(command):
    parser().parse_args(shlex.split(command)[1:])


def test_every_option_named_alone_is_one_of_training():
    options = set(re.findall(r"`(--[^`]+)`", PAGE))
    assert options
    for option in options - {"--seed"}:
        values = shlex.split(option)
        if len(values) == 1 and values[0] in ("--clip", "--encoding", "--ctx"):
            values.append("1")
        parser().parse_args(["train", "FILE", "--out", "DIR", *values])


def test_every_page_linked_is_there():
    links = set(re.findall(r"\]\(([\w.-]+)\)", PAGE))
    assert links and all((DOCS / link).exists() for link in links)


@pytest.mark.parametrize("half", [ENGLISH, JAPANESE], ids=["English", "Japanese"])
def test_both_halves_speak_of_all_five_notes(half):
    assert re.findall(r"^## \D*(\d{3})", half, re.MULTILINE) == ["000", "001", "002", "003", "004"]


def test_both_halves_say_the_same_of_each():
    """As many rows in each table, with the same proofs."""
    english, japanese = (re.findall(r"^\|.*\|.*\|(.*)\|.*\|$", half, re.MULTILINE) for half in (ENGLISH, JAPANESE))
    assert len(english) == len(japanese)
    for cells in zip(english, japanese):
        one, other = (re.findall(r"gluon-lstm [^`]+|[\w-]+\.md|\b[a-i]\b", cell) for cell in cells)
        assert one == other
