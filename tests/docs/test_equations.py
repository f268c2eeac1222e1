"""docs/equations.md: names and functions exist, formulas give the numbers of the float64 reference."""

from __future__ import annotations

import ast
import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import ROOT

from gluon_lstm.config import ARRAY_NAMES, VARIANTS, ModelConfig
from gluon_lstm.lstm import reference
from gluon_lstm.numerics import clip_coef

PAGE = ROOT / "docs" / "equations.md"


def tables() -> dict[str, list[list[str]]]:
    """Return English heading -> rows of cells of the table."""
    tables = {}
    for section in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        lines = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
        rows = [[cell.strip() for cell in line.split("|")] for line in lines]
        assert len(rows) > 2 and {len(row) for row in rows} == {4}, section
        tables[section.split(" ·")[0]] = rows[2:]
    return tables


def quoted(cell: str) -> list[str]:
    """Return the texts in backticks."""
    return re.findall(r"`([^`]+)`", cell)


TABLES = tables()
ROWS = [row for section in ("Forward", "Backward", "Clipping") for row in TABLES[section]]
ARRAYS = {name: shape for variant in VARIANTS for name, shape in ModelConfig(3, variant).shapes(7).items()}


def function(place: str) -> ast.AST:
    """Return the syntax tree of the function or method at file:name."""
    file, name = place.split(":")
    node: ast.AST = ast.parse((ROOT / "gluon_lstm" / file).read_text(encoding="utf-8"))
    for part in name.split("."):
        matches = [child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == part]
        assert len(matches) == 1, f"{place}: no function {part}"
        node = matches[0]
    return node


def names_in(node: ast.AST) -> set[str]:
    """Return the names of variables, arguments and attributes."""
    names = set()
    for child in ast.walk(node):
        for field in ("id", "arg", "attr"):
            names.add(getattr(child, field, None))
    return names - {None}


def test_sections_and_tables():
    assert list(TABLES) == ["Arrays", "Forward", "Backward", "Clipping"]


def test_arrays_and_shapes_match_the_model():
    listed = {quoted(row[2])[0]: quoted(row[3])[0] for row in TABLES["Arrays"]}
    expected = [*ARRAY_NAMES, *(name for name in ModelConfig(3, "rnn").shapes(7) if name not in ARRAY_NAMES)]
    assert list(listed) == expected
    assert {name: eval(shape, {"V": 7, "H": 3}) for name, shape in listed.items()} == {n: ARRAYS[n] for n in expected}


def test_array_names_match_notes_003():
    assert [row[1] for row in TABLES["Arrays"]] == [f"`{name}`" for name in ARRAY_NAMES] + [""] * 3


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_functions_exist_and_first_uses_the_names(row):
    places, names = quoted(row[3]), quoted(row[2])
    assert places and names
    functions = [function(place) for place in places]
    assert set(names) <= names_in(functions[0])


def test_array_names_in_formulas_exist():
    named = {name for row in ROWS for name in re.findall(r"\b(?:W[xhc]|b)\w\b|\bWhy\b", row[2])}
    assert {"Whg", "bo", "Whh", "bh", "Why", "by"} <= named <= ARRAYS.keys()


def test_outdated_name_is_detected():
    assert "Whz" not in names_in(function("lstm/scratch.py:step"))
    with pytest.raises(AssertionError, match="no function leap"):
        function("lstm/scratch.py:leap")


def run(lines: list[str], values: dict[str, object]) -> dict[str, object]:
    """Execute assignments in the order of a table; return the variables."""
    values = dict(values)
    for line in lines:
        exec(line, values)
    return values


@pytest.fixture
def step(weights):
    """One step: rows x (N, V), previous h and c (N, H), the 14 arrays, and the cache of the reference step."""
    rng, N, V, H = np.random.default_rng(2), 3, 7, 4
    W = weights(V, H)
    x, h, c = rng.standard_normal((N, V)), rng.standard_normal((N, H)), rng.standard_normal((N, H))
    return x, h, c, W, reference.step({k: x @ W[f"Wx{k}"] for k in "gifo"}, h, c, W, VARIANTS["standard"])


def test_code_of_notes_003_matches_reference(step):
    x, h, c, W, cache = step
    nd = SimpleNamespace(dot=np.dot, tanh=np.tanh, sigmoid=lambda a: 1 / (1 + np.exp(-a)))
    code = [line for row in TABLES["Forward"] for line in quoted(row[1])]
    assert len([line for line in code if " = " in line]) == 7
    values = run([line for line in code if " = " in line], {"nd": nd, "X": x, "h": h, "c": c, **W})
    for k in "gifo":
        np.testing.assert_allclose(values[k], cache.gates[k], rtol=1e-12)
    np.testing.assert_allclose(values["c"], cache.c, rtol=1e-12)
    np.testing.assert_allclose(values["h"], cache.h, rtol=1e-12)
    np.testing.assert_allclose(values["yhat_linear"], reference.logits(cache.h, W), rtol=1e-12)


def test_backward_formulas_match_reference(step):
    _, h, c, W, cache = step
    rng, cell = np.random.default_rng(3), VARIANTS["standard"]
    dh, dc = rng.standard_normal(h.shape), rng.standard_normal(c.shape)
    known = {"dh": dh, "dc": dc, "s": cache.s, "c_prev": c, "h_prev": h, **cache.gates, **W}
    values = run([quoted(row[1])[0] for row in TABLES["Backward"]], known)
    dA, dc_prev = reference.step_backward(cache, dh, dc, W, cell)
    for k in "gifo":
        np.testing.assert_allclose(values[f"dA{k}"], dA[k], rtol=1e-12)
    np.testing.assert_allclose(values["dc_prev"], dc_prev, rtol=1e-12)
    (_, _, last), (_, through, _) = reference.backward_steps([cache, cache], np.stack([0 * dh, dh]), W, cell)
    # `backward_steps` starts from dc = 0
    values = run([quoted(row[1])[0] for row in TABLES["Backward"]], {**known, "dc": 0})
    np.testing.assert_allclose(values["dAg"], last["g"], rtol=1e-12)
    np.testing.assert_allclose(values["dh_prev"], through, rtol=1e-12)
    grads = reference.backward(
        [reference.LayerCache(np.zeros((1, len(h)), int), None, [cache])], dh[None], W, ModelConfig(4), None
    )
    np.testing.assert_allclose(values["dWhg"], grads["Whg"], rtol=1e-12)
    np.testing.assert_allclose(values["dbg"], grads["bg"], rtol=1e-12)


@pytest.mark.parametrize("threshold", [0.1, 1.0, 1e3])
def test_clipping_formulas_match_clip_coef(threshold):
    grad = np.random.default_rng(4).standard_normal(20)
    values = run([quoted(row[1])[0] for row in TABLES["Clipping"]], {"grad": grad, "threshold": threshold})
    norm = float(np.linalg.norm(grad))
    assert values["norm"] == pytest.approx(norm) and values["scale"] == pytest.approx(clip_coef(norm, threshold))
