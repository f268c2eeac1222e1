"""Compilation cache: unchanged sources are not compiled again, changed ones always, and no directory is required."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gluon_lstm
from gluon_lstm.lstm.fast import jit as jit_module

PACKAGE = Path(gluon_lstm.__file__).parent
FAST = PACKAGE / "lstm" / "fast"

# A stand-in for kernels.py: one compiled function that contains `gemm`, for less compile time.
KERNELS = """
from gluon_lstm.lstm.fast.gemm import PACKED, gemm
from gluon_lstm.lstm.fast.jit import jit

@jit(f"({PACKED}, {PACKED}, {PACKED})")
def product(A, B, C):
    gemm(A, 0, 1, B, C, C, 0)
"""

# Prints A B + C for A = B = 1, C = 2 (1, 1), computed by `product`, and the number of compilations.
PROGRAM = """
from gluon_lstm.lstm.fast import gemm, kernels
A, B, C = gemm.packed_zeros(1, 1), gemm.packed_zeros(gemm.NR, 1), gemm.packed_zeros(1, 1)
A[0, 0, 0], B[0, 0, 0], C[0, 0, 0] = 1, 1, 2
kernels.product(A, B, C)
functions = {id(f): f for module in (gemm, kernels) for f in vars(module).values() if hasattr(f, "stats")}
print(f"{C[0, 0, 0]:.3f}", sum(len(f.stats.cache_misses) for f in functions.values()))
"""


def run(folder: Path, **environment: str) -> list[str]:
    env = {**os.environ, "PYTHONPATH": str(folder), **environment}
    env.pop("NUMBA_CACHE_DIR", None)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.split()


@pytest.fixture
def package_copy(tmp_path):
    """A copy of the package with KERNELS in place of kernels.py."""
    copy = tmp_path / "gluon_lstm"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "lstm" / "fast" / "kernels.py").write_text(KERNELS, encoding="utf-8")
    return tmp_path


def test_a_change_in_gemm_recompiles_the_kernels_that_contain_it(package_copy):
    value, compiled = run(package_copy)
    assert value == "3.000" and int(compiled) > 0
    assert run(package_copy) == ["3.000", "0"]
    gemm = package_copy / "gluon_lstm" / "lstm" / "fast" / "gemm.py"
    source = gemm.read_text(encoding="utf-8")
    gemm.write_text(source.replace("builder.fadd(load(init_rows", "builder.fsub(load(init_rows"), encoding="utf-8")
    value, recompiled = run(package_copy)
    assert value == "1.000" and recompiled == compiled


def test_kernels_run_where_no_cache_directory_is_writable(package_copy):
    (package_copy / "gluon_lstm" / "lstm" / "fast" / "__pycache__").write_text("a file, no directory")
    value, _ = run(package_copy, HOME=os.devnull, XDG_CACHE_HOME=f"{os.devnull}/cache")
    assert value == "3.000"


def test_an_unwritable_cache_file_does_not_stop_the_compilation(monkeypatch):
    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full_disk)

    @jit_module.jit("float64(float64)")
    def double(x):
        return 2 * x

    assert double(4.0) == 8.0


def test_every_module_with_compiled_functions_is_in_the_digest():
    compiled = []
    for path in sorted(FAST.glob("*.py")):
        imports = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        modules = {node.module for node in imports if isinstance(node, ast.ImportFrom)}
        modules |= {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
        if any((name or "").split(".")[0] in ("numba", "llvmlite") or name == jit_module.__name__ for name in modules):
            compiled.append(path.name)
    assert tuple(compiled) == jit_module.COMPILED_SOURCES
