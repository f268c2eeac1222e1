"""Fixtures shared by several tests: weights, windows, a corpus, scripts."""

from __future__ import annotations

import gc
import importlib
import os
import sys

import numpy as np
import pytest
from helpers import SCRIPTS

from gluon_lstm.config import ModelConfig

os.environ["LC_ALL"] = "C.UTF-8"  # the commands speak English, also those that run as processes
LONG = ("test_stress.py", "test_tutorial.py")  # files with tests of ten seconds and more


def pytest_collection_modifyitems(items):
    """Run the longest tests first: parallel processes then end together."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish():
    """Keep what the imports have made out of all later garbage collections."""
    gc.freeze()


@pytest.fixture
def weights():
    """make(V, H, scale): 14 different float64 arrays, so that swapping any two changes the results."""

    def make(V: int, H: int, scale: float = 0.5, seed: int = 0) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([seed, V, H])
        return {name: scale * rng.standard_normal(shape) for name, shape in ModelConfig(H).shapes(V).items()}

    return make


@pytest.fixture
def window():
    """make(T, N, V, H): ids x, y (T, N), and a nonzero carried state h, c (N, H)."""

    def make(T: int, N: int, V: int, H: int, seed: int = 1) -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng([seed, T, N, V, H])
        x, y = rng.integers(V, size=(2, T, N))
        return x, y, np.tanh(rng.standard_normal((N, H))), rng.standard_normal((N, H))

    return make


@pytest.fixture
def assert_same():
    """Compare two dicts of gradients (or weights) name by name; print both arrays where they differ."""

    def compare(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], rtol: float, atol: float) -> None:
        assert list(found) == list(expected)
        for name, array in expected.items():
            assert found[name].shape == array.shape, name
            if not np.allclose(found[name], array, rtol=rtol, atol=atol):
                pytest.fail(f"{name} differs\nfound\n{found[name]}\nexpected\n{array}")

    return compare


@pytest.fixture(scope="session")
def posts_of_letters():
    """200 distinct posts of five letters, in which a letter is often followed by the next one of the alphabet."""
    rng = np.random.default_rng(0)
    made = {}
    while len(made) < 200:
        letters = [int(rng.integers(5))]
        for _ in range(rng.integers(3, 12)):
            letters.append((letters[-1] + 1) % 5 if rng.random() < 0.8 else int(rng.integers(5)))
        made["".join("あいうえお"[k] for k in letters)] = True
    return tuple(made)


@pytest.fixture
def script(monkeypatch):
    """script(name): import a module of scripts/ as when it is run."""
    for folder in (SCRIPTS, SCRIPTS / "measure"):
        monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module
    for path in SCRIPTS.rglob("*.py"):
        for name in (path.stem, f"{path.parent.name}.{path.stem}"):
            sys.modules.pop(name, None)
