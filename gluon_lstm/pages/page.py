"""One HTML file from a template, style sheets, scripts and data of this package.

The page contains all that it needs. Its content-security policy allows its own style and script, by their SHA-256, and
nothing else: no request leaves the page, and text of a model that looks like HTML or a script stays text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gluon_lstm.files import atomic_write
from gluon_lstm.language import LANGUAGES, translate_labels

FOLDER = Path(__file__).parent


def render(
    template: str, title: str, styles: Sequence[str], scripts: Sequence[str], language: str | None, **values: Any
) -> str:
    """Return the page of the template, within page.html, with style sheets and scripts: all files of this folder.

    `language` None: the page follows the browser. `values` are escaped, except Markup.
    """
    from markupsafe import Markup

    style, script = ("\n".join(map(_read, names)) for names in (styles, scripts))
    return (
        _environment()
        .get_template(template)
        .render(
            title=title,
            language=language or "",
            policy=f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; img-src data:;"
            " base-uri 'none'; form-action 'none'",
            style=Markup(style),
            script=Markup(script),
            **values,
        )
    )


def labels(*pages: str) -> dict[str, dict[str, str]]:
    """Return language -> name -> label of one page, or of several together.

    labels.json has the English ones, the catalogue the others.
    """
    found = json.loads(_read("labels.json"))
    english = {page: found[page] for page in pages}
    return {
        language: {name: text for texts in translate_labels(english, language).values() for name, text in texts.items()}
        for language in LANGUAGES
    }


def json_block(value: Any) -> Any:
    """Return a value as JSON for a `<script type="application/json">`: no `<` can end it."""
    from markupsafe import Markup

    return Markup(json.dumps(value, ensure_ascii=True).replace("<", "\\u003c"))


def write(page: str, path: str | os.PathLike[str]) -> int:
    """Write a page to `path`, atomically; return its bytes. Lone surrogates become `?`. Raises OSError."""
    content = page.encode("utf-8", "replace")
    with atomic_write(path, "wb") as file:
        file.write(content)
    return len(content)


@cache
def _environment() -> Any:
    """Return the templates, each compiled once; values are escaped."""
    from jinja2 import Environment, FileSystemLoader

    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=FileSystemLoader(FOLDER))


@cache
def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _source(text: str) -> str:
    """Return the source expression of an inline style or script in a content-security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
