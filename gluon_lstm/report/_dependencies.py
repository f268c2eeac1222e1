"""The libraries of the extra `report`, which are imported only where they are used."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

# as they are imported -> as they are installed
LIBRARIES = {
    "sklearn": "scikit-learn",
    "networkx": "networkx",
    "wordcloud": "wordcloud",
    "matplotlib_fontja": "matplotlib-fontja",
    "jinja2": "jinja2",
}


def check_libraries() -> None:
    """ImportError, with the command that helps, when one is missing."""
    missing = [package for name, package in LIBRARIES.items() if find_spec(name) is None]
    if missing:
        command = f"pip install {' '.join(LIBRARIES.values())}"
        raise ImportError(f"a report needs {', '.join(missing)}, which the extra `report` brings: {command}")


def font_file() -> Path:
    """IPAexGothic, a Japanese font; the package that holds it is not imported, for that would change matplotlib."""
    spec = find_spec("matplotlib_fontja")
    if spec is None or spec.origin is None:
        check_libraries()
        raise ImportError("the font of matplotlib-fontja is not there: install it again")
    return Path(spec.origin).parent / "fonts" / "ipaexg.ttf"
