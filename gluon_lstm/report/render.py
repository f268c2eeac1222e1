"""Rendering of a report: a self-contained HTML page, and text for a terminal. Posts are escaped in both."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gluon_lstm.columns import rjust, width
from gluon_lstm.language import translate_labels

_TEMPLATE = Path(__file__).with_name("report.html")
_LABELS = Path(__file__).with_name("labels.json")
_NON_PRINTING = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories replaced by a space: control, surrogate, separators
_MAX_WORDS = 12  # maximum words per table in a terminal
_MAX_POST_LENGTH = 200  # maximum characters of a post in a terminal


def load_labels(language: str) -> dict[str, Any]:
    """Return the headings and labels in `language`. labels.json has the English ones, the catalogue the others."""
    return translate_labels(json.loads(_LABELS.read_text(encoding="utf-8")), language)["report"]


def render_html(
    findings: Mapping[str, Any],
    plots: Mapping[str, bytes],
    language: str,
    heading: str | None = None,
    links: Sequence[tuple[str, str]] = (),
    days: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the HTML page of the findings (the values of report.json) with its PNG plots embedded.

    `links` are pairs (URL, text); `days` are the rows of the index of day pages.
    """
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    labels = load_labels(language)
    embedded = {name: base64.b64encode(png).decode("ascii") for name, png in plots.items()}
    return template.render(
        r=findings,
        plots=embedded,
        t=labels,
        language=language,
        heading=heading or labels["title"],
        links=links,
        days=days,
    )


def render_text(findings: Mapping[str, Any], language: str) -> str:
    """Return the findings as text of a few lines; tables as in the notes: 'する': 21, 'くださる': 10, …"""
    labels = load_labels(language)
    lines = [labels["size"].format(posts=findings["posts"], characters=findings["characters"])]
    for name, rows in findings["tables"].items():
        if rows:
            counted = ", ".join(f"'{_one_line(row['word'])}': {row['count']:,}" for row in rows[:_MAX_WORDS])
            lines += ["", labels["tables"].get(name, name), f"  {counted}"]
    for part in ("here", "there"):
        if rows := findings.get("distinctive", {}).get(part):
            scored = ", ".join(f"'{_one_line(row['word'])}': {row['G2']:.1f}" for row in rows[:_MAX_WORDS])
            lines += ["", labels["scored"].format(table=labels["distinctive_" + part]), f"  {scored}"]
    if findings["summary"]:
        lines += ["", labels["summary"]]
        lines += [f"  {_one_line(post['text'])}" for post in findings["summary"]]
    if model := findings.get("model"):
        lines += ["", labels["samples"].format(samples=len(model["samples"]), copies=model["copies"])]
        heads = labels["of_samples"], labels["of_validation"]
        shares = [(row["n"], _percent(row["samples"]), _percent(row["validation"])) for row in model["n_grams"]]
        lines.append(labels["n_grams"])
        for n, *cells in [("n", *heads), *shares]:
            aligned = [rjust(cell, width(head)) for cell, head in zip(cells, heads)]
            lines.append("  ".join([f"  {n:>2}", *aligned]))
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """Return a post on one line: no newlines or control characters, at most _MAX_POST_LENGTH characters."""
    line = "".join(" " if unicodedata.category(character) in _NON_PRINTING else character for character in text)
    return line if len(line) <= _MAX_POST_LENGTH else line[: _MAX_POST_LENGTH - 1] + "…"


def _percent(share: float | None) -> str:
    """Return a share in percent, "–" for None."""
    return "–" if share is None else f"{100 * share:5.1f} %"
