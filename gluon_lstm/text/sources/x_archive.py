"""Archive of X (Twitter): posts as JSON inside JavaScript files, in a folder or zip.

Only the files of posts are opened: no direct messages, account data or media.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from itertools import starmap
from typing import TYPE_CHECKING

from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.base import FileFormat, Post, extension
from gluon_lstm.text.sources.dates import read_date
from gluon_lstm.text.sources.encodings import TextError, decode_blocks, read_blocks
from gluon_lstm.text.sources.json_stream import ITEM, parse_records

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

_TWEETS_FILE = re.compile(r"tweets?(-part\d+)?\.js")
_ASSIGNMENT = re.compile(r"\s*window\.YTD\.\w+\.part\d+\s*=\s*")
_TEXT_FIELDS = ("tweet.full_text", "tweet.text", "full_text", "text")
_MAX_EXTRACTED_BYTES = 4 << 30  # maximum size of all files of posts in a zip
_MAX_RATIO = 200  # maximum compression ratio: archives have about 10, zip bombs 1000
_MAX_DIRECTORY_BYTES = 32 << 20  # maximum size of a zip's directory, which takes ten times as much in memory
_ZIP_ERRORS = (  # errors of zipfile; OSError, ValueError and OverflowError for invalid offsets
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, OSError, ValueError, OverflowError,
)  # fmt: skip


class XArchive(FileFormat):
    """Archive of X: its folder, its .zip, or its file tweets.js."""

    def matches(self, path: str) -> bool:
        return extension(path) in (".zip", ".js")

    def matches_folder(self, path: str) -> bool:
        return any(_tweets_files(_top_level_names(path)))

    def check(self, path: str) -> None:
        if extension(path) == ".js" and not is_tweets_file(os.path.basename(path)):
            raise TextError(f"{path} is not a file of posts; of an X archive only tweets.js or tweet.js is read")

    def posts(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[Post]:
        return starmap(Post, read_archive(path, notice))

    def contents(self, path: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        for _, blocks in tweet_files(path, ignore):
            yield ".js", blocks


def is_tweets_file(name: str) -> bool:
    """Return whether a file of this name (without folders) has the posts of an archive."""
    return _TWEETS_FILE.fullmatch(name) is not None


def read_archive(path: str, notice: Notice) -> Iterator[tuple[str, int | None]]:
    """Yield (text, date) of the posts of an archive (folder, .zip, or its tweets.js), sorted by date, then by id.

    They are sorted in a temporary database on disk. Posts without a date come first. Raises TextError for an archive
    that is damaged, encrypted or without posts.
    """
    post = None
    try:
        with contextlib.closing(sqlite3.connect("", check_same_thread=False)) as database:
            database.execute("CREATE TABLE posts (date INTEGER, number TEXT, post TEXT)")
            database.executemany("INSERT INTO posts VALUES (?, ?, ?)", _tweet_rows(path, notice))
            in_order = database.execute("SELECT post, date FROM posts ORDER BY date, length(number), number, rowid")
            for post, date in in_order:
                yield post, date
    except sqlite3.Error as error:
        remedy = "free space in the folder of temporary files, or set TMPDIR to another"
        raise TextError(f"{path}: its posts could not be sorted ({error}); {remedy}") from None
    if post is None:
        raise TextError(f"{path} contains no posts; give the archive of an account with posts")


def _tweet_rows(path: str, notice: Notice) -> Iterator[tuple[int | None, str, str]]:
    undated = textless = 0
    for name, blocks in tweet_files(path, notice):
        chunks = _strip_assignment(decode_blocks(blocks, "utf-8", name), name)
        for record in parse_records(chunks, ((ITEM,),), name, 1):
            if isinstance(record, str):
                raise TextError(f"{name}: a string instead of a tweet; download the archive again")
            post = next((record[field] for field in _TEXT_FIELDS if field in record), None)
            if post is None:
                textless += 1
                continue
            date = read_date(_tweet_field(record, "created_at"))
            undated += date is None
            yield date, _tweet_field(record, "id_str"), post
    if undated:
        notice(f"{path}: {undated} posts have no valid date; they come first")
    if textless:
        notice(f"{path}: skipped {textless} posts without text")


def _tweet_field(record: dict[str, str], field: str) -> str:
    return record.get("tweet." + field, record.get(field, ""))  # in older archives a post is not inside "tweet"


def _strip_assignment(chunks: Iterator[str], name: str) -> Iterator[str]:
    """Yield the text after `window.YTD.tweets.part0 =`."""
    first = next(chunks)
    assignment = _ASSIGNMENT.match(first)
    if not assignment:
        raise TextError(f"{name}: line 1 does not begin with window.YTD.tweets.part0 = ; give a file of an X archive")
    yield first[assignment.end() :]
    yield from chunks


def tweet_files(path: str, notice: Notice) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield (name for messages, bytes in blocks) of each file of posts."""
    if os.path.isdir(path):
        for name in _select_tweets_files(
            path, [os.path.relpath(file, path).replace(os.sep, "/") for file in _files_below(path)], notice
        ):
            yield f"{path}/{name}", _blocks_of_file(os.path.join(path, name))
    elif zipfile.is_zipfile(path):
        with _BoundedZipFile(path) as file, _open_zip(file, path) as archive:
            members = {info.filename: info for info in archive.infolist() if not info.filename.endswith("/")}
            chosen = _select_tweets_files(path, members, notice)
            _check_extracted_size(path, [members[name] for name in chosen])
            for name in chosen:
                yield f"{path}: {name}", _zip_member_blocks(archive, members[name], f"{path}: {name}")
    elif is_tweets_file(os.path.basename(path)):
        yield path, _blocks_of_file(path)
    else:
        raise TextError(f"{path} is not a zip file, or is damaged; download it again")


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, without pipes and linked folders."""
    stack = [folder]
    while stack:
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as entries:  # unreadable folders are skipped
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(entry.path)
                elif entry.is_file():
                    yield entry.path


def _select_tweets_files(path: str, names: Collection[str], notice: Notice) -> list[str]:
    chosen = _tweets_files(names)
    if not chosen:
        raise TextError(
            f"{path} is not an X archive: it has no data/tweets.js, data/tweets-part1.js or data/tweet.js; "
            "extract any other zip and give the files in it"
        )
    ignored = len(names) - len(chosen)
    others = f"; ignored {ignored} other files (direct messages, account data, media)" if ignored else ""
    notice(f"{path}: read {', '.join(chosen)}{others}")
    return chosen


def _tweets_files(names: Iterable[str]) -> list[str]:
    """Return the names of the files of posts: inside `data`, or at the top of an older archive."""
    tweets = [name for name in names if is_tweets_file(name[5:] if name.startswith("data/") else name)]
    return sorted(name for name in tweets if name.startswith("data/")) or sorted(tweets)


def _top_level_names(folder: str) -> Iterator[str]:
    for prefix in ("", "data/"):
        here = os.path.join(folder, prefix)
        if os.path.isdir(here):
            yield from (prefix + name for name in os.listdir(here) if os.path.isfile(os.path.join(here, name)))


def _blocks_of_file(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from read_blocks(file)


class _BoundedZipFile(io.FileIO):
    """Zip file that refuses large reads: zipfile reads the directory in one read of the declared size."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _MAX_DIRECTORY_BYTES:
            raise TextError(f"{self.name} lists more files than an archive has; extract it and give the folder")
        return super().read(size) or b""


