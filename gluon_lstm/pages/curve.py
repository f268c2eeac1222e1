"""A curve as plain values for an SVG: points, ticks and lines in the coordinates of the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 24, 48  # margins
MAX_POINTS = 400  # of a line
TICKS = 5  # about as many on an axis
MIN_SPAN = 1e-6  # of an axis


class Tick(NamedTuple):
    """Place of a tick on its axis, and its number as text."""

    at: float
    text: str


def curve(lines: Mapping[str, Sequence[tuple[float, float]]], levels: Mapping[str, float]) -> dict[str, Any]:
    """Return the picture of `lines` (name -> points (x, y)) and of horizontal `levels` (name -> y).

    Levels above one and a half times the highest point are left out: they would press the lines together.
    """
    points = [point for line in lines.values() for point in line]
    if not points:
        return {}
    x_max = max(x for x, _ in points) or 1.0
    low, high = min(y for _, y in points), max(y for _, y in points)
    shown = {name: y for name, y in levels.items() if y <= 1.5 * high}
    low, high = min([low, *shown.values()]), max([high, *shown.values()])
    x_ticks, y_ticks = _ticks(0, x_max), _ticks(low, high)
    low, high = min(low, y_ticks[0]), max(high, y_ticks[-1])

    def place_x(x: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * x / x_max, 1)

    def place_y(y: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / ((high - low) or 1), 1)

    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "right": WIDTH - RIGHT,
        "bottom": HEIGHT - BOTTOM,
        "lines": {
            name: [(place_x(x), place_y(y)) for x, y in line[:: max(len(line) // MAX_POINTS, 1)]]
            for name, line in lines.items()
            if line
        },
        "levels": {name: place_y(y) for name, y in shown.items()},
        "x_ticks": [Tick(place_x(x), f"{x:g}") for x in x_ticks],
        "y_ticks": [Tick(place_y(y), f"{y:g}") for y in y_ticks],
    }


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers from low to high, about TICKS of them."""
    span = max(high - low, MIN_SPAN)
    unit = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor * TICKS >= span)
    first, last = math.ceil(round(low / step, 6)), math.floor(round(high / step, 6))
    return [round(n * step, 10) for n in range(first, last + 1)] or [low]
