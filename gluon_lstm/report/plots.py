"""The pictures of a report, as PNG: drawn with a font that has Japanese, and no character which that font lacks."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from gluon_lstm.report._dependencies import font_file
from gluon_lstm.report.cooccurrence import Pair
from gluon_lstm.report.words import Row

INK, LINE, ACCENT = "#1f2430", "#c9ced8", "#2f6f9f"
PALETTE = ("#2f6f9f", "#b4552d", "#3f7d4e", "#7a4fa3", "#8a6d1f", "#a83a5b")  # each 4.5 to 1 or more on white
DPI = 120
BARS = 15  # of each part of speech
CLOUD_WORDS = 120


@cache
def drawable() -> frozenset[int]:
    """The code points that the font has a glyph for."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font_file())).get_charmap())


def can_draw(text: str) -> bool:
    """Whether every character of a text has a glyph; an emoji has none."""
    return all(ord(character) in drawable() for character in text)


def plain(text: str) -> str:
    """The text as matplotlib draws it letter by letter: a dollar sign would open a formula."""
    return text.replace("$", r"\$")


def word_cloud(rows: Sequence[Row], width: int = 1200, height: int = 700) -> bytes | None:
    """The words, the larger the more frequent; None when none can be drawn."""
    from wordcloud import WordCloud

    counts = {row.word: row.count for row in rows if can_draw(row.word)}
    if not counts:
        return None
    cloud = WordCloud(
        font_path=str(font_file()),
        width=width,
        height=height,
        background_color="white",
        prefer_horizontal=1,
        max_words=CLOUD_WORDS,
        relative_scaling=0.6,
        max_font_size=int(0.23 * height),
        margin=6,
        color_func=lambda word, **_: PALETTE[sum(map(ord, word)) % len(PALETTE)],
        random_state=random.Random(1),
    )
    out = io.BytesIO()
    image = cloud.generate_from_frequencies(counts).to_image()
    image.quantize(64).save(out, format="PNG", optimize=True)  # six colours and their edges, in a quarter of the bytes
    return out.getvalue()


def bars(tables: Mapping[str, Sequence[Row]], titles: Mapping[str, str]) -> bytes | None:
    """A panel of bars for each table that has words; None when none has."""
    panels = {name: [row for row in rows if can_draw(row.word)][:BARS] for name, rows in tables.items()}
    panels = {name: rows for name, rows in panels.items() if rows}
    if not panels:
        return None
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    with _figure(4 * columns, 0.5 + 4.6 * lines) as (figure, png):
        grid = figure.subplots(lines, columns, squeeze=False).ravel()
        for k, (name, rows) in enumerate(panels.items()):
            axes, color = grid[k], PALETTE[k % len(PALETTE)]
            places = np.arange(len(rows))
            axes.barh(places, [row.count for row in rows], color=color, height=0.72)
            axes.set_yticks(places, [plain(row.word[:12]) for row in rows])
            axes.set_ylim(BARS - 0.4, -0.6)  # a short table has bars as thick as those beside it
            axes.set_xlim(0, max(row.count for row in rows) * 1.16)
            for place, row in zip(places, rows):
                axes.annotate(
                    f"{row.count:,}", (row.count, place), (4, 0), textcoords="offset points", va="center", fontsize=9
                )
            axes.set_title(plain(titles.get(name, name)), loc="left", color=color)
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.tick_params(length=0, labelbottom=False)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
    return png()


def network(pairs: Sequence[Pair], counts: Mapping[str, int]) -> bytes | None:
    """Words as dots, as large as they are frequent, and lines between those that are in the same posts."""
    import networkx as nx
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white", alpha=0.8)]
    graph = nx.Graph()
    for pair in pairs:
        if can_draw(pair.one + pair.other):
            graph.add_edge(pair.one, pair.other, weight=pair.jaccard)
    if not graph:
        return None
    place = _layout(graph)
    strongest = max(weight for *_, weight in graph.edges(data="weight"))
    most = max(counts[word] for word in graph)
    with _figure(10, 8.5) as (figure, png):
        axes = figure.add_subplot()
        for one, other, weight in graph.edges(data="weight"):
            share = weight / strongest
            line = axes.plot(*zip(place[one], place[other]), color=ACCENT, zorder=1)[0]
            line.set(linewidth=0.8 + 4 * share, alpha=0.25 + 0.45 * share, solid_capstyle="round")
        for word in graph:
            size = counts[word] / most
            axes.scatter(*place[word], s=60 + 900 * size, color="#dbe7f1", edgecolors=ACCENT, linewidths=0.8, zorder=2)
            label = axes.text(*place[word], plain(word), fontsize=13 + 6 * size, ha="center", va="center", zorder=3)
            label.set_path_effects(halo)
        axes.margins(0.06)
        axes.set_axis_off()
    return png()


