"""Posts of Facebook, Instagram and Threads as objects, and their text, which is UTF-8 written as Latin-1."""

from __future__ import annotations

import re
from typing import Any

from gluon_lstm.text.sources.base import TEXT_NAMES, LeftOut, Post
from gluon_lstm.text.sources.dates import read_date

_JAPANESE = re.compile("[\u3041-\u30fe]|[\u4e00-\u9fff]{2}")  # a kana, or two kanji
_THREE_BYTES = re.compile("[\xe3-\xe9][\x80-\xbf]{2}")  # bytes of a kana or kanji
_FACEBOOK_KEYS = {"post", "update_timestamp", "backdated_timestamp"}  # keys of the items in `data` of Facebook's posts


def facebook_post(record: dict[str, Any]) -> Post | LeftOut | None:
    """Post of Facebook: {"timestamp": …, "data": [{"post": text}, …]}."""
    data, attachments = record.get("data", []), record.get("attachments")
    if not isinstance(record.get("timestamp"), int) or not isinstance(data, list):
        return None
    is_post = "data" in record and all(isinstance(item, dict) and item.keys() <= _FACEBOOK_KEYS for item in data)
    is_shared = isinstance(attachments, list) and any(isinstance(item, dict) and "data" in item for item in attachments)
    if not (is_post or is_shared) or any(isinstance(record.get(name), str) for name in TEXT_NAMES):
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
    """Return whether a text is certainly UTF-8 read as Latin-1: as UTF-8 it is valid and Japanese."""
    if text.isascii() or not _THREE_BYTES.search(text):
        return False
    mended = latin1_as_utf8(text)
    return mended != text and _JAPANESE.search(mended) is not None
