"""MXNet 1.9.1 on current Python and NumPy: ``from gluon_lstm.compat import mx``.

MXNet's last release uses names that NumPy 1.24, NumPy 2 and Python 3.12 removed. NumPy is patched with them while MXNet
is imported and restored afterwards, so that other libraries are unaffected. Two names stay, because MXNet also reads
them at run time: ``numpy.bool`` and ``numpy.Inf``. Names that NumPy still has are never changed.

MXNet writes the source of 2,500 functions, one per operator and interface, while it is imported. Here Python compiles
each of them when it is first called, which halves the time of the import.

Not covered: MXNet writes the parameters of an operator as text, and under NumPy 2 a NumPy scalar in a shape becomes
``(np.int64(2), 3)``, which MXNet cannot parse. Pass plain ``int`` and ``float``.
"""

import builtins
import importlib
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import FunctionType, ModuleType
from typing import Any, Optional

import numpy as np

from gluon_lstm.language import _


class MXNetMissing(ImportError):
    """MXNet cannot be imported; the message says how to fix it."""


def _removed(name: str) -> Any:
    """Return a stub for MXNet to re-export as ``mx.np.<name>``: NumPy has no replacement for the function."""

    def function(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"numpy.{name} no longer exists in NumPy {np.__version__}")

    function.__name__ = name
    return function


# Names that MXNet also reads at run time: `bool` (the builtin until NumPy 1.24) when an mx.np array is indexed, `Inf`
# in Gluon's Estimator callbacks.
_PERMANENT = {"bool": bool, "Inf": np.inf}

# Names read only at import, by mxnet/numpy/utils.py, fallback.py and numpy_dispatch_protocol.py. All but the financial
# functions (removed in NumPy 1.20) and msort have a replacement.
_TEMPORARY = {
    "PINF": np.inf,
    "NINF": -np.inf,
    "PZERO": 0.0,
    "NZERO": -0.0,
    "NAN": np.nan,
    "NaN": np.nan,
    "alltrue": np.all,
    "sometrue": np.any,
    "product": np.prod,
    "round_": np.round,
    "in1d": lambda ar1, ar2, **options: np.isin(np.ravel(ar1), ar2, **options),
    "trapz": getattr(np, "trapezoid", None),  # NumPy has either name or both
    **{name: _removed(name) for name in ("msort", "mirr", "npv", "pmt", "ppmt", "pv", "rate")},
}


# Modules hidden from MXNet during its import. It imports SciPy, when installed, by a name that warns at each new array
# and is removed in SciPy 2, and scikit-learn for a class that nobody uses here.
_HIDDEN = ("scipy.sparse", "sklearn")
_REGISTERS = ("mxnet.ndarray.register", "mxnet.symbol.register")  # modules that write functions
_DEFINITION = re.compile(r"\s*def (\w+)\(")
_exec = exec


class _Version(tuple):
    """Version tuple, ``'1.26.4'`` as ``(1, 26, 4)``: MXNet only compares distutils' version classes."""

    def __new__(cls, text: str) -> "_Version":
        return super().__new__(cls, map(int, re.findall(r"\d+", text)))


def _distutils() -> dict[str, ModuleType]:
    """Return substitutes for the modules of distutils, which Python 3.12 removed."""
    package, version = ModuleType("distutils"), ModuleType("distutils.version")
    version.LooseVersion = version.StrictVersion = _Version  # type: ignore[attr-defined]
    return {"distutils": package, "distutils.version": version}


def _call_compiled(*args: Any, _compiled: Any, **kwargs: Any) -> Any:
    return _compiled()(*args, **kwargs)


def _function(source: str, name: str, module: dict[str, Any]) -> FunctionType:
    """Return the function `name` that `source` defines in a module; it is compiled when it is first called."""
    function = FunctionType(_call_compiled.__code__, module, name)

    def compiled() -> FunctionType:
        made: dict[str, Any] = {}
        exec(source, module, made)
        function.__defaults__, function.__code__ = made[name].__defaults__, made[name].__code__
        return function

    function.__kwdefaults__ = {"_compiled": compiled}
    return function


def _lazy_exec(source: Any, module: Optional[dict[str, Any]] = None, made: Any = None, /, **options: Any) -> None:
    """Run `exec`, but do not compile a function that MXNet has written."""
    caller = sys._getframe(1)
    written = caller.f_globals.get("__name__") in _REGISTERS and _DEFINITION.match(source)
    if written:
        made[written[1]] = _function(source, written[1], caller.f_globals)
    elif module is None:
        _exec(source, caller.f_globals, caller.f_locals if made is None else made, **options)
    else:
        _exec(source, module, made, **options)


@contextmanager
def _patched() -> Iterator[None]:
    """Patch NumPy, sys.modules and `exec` for the import of MXNet; restore them afterwards."""
    modules = {} if find_spec("distutils") else _distutils()
    names = {name: value for name, value in _TEMPORARY.items() if not hasattr(np, name)}
    before = {name: sys.modules[name] for name in _HIDDEN if name in sys.modules}
    sys.modules.update({**modules, **dict.fromkeys(_HIDDEN)})  # type: ignore[dict-item]  # None: the import fails
    vars(np).update(names)
    builtins.exec = _lazy_exec  # type: ignore[assignment]
    try:
        yield
    finally:
        builtins.exec = _exec
        for name in names:
            delattr(np, name)
        for name in (*modules, *_HIDDEN):
            del sys.modules[name]
        sys.modules.update(before)


def load_mxnet() -> Any:
    """Import and return MXNet with the removed names patched in and deprecation warnings suppressed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in _PERMANENT.items():
            if not hasattr(np, name):
                setattr(np, name, value)
        with _patched():
            try:
                return importlib.import_module("mxnet")
            except ModuleNotFoundError as error:
                if error.name == "mxnet":
                    raise MXNetMissing(
                        _(
                            "MXNet is not installed, and this needs it (a trained model does not): where a wheel exists"
                            " (Linux on x86-64 or aarch64, macOS on x86-64) run `pip install --no-deps mxnet==1.9.1`;"
                            " on Windows or Apple silicon train in WSL2, Colab or a Linux container."
                        )
                    ) from None
                raise MXNetMissing(
                    _("MXNet needs a package that is missing: `pip install {name}`.").format(name=error.name)
                ) from error
            except OSError as error:  # a missing shared library: slim containers lack OpenMP's
                raise MXNetMissing(
                    _("MXNet cannot be loaded ({error}): if it names libgomp.so.1, `apt-get install libgomp1`.").format(
                        error=error
                    )
                ) from error


mx = load_mxnet()