def _open_zip(file: _BoundedZipFile, path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except TextError:  # of `_BoundedZipFile`
        raise
    except _ZIP_ERRORS as error:
        raise _damaged_error(path, error) from None


def _damaged_error(name: str, error: Exception) -> TextError:
    reason = " ".join(str(error)[:100].split())  # messages of zipfile contain names of any length
    return TextError(f"{name} is damaged, or compressed in an unsupported way ({reason}); download the archive again")


def _check_extracted_size(path: str, members: Collection[zipfile.ZipInfo]) -> None:
    """Raise TextError for a zip bomb.

    zipfile never extracts more of a member than its declared size. Declared compressed sizes may be false, or members
    may share their bytes, so the ratio is computed with the size of the zip file.
    """
    compressed, extracted = os.path.getsize(path), sum(member.file_size for member in members)
    if (extracted > 1 << 20 and extracted > _MAX_RATIO * compressed) or extracted > _MAX_EXTRACTED_BYTES:
        raise TextError(
            f"{path} would be extracted from {compressed:,} to {extracted:,} bytes, "
            "more than posts can; if you trust it, extract the archive and give the folder"
        )


def _zip_member_blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    if member.flag_bits & 1:
        raise TextError(f"{name} is encrypted; extract the archive with its password and give the folder")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise TextError(f"{name} is compressed in an unsupported way; extract the archive and give the folder")
    try:
        with archive.open(member) as file:
            yield from read_blocks(file)
    except _ZIP_ERRORS as error:
        raise _damaged_error(name, error) from None
