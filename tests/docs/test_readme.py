"""The READMEs against the code: the cell, the Python example, links, length, and both languages."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest
from helpers import ROOT
from test_architecture import transitive_imports

from gluon_lstm.cli.main import COMMANDS, main
from gluon_lstm.demos import DEMOS

READMES = [ROOT / "README.md", ROOT / "README.ja.md"]
readmes = pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)


def blocks(readme: Path, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", readme.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(readme: Path) -> list[str]:
    """Return the command lines that begin with `gluon-lstm` in the code blocks."""
    return re.findall(r"^\$ gluon-lstm (.*)$", readme.read_text(encoding="utf-8"), re.MULTILINE)


@readmes
def test_front_page_has_at_most_150_lines(readme):
    assert len(readme.read_text(encoding="utf-8").splitlines()) <= 150


@readmes
def test_cell_shown_is_the_cell_that_runs(readme):
    code = (ROOT / "gluon_lstm/lstm/scratch.py").read_text(encoding="utf-8")
    (step,) = (node for node in ast.parse(code).body if getattr(node, "name", "") == "step")
    body = textwrap.dedent(ast.get_source_segment(code, step, padded=True) or "")
    cell = body.split("    Xg, Xi, Xf, Xo = X  # each (N, H)\n")[1].split("    return h, c")[0]
    assert blocks(readme, "python")[1] == textwrap.dedent(cell)


@readmes
def test_python_example_runs(readme, tmp_path, monkeypatch, capsys):
    """With few steps in place of minutes, and a tiny model in place of that of the first command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    posts = (ROOT / "data" / "posts_ja.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "data" / "posts_ja.txt").write_text("".join(posts[:300]), encoding="utf-8")
    tiny = ["--from", "none", "--hidden", "8", "--steps", "4", "--no-cache"]
    assert main(["train", "data/posts_ja.txt", "--out", "runs/first", *tiny]) == 0
    code = blocks(readme, "python")[0]
    assert "minutes=1" in code
    exec(compile(code.replace("minutes=1", "from_='none', hidden=8, steps=4, no_cache=True"), readme.name, "exec"), {})
    assert (tmp_path / "runs" / "second" / "best.safetensors").is_file()
    assert capsys.readouterr().out.count("こんにち") >= 3


@readmes
def test_commands_that_need_mxnet_are_named(readme):
    """In the sentence about machines without a wheel; each command and demo that imports MXNet, and no other."""
    modules = {name: f"gluon_lstm.cli.{name}" for name in COMMANDS}
    modules |= {f"demo {name}": f"gluon_lstm.demos.{name}" for name in DEMOS}
    need = {name for name, module in modules.items() if "gluon_lstm.compat" in transitive_imports(module)}
    text = readme.read_text(encoding="utf-8")
    (sentence,) = re.findall(r"all works but (.*?);|MXNet を使う(.*?)以外", text, re.DOTALL)
    assert set(re.findall(r"`([^`]+)`", "".join(sentence))) == need


@readmes
def test_links_exist(readme):
    links = re.findall(r"\]\((?!http)([^)#]+)\)", readme.read_text(encoding="utf-8"))
    assert links and all((ROOT / link).exists() for link in links)


def test_both_languages_show_the_same_commands_options_code_and_numbers():
    english, japanese = READMES
    assert commands(english) == commands(japanese) and len(commands(english)) == 3
    assert blocks(english, "python") == blocks(japanese, "python")
    for pattern in (r"`(--[a-z-]+)", r"\| \**([\d.,]+)\** (?=\|)", r"!\[.*\]\((.*)\)"):
        found = [sorted(re.findall(pattern, readme.read_text(encoding="utf-8"))) for readme in READMES]
        assert found[0] == [each.replace(".ja.png", ".png") for each in found[1]]
