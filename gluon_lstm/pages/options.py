"""Options of the pages, without NumPy: the command line declares them."""

from __future__ import annotations

from dataclasses import dataclass

from gluon_lstm.language import LANGUAGES
from gluon_lstm.options import check, option


@dataclass(frozen=True)
class BotOptions:
    """Options of the page of a bot. `language` None: that of the reader's browser. Raises ValueError."""

    name: str = option("bot", "name of the bot, its heading", "NAME")
    precision: str = option("int8", "weights in the page", choices=("int8", "float16"))
    language: str | None = option(None, "language of the page (default: the browser's)", choices=LANGUAGES)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class InspectOptions:
    """Options of the page of gates. `language` None: that of the reader's browser. Raises ValueError."""

    length: int = option(2000, "characters of the text in the page", "N", minimum=1)
    language: str | None = option(None, "language of the page (default: the browser's)", choices=LANGUAGES)

    def __post_init__(self) -> None:
        check(self)
