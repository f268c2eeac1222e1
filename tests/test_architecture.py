"""Import rules between the packages ("rooms"), checked in the source and in a fresh interpreter."""

from __future__ import annotations

import ast
import functools
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gluon_lstm

PACKAGE = Path(gluon_lstm.__file__).parent
# Leaves that every room may import; "": the package itself, for its version.
SHARED = {
    "files", "progress", "system", "blas", "array_file", "quantization", "signals", "options", "figures", "language",
    "columns", "compat", "",
}  # fmt: skip

# room -> the rooms (or single modules of a room) that it may import, besides itself and (unless a leaf) SHARED
ARROWS = {
    "files": {"language"},
    "progress": set(),
    "system": set(),
    "blas": {"system", "language"},
    "array_file": {"files", "language"},
    "quantization": {"array_file", "language"},
    "signals": set(),
    "options": {"language"},
    "figures": {"language"},
    "language": set(),
    "columns": set(),
    "compat": {"language"},
    "numerics": set(),
    "config": set(),
    "text": set(),
    "context": set(),
    "model": {"text", "config"},
    "lstm": {"config", "context", "numerics"},
    "sampling": {"text", "model", "config", "numerics"},
    "pretrained": {"text", "model", "config"},
    "report": {"text", "model", "sampling", "lstm.reference"},
    "pages": {"text", "model", "sampling", "config", "numerics", "lstm.reference"},
    "training": {"text", "model", "lstm", "sampling", "pages", "pretrained", "context", "config", "numerics"},
    "digits": {"lstm", "training", "pages", "config", "numerics"},
    "demos": {"lstm", "training", "sampling", "model", "text", "config", "numerics"},
    "tutorial": set(),
}
EVERYONE = {*ARROWS} - SHARED
ARROWS |= {"": EVERYONE, "cli": EVERYONE, "__main__": {"cli"}}

# Rooms and single modules that run without MXNet.
WITHOUT_MXNET = {
    "text", "model", "pretrained", "sampling", "report", "pages", "tutorial", "config", "numerics", *SHARED,
} - {"compat"}  # fmt: skip
MODULES_WITHOUT_MXNET = {
    "gluon_lstm.lstm.reference", "gluon_lstm.lstm.layers", "gluon_lstm.lstm.initializers", "gluon_lstm.demos.nan",
    "gluon_lstm.demos.timing", "gluon_lstm.demos.gradients",
    "gluon_lstm.training.recipe", "gluon_lstm.training.run_dir", "gluon_lstm.training.processes",
}  # fmt: skip

FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def room(module: str) -> str:
    """Return "text" for gluon_lstm.text.corpus, "" for gluon_lstm."""
    return module.split(".")[1] if "." in module else ""


def in_room(module: str) -> str:
    """Return "text.corpus" for gluon_lstm.text.corpus."""
    return module.partition(".")[2]


def imported(path: Path, lazy: bool = True) -> Iterator[str]:
    """Yield every module that a file imports, at any place in it and by any form of import.

    `lazy` False: only those that importing the file loads, not those in functions and below TYPE_CHECKING.
    """
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if lazy else loaded_nodes(tree):
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


def loaded_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported: all but the bodies of functions and of `if TYPE_CHECKING`."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield from loaded_nodes(child)


@functools.cache
def own_imports(path: Path, lazy: bool = True) -> set[str]:
    """Return the modules of this package that a file imports."""
    return {name for name in imported(path, lazy) if name.split(".")[0] == "gluon_lstm"}


def transitive_imports(module: str) -> set[str]:
    """Return all modules of the package that `module` imports, itself included, also those imported lazily.

    Not the lazy imports of the package's own `__init__`: they belong to its functions `load` and `train`.
    """
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found or name not in MODULES:
            continue
        found.add(name)
        parents = [name.rpartition(".")[0]] if "." in name else []
        waiting += [*parents, *own_imports(MODULES[name], lazy=name != "gluon_lstm")]
    return found


def test_every_room_has_arrows():
    rooms = {room(module) for module in MODULES}
    assert rooms <= ARROWS.keys()
    assert {"text", "model", "lstm", "training", "sampling", "cli", "compat", "numerics", "config"} <= rooms


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_follow_the_arrows(module):
    allowed = ARROWS[room(module)] | {room(module)} | (set() if room(module) in SHARED else SHARED)
    assert {name for name in own_imports(MODULES[module]) if not {room(name), in_room(name)} & allowed} == set()


def test_no_import_cycles_between_rooms():
    """No room imports itself through another one."""
    reached = {name: {target.split(".")[0] for target in targets} for name, targets in ARROWS.items()}
    for _ in ARROWS:
        for targets in reached.values():
            targets |= {far for near in targets for far in reached[near]}
    assert [name for name, targets in reached.items() if name in targets] == []


def test_package_init_imports_lazily():
    """`import gluon_lstm` loads no other module of the package, and `load` needs no MXNet."""
    assert own_imports(MODULES["gluon_lstm"], lazy=False) == set()
    assert {room(name) for name in own_imports(MODULES["gluon_lstm"])} <= {"sampling", "training"}


def test_import_scanner_finds_every_form_of_import(tmp_path, monkeypatch):
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
    assert set(imported(path, lazy=False)) == {"gluon_lstm.model"}


def test_only_compat_imports_mxnet():
    importers = {name for name, path in MODULES.items() if any(i.split(".")[0] == "mxnet" for i in imported(path))}
    assert importers == {"gluon_lstm.compat"}


def test_no_module_imports_pickle():
    """Nor libraries that pickle: loading a pickle runs arbitrary code."""
    pickling = {"pickle", "cPickle", "_pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib", "multiprocessing"}
    importers = {name for name, path in MODULES.items() if any(i.split(".")[0] in pickling for i in imported(path))}
    assert importers == set()


def test_no_module_allows_pickled_arrays():
    for path in FILES:
        source = path.read_text(encoding="utf-8")
        assert "allow_pickle=True" not in source and "load_states" not in source, path


@pytest.mark.parametrize("module", sorted(m for m in MODULES if room(m) in WITHOUT_MXNET or m in MODULES_WITHOUT_MXNET))
def test_no_transitive_import_of_mxnet(module):
    assert "gluon_lstm.compat" not in transitive_imports(module)


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_mxnet_free_modules_import_nothing_heavy():
    """Imported in a fresh interpreter: MXNet is not even searched for, and heavy libraries are imported lazily."""
    free = sorted(m for m in MODULES if room(m) in WITHOUT_MXNET or m in MODULES_WITHOUT_MXNET)
    run(
        "import sys\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert name.split('.')[0] != 'mxnet', 'mxnet is searched for'\n"
        "sys.meta_path.insert(0, Watch())\n"
        f"for name in {free!r}:\n"
        "    __import__(name)\n"
        "heavy = {'mxnet', 'matplotlib', 'janome', 'PIL', 'tqdm', 'wcwidth', 'gluon_lstm.compat'}\n"
        "heavy |= {'scipy', 'sklearn', 'networkx', 'wordcloud', 'jinja2'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )


def test_command_line_and_package_inits_import_nothing_heavy():
    inits = sorted(module for module, path in MODULES.items() if path.name == "__init__.py")
    run(
        "import sys\n"
        f"for name in {inits!r}:\n"
        "    __import__(name)\n"
        "heavy = {'numpy', 'mxnet', 'matplotlib', 'janome', 'regex', 'cbor2'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import gluon_lstm.cli.main\n"
        "gluon_lstm.cli.main.parser()\n"
        "heavy = {'mxnet', 'matplotlib', 'janome', 'wcwidth'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
