"""Posts of X (Twitter) as objects: of its archives and APIs, and of the tools that collect them."""

from __future__ import annotations

from typing import Any

from gluon_lstm.text.sources.base import AUTHOR_NAMES, LeftOut, Post
from gluon_lstm.text.sources.dates import date_of

# keys of the whole text, first that of posts longer than 280 (note), then 140 characters (extended), then snscrape's;
# `text` may be cut. Only the post's own keys are read: the texts of quoted and reposted posts are other people's.
_WHOLE_TEXTS = (
    ("note_tweet", "text"),
    ("note_tweet", "note_tweet_results", "result", "text"),
    ("extended_tweet", "full_text"),
    ("full_text",),
    ("rawContent",),
)
_ENVELOPES = ("tweet", "legacy")  # keys of the post inside the objects of archives and of X's own pages


def x_post(record: dict[str, Any]) -> Post | LeftOut | None:
    """Return the post with its whole text; None for an object without a key of `_WHOLE_TEXTS`.

    A post whose text the API has cut, and that has no whole text, is left out.
    """
    for envelope in _ENVELOPES:
        inner = record.get(envelope)
        if isinstance(inner, dict):
            # Keys around the post, such as note_tweet beside legacy, belong to it.
            record = {**record, **inner}
    for path in _WHOLE_TEXTS:
        text = inner_value(record, path)
        if isinstance(text, str):
            if _is_retweet(record) and not text.startswith("RT @"):  # otherwise cleaning decides
                return LeftOut("retweets")
            return Post(text, date_of(casefolded(record)), writer(record))
    return LeftOut("posts cut by the API") if record.get("truncated") is True and "text" in record else None


def _is_retweet(record: dict[str, Any]) -> bool:
    """Return whether an object is a retweet by its keys: its text is another person's."""
    referenced = record.get("referenced_tweets")
    types = [each.get("type") for each in referenced if isinstance(each, dict)] if isinstance(referenced, list) else []
    return any(isinstance(record.get(key), dict) for key in ("retweeted_status", "retweetedTweet")) or (
        "retweeted" in types
    )


def writer(record: dict[str, Any]) -> str | None:
    """Return the name of the writer of an object, by AUTHOR_NAMES, also inside an object such as its user."""
    for key in AUTHOR_NAMES:
        value = record.get(key)
        if isinstance(value, str) and value and key != "account":
            return value
        if isinstance(value, dict):
            names = ("screen_name", "username", "acct", "handle", "name", "displayName")
            name = next((value[name] for name in names if isinstance(value.get(name), str)), None)
            if name is not None:
                return name
    return None


def inner_value(record: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path of keys, or None."""
    for key in path:
        record = record.get(key) if isinstance(record, dict) else None
    return record


def casefolded(record: dict[str, Any]) -> dict[str, Any]:
    """Return the object with casefolded keys, as `date_of` expects."""
    return {key.casefold(): value for key, value in record.items()}
