"""Compilation in other processes: when it starts, and which kernels each compiles."""

from __future__ import annotations

import ast
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gluon_lstm
from gluon_lstm.lstm.fast import jit, precompile
from gluon_lstm.training.from_files import train

PACKAGE = Path(gluon_lstm.__file__).parent
SOURCES = Path(precompile.__file__).parent
TAG = f"py{sys.version_info.major}{sys.version_info.minor}"


def jitted_names() -> set[str]:
    """Return the names of the functions with the decorator `jit`, with their modules."""
    names = set()
    for source in precompile.COMPILED_SOURCES:
        for node in ast.walk(ast.parse((SOURCES / source).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                decorators = [getattr(getattr(each, "func", each), "id", "") for each in node.decorator_list]
                names |= {f"{source[:-3]}.{node.name}"} if "jit" in decorators else set()
    return names


def test_each_kernel_is_compiled_by_one_process_and_all_in_this_one():
    numbers = precompile.kernel_numbers()
    processes = [precompile.selection(numbers) for _ in range(2)]
    for _ in range(len(jitted_names())):
        assert sum(selected() for selected in processes) == 1
    assert len(jitted_names()) < precompile.MAX_KERNELS
    assert jit.selected()


def test_a_process_takes_the_next_kernel_when_it_has_compiled_one():
    numbers = precompile.kernel_numbers()
    slow, fast = precompile.selection(numbers), precompile.selection(numbers)
    assert [slow()] == [True]  # kernel 0 takes it as long as the other needs for 1 to 4
    assert [fast() for _ in range(5)] == [False, True, True, True, True]
    assert [slow() for _ in range(5)] == [False, False, False, False, True]
    assert [fast() for _ in range(2)] == [False, True]


def test_the_processes_fill_the_cache(tmp_path):
    copy = tmp_path / "gluon_lstm"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    kernels = "from gluon_lstm.lstm.fast.jit import jit\n" + "".join(
        f"@jit('int64(int64)')\ndef kernel_{k}(x):\n    return x + {k}\n" for k in range(5)
    )
    imports = {"kernels": "from gluon_lstm.lstm.fast import gemm\n"}
    for name in ("gemm", "kernels", "optimizer_kernels"):
        (copy / "lstm" / "fast" / f"{name}.py").write_text(imports.get(name, "") + kernels, encoding="utf-8")
    program = "from gluon_lstm.lstm.fast import precompile as p; process = p.start(); p.wait(process)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=tmp_path, check=True)
    cached = [path.name.split("-")[0] for path in (copy / "lstm" / "fast" / "__pycache__").glob("*.nbi")]
    assert sorted(cached) == sorted(
        f"{name}.kernel_{k}" for name in ("gemm", "kernels", "optimizer_kernels") for k in range(5)
    )


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
    assert precompile.start() is None
    monkeypatch.setattr(precompile, "is_compiled", lambda: False)
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    assert precompile.start() is None


def test_processes_end_when_the_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(precompile, "is_compiled", lambda: False)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(precompile, "_PROGRAM", "import os, time; os.fork(); time.sleep(60)")
    started = []
    begin = precompile.start
    monkeypatch.setattr(precompile, "start", lambda: started.append(begin()) or started[0])
    (tmp_path / "a.txt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.txt"):
        train([tmp_path / "a.txt"], tmp_path / "run", no_cache=True)
    (process,) = started
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):  # neither of the group is left
        for _ in range(100):
            os.killpg(process.pid, 0)
            time.sleep(0.05)


def test_a_process_that_fails_is_waited_for(monkeypatch):
    monkeypatch.setattr(precompile, "is_compiled", lambda: False)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(precompile, "_PROGRAM", "raise SystemExit(3)")
    process = precompile.start()
    precompile.wait(process)
    assert process.returncode == 3
