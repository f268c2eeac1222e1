"""Optional libraries of the extra `report`, each imported only in the function that uses it."""

from __future__ import annotations

from importlib.util import find_spec

from gluon_lstm.language import _

# import name -> distribution name
LIBRARIES = {
    "sklearn": "scikit-learn",
    "networkx": "networkx",
    "wordcloud": "wordcloud",
    "matplotlib_fontja": "matplotlib-fontja",
    "jinja2": "jinja2",
}


def missing_libraries() -> list[str]:
    """Return the libraries of the extra that are missing."""
    return [package for name, package in LIBRARIES.items() if find_spec(name) is None]


def check_libraries() -> None:
    """Raise ImportError with the pip command when a library of the extra is missing."""
    if missing := missing_libraries():
        command = f"pip install {' '.join(LIBRARIES.values())}"
        message = _("a report needs {libraries}, part of the extra `report`: {command}")
        raise ImportError(message.format(libraries=", ".join(missing), command=command))
