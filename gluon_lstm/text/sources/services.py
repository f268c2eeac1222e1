"""Posts of JSON objects: the service that wrote an object is recognized by its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Union

from gluon_lstm.text.sources.base import TEXT_NAMES, LeftOut, Post
from gluon_lstm.text.sources.dates import date_of
from gluon_lstm.text.sources.fediverse import activity, bluesky_record, mastodon_status, misskey_note
from gluon_lstm.text.sources.meta import facebook_post, instagram_post, is_mojibake, latin1_as_utf8
from gluon_lstm.text.sources.talks import discord_message, discord_own_message, slack_message, telegram_message
from gluon_lstm.text.sources.x_posts import casefolded, writer, x_post

_ENVELOPES = ("tweet", "status", "note", "post", "message", "record", "node", "object")  # keys of an object with a post

Found = Union[Post, LeftOut, None]


def unknown_service(record: dict[str, Any]) -> Found:
    """Return the post of an object of any other kind: the first text of TEXT_NAMES, in it or in an object inside."""
    lower = casefolded(record)
    texts = [lower[name] for name in TEXT_NAMES if isinstance(lower.get(name), str)]
    if texts:
        return Post(next(filter(None, texts), ""), date_of(lower), writer(lower))
    inner = (lower[name] for name in _ENVELOPES if isinstance(lower.get(name), dict))
    found = next((found.post for found in map(recognize, inner) if found.post is not None), None)
    if isinstance(found, Post):  # what is not inside stands outside
        date = date_of(lower) if found.date is None else found.date
        return found._replace(date=date, author=found.author or writer(lower))
    return found


_SERVICES: Sequence[Callable[[dict[str, Any]], Found]] = (  # the first that knows an object reads it
    facebook_post,
    instagram_post,
    mastodon_status,
    activity,
    misskey_note,
    bluesky_record,
    discord_message,
    discord_own_message,
    telegram_message,
    slack_message,
    x_post,
    unknown_service,
)
_WRITE_LATIN_1 = (facebook_post, instagram_post)  # services whose texts are UTF-8 written as Latin-1


class Recognized(NamedTuple):
    """Post of an object (LeftOut: no post of its writer; None: no text), and how certain its service is."""

    post: Found
    is_known_service: bool = False
    is_mended: bool = False  # the text was UTF-8 written as Latin-1


def recognize(record: dict[str, Any]) -> Recognized:
    """Return the post of an object."""
    for read in _SERVICES:
        found = read(record)
        if found is None:
            continue
        is_known = read is not unknown_service
        if isinstance(found, Post) and (read in _WRITE_LATIN_1 or is_mojibake(found.text)):
            mended = latin1_as_utf8(found.text)
            return Recognized(found._replace(text=mended), is_known, mended != found.text)
        return Recognized(found, is_known)
    return Recognized(None)
