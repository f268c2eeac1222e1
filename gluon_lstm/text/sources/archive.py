"""Posts inside JSON: a JSON text streamed record by record, and the Twitter archive, which is JSON inside JavaScript.

Of an archive nothing but the posts' own files is ever opened: no direct messages, no account data, no media.
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
from typing import Any, Union

import ijson

from gluon_lstm.progress import Notice
from gluon_lstm.text.sources.dates import read_date
from gluon_lstm.text.sources.encodings import BLOCK, MAX_POST, TextError, blocks, decoded, lines

Record = Union[str, "dict[str, str]"]  # a bare string, or the strings inside an object by dotted name

_ITEM = ""  # stands in a path for "some place in a list"
_HOMES = ((_ITEM,), ("statuses", _ITEM), ("data", _ITEM))  # of records: a list; what the Twitter search APIs answer
_MAX_DEPTH = 100
_MAX_NAME = 256  # characters of a dotted name: those of strings that lie deep hold the long keys above them again
_MAX_WORD = 1 << 20  # characters of _ESCAPE_CHARACTERS in a row
_ESCAPE_CHARACTERS = "0123456789abcdefABCDEFu\\"
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][\da-fA-F]{2})|.)", re.DOTALL
)

_TWEETS_FILE = re.compile(r"tweets?(-part\d+)?\.js")
_ASSIGNMENT = re.compile(r"\s*window\.YTD\.\w+\.part\d+\s*=\s*")
_TEXT_FIELDS = ("tweet.full_text", "tweet.text", "full_text", "text")
_MAX_UNPACKED = 4 << 30  # bytes of all the files of posts in a zip
_MAX_RATIO = 200  # unpacked to packed: real archives pack about 10 to 1, a zip bomb 1000 to 1
_MAX_DIRECTORY = 32 << 20  # bytes of a zip's list of files, which zipfile holds as objects of ten times the size
_DAMAGE = (  # what zipfile raises; OSError, ValueError and OverflowError for places that are in no file
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, OSError, ValueError, OverflowError,
)  # fmt: skip


def records_of_json(chunks: Iterable[str], name: str) -> Iterator[Record]:
    """The records of a JSON text, one in memory at a time: a list of them, or an object with it as statuses or data.

    Raises TextError, naming the line, for what is not JSON, for nesting deeper than 100, for a record longer than
    MAX_POST, and for a record that is neither an object nor a string.
    """
    return _records(chunks, _HOMES, name, 1)


def records_of_lines(chunks: Iterable[str], name: str) -> Iterator[Record]:
    """The records of a text with one JSON value a line; empty lines are left out. Errors as in `records_of_json`."""
    for number, line in enumerate(lines(chunks, name), 1):
        if not line.isspace():
            yield from _records([line], ((),), name, number)


def _records(chunks: Iterable[str], homes: Collection[tuple[str, ...]], name: str, first_line: int) -> Iterator[Record]:
    """The records at `homes`, the paths of keys that lead to them from the top of a JSON text."""
    pieces = _Pieces(_without_lone_surrogates(chunks, name), name, first_line)
    path: list[str] = []
    record: dict[str, str] | None = None
    home = 0  # length of the path at which `record` lives
    for event, value in _events(pieces):
        if event == "map_key":
            path[-1] = value
        elif event in ("start_map", "start_array"):
            if record is None and tuple(path) in homes:
                if event == "start_array":
                    raise pieces.error("a list stands where a post should be")
                record, home = {}, len(path)
            path.append(_ITEM)
            if len(path) > _MAX_DEPTH:
                raise pieces.error(f"lists and objects are nested more than {_MAX_DEPTH} deep")
        elif event in ("end_map", "end_array"):
            path.pop()
            if record is not None and len(path) == home:
                yield record
                record = None
        elif record is not None:
            name_length = sum(map(len, path[home:])) + len(path) - home - 1
            if event == "string" and name_length <= _MAX_NAME:
                record[".".join(path[home:])] = value
        elif tuple(path) in homes:
            if event != "string":
                raise pieces.error(f"a {event} stands where a post should be")
            yield value
        if record is None:
            pieces.held = 0


class _Pieces:
    """The file that ijson reads: a JSON text by lines (or parts of long ones), so that an error can name its line."""

    def __init__(self, chunks: Iterable[str], name: str, first_line: int) -> None:
        self.held = 0  # characters given since the last record ended: a bound on what ijson and `_records` hold
        self._name = name
        self._line = self._next_line = first_line
        self._pieces = (piece for chunk in chunks for piece in io.StringIO(chunk, newline=""))

    def read(self, size: int = -1) -> bytes:
        if size == 0:  # how ijson asks whether a file gives bytes
            return b""
        pieces = [self._next_piece()]
        # With each read yajl begins a long string anew: reads that double keep that from taking quadratic time.
        enough = 2 * self.held if self.held > BLOCK else 0
        while pieces[-1] and self.held < enough:
            pieces.append(self._next_piece())
        return "".join(pieces).encode("utf-8")

    def _next_piece(self) -> str:
        piece = next(self._pieces, "")
        if piece:
            self._line = self._next_line
            self._next_line += piece.endswith(("\n", "\r"))
        self.held += len(piece)
        if self.held > MAX_POST:
            raise self.error(f"a record is longer than {MAX_POST:,} characters")
        return piece

    def error(self, what: str) -> TextError:
        return TextError(f"{self._name}: line {self._line}: {what}; mend the file there, or take that part out")


def _events(pieces: _Pieces) -> Iterator[tuple[str, Any]]:
    try:
        # Numbers are of no use here, and long ones as Python's own take long, or fail where nobody expects an error.
        yield from ijson.basic_parse(pieces, use_float=True)
    except TextError:  # from `pieces`, with its place
        raise
    except (ijson.JSONError, ValueError, ArithmeticError) as error:  # each backend of ijson has its own errors
        reason = str(error).strip().split("\n")[0]
        if "trailing garbage" in reason or "Additional data" in reason:  # as yajl and Python say it
            reason = "a second value follows the first; a file with one a line is called .jsonl"
        if "overflow" in reason:
            reason = "a number in it is too large"
        raise pieces.error(f"this is not JSON ({reason})") from None


def _without_lone_surrogates(chunks: Iterable[str], name: str) -> Iterator[str]:
    """The same JSON with U+FFFD for each half of a surrogate pair that stands alone, as in a post cut inside an emoji.

    It comes before ijson, whose backends read such an escape as "?", as another character, or not at all.
    """
    rest = ""
    for chunk in chunks:
        text = rest + chunk
        end = len(text.rstrip(_ESCAPE_CHARACTERS))  # no escape, and no pair of them, lies across this place
        rest = text[end:]
        if len(rest) > _MAX_WORD:
            raise TextError(f"{name} holds a word longer than {_MAX_WORD:,} characters; this is not a file of posts")
        yield _ESCAPE.sub(_mended, text[:end])
    yield _ESCAPE.sub(_mended, rest)


def _mended(escape: re.Match[str]) -> str:
    return "\\ufffd" if escape["lone"] else escape[0]


def is_tweets_file(name: str) -> bool:
    """Whether a file of this name (without folders) holds the posts of a Twitter archive."""
    return _TWEETS_FILE.fullmatch(name) is not None


def is_archive_folder(path: str) -> bool:
    """Whether the folder is a Twitter archive: it, or `data` inside it, has tweets.js or tweet.js."""
    return any(_tweets_files(_names_near_the_top(path)))


def archive_posts(path: str, notice: Notice) -> Iterator[tuple[str, int | None]]:
    """The posts of a Twitter archive (folder, .zip, or its tweets.js) and their dates, oldest first, then by number.

    They are sorted in a temporary database which spills to disk. Posts without a date come first. Raises TextError when
    the archive is damaged, encrypted or holds no posts.
    """
    post = None
    try:
        with contextlib.closing(sqlite3.connect("", check_same_thread=False)) as database:
            database.execute("CREATE TABLE posts (date INTEGER, number TEXT, post TEXT)")
            database.executemany("INSERT INTO posts VALUES (?, ?, ?)", _dated_posts(path, notice))
            in_order = database.execute("SELECT post, date FROM posts ORDER BY date, length(number), number, rowid")
            for post, date in in_order:
                yield post, date
    except sqlite3.Error as error:
        remedy = "make room in the folder for temporary files, or name another with TMPDIR"
        raise TextError(f"{path}: its posts could not be put in order ({error}); {remedy}") from None
    if post is None:
        raise TextError(f"{path} holds no posts; give the archive of an account that has posted")


def _dated_posts(path: str, notice: Notice) -> Iterator[tuple[int | None, str, str]]:
    undated = textless = 0
    for name, file_blocks in tweets_files_of(path, notice):
        chunks = _after_assignment(decoded(file_blocks, "utf-8", name), name)
        for record in _records(chunks, ((_ITEM,),), name, 1):
            if isinstance(record, str):
                raise TextError(f"{name}: a bare string stands where a tweet should be; download the archive anew")
            post = next((record[field] for field in _TEXT_FIELDS if field in record), None)
            if post is None:
                textless += 1
                continue
            date = read_date(_either(record, "created_at"))
            undated += date is None
            yield date, _either(record, "id_str"), post
    if undated:
        notice(f"{path}: {undated} posts have no date that can be read; they come first")
    if textless:
        notice(f"{path}: left out {textless} posts without text")


def _either(record: dict[str, str], field: str) -> str:
    return record.get("tweet." + field, record.get(field, ""))  # older archives have no "tweet" around a post


def _after_assignment(chunks: Iterator[str], name: str) -> Iterator[str]:
    """What follows `window.YTD.tweets.part0 =`."""
    first = next(chunks)
    assignment = _ASSIGNMENT.match(first)
    if not assignment:
        raise TextError(f"{name}: line 1 does not begin with window.YTD.tweets.part0 = ; is it from a Twitter archive?")
    yield first[assignment.end() :]
    yield from chunks


def tweets_files_of(path: str, notice: Notice) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each file of posts: its name for messages and its bytes."""
    if os.path.isdir(path):
        for name in _chosen(path, [os.path.relpath(file, path).replace(os.sep, "/") for file in _inside(path)], notice):
            yield f"{path}/{name}", _file_blocks(os.path.join(path, name))
    elif zipfile.is_zipfile(path):
        with _Zip(path) as file, _directory(file, path) as archive:
            members = {info.filename: info for info in archive.infolist() if not info.filename.endswith("/")}
            chosen = _chosen(path, members, notice)
            _check_unpacked(path, [members[name] for name in chosen])
            for name in chosen:
                yield f"{path}: {name}", _member_blocks(archive, members[name], f"{path}: {name}")
    elif is_tweets_file(os.path.basename(path)):
        yield path, _file_blocks(path)
    else:
        raise TextError(f"{path} is not a zip file, or is damaged; download it again")


