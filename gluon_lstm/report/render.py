"""A report as one HTML file that needs nothing else, and as a few lines for a terminal. Posts are data in both."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "ja")
_TEMPLATE = Path(__file__).with_name("report.html")
_TEXTS = Path(__file__).with_name("texts.json")
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # line ends, control characters, surrogates; the joiners of emoji stay
_SHORT = 12  # words of a table on a terminal
_LONGEST = 200  # characters of a post on a terminal


def texts_in(language: str) -> dict[str, Any]:
    """What a report says besides what it found; ValueError for a language it does not speak."""
    if language not in LANGUAGES:
        raise ValueError(f"--language {language}: use one of {', '.join(LANGUAGES)}")
    return json.loads(_TEXTS.read_text(encoding="utf-8"))[language]


def page(
    findings: Mapping[str, Any],
    pictures: Mapping[str, bytes],
    language: str,
    heading: str | None = None,
    links: Sequence[tuple[str, str]] = (),
    days: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The HTML of what was found (as in report.json), with its PNG pictures inside; `links` are (address, text)."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    texts = texts_in(language)
    inside = {name: base64.b64encode(png).decode("ascii") for name, png in pictures.items()}
    return template.render(
        r=findings, pictures=inside, t=texts, heading=heading or texts["title"], links=links, days=days
    )


def short(findings: Mapping[str, Any], language: str) -> str:
    """The same in a few lines; tables as the notes print them: 'する': 21, 'くださる': 10, …"""
    texts = texts_in(language)
    lines = [f"{findings['posts']:,} {texts['posts']}, {findings['characters']:,} {texts['characters']}"]
    for name, rows in findings["tables"].items():
        if rows:
            counted = ", ".join(f"'{_one_line(row['word'])}': {row['count']:,}" for row in rows[:_SHORT])
            lines += ["", texts["tables"].get(name, name), f"  {counted}"]
    for part in ("here", "there"):
        if rows := findings.get("distinctive", {}).get(part):
            scored = ", ".join(f"'{_one_line(row['word'])}': {row['G2']:.1f}" for row in rows[:_SHORT])
            lines += ["", f"{texts['distinctive_' + part]} ({texts['ratio']})", f"  {scored}"]
    if findings["summary"]:
        lines += ["", texts["summary"]]
        lines += [f"  {_one_line(post['text'])}" for post in findings["summary"]]
    if model := findings.get("model"):
        lines += ["", f"{len(model['samples'])} {texts['samples']}, {model['copies']} {texts['copies']}"]
        lines += [texts["n_grams"], f"  {'n':>2}  {texts['of_samples']}  {texts['of_validation']}"]
        lines += [
            f"  {row['n']:>2}  {_percent(row['samples'])}  {_percent(row['validation'])}" for row in model["n_grams"]
        ]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """A post between others: no line ends, nothing a terminal would obey, and not a screenful."""
    line = "".join(" " if unicodedata.category(character) in _UNSEEN else character for character in text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:5.1f} %"
