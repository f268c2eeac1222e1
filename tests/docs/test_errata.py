"""docs/errata.md: every row has a proof that runs, in both languages; commands, links and quotes are valid."""

from __future__ import annotations

import ast
import doctest
import importlib.util
import os
import re
import shlex
from pathlib import Path

import pytest
from helpers import DOCS, ROOT

from gluon_lstm.cli.main import parser

PAGE = (DOCS / "errata.md").read_text(encoding="utf-8")
LANGUAGES = dict(zip(("English", "Japanese"), PAGE.split("# 5 つの記事の正誤表\n")))
COMMANDS = sorted(set(re.findall(r"`(gluon-lstm [^`]+)`", PAGE)))
NOTES = Path(os.environ.get("GLUON_LSTM_NOTES", ROOT.parent / "shared" / "seeds"))  # the five notes as published
ELSEWHERE = r"\b([a-z]) of notes (\d{3})|記事 (\d{3}) の ([a-z])\b"  # a proof in another section

languages = pytest.mark.parametrize("language", LANGUAGES)


def sections(language: str) -> dict[str, str]:
    """Return the text of each section by the number of its notes."""
    parts = re.split(r"^## \D*(\d{3}).*$", LANGUAGES[language], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def rows(section: str) -> list[list[str]]:
    """Return the cells of the rows of the tables, without their headers."""
    lines = re.findall(r"^\|(.*)\|$", section.replace("|---|---|---|---|\n", ""), re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("as printed", "掲載のまま")]


def examples(text: str, tensorflow: bool = False) -> list[doctest.Example]:
    """Return the examples of the snippets of a text, of those with or of those without TensorFlow."""
    snippets = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    session = "\n".join(snippet for snippet in snippets if ("tensorflow" in snippet) == tensorflow)
    return doctest.DocTestParser().get_examples(session, "docs/errata.md")


def run(found: list[doctest.Example]) -> doctest.TestResults:
    test = doctest.DocTest(found, {}, "errata", "docs/errata.md", 0, None)
    return doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL).run(test)


def letters_of_snippets(section: str) -> set[str]:
    """Return the letters with which comments of the snippets name what they prove: `# a`, `# d, e`, `# b: …`."""
    sources = [example.source for example in (*examples(section), *examples(section, tensorflow=True))]
    labels = re.findall(r"# ([a-z](?:, [a-z])*)(?::|$)", "\n".join(sources), re.MULTILINE)
    return {letter for label in labels for letter in label.split(", ")}


def letters_of_row(row: list[str]) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the letters in the proof of a row: those of its own section, and (number, letter) of other sections."""
    proof = re.sub(r"`[^`]*`|\[[^]]*\]\([^)]*\)", "", row[2])
    others = {(n or number, letter or other) for letter, n, number, other in re.findall(ELSEWHERE, proof)}
    return set(re.findall(r"(?<![A-Za-z])[a-z](?![A-Za-z])", re.sub(ELSEWHERE, "", proof))), others


@languages
def test_snippets_run(language):
    pytest.importorskip("gluon_lstm.compat", exc_type=ImportError)
    result = run(examples(LANGUAGES[language]))
    assert result.attempted > 140 and not result.failed


@languages
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow")
def test_snippets_with_tensorflow_run(language):
    result = run(examples(LANGUAGES[language], tensorflow=True))
    assert result.attempted and not result.failed


@languages
def test_every_row_has_a_proof_that_runs_and_every_snippet_proves_a_row(language):
    found = sections(language)
    snippets = {number: letters_of_snippets(section) for number, section in found.items()}
    for number, section in found.items():
        named = set()
        for row in rows(section):
            assert len(row) == 4, row
            own, others = letters_of_row(row)
            assert own, row
            assert all(letter in snippets[other] for other, letter in others), row
            named |= own
        assert named == snippets[number]


def test_snippets_of_both_languages_are_the_same_code():
    for tensorflow in (False, True):
        english, japanese = (examples(text, tensorflow) for text in LANGUAGES.values())
        assert len(english) == len(japanese) > 0
        for one, other in zip(english, japanese):
            assert ast.dump(ast.parse(one.source)) == ast.dump(ast.parse(other.source))
            assert one.want == other.want


def test_both_languages_have_the_same_rows_and_proofs():
    """In the same order, of the same letters, commands and pages, beside the same code."""
    english, japanese = (sections(language) for language in LANGUAGES)
    assert [*english] == [*japanese] == ["000", "001", "002", "003", "004"]
    for number in english:
        assert len(rows(english[number])) == len(rows(japanese[number]))
        for one, other in zip(rows(english[number]), rows(japanese[number])):
            assert letters_of_row(one) == letters_of_row(other)
            for k, pattern in ((0, r"`[^`]+`"), (2, r"`[^`]+`"), (2, r"[\w-]+\.md"), (3, r"`[^`]+`")):
                assert sorted(re.findall(pattern, one[k])) == sorted(re.findall(pattern, other[k]))


@languages
def test_quotes_are_exact(language):
    """Code and 「…」 in the first column are in the published notes; `…` stands for what is left out."""
    if not NOTES.is_dir():
        pytest.skip(f"no {NOTES}: set GLUON_LSTM_NOTES to a folder with the five published notes")
    for number, section in sections(language).items():
        (path,) = NOTES.glob(f"{number}_*")
        published = path.read_text(encoding="utf-8")
        for row in rows(section):
            for quote in re.findall(r"`([^`]+)`|「([^」]+)」", row[0]):
                for piece in "".join(quote).split("…"):
                    assert piece in published, piece


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
