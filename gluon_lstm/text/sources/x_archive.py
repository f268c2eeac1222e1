"""Files of posts in an archive of X (Twitter): JSON inside JavaScript.

tweets.js cuts posts at 280 characters; note-tweet.js has the whole text of the longer ones, under other ids.
"""

from __future__ import annotations

import contextlib
import html
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gluon_lstm.language import N_, _
from gluon_lstm.text.sources.base import Post, SourceLog
from gluon_lstm.text.sources.containers import Container
from gluon_lstm.text.sources.dates import read_date
from gluon_lstm.text.sources.encodings import TextError, decode_blocks
from gluon_lstm.text.sources.json_records import Search, records_in
from gluon_lstm.text.sources.json_text import JsonText, without_lone_surrogates
from gluon_lstm.text.sources.x_posts import inner_value, x_post

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

_TWEETS = re.compile(r"tweets?(?:-part\d+)?\.js")
_NOTES = re.compile(r"note-tweet(?:-part\d+)?\.js")
_INCLUDABLE = {  # kind for `include` -> its files
    "community": re.compile(r"community-tweet(?:-part\d+)?\.js"),
    "deleted": re.compile(r"deleted-tweets?(?:-part\d+)?\.js"),
}
_ASSIGNMENT = re.compile(r"\s*window\.YTD\.\w+\.part\d+\s*=\s*")
_CUT = re.compile(r"(?:\s*…)?(?:\s*https?://t\.co/\w+)*\s*\Z")  # end of a post that was cut
_LEADING_MENTIONS = re.compile(r"\A(?:@\w+\s+)+")
_MIN_CUT = 20  # characters that a cut post and its whole text have in common at the beginning, at least
_MAX_ALIKE = 20  # notes with the same beginning that are compared with a cut post
_MAX_SECONDS = 5  # between the dates of a cut post and of its whole text


def is_tweets_file(name: str) -> bool:
    """Return whether a file of this name (without folders) has the posts of an archive."""
    return _TWEETS.fullmatch(name) is not None


def is_notes_file(name: str) -> bool:
    """Return whether a file of this name has the whole text of long posts."""
    return _NOTES.fullmatch(name) is not None


def is_posts_file(name: str) -> bool:
    """Return whether a file of this name has posts of any kind: also long, deleted or community posts."""
    return any(pattern.fullmatch(name) for pattern in (_TWEETS, _NOTES, *_INCLUDABLE.values()))


def find_x_files(names: Collection[str], included: frozenset[str]) -> list[str]:
    """Return the names of the files of posts: inside `data`, or at the top of an older archive."""
    for folder in ("data/", ""):
        here = [name[len(folder) :] for name in names if name.startswith(folder) and "/" not in name[len(folder) :]]
        found = sorted(filter(_TWEETS.fullmatch, here))
        if found:
            patterns = [_NOTES, *(_INCLUDABLE[kind] for kind in sorted(included & _INCLUDABLE.keys()))]
            others = [name for pattern in patterns for name in sorted(filter(pattern.fullmatch, here))]
            return [folder + name for name in (*found, *others)]
    return []


def read_x_files(
    container: Container, names: Sequence[str], options: ReadingOptions, log: SourceLog, all_notes: bool = True
) -> Iterator[tuple[Post, str]]:
    """Yield the posts with their ids; a post that is cut has the text of its note, and no note is read twice.

    `all_notes`: whether notes of which no post was read are posts as well.
    """
    note_files = [name for name in names if _NOTES.fullmatch(name.rpartition("/")[2])]
    undated = textless = 0
    with contextlib.closing(_Notes()) as notes:
        for name in note_files:
            for record in _records(container, name):
                text, date = _note(record)
                if text is None:
                    textless += 1
                else:
                    notes.add(text, date)
        for name in names:
            if name in note_files:
                continue
            for record in _records(container, name):
                post = _tweet(record)
                if post is None:
                    textless += 1
                    continue
                undated += post.date is None
                yield post._replace(text=notes.whole(post)), _id(record)
        for post in notes.unused() if all_notes else ():
            undated += post.date is None
            yield post, ""
    if undated:
        log.notice(
            _("{path}: {undated} posts have no valid date; they come first").format(path=log.path, undated=undated)
        )
    if textless:
        log.left_out[N_("posts without text")] += textless
        log.notice(_("{path}: skipped {textless} posts without text").format(path=log.path, textless=textless))