def _inside(folder: str) -> Iterator[str]:
    """The files in a folder and in those below it, however deep; neither pipes nor what is in linked folders."""
    waiting = [folder]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:  # of a closed folder no file counts
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file():
                    yield entry.path


def _chosen(path: str, names: Collection[str], notice: Notice) -> list[str]:
    chosen = _tweets_files(names)
    if not chosen:
        raise TextError(
            f"{path} is not a Twitter archive: it has no data/tweets.js, data/tweets-part1.js or data/tweet.js; "
            "unpack any other zip and give the files in it"
        )
    ignored = len(names) - len(chosen)
    others = f"; ignored {ignored} other files (direct messages, account data, media)" if ignored else ""
    notice(f"{path}: read {', '.join(chosen)}{others}")
    return chosen


def _tweets_files(names: Iterable[str]) -> list[str]:
    """Those of the names in an archive which hold posts: inside `data`, or at the top of an older archive."""
    tweets = [name for name in names if is_tweets_file(name[5:] if name.startswith("data/") else name)]
    return sorted(name for name in tweets if name.startswith("data/")) or sorted(tweets)


def _names_near_the_top(folder: str) -> Iterator[str]:
    for prefix in ("", "data/"):
        here = os.path.join(folder, prefix)
        if os.path.isdir(here):
            yield from (prefix + name for name in os.listdir(here) if os.path.isfile(os.path.join(here, name)))


