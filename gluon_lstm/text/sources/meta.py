"""Posts of Facebook, Instagram and Threads as objects, and their text, which is UTF-8 written as Latin-1."""

from __future__ import annotations

import re
from typing import Any

from gluon_lstm.text.sources.base import LeftOut, Post
from gluon_lstm.text.sources.dates import read_date

_KANA = re.compile("\xe3[\x81-\x83][\x80-\xbf]")  # the three bytes of a kana


def facebook_post(record: dict[str, Any]) -> Post | LeftOut | None:
    """Post of Facebook: {"timestamp": …, "data": [{"post": text}, …]}."""
    data = record.get("data", [])
    is_shared = "attachments" in record and "content" not in record  # a picture or link without words
    if "timestamp" not in record or not ("data" in record or is_shared) or not isinstance(data, list):
        return None
    text = next((item["post"] for item in data if isinstance(item, dict) and isinstance(item.get("post"), str)), None)
    return LeftOut("posts without text") if text is None else Post(text, read_date(record["timestamp"]))


def instagram_post(record: dict[str, Any]) -> Post | LeftOut | None:
    """Post of Instagram or Threads: its text is the title of the post, or of its first picture."""
    media = record.get("media")
    if not isinstance(media, list) or not media or not all(isinstance(item, dict) for item in media):
        return None
    if not any("creation_timestamp" in item for item in (record, *media)):
        return None
    for item in (record, *media):
        if isinstance(item.get("title"), str) and item["title"]:
            date = item.get("creation_timestamp", media[0].get("creation_timestamp"))
            return Post(item["title"], read_date(date))
    return LeftOut("posts without text")


def latin1_as_utf8(text: str) -> str:
    """Return the text whose UTF-8 bytes were read as Latin-1; any other text unchanged."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def is_mojibake(text: str) -> bool:
    """Return whether a text is certainly UTF-8 read as Latin-1: as UTF-8 it is valid and has kana."""
    return not text.isascii() and _KANA.search(text) is not None and latin1_as_utf8(text) != text
