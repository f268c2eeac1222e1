"""Messages of talks as objects: DiscordChatExporter, Telegram and Slack exports."""

from __future__ import annotations

import html
import re
from typing import Any

from gluon_lstm.text.sources.base import LeftOut, Post
from gluon_lstm.text.sources.dates import read_date
from gluon_lstm.text.sources.x_posts import inner_value

_DISCORD_MARKS = (  # <:name:123> emoji, <@123> and <@&123> mentions, <#123> channels, <t:123:R> times
    (re.compile(r"<a?(:\w+:)\d+>"), r"\1"),
    (re.compile(r"<@[!&]?\d+>"), "@"),
    (re.compile(r"<#\d+>"), "#"),
    (re.compile(r"<t:-?\d+(?::\w)?>"), ""),
)
SYSTEM = LeftOut("system messages")
_SLACK_MESSAGES = (None, "thread_broadcast", "me_message", "file_share", "bot_message")  # subtypes written by someone
_SLACK_MARK = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")  # <@U123|name>, <https://…|label>, <!here>


def discord_own_message(record: dict[str, Any]) -> Post | None:
    """Message of the data that Discord gives to its user, all written by that user; marks as a reader sees them."""
    text = record.get("Contents")
    if not isinstance(text, str) or "ID" not in record:
        return None
    for mark, visible in _DISCORD_MARKS:
        text = mark.sub(visible, text)
    return Post(text, read_date(record.get("Timestamp")))


def discord_message(record: dict[str, Any]) -> Post | LeftOut | None:
    """Message of DiscordChatExporter's JSON."""
    content, author = record.get("content"), record.get("author")
    if not isinstance(content, str) or not isinstance(author, dict) or "timestamp" not in record:
        return None
    if record.get("type") not in ("Default", "Reply", "0", "19", 0, 19, None):
        return SYSTEM
    if not content:
        return LeftOut("messages without text")
    name = author.get("name") or author.get("username") or author.get("id")
    return Post(content, read_date(record["timestamp"]), str(name))


def telegram_message(record: dict[str, Any]) -> Post | LeftOut | None:
    """Message of Telegram's result.json; its text is a string, or a list of strings and marked pieces."""
    if not record.keys() >= {"id", "type", "date"} or not record.keys() & {"from", "actor", "text_entities"}:
        return None
    if record["type"] != "message":
        return SYSTEM
    if "forwarded_from" in record or "forwarded_from_id" in record:  # null for a deleted account
        return LeftOut("forwarded messages")
    if record.get("via_bot"):
        return LeftOut("messages of bots")
    text = record.get("text", "")
    if isinstance(text, list):
        pieces = (piece.get("text", "") if isinstance(piece, dict) else piece for piece in text)
        text = "".join(piece for piece in pieces if isinstance(piece, str))
    if not text or not isinstance(text, str):
        return LeftOut("messages without text")
    author = record.get("from") or record.get("from_id") or "deleted account"
    return Post(text, read_date(record.get("date_unixtime") or record["date"]), str(author))


def slack_message(record: dict[str, Any]) -> Post | LeftOut | None:
    """Message of a Slack export, with its links and mentions as a reader sees them."""
    text = record.get("text")
    if record.get("type") != "message" or "ts" not in record or not isinstance(text, str):
        return None
    if record.get("subtype") not in _SLACK_MESSAGES:
        return SYSTEM
    if not text:
        return LeftOut("messages without text")
    names = (("user_profile", "display_name"), ("user_profile", "real_name"), ("user_profile", "name"))
    author = next(
        (name for name in (inner_value(record, path) for path in names) if isinstance(name, str) and name), None
    )
    author = author or record.get("username") or record.get("user") or "unknown"
    return Post(html.unescape(_SLACK_MARK.sub(_visible, text)), read_date(record["ts"]), str(author))


def _visible(mark: re.Match[str]) -> str:
    sign, target, label = mark.groups()
    if sign in ("@", "#"):
        return sign + (label or target)
    if sign == "!" and target.startswith("date^"):
        return label or ""
    if sign == "!":
        return "@" + target.partition("^")[0]
    return label or target