def _file_blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        yield from blocks(file)


class _Zip(io.FileIO):
    """A zip file that refuses large reads: zipfile reads the list of files in one, however long it is said to be."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _MAX_DIRECTORY:
            raise TextError(f"{self.name} lists more files than an archive has; unpack it and give the folder")
        return super().read(size) or b""


def _directory(file: _Zip, path: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except TextError:  # of `_Zip`
        raise
    except _DAMAGE as error:
        raise _damaged(path, error) from None


def _damaged(name: str, error: Exception) -> TextError:
    reason = " ".join(str(error)[:100].split())  # zipfile quotes names of any length from the file
    return TextError(f"{name} is damaged, or packed in an unusual way ({reason}); download the archive again")


def _check_unpacked(path: str, members: Collection[zipfile.ZipInfo]) -> None:
    """TextError for a bomb. zipfile never unpacks more of a member than it declares; what it takes from the file may
    be declared too large, or be the same bytes for many, so the size of the file itself is what counts.
    """
    packed, unpacked = os.path.getsize(path), sum(member.file_size for member in members)
    if (unpacked > 1 << 20 and unpacked > _MAX_RATIO * packed) or unpacked > _MAX_UNPACKED:
        raise TextError(
            f"{path} would unpack from {packed:,} to {unpacked:,} bytes, "
            "more than posts can; if you trust it, unpack the archive and give the folder"
        )


def _member_blocks(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    if member.flag_bits & 1:
        raise TextError(f"{name} is encrypted; unpack the archive with its password and give the folder")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise TextError(f"{name} is packed in an unusual way; unpack the archive and give the folder")
    try:
        with archive.open(member) as file:
            yield from blocks(file)
    except _DAMAGE as error:
        raise _damaged(name, error) from None
