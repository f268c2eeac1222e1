"""MXNet 1.9.1 beside today's Python and NumPy: ``from gluon_lstm.compat import mx``.

MXNet's last release expects names that NumPy 1.24 and 2 and Python 3.12 have dropped. They are lent to it while it is
imported and taken back afterwards, so that other libraries see NumPy as it is. Two stay, because MXNet also reads them
later: ``numpy.bool`` and ``numpy.Inf``. A name that NumPy still has is never touched.

What this cannot mend: MXNet writes the parameters of an operator as text, and under NumPy 2 a scalar in a shape becomes
``(np.int64(2), 3)``, which MXNet cannot read. Hand it plain ``int`` and ``float``.
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


class MXNetMissing(ImportError):
    """MXNet cannot be imported here; the message says what to do."""


NOT_INSTALLED = (
    "MXNet is not installed, and everything but training works without it: where a wheel exists (Linux on x86-64 or "
    "aarch64, macOS on x86-64) run `pip install --no-deps mxnet==1.9.1`; on Windows or Apple silicon train in WSL2, "
    "Colab or a Linux container."
)


def _gone(name: str) -> Any:
    """Something for MXNet to re-export as ``mx.np.<name>``; NumPy offers nothing that could do its work."""

    def function(*args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"numpy.{name} no longer exists in NumPy {np.__version__}")

    function.__name__ = name
    return function


# The builtin, as numpy.bool was until NumPy 1.24. MXNet reads both names again when it runs: `bool` when an mx.np array
# is indexed, `Inf` in Gluon's Estimator callbacks.
_KEPT = {"bool": bool, "Inf": np.inf}

# Read once, by mxnet/numpy/utils.py, fallback.py and numpy_dispatch_protocol.py. All but the financial functions
# (removed in NumPy 1.20) and msort live on under another name.
_LENT = {
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
    "trapz": getattr(np, "trapezoid", None),  # NumPy has one of the two names, or both
    **{name: _gone(name) for name in ("msort", "mirr", "npv", "pmt", "ppmt", "pv", "rate")},
}


SCIPY = "scipy.sparse"


class _Version(tuple):
    """``'1.26.4'`` as ``(1, 26, 4)``: all that MXNet asks of distutils' version classes is to be compared."""

    def __new__(cls, text: str) -> "_Version":
        return super().__new__(cls, map(int, re.findall(r"\d+", text)))


def _distutils() -> dict[str, ModuleType]:
    """What stands in for distutils, which Python 3.12 removed."""
    package, version = ModuleType("distutils"), ModuleType("distutils.version")
    version.LooseVersion = version.StrictVersion = _Version  # type: ignore[attr-defined]
    return {"distutils": package, "distutils.version": version}


@contextmanager
def _lend() -> Iterator[None]:
    modules = {} if find_spec("distutils") else _distutils()
    names = {name: value for name, value in _LENT.items() if not hasattr(np, name)}
    # MXNet takes SciPy where it can get it, under a name that warns at each array made and will be gone in SciPy 2.
    before = {SCIPY: sys.modules[SCIPY]} if SCIPY in sys.modules else {}
    sys.modules.update({**modules, SCIPY: None})  # type: ignore[dict-item]  # which says: there is none
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
    """Import MXNet with the names it misses, and without the warnings that its use of old ones gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in _KEPT.items():
            if not hasattr(np, name):
                setattr(np, name, value)
        with _lend():
            try:
                return importlib.import_module("mxnet")
            except ModuleNotFoundError as error:
                if error.name == "mxnet":
                    raise MXNetMissing(NOT_INSTALLED) from None
                raise MXNetMissing(f"MXNet needs a package that is missing: `pip install {error.name}`.") from error
            except OSError as error:  # a shared library: slim containers lack the one of OpenMP
                raise MXNetMissing(
                    f"MXNet cannot be loaded ({error}): if it names libgomp.so.1, `apt-get install libgomp1`."
                ) from error


mx = load_mxnet()
