"""Plots of a report as PNG, in a Japanese font; words with characters that the font lacks are left out."""

from __future__ import annotations

import io
import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from gluon_lstm.figures import ACCENT_COLOR, LINE_COLOR, PALETTE, font_file, png_figure
from gluon_lstm.report.cooccurrence import Pair
from gluon_lstm.report.words import WordCount

BARS_PER_PANEL = 15  # words per part of speech
MAX_CLOUD_WORDS = 120  # words in a word cloud


@cache
def font_code_points() -> frozenset[int]:
    """Return the code points for which the font has a glyph."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font_file())).get_charmap())


def can_draw(text: str) -> bool:
    """Return whether the font has a glyph for each character; it has none for emoji."""
    return all(ord(character) in font_code_points() for character in text)


def escape_mathtext(text: str) -> str:
    """Return the text with dollar signs escaped: matplotlib would read a formula."""
    return text.replace("$", r"\$")


def word_cloud(rows: Sequence[WordCount], width: int = 1200, height: int = 700) -> bytes | None:
    """Return a word cloud, font size by count; None when no word can be drawn."""
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
        max_words=MAX_CLOUD_WORDS,
        relative_scaling=0.6,
        max_font_size=int(0.23 * height),
        margin=6,
        color_func=lambda word, **_: PALETTE[sum(map(ord, word)) % len(PALETTE)],
        random_state=random.Random(1),
    )
    out = io.BytesIO()
    image = cloud.generate_from_frequencies(counts).to_image()
    image.quantize(64).save(out, format="PNG", optimize=True)  # six colours and their edges: a quarter of the bytes
    return out.getvalue()


def bars(tables: Mapping[str, Sequence[WordCount]], titles: Mapping[str, str]) -> bytes | None:
    """Return a panel of bars for each table that has words; None when no word can be drawn."""
    panels = {name: [row for row in rows if can_draw(row.word)][:BARS_PER_PANEL] for name, rows in tables.items()}
    panels = {name: rows for name, rows in panels.items() if rows}
    if not panels:
        return None
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    with png_figure(4 * columns, 0.5 + 4.6 * lines) as (figure, png):
        grid = figure.subplots(lines, columns, squeeze=False).ravel()
        for k, (name, rows) in enumerate(panels.items()):
            axes, color = grid[k], PALETTE[k % len(PALETTE)]
            y = np.arange(len(rows))
            axes.barh(y, [row.count for row in rows], color=color, height=0.72)
            axes.set_yticks(y, [escape_mathtext(row.word[:12]) for row in rows])
            axes.set_ylim(BARS_PER_PANEL - 0.4, -0.6)  # bars equally thick in all panels
            axes.set_xlim(0, max(row.count for row in rows) * 1.16)
            for k_row, row in zip(y, rows):
                axes.annotate(
                    f"{row.count:,}", (row.count, k_row), (4, 0), textcoords="offset points", va="center", fontsize=9
                )
            axes.set_title(escape_mathtext(titles.get(name, name)), loc="left", color=color)
            axes.spines[["top", "right", "bottom"]].set_visible(False)
            axes.tick_params(length=0, labelbottom=False)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
    return png()


def network(pairs: Sequence[Pair], counts: Mapping[str, int]) -> bytes | None:
    """Return the co-occurrence network: dots sized by `counts`, lines by Jaccard index; None without drawable pairs."""
    import networkx as nx
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white", alpha=0.8)]
    graph = nx.Graph()
    for pair in pairs:
        if can_draw(pair.one + pair.other):
            graph.add_edge(pair.one, pair.other, weight=pair.jaccard)
    if not graph:
        return None
    positions = _layout(graph)
    strongest = max(weight for *_, weight in graph.edges(data="weight"))
    most = max(counts[word] for word in graph)
    with png_figure(10, 8.5) as (figure, png):
        axes = figure.add_subplot()
        for one, other, weight in graph.edges(data="weight"):
            share = weight / strongest
            line = axes.plot(*zip(positions[one], positions[other]), color=ACCENT_COLOR, zorder=1)[0]
            line.set(linewidth=0.8 + 4 * share, alpha=0.25 + 0.45 * share, solid_capstyle="round")
        for word in graph:
            x, y = positions[word]
            size = counts[word] / most
            axes.scatter(x, y, s=60 + 900 * size, color="#dbe7f1", edgecolors=ACCENT_COLOR, linewidths=0.8, zorder=2)
            label = axes.text(x, y, escape_mathtext(word), fontsize=13 + 6 * size, ha="center", va="center", zorder=3)
            label.set_path_effects(halo)
        axes.margins(0.06)
        axes.set_axis_off()
    return png()


def _layout(graph: Any) -> dict[str, np.ndarray]:
    """Return the position (2,) of each word: connected components laid out separately, in rows, labels kept apart."""
    import networkx as nx

    components = sorted(nx.connected_components(graph), key=lambda component: (-len(component), min(component)))
    positions: dict[str, np.ndarray] = {}
    x = y = height = 0.0
    row_width = 1.3 * len(graph) ** 0.5
    for component in components:
        part = nx.Graph()  # not graph.subgraph: its order, and so the layout, depends on the hash seed
        part.add_nodes_from(word for word in graph if word in component)
        part.add_edges_from(graph.subgraph(component).edges)
        inner = nx.kamada_kawai_layout(part, weight=None)
        at = np.array(list(inner.values())) * len(component) ** 0.5 / 2
        at -= at.min(axis=0)
        width, tallness = at.max(axis=0)
        if x and x + width > row_width:
            x, y, height = 0.0, y - height - 1, 0.0
        positions.update(zip(inner, at + np.array([x, y - tallness])))
        x, height = x + width + 1, max(height, tallness)
    return dict(zip(positions, _separate_labels(np.array(list(positions.values())))))


def _separate_labels(positions: np.ndarray, width: float = 0.75, height: float = 0.45) -> np.ndarray:
    """Return positions (n, 2) moved apart until no two are within an ellipse of the size of a label."""
    positions = positions / (width, height)
    for _ in range(200):
        between = positions[:, None] - positions[None, :]  # (n, n, 2)
        distance = np.sqrt((between**2).sum(axis=2)) + np.eye(len(positions)) + 1e-9
        push = np.maximum(1 - distance, 0) / distance
        if not push.any():
            break
        positions = positions + 0.5 * (push[:, :, None] * between).sum(axis=1)
    return positions * (width, height)


def activity(dates: np.ndarray, titles: Mapping[str, str]) -> bytes | None:
    """Return the number of posts by day, and by hour if the dates have one; None without dates.

    `dates` (posts,) is datetime64[s], NaT for a post without a date.
    """
    known = dates[~np.isnat(dates)]
    if not len(known):
        return None
    days = known.astype("datetime64[D]")
    hours = (known - days).astype(np.int64) // 3600
    by_day = np.bincount((days - days.min()).astype(np.int64))
    timed = bool(((known - days).astype(np.int64) != 0).any())
    with png_figure(9, 5 if timed else 2.8) as (figure, png):
        grid = figure.subplots(1 + timed, 1, squeeze=False).ravel()
        first = days.min().astype(object)
        at = np.arange(len(by_day)) + first.toordinal()
        if len(at) < 200:
            grid[0].bar(at, by_day, color=ACCENT_COLOR, width=0.85)
        else:  # many days: one outline, since bars would be slow and thinner than a pixel
            grid[0].fill_between(at, by_day, step="mid", color=ACCENT_COLOR, linewidth=0.6)
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
            axes.grid(axis="y", color=LINE_COLOR, alpha=0.5)
            axes.set_axisbelow(True)
    return png()