def _layout(graph: Any) -> dict[str, np.ndarray]:
    """Where each word stands: each part that hangs together by itself, the parts in rows, no two words too near."""
    import networkx as nx

    parts = sorted(nx.connected_components(graph), key=lambda part: (-len(part), min(part)))
    place: dict[str, np.ndarray] = {}
    x = y = height = 0.0
    row = 1.3 * sum(len(part) for part in parts) ** 0.5
    for part in parts:
        inner = nx.kamada_kawai_layout(graph.subgraph(sorted(part)), weight=None)
        at = np.array(list(inner.values())) * len(part) ** 0.5 / 2
        at -= at.min(axis=0)
        wide, high = at.max(axis=0)
        if x and x + wide > row:
            x, y, height = 0.0, y - height - 1, 0.0
        place.update(zip(inner, at + np.array([x, y - high])))
        x, height = x + wide + 1, max(height, high)
    return dict(zip(place, _apart(np.array(list(place.values())))))


def _apart(places: np.ndarray, width: float = 0.75, height: float = 0.45) -> np.ndarray:
    """The same places (n, 2), moved until no two are inside an ellipse of the size of a label."""
    places = places / (width, height)
    for _ in range(200):
        between = places[:, None] - places[None, :]  # (n, n, 2)
        distance = np.sqrt((between**2).sum(axis=2)) + np.eye(len(places)) + 1e-9
        push = np.maximum(1 - distance, 0) / distance
        if not push.any():
            break
        places = places + 0.5 * (push[:, :, None] * between).sum(axis=1)
    return places * (width, height)


def activity(dates: np.ndarray, titles: Mapping[str, str]) -> bytes | None:
    """Posts by day, and by hour where the dates have one; None when no post has a date. `dates` is datetime64[s]."""
    known = dates[~np.isnat(dates)]
    if not len(known):
        return None
    days = known.astype("datetime64[D]")
    hours = (known - days).astype(np.int64) // 3600
    by_day = np.bincount((days - days.min()).astype(np.int64))
    timed = bool(((known - days).astype(np.int64) != 0).any())
    with _figure(9, 5 if timed else 2.8) as (figure, png):
        grid = figure.subplots(1 + timed, 1, squeeze=False).ravel()
        first = days.min().astype(object)
        at = np.arange(len(by_day)) + first.toordinal()
        if len(at) < 200:
            grid[0].bar(at, by_day, color=ACCENT, width=0.85)
        else:  # years: one outline, where so many bars would take long and be thinner than a dot
            grid[0].fill_between(at, by_day, step="mid", color=ACCENT, linewidth=0.6)
            grid[0].set_ylim(bottom=0)
        ticks = np.unique(np.linspace(0, len(at) - 1, min(len(at), 7)).round().astype(int))
        grid[0].set_xticks(at[ticks], [str(days.min() + np.timedelta64(int(tick), "D")) for tick in ticks])
        grid[0].set_xlim(at[0] - max(0.6, 3 - len(at)), at[-1] + max(0.6, 3 - len(at)))
        grid[0].set_title(titles["posts_by_day"], loc="left")
        if timed:
            grid[1].bar(np.arange(24), np.bincount(hours, minlength=24), color=PALETTE[1], width=0.8)
            grid[1].set_xticks(np.arange(0, 24, 3))
            grid[1].set_xlim(-0.7, 23.7)
            grid[1].set_title(titles["posts_by_hour"], loc="left")
        for axes in grid:
            axes.spines[["top", "right"]].set_visible(False)
            axes.yaxis.get_major_locator().set_params(integer=True)
            axes.grid(axis="y", color=LINE, alpha=0.5)
            axes.set_axisbelow(True)
    return png()


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """A figure of so many inches, and what gives it as PNG once it is drawn; the settings of matplotlib stay as are."""
    import matplotlib
    from matplotlib import font_manager
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    path = str(font_file())
    if not any(entry.fname == path for entry in font_manager.fontManager.ttflist):
        font_manager.fontManager.addfont(path)
    settings = {
        "font.family": font_manager.FontProperties(fname=path).get_name(),
        "axes.unicode_minus": False,
        **{f"{part}.color": INK for part in ("text", "xtick", "ytick")},
        "axes.edgecolor": LINE,
        "axes.labelcolor": INK,
    }
    out = io.BytesIO()
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        yield figure, out.getvalue
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
