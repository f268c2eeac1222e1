"""Language of what the program says: English in the source, other languages in gettext catalogues.

The library speaks English until the command line chooses another language. Output that programs read is not translated.

>>> from_environment({"LC_ALL": "ja_JP.UTF-8", "LANG": "C"})
'ja'
>>> from_environment({"LC_ALL": "", "LANG": "de_DE.UTF-8"})
'en'
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "ja")
DOMAIN = "gluon_lstm"  # name of the catalogues: locale/ja/LC_MESSAGES/gluon_lstm.po and .mo
LOCALE = Path(__file__).with_name("locale")
VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # of the locale, in the order of POSIX

_language, _catalogue = "en", gettext.NullTranslations()


def from_environment(environment: Mapping[str, str]) -> str:
    """Return the language of the locale: of the first of VARIABLES that is not empty. English for an unknown one."""
    locale = next(filter(None, map(environment.get, VARIABLES)), "")
    name = re.split(r"[_.@]", locale)[0]
    return name if name in LANGUAGES else "en"


@contextmanager
def use(name: str) -> Iterator[None]:
    """Speak a language until the context ends, in all threads."""
    global _language, _catalogue
    previous = _language, _catalogue
    _language, _catalogue = name, _load(name)
    try:
        yield
    finally:
        _language, _catalogue = previous


def language() -> str:
    """Return the language in use."""
    return _language


def _(message: str) -> str:
    """Return a message in the language in use. `scripts/catalogue.py` finds the literals that are passed to it."""
    return _catalogue.gettext(message)


def translate_labels(labels: Mapping[str, Any], name: str, context: str = "") -> dict[str, Any]:
    """Return nested English labels in a language, in use or not: a page holds its labels in all languages.

    The context of a message of the catalogue is its path, such as `page.name`: it tells apart labels that are the same
    in English and different in another language.
    """
    return {
        key: translate_labels(value, name, f"{context}{key}.")
        if isinstance(value, Mapping)
        else _load(name).pgettext(f"{context}{key}", value)
        for key, value in labels.items()
    }


@lru_cache
def _load(name: str) -> gettext.NullTranslations:
    """Return the catalogue of a language, an empty one for English. Raises OSError where it is missing."""
    return gettext.NullTranslations() if name == "en" else gettext.translation(DOMAIN, LOCALE, [name])


def N_(message: str) -> str:
    """Return a literal as it is: it is translated where it is shown."""
    return message


def ngettext(singular: str, plural: str, n: int) -> str:
    """Return the form of a message for n things, in the language in use."""
    return _catalogue.ngettext(singular, plural, n)
