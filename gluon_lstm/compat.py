"""MXNet 1.9.1 on current Python and NumPy: ``from gluon_lstm.compat import mx``.

MXNet's last release uses names that NumPy 1.24, NumPy 2 and Python 3.12 removed. NumPy is patched with them while MXNet
is imported and restored afterwards, so that other libraries are unaffected. Two names stay, because MXNet also reads
them at run time: ``numpy.bool`` and ``numpy.Inf``. Names that NumPy still has are never changed.

Not covered: MXNet writes the parameters of an operator as text, and under NumPy 2 a NumPy scalar in a shape becomes
``(np.int64(2), 3)``, which MXNet cannot parse. Pass plain ``int`` and ``float``.
"""

import importlib
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType
from typing import Any

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


SCIPY = "scipy.sparse"  # module hidden from MXNet during its import


class _Version(tuple):
    """Version tuple, ``'1.26.4'`` as ``(1, 26, 4)``: MXNet only compares distutils' version classes."""

    def __new__(cls, text: str) -> "_Version":
        return super().__new__(cls, map(int, re.findall(r"\d+", text)))


def _distutils() -> dict[str, ModuleType]:
    """Return substitutes for the modules of distutils, which Python 3.12 removed."""
    package, version = ModuleType("distutils"), ModuleType("distutils.version")
    version.LooseVersion = version.StrictVersion = _Version  # type: ignore[attr-defined]
    return {"distutils": package, "distutils.version": version}


@contextmanager
def _patched() -> Iterator[None]:
    """Patch NumPy and sys.modules for the import of MXNet; restore both afterwards."""
    modules = {} if find_spec("distutils") else _distutils()
    names = {name: value for name, value in _TEMPORARY.items() if not hasattr(np, name)}
    # MXNet imports SciPy when installed, by a name that warns at each new array and is removed in SciPy 2.
    before = {SCIPY: sys.modules[SCIPY]} if SCIPY in sys.modules else {}
    sys.modules.update({**modules, SCIPY: None})  # type: ignore[dict-item]  # None: the import fails
    vars(np).update(names)
    try:
        yield
    finally:
        for name in names:
            delattr(np, name)
        for name in (*modules, SCIPY):
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
