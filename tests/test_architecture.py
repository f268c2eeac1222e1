"""Who may import whom: the arrows of the package, read from its source and tried in a fresh interpreter."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gluon_lstm

PACKAGE = Path(gluon_lstm.__file__).parent
# Which import nothing of ours; "": the version, in the package itself.
EVERYONE = {"config", "files", "progress", "system", "array_file", "signals", "options", ""}

# room -> the rooms it may import from, itself always among them
ARROWS = {
    "config": set(),
    "files": set(),
    "progress": set(),
    "system": set(),
    "array_file": set(),
    "signals": set(),
    "options": set(),
    "compat": set(),
    "text": set(),
    "model": {"text"},
    "context": {"compat"},
    "lstm": {"model", "context", "compat"},
    "sampling": {"text", "model"},
    "training": {"text", "model", "lstm", "sampling", "context", "compat"},
    "report": {"text", "model", "sampling"},
    "digits": {"lstm", "training", "compat"},
    "demos": {"lstm", "training", "sampling", "model", "text", "context", "compat"},
    "cli": {"text", "model", "context", "lstm", "sampling", "training", "report", "digits", "demos"},
    "__main__": {"cli"},
    "": set(),
}

# What runs where there is no MXNet: whole rooms, and these single modules.
WITHOUT_MXNET = {"text", "model", "sampling", "report", *EVERYONE}
MODULES_WITHOUT_MXNET = {
    "gluon_lstm.lstm.reference", "gluon_lstm.lstm.layers", "gluon_lstm.demos.nan", "gluon_lstm.demos.timing",
    "gluon_lstm.training.recipe", "gluon_lstm.training.run_dir",
}  # fmt: skip

FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def room(module: str) -> str:
    """text of gluon_lstm.text.corpus; "" of gluon_lstm."""
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it, and by whatever form of import."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            for alias in node.names:
                inside = f"{base}.{alias.name}"
                yield inside if inside in MODULES else base
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__"):
                yield str(node.args[0].value)


def ours(path: Path) -> set[str]:
    return {name for name in imported(path) if name.split(".")[0] == "gluon_lstm"}


def with_everything_behind(module: str) -> set[str]:
    """The modules of the package that are there once `module` is imported, by whatever way."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found or name not in MODULES:
            continue
        found.add(name)
        parents = [name.rpartition(".")[0]] if "." in name else []
        waiting += [*parents, *ours(MODULES[name])]
    return found


def test_every_room_is_on_the_plan():
    rooms = {room(module) for module in MODULES}
    assert rooms <= ARROWS.keys()
    assert {"text", "model", "lstm", "training", "sampling", "cli", "compat"} <= rooms


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_one_way(module):
    allowed = ARROWS[room(module)] | EVERYONE | {room(module)}
    assert {name for name in ours(MODULES[module]) if room(name) not in allowed} == set()


def test_imports_never_go_round_in_a_circle():
    """Room by room: no room is reached from itself through another one."""
    reached = {name: set(targets) for name, targets in ARROWS.items()}
    for _ in ARROWS:
        for targets in reached.values():
            targets |= {far for near in targets for far in reached[near]}
    assert [name for name, targets in reached.items() if name in targets] == []


def test_the_test_sees_an_import_that_is_not_allowed(tmp_path, monkeypatch):
    (tmp_path / "gluon_lstm" / "text").mkdir(parents=True)
    path = tmp_path / "gluon_lstm" / "text" / "x.py"
    path.write_text(
        "from ..model import Model\n"
        "def f():\n"
        "    import mxnet.ndarray as nd\n"
        "    from importlib import import_module\n"
        "    import_module('pickle')\n"
        "    from gluon_lstm import sampling\n",
        encoding="utf-8",
    )
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path / "gluon_lstm")
    assert set(imported(path)) == {
        "gluon_lstm.model", "mxnet.ndarray", "importlib", "pickle", "gluon_lstm.sampling",
    }  # fmt: skip


def test_only_compat_imports_mxnet():
    importers = {name for name, path in MODULES.items() if any(i.split(".")[0] == "mxnet" for i in imported(path))}
    assert importers == {"gluon_lstm.compat"}


def test_nobody_imports_pickle():
    """Nor what pickles: loading a pickle runs whatever somebody has put into it."""
    pickling = {"pickle", "cPickle", "_pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib", "multiprocessing"}
    importers = {name for name, path in MODULES.items() if any(i.split(".")[0] in pickling for i in imported(path))}
    assert importers == set()


def test_nobody_loads_arrays_with_pickles_in_them():
    for path in FILES:
        source = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in source and "load_states" not in source, path


@pytest.mark.parametrize("module", sorted(m for m in MODULES if room(m) in WITHOUT_MXNET or m in MODULES_WITHOUT_MXNET))
def test_no_way_leads_to_mxnet(module):
    assert "gluon_lstm.compat" not in with_everything_behind(module)


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_a_trained_model_needs_no_mxnet_and_starts_quickly():
    """Imported in a fresh interpreter: MXNet is not even looked for, and what is heavy waits until it is needed."""
    free = sorted(m for m in MODULES if room(m) in WITHOUT_MXNET or m in MODULES_WITHOUT_MXNET)
    run(
        "import sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name.split('.')[0] != 'mxnet', 'mxnet is looked for'\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"for name in {free!r}:\n"
        "    __import__(name)\n"
        "heavy = {'mxnet', 'matplotlib', 'janome', 'PIL', 'tqdm', 'gluon_lstm.compat'}\n"
        "heavy |= {'scipy', 'sklearn', 'networkx', 'wordcloud', 'jinja2'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_the_command_line_and_package_inits_import_nothing_heavy():
    inits = sorted(module for module, path in MODULES.items() if path.name == "__init__.py")
    run(
        "import sys\n"
        f"for name in {inits!r}:\n"
        "    __import__(name)\n"
        "heavy = {'numpy', 'mxnet', 'matplotlib', 'janome', 'regex', 'ijson'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import gluon_lstm.cli.main\n"
        "gluon_lstm.cli.main.parser()\n"
        "heavy = {'mxnet', 'matplotlib', 'janome'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
