"""Compilation in other processes: when it starts, and which kernels each compiles."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path

import pytest

from gluon_lstm.lstm.fast import jit, precompile
from gluon_lstm.training.from_files import train

SOURCES = Path(precompile.__file__).parent
TAG = f"py{sys.version_info.major}{sys.version_info.minor}"


def jitted_names() -> set[str]:
    """Return the names of the functions with the decorator `jit`."""
    names = set()
    for source in precompile.COMPILED_SOURCES:
        for node in ast.walk(ast.parse((SOURCES / source).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                decorators = [getattr(getattr(each, "func", each), "id", "") for each in node.decorator_list]
                names |= {node.name} if "jit" in decorators else set()
    return names


def test_the_two_processes_share_all_kernels():
    assert set(precompile.FIRST_HALF) < jitted_names()
    assert all(map(jit.selected, jitted_names()))  # in this process all are compiled


@pytest.fixture
def folder(tmp_path):
    for name in precompile.COMPILED_SOURCES:
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1000, 1000))
    (tmp_path / "__pycache__").mkdir()
    return tmp_path


def machine_code(folder, name, tag=TAG, seconds=2000):
    path = folder / "__pycache__" / f"{name}-12.{tag}.nbi"
    path.write_text("")
    os.utime(path, (seconds, seconds))


def test_machine_code_counts_for_this_python_and_these_sources_only(folder):
    names = ("kernels.forward_steps", "kernels.backward_steps", "optimizer_kernels.adam")
    for name in names:
        assert not precompile.is_compiled(folder)
        machine_code(folder, name)
    assert precompile.is_compiled(folder)
    machine_code(folder, names[0], seconds=500)  # older than the sources
    assert not precompile.is_compiled(folder)
    machine_code(folder, names[0])
    (folder / "__pycache__" / f"{names[1]}-12.{TAG}.nbi").unlink()
    machine_code(folder, names[1], tag="py20")
    assert not precompile.is_compiled(folder)


def test_no_process_starts_for_a_compiled_installation_or_another_cache(monkeypatch):
    monkeypatch.setattr(precompile, "is_compiled", lambda: True)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    assert precompile.start() == []
    monkeypatch.setattr(precompile, "is_compiled", lambda: False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    assert precompile.start() == []


def test_processes_end_when_the_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(precompile, "is_compiled", lambda: False)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(precompile, "_PROGRAM", "import time; time.sleep(60)")
    started = []
    begin = precompile.start
    monkeypatch.setattr(precompile, "start", lambda: started.extend(begin()) or started)
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.txt"):
        train([tmp_path / "a.txt"], tmp_path / "run", no_cache=True)
    assert len(started) == 2 and all(process.returncode for process in started)


def test_processes_that_fail_are_waited_for(monkeypatch):
    monkeypatch.setattr(precompile, "is_compiled", lambda: False)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(precompile, "_PROGRAM", "raise SystemExit(3)")
    processes = precompile.start()
    precompile.wait(processes)
    assert [process.returncode for process in processes] == [3, 3]
