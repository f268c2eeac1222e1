"""Figures of matplotlib with Japanese labels, as PNG; matplotlib is imported on use."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gluon_lstm.language import _, language, use

TEXT_COLOR, LINE_COLOR, ACCENT_COLOR = "#1f2430", "#c9ced8", "#2f6f9f"
PALETTE = ("#2f6f9f", "#b4552d", "#3f7d4e", "#7a4fa3", "#8a6d1f", "#a83a5b")  # contrast with white at least 4.5 to 1
DPI = 120  # resolution of the PNG


def font_file() -> Path:
    """Return the path of the Japanese font IPAexGothic in matplotlib-fontja.

    The package is not imported: its import changes the settings of matplotlib. Raises ImportError when it is missing.
    """
    spec = find_spec("matplotlib_fontja")
    if spec is None or spec.origin is None:
        raise ImportError(_("the Japanese font of the figures is missing: `pip install matplotlib-fontja`"))
    return Path(spec.origin).parent / "fonts" / "ipaexg.ttf"


@contextmanager
def in_language() -> Iterator[None]:
    """Draw figures with labels in the language in use, in the Japanese font; in English where the font is missing.

    Also a decorator of a function that draws. The settings of matplotlib are restored.
    """
    import matplotlib

    if language() == "en":
        yield
    elif find_spec("matplotlib_fontja") is None:
        with use("en"):
            yield
    else:
        with matplotlib.rc_context(_font_settings()):
            yield


@contextmanager
def png_figure(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """Yield a figure of `width` by `height` inches and a function that returns its PNG after the block.

    The settings of matplotlib are restored.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    settings = {
        **_font_settings(),
        **{f"{part}.color": TEXT_COLOR for part in ("text", "xtick", "ytick")},
        "axes.edgecolor": LINE_COLOR,
        "axes.labelcolor": TEXT_COLOR,
    }
    out = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        yield figure, out.getvalue
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})


def _font_settings() -> dict[str, Any]:
    """Return the settings of matplotlib for the Japanese font. Raises ImportError when it is missing."""
    from matplotlib import font_manager

    path = str(font_file())
    if not any(entry.fname == path for entry in font_manager.fontManager.ttflist):
        font_manager.fontManager.addfont(path)
    return {"font.family": font_manager.FontProperties(fname=path).get_name(), "axes.unicode_minus": False}
