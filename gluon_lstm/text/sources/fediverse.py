"""Posts of Mastodon, ActivityPub, Misskey and Bluesky as objects.

A content warning is kept apart from the text.
"""

from __future__ import annotations

import re
from typing import Any

from gluon_lstm.language import N_
from gluon_lstm.text.sources.base import LeftOut, Post
from gluon_lstm.text.sources.dates import read_date
from gluon_lstm.text.sources.html_text import html_to_text
from gluon_lstm.text.sources.x_posts import writer

PRIVATE = N_("private posts")  # to persons named in them
_NOTES = ("Note", "Question", "Article")  # objects of ActivityPub with a text
_BLUESKY_POST = "app.bsky.feed.post"
_LEXICON = re.compile(r"[a-z][a-zA-Z0-9-]*(?:\.[a-zA-Z0-9-]+){2,}(?:#\w+)?")  # name of a kind of records
_BLUESKY_KINDS = {
    "app.bsky.feed.like": N_("likes"),
    "app.bsky.feed.repost": N_("reposts"),
    "app.bsky.graph.follow": N_("follows"),
    "app.bsky.graph.block": N_("blocks"),
}


def mastodon_status(record: dict[str, Any]) -> Post | LeftOut | None:
    """Status of Mastodon's API: HTML in `content`."""
    content = record.get("content")
    if not isinstance(content, str) or not record.keys() & {"reblog", "spoiler_text", "in_reply_to_id"}:
        return None
    if record.get("reblog"):
        return LeftOut("boosts")
    author = writer({"account": record.get("account")})
    post = Post(html_to_text(content), _date(record), author, _warning(record, "spoiler_text"))
    return LeftOut(PRIVATE, post) if record.get("visibility") == "direct" else post


def activity(record: dict[str, Any]) -> Post | LeftOut | None:
    """Activity of ActivityPub, as in a Mastodon archive's outbox.json, or its object alone (a Note)."""
    kind, inner = record.get("type"), record.get("object")
    if kind == "Announce":
        return LeftOut("boosts")
    if kind == "Create" and isinstance(inner, dict):
        return activity(inner) or LeftOut("other activities")
    if isinstance(kind, str) and kind not in _NOTES and isinstance(inner, (str, dict)) and "actor" in record:
        return LeftOut("other activities")
    content = record.get("content")
    if kind in _NOTES and isinstance(content, str):
        post = Post(html_to_text(content), _date(record), None, _warning(record, "summary"))
        return LeftOut(PRIVATE, post) if _is_for_persons_only(record) else post
    return None


def misskey_note(record: dict[str, Any]) -> Post | LeftOut | None:
    """Note of Misskey. A renote has no text of its own; a note with text and `renoteId` is a quote, and a post."""
    if "text" not in record or not record.keys() & {"renoteId", "cw", "fileIds", "localOnly", "visibility"}:
        return None
    text = record["text"]
    if text is None:
        return LeftOut(N_("renotes") if record.get("renoteId") else N_("posts without text"))
    if not isinstance(text, str):
        return None
    post = Post(text, _date(record), writer({"user": record.get("user")}), _warning(record, "cw"))
    return LeftOut(PRIVATE, post) if record.get("visibility") == "specified" else post


def bluesky_record(record: dict[str, Any]) -> Post | LeftOut | None:
    """Record of a Bluesky repository ($type), or an item of its API's feeds ({"post": {"record": …}})."""
    post = record.get("post", record if isinstance(record.get("author"), dict) else None)
    if isinstance(post, dict) and isinstance(post.get("record"), dict):
        reason = record.get("reason")
        if isinstance(reason, dict) and str(reason.get("$type", "")).endswith("reasonRepost"):
            return LeftOut("reposts")
        found = bluesky_record(post["record"])
        return found._replace(author=writer(post)) if isinstance(found, Post) else found
    inner = record.get("value")
    kind = record.get("$type")
    if kind is None and isinstance(inner, dict):  # {"uri": …, "value": record} of listRecords
        return bluesky_record(inner)
    if not isinstance(kind, str) or not _LEXICON.fullmatch(kind):
        return None
    if kind != _BLUESKY_POST:
        reason = _BLUESKY_KINDS.get(kind, N_("other records"))
        return LeftOut(reason)
    text = record.get("text")
    if not isinstance(text, str):
        return LeftOut("posts without text")
    return Post(_with_whole_links(text, record.get("facets")), _date(record))


def _with_whole_links(text: str, facets: Any) -> str:
    """Return the text with the address of each link, of which clients show a part, so that cleaning can remove it."""
    links = []
    for facet in facets if isinstance(facets, list) else ():
        index, features = (facet.get("index"), facet.get("features")) if isinstance(facet, dict) else (None, None)
        if not isinstance(index, dict):
            continue
        start, end = index.get("byteStart"), index.get("byteEnd")
        for feature in features if isinstance(features, list) else ():
            uri = feature.get("uri") if isinstance(feature, dict) else None
            if isinstance(uri, str) and isinstance(start, int) and isinstance(end, int) and 0 <= start < end:
                links.append((start, end, uri))
    if not links:
        return text
    data = text.encode("utf-8", "surrogatepass")
    for start, end, uri in sorted(links, reverse=True):
        data = data[:start] + uri.encode("utf-8", "surrogatepass") + data[end:]
    return data.decode("utf-8", "replace")


def _is_for_persons_only(note: dict[str, Any]) -> bool:
    """Return whether a note is addressed to neither the public nor the followers of its writer."""
    addressees = [note.get(key) for key in ("to", "cc")]
    if not isinstance(addressees[0], (str, list)):
        return False
    names = [name for each in addressees for name in (each if isinstance(each, list) else [each])]
    return not any(isinstance(name, str) and name.endswith(("Public", "/followers")) for name in names)


def _warning(record: dict[str, Any], key: str) -> str | None:
    return record[key] if isinstance(record.get(key), str) and record[key] else None


def _date(record: dict[str, Any]) -> int | None:
    value = next((record[name] for name in ("created_at", "createdAt", "published") if record.get(name)), None)
    return read_date(value)
