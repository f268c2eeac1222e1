"""Archives that services give their users: which files in them hold posts, and the posts in order of time.

Only the files of posts are opened: no direct messages, account data or media.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Callable, NamedTuple

from gluon_lstm.language import _
from gluon_lstm.text.sources.base import FileFormat, Post, SourceLog, extension
from gluon_lstm.text.sources.containers import Container, is_packed, open_container, shown
from gluon_lstm.text.sources.encodings import TextError, decode_blocks
from gluon_lstm.text.sources.json_files import posts_of_json
from gluon_lstm.text.sources.tables import posts_of_table
from gluon_lstm.text.sources.x_archive import find_x_files, is_notes_file, is_posts_file, is_tweets_file, read_x_files

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

Read = Callable[[Container, Sequence[str], "ReadingOptions", SourceLog], Iterator["tuple[Post, str]"]]


class ArchiveKind(NamedTuple):
    """Archive of a service: the names of its files of posts below its top folder, and how these are read."""

    service: str
    find: Callable[[Collection[str], frozenset[str]], list[str]]  # (names, included) -> names of the files of posts
    read: Read  # yields posts with their ids, which order the posts of one second
    in_folders: bool = True  # whether an unpacked archive of this kind is recognized as a whole


def _read_each(
    container: Container, names: Sequence[str], options: ReadingOptions, log: SourceLog
) -> Iterator[tuple[Post, str]]:
    for name in names:
        label = container.label(name)
        chunks = decode_blocks(container.blocks(name), "utf-8", label)
        if extension(name) == ".csv":
            posts = posts_of_table(chunks, ",", label, options, log)
        else:
            posts = posts_of_json(chunks, label, options, log, may_be_empty=True)
        yield from ((post, "") for post in posts)


def _matching(pattern: str, *markers: str) -> Callable[[Collection[str], frozenset[str]], list[str]]:
    """Return a function that finds the names that match `pattern`, in an archive that has the files `markers`."""
    compiled = re.compile(pattern)
    return lambda names, included: (
        sorted(filter(compiled.fullmatch, names)) if all(marker in names for marker in markers) else []
    )


_MAX_TOP_FOLDERS = 20

KINDS = (
    ArchiveKind("X", find_x_files, read_x_files),
    ArchiveKind("X (until 2018)", _matching(r"tweets\.csv"), _read_each, in_folders=False),
    ArchiveKind("Mastodon", _matching(r"outbox\.json", "actor.json"), _read_each),
    ArchiveKind("Mastodon", _matching(r"outbox\.json"), _read_each, in_folders=False),
    ArchiveKind("Bluesky", _matching(r"(?:[^/]+/)?app\.bsky\.feed\.post/[^/]+\.json"), _read_each),
    ArchiveKind(
        "Facebook",
        _matching(r"(?:your_(?:facebook_)?activity(?:_across_facebook)?/)?posts/your_posts(?:__[a-z_]+)?_\d+\.json"),
        _read_each,
    ),
    ArchiveKind(
        "Instagram",
        _matching(
            r"(?:your_instagram_activity/)?(?:(?:content|media)/posts_\d+|threads/threads_and_replies)\.json"
        ),
        _read_each,
    ),
    ArchiveKind("Discord", _matching(r"[Mm]essages/c?\d+/messages\.(?:json|csv)", ), _read_each),
    ArchiveKind("Slack", _matching(r"[^/]+/\d{4}-\d\d-\d\d\.json", "users.json", "channels.json"), _read_each),
)  # fmt: skip


class Archive(FileFormat):
    """Archive of a service: its folder, .zip or .tar.gz."""

    def matches(self, path: str) -> bool:
        return is_packed(path)

    def matches_folder(self, path: str) -> bool:
        names = set(_names_near_the_top(path))
        return any(kind.in_folders and kind.find(names, frozenset()) for kind in KINDS)

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        with open_container(path) as container:
            kind, names = _find(path, container, options.included)
            _report(path, container, names, log)
            yield from in_order_of_time(kind.read(container, names, options, log), path)

    def contents(self, path: str, options: ReadingOptions) -> Iterator[tuple[str, Iterator[bytes]]]:
        with open_container(path) as container:
            for name in _find(path, container, options.included)[1]:
                yield os.path.basename(name), container.blocks(name)


class XFile(FileFormat):
    """File of posts of an archive of X, given by its name; long posts are read from note-tweet.js beside it."""

    def matches(self, path: str) -> bool:
        return extension(path) == ".js"

    def check(self, path: str) -> None:
        if not is_posts_file(os.path.basename(path)):
            raise TextError(
                _("{path} is not a file of posts; of an X archive only tweets.js or tweet.js is read").format(path=path)
            )

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        with open_container(os.path.dirname(path) or ".") as folder:
            names = self._names(path)
            log.path, log.members = os.path.dirname(path) or ".", names
            tweets = [name for name in os.listdir(log.path) if is_tweets_file(name)]
            yield from in_order_of_time(read_x_files(folder, names, options, log, all_notes=len(tweets) < 2), path)

    def contents(self, path: str, options: ReadingOptions) -> Iterator[tuple[str, Iterator[bytes]]]:
        with open_container(os.path.dirname(path) or ".") as folder:
            for name in self._names(path):
                yield ".js", folder.blocks(name)

    def _names(self, path: str) -> list[str]:
        name = os.path.basename(path)
        if not is_tweets_file(name):
            return [name]
        folder = os.path.dirname(path) or "."
        beside = (each for each in os.listdir(folder) if os.path.isfile(os.path.join(folder, each)))
        return [name, *sorted(each for each in beside if is_notes_file(each))]


def is_archive(path: str) -> bool:
    """Return whether a packed file is an archive of posts. A damaged one counts as such: reading it is refused."""
    if not is_packed(path):
        return False
    try:
        with open_container(path) as container:
            names = container.names()
    except TextError:
        return True
    return bool(_find_in(names, frozenset()))


def _find(path: str, container: Container, included: frozenset[str]) -> tuple[ArchiveKind, list[str]]:
    """Return the kind of an archive and its files of posts."""
    archives = _find_in(container.names(), included)
    if not archives and any(re.search(r"posts[^/]*\.html$", name) for name in container.names()):
        raise TextError(
            _("{path} has its posts as web pages (HTML); export it again, in the format JSON").format(path=path)
        )
    if not archives:
        raise TextError(
            _(
                "{path} is not an X archive or that of another service that is known: X's has"
                " data/tweets.js, data/tweets-part1.js or data/tweet.js, Mastodon's outbox.json; extract any"
                " other zip and give its files"
            ).format(path=path)
        )
    if len(archives) > 1:
        found = ", ".join(shown(files[0]) for _, files in archives[:4])
        raise TextError(
            _("{path} contains several archives ({found}); extract it and give each of them").format(
                path=path, found=found
            )
        )
    container.check_size(archives[0][1])
    return archives[0]


def _find_in(names: Collection[str], included: frozenset[str]) -> list[tuple[ArchiveKind, list[str]]]:
    """Return the archives in a container with their files of posts: at its top, else in the folders there."""
    found = []
    folders = sorted({name.partition("/")[0] for name in names if "/" in name} - {"", ".", ".."})
    # An archive may lie in one folder more, which then has hardly any other beside it.
    for prefix in ("", *(f"{folder}/" for folder in folders if len(folders) <= _MAX_TOP_FOLDERS)):
        below = {name[len(prefix) :] for name in names if name.startswith(prefix)}
        kind, files = next(((kind, files) for kind in KINDS if (files := kind.find(below, included))), (None, []))
        if kind:
            found.append((kind, [prefix + name for name in files]))
            if not prefix:
                break
    return found


def _report(path: str, container: Container, names: Sequence[str], log: SourceLog) -> None:
    log.members = [
        *map(shown, names[:3]),
        *([_("{others:,} more").format(others=len(names) - 3)] if len(names) > 3 else []),
    ]
    others = sorted(set(container.names()) - set(names))
    line = _("{path}: read {names}").format(path=path, names=", ".join(map(shown, names[:5])))
    if len(names) > 5:
        line += _(" and {others:,} more").format(others=len(names) - 5)
    if others:
        line += _("; ignored {others:,} other files, not opened ({examples})").format(
            others=len(others), examples=_examples(others)
        )
    more = [name for name in others if is_posts_file(os.path.basename(name))]
    if more:
        line += _("; {names} can be read with `include`").format(names=", ".join(map(shown, more[:4])))
    log.notice(line)


def _examples(names: Sequence[str]) -> str:
    """Return names of files for a person: those beside the posts first, a few only."""
    scripts = [name for name in names if extension(name) in (".js", ".json", ".csv")] or list(names)
    return ", ".join(map(shown, scripts[:4])) + (", …" if len(names) > 4 else "")


_FOLDERS = {  # folders of archives in which their posts are
    "data", "posts", "content", "media", "threads", "messages", "Messages", "app.bsky.feed.post",
    "your_facebook_activity", "your_activity_across_facebook", "your_instagram_activity",
}  # fmt: skip


def _names_near_the_top(folder: str) -> Iterator[str]:
    """Yield the names of the files of a folder and of those folders in it that archives have."""
    stack = [""]
    is_slack = os.path.isfile(os.path.join(folder, "channels.json"))
    while stack:
        prefix = stack.pop()
        with contextlib.suppress(OSError), os.scandir(os.path.join(folder, prefix)) as entries:
            for entry in entries:
                if entry.is_file():
                    yield prefix + entry.name
                elif entry.name in _FOLDERS or prefix.lower() == "messages/" or (is_slack and not prefix):
                    stack.append(f"{prefix}{entry.name}/")


def in_order_of_time(posts: Iterable[tuple[Post, str]], path: str) -> Iterator[Post]:
    """Yield posts sorted by date, then by id, in a temporary database on disk. Posts without a date come first.

    Raises TextError when there are none.
    """
    row = None
    try:
        with contextlib.closing(sqlite3.connect("", check_same_thread=False)) as database:
            database.execute("CREATE TABLE posts (date INTEGER, number TEXT, post TEXT, author TEXT)")
            rows = ((post.date, number, post.text, post.author) for post, number in posts)
            database.executemany("INSERT INTO posts VALUES (?, ?, ?, ?)", rows)
            order = "ORDER BY date, length(number), number, rowid"
            for row in database.execute(f"SELECT post, date, author FROM posts {order}"):
                yield Post(*row)
    except sqlite3.Error as error:
        raise TextError(
            _(
                "{path}: its posts could not be sorted ({error}); free space in the folder of temporary files, or set"
                " TMPDIR to another"
            ).format(path=path, error=error)
        ) from None
    if row is None:
        raise TextError(_("{path} contains no posts; give the archive of an account with posts").format(path=path))