def _records(container: Container, name: str) -> Iterator[dict[str, Any]]:
    label = container.label(name)
    text = JsonText(_strip_assignment(decode_blocks(container.blocks(name), "utf-8", label), label), label)
    for record in records_in(text.whole(), Search(text, lambda inner: True)):
        if isinstance(record.value, str):
            raise TextError(_("{label}: a string instead of a tweet; download the archive again").format(label=label))
        yield record.value
    text.end()


def _strip_assignment(chunks: Iterator[str], name: str) -> Iterator[str]:
    """Yield the text after `window.YTD.tweets.part0 =`."""
    first = next(chunks)
    assignment = _ASSIGNMENT.match(first)
    if not assignment:
        raise TextError(
            _("{name}: line 1 does not begin with window.YTD.tweets.part0 = ; give a file of an X archive").format(
                name=name
            )
        )
    yield first[assignment.end() :]
    yield from chunks


def _tweet(record: dict[str, Any]) -> Post | None:
    inner = record.get("tweet")
    record = inner if isinstance(inner, dict) else record  # in older archives a post is not inside "tweet"
    post = x_post(record)
    text = post.text if isinstance(post, Post) else record.get("text")
    return Post(without_lone_surrogates(text), read_date(record.get("created_at"))) if isinstance(text, str) else None


def _id(record: dict[str, Any]) -> str:
    inner = record.get("tweet")
    return without_lone_surrogates(str((inner if isinstance(inner, dict) else record).get("id_str", "")))


def _note(record: dict[str, Any]) -> tuple[str | None, int | None]:
    inner = record.get("noteTweet")
    text = inner_value(inner, ("core", "text"))
    if not isinstance(inner, dict) or not isinstance(text, str):
        return None, None
    return without_lone_surrogates(text), read_date(inner.get("createdAt"))


class _Notes:
    """Whole texts of long posts in a temporary database on disk, found by their date and beginning."""

    def __init__(self) -> None:
        self._count = 0
        self._database = sqlite3.connect("", check_same_thread=False)
        self._database.execute("CREATE TABLE notes (date INTEGER, start TEXT, text TEXT, used INTEGER DEFAULT 0)")
        self._database.execute("CREATE INDEX by_start ON notes (start, used, date)")

    def close(self) -> None:
        self._database.close()

    def add(self, text: str, date: int | None) -> None:
        self._database.execute(
            "INSERT INTO notes (date, start, text) VALUES (?, ?, ?)", (date, _plain(text)[:_MIN_CUT], text)
        )
        self._count += 1

    def whole(self, post: Post) -> str:
        """Return the whole text of a post that was cut, else its text."""
        if not self._count or ("…" not in post.text[-60:] and len(post.text) < 100):
            return post.text
        cut = _CUT.sub("", _plain(html.unescape(post.text)))  # notes have no entities
        query = "SELECT rowid, text FROM notes WHERE start = ?"
        values: tuple[Any, ...] = (cut[:_MIN_CUT],)
        if post.date is not None:
            query += " AND date BETWEEN ? AND ?"
            values += (post.date - _MAX_SECONDS, post.date + _MAX_SECONDS)
        for row, text in self._database.execute(f"{query} ORDER BY used LIMIT {_MAX_ALIKE}", values).fetchall():
            if _plain(text).startswith(cut):
                self._database.execute("UPDATE notes SET used = 1 WHERE rowid = ?", (row,))
                return str(text)
        return post.text

    def unused(self) -> Iterable[Post]:
        """Return the notes of which no post was read: posts that tweets.js does not have."""
        return (Post(*row) for row in self._database.execute("SELECT text, date FROM notes WHERE NOT used"))


def _plain(text: str) -> str:
    """Return a text without leading mentions and differences of white space, for comparison."""
    return " ".join(_LEADING_MENTIONS.sub("", text).split())
