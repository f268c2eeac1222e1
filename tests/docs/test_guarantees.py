"""docs/guarantees.md: each guarantee names an existing test."""

from __future__ import annotations

import re

from helpers import DOCS, ROOT

TESTS = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")}
GUARANTEES = (DOCS / "guarantees.md").read_text(encoding="utf-8")


def test_named_tests_exist():
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", GUARANTEES)
    assert len(named) > 30
    missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in TESTS.get(file, "")]
    assert missing == []


def test_every_guarantee_names_a_test():
    sections = GUARANTEES.split("| promise | test |\n|---|---|\n")[1:]
    promises = [row for section in sections for row in section.split("\n\n")[0].splitlines()]
    assert len(promises) > 20
    assert [row for row in promises if "::test_" not in row] == []
