"""A file someone has -> its posts, one `str` at a time: txt, csv, tsv, json, jsonl, a Twitter archive, folders.

Memory does not grow with the size of a file. Posts come as they are written, empty ones too: what to drop and what to
change is decided in `cleaning`. Encodings are found in `encodings`; JSON and archives are taken apart in `archive`.
"""

from __future__ import annotations

import csv
import itertools
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gluon_lstm.options import option
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.archive import (
    Record,
    archive_posts,
    is_archive_folder,
    is_tweets_file,
    records_of_json,
    records_of_lines,
)
from gluon_lstm.text.sources.dates import DATE_NAMES, read_date
from gluon_lstm.text.sources.encodings import (
    BLOCK,
    MAX_POST,
    TextError,
    blocks,
    check_encoding,
    decoded,
    find_encoding,
    lines,
)

__all__ = ["Post", "ReadingOptions", "TextError", "read_dated_posts", "read_posts", "read_text"]

_COLUMNS = ("text", "full_text", "tweet", "body", "content", "post", "本文", "テキスト", "投稿", "ツイート")
_FIELDS = ("full_text", *(name for name in _COLUMNS if name != "full_text"))
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_LINES_OF_JSON = {".jsonl", ".ndjson"}
_STRUCTURED = {*_DELIMITERS, ".json", *_LINES_OF_JSON}  # any other kind is plain text
_IN_FOLDERS = {".txt", *_STRUCTURED}  # a folder may hold anything: there a name must say that it is text


@dataclass(frozen=True)
class ReadingOptions:
    """How to read files that leave a choice.

    column: in csv and tsv, the name of the column of posts, its number from 1 as text, or "all": every cell is a post.
    field: in json and jsonl, the name of the text in an object; dots reach into objects inside it.
    encoding: of all files; None finds it for each file.
    """

    column: str | None = option(
        None, "column of the posts in csv and tsv: a name, a number from 1, or all", "C", "reading"
    )
    field: str | None = option(None, "field of the posts in json and jsonl, dots for inner objects", "F", "reading")
    encoding: str | None = option(None, "encoding of the files (default: detected)", "E", "reading")


class Post(NamedTuple):
    """A post and when it was written (see `dates`), where its file tells."""

    text: str
    date: int | None = None


def read_posts(
    paths: Sequence[str | os.PathLike[str]], options: ReadingOptions = ReadingOptions(), notice: Notice = ignore
) -> Iterator[str]:
    """The posts of files and folders, in the order given, one at a time.

    - .txt and unknown extensions: a post a line, empty lines too. CRLF, CR and LF end a line, nothing else does.
    - .csv, .tsv: the column asked for; else one named text, full_text, tweet, body, content, post, 本文, テキスト, 投稿
      or ツイート; else the only column. The first row is a header when one of its cells is such a name or the name
      asked for (in any case); otherwise it is data. A row without that column is left out.
    - .jsonl, .ndjson: an object or a string a line; .json: a list of them, alone or as `statuses` or `data` of an
      object. The text is in the field asked for, else in full_text, else in text, else in a field named as above.
    - A Twitter archive (folder, .zip, tweets.js): its posts from oldest to newest; nothing else in it is opened.
    - A folder: the files in it with the extensions above, sorted by path; hidden ones are left out.

    `notice` is called with a sentence about each thing a person may want to know: an encoding, files or rows left out.
    Missing files are reported at the call, everything else while reading. Raises TextError, which says what is wrong,
    where and what to do, and OSError for a file that cannot be opened.
    """
    return (post.text for post in read_dated_posts(paths, options, notice))


def read_dated_posts(
    paths: Sequence[str | os.PathLike[str]], options: ReadingOptions = ReadingOptions(), notice: Notice = ignore
) -> Iterator[Post]:
    """The posts of `read_posts` and their dates, which an archive has, or a column or field named in DATE_NAMES."""
    sources = sources_of(paths, options, notice)
    return (post for path in sources for post in _posts(path, options, notice))


def read_text(
    paths: Sequence[str | os.PathLike[str]], options: ReadingOptions = ReadingOptions(), notice: Notice = ignore
) -> Iterator[str]:
    """The files as one stream of text, in chunks of at most a mebibyte; the paths are those of `read_posts`.

    Line ends become \\n, byte order marks go, nothing else is changed. Files other than plain text give their posts
    joined by newlines. A file that does not end its last line has that done before the next file begins.
    """
    sources = sources_of(paths, options, notice)
    return _joined(_text(path, options, notice) for path in sources)


# ---- which files


def sources_of(paths: Sequence[str | os.PathLike[str]], options: ReadingOptions, notice: Notice = ignore) -> list[str]:
    """The files to read and the folders that are archives; everything that can be refused without opening it is."""
    if options.encoding is not None:
        check_encoding(options.encoding)
    if isinstance(paths, (str, os.PathLike)):  # a single name would otherwise be read letter by letter
        paths = [paths]
    return [source for path in paths for source in _sources_at(os.fsdecode(path), notice)]


def _sources_at(path: str, notice: Notice) -> list[str]:
    if path == "-":
        raise TextError("standard input (-) cannot be read; save the text in a file and give its name")
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise TextError(f"{path}: there is no such file or folder; check the name") from None
    if stat.S_ISDIR(mode):
        return [path] if is_archive_folder(path) else _sources_inside(path, notice)
    if not stat.S_ISREG(mode):
        raise TextError(f"{path} is a pipe or a device, which cannot be read twice; save the text in a file")
    if kind_of(path) == ".js" and not is_tweets_file(os.path.basename(path)):
        raise TextError(f"{path} is not a file of posts; of a Twitter archive only tweets.js or tweet.js is read")
    return [path]


def _sources_inside(folder: str, notice: Notice) -> list[str]:
    found = list(_walk(folder))
    readable = [path for path in found if kind_of(path) in _IN_FOLDERS or os.path.isdir(path)]
    if not readable:
        kinds = ", ".join(sorted(_IN_FOLDERS))
        raise TextError(f"{folder} holds no file of these kinds: {kinds}; check its name, or give files by name")
    if len(readable) < len(found):
        notice(f"{folder}: ignored {len(found) - len(readable)} files of other kinds")
    return readable


def _walk(folder: str) -> Iterator[str]:
    """The files in a folder and the archives among the folders in it, by path; hidden ones and linked folders not."""
    waiting = _visible(folder)  # a stack: folders may lie deeper in one another than functions may
    while waiting:
        path = waiting.pop()
        if os.path.isfile(path) or (os.path.isdir(path) and is_archive_folder(path)):
            yield path
        elif os.path.isdir(path) and not os.path.islink(path):  # a link could lead round in a circle
            waiting += _visible(path)


def _visible(folder: str) -> list[str]:
    """What is in a folder, the first name last."""
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder), reverse=True) if name[0] != "."]


def kind_of(path: str) -> str:
    return os.path.splitext(path)[1].lower()


# ---- from one file to posts


def _posts(path: str, options: ReadingOptions, notice: Notice) -> Iterator[Post]:
    if is_archive(path):
        return itertools.starmap(Post, archive_posts(path, notice))
    chunks = _chunks(path, options, notice)
    kind = kind_of(path)
    if kind in _DELIMITERS:
        return _posts_of_table(_rows(chunks, _DELIMITERS[kind], path), options.column, path, notice)
    if kind == ".json":
        return _posts_of_records(records_of_json(chunks, path), options.field, path, notice)
    if kind in _LINES_OF_JSON:
        return _posts_of_records(records_of_lines(chunks, path), options.field, path, notice)
    return (Post(line.rstrip("\r\n")) for line in lines(chunks, path))


def _text(path: str, options: ReadingOptions, notice: Notice) -> Iterator[str]:
    if not is_archive(path) and kind_of(path) not in _STRUCTURED:
        yield from map(_with_newlines, _chunks(path, options, notice))
        return
    before = ""
    for post in _posts(path, options, notice):
        text = before + _with_newlines(post.text)
        yield from (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))
        before = "\n"


def _joined(texts: Iterable[Iterator[str]]) -> Iterator[str]:
    last = "\n"
    for text in texts:
        if not last.endswith("\n"):
            yield "\n"
        for chunk in text:
            yield chunk
            last = chunk


def is_archive(path: str) -> bool:
    return os.path.isdir(path) or kind_of(path) == ".zip" or is_tweets_file(os.path.basename(path))


def _chunks(path: str, options: ReadingOptions, notice: Notice) -> Iterator[str]:
    encoding = find_encoding(path, notice) if options.encoding is None else options.encoding
    with open(path, "rb") as file:
        yield from decoded(blocks(file), encoding, path)


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


# ---- tables


@dataclass(frozen=True)
class _Layout:
    column: int | None  # counted from 0; None when every cell is a post
    date: int | None  # the column of dates, where a header names one
    header: bool
    width: int | None  # a filled cell beyond this many is a post cut by a stray delimiter; None when any number will do


def _rows(chunks: Iterable[str], delimiter: str, path: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, blank lines left out, each with the number of the line it begins on."""
    ended = False
    start = length = 0  # of the row that is read: its line, and the characters so far

    def source() -> Iterator[str]:
        nonlocal ended, length
        for line in lines(chunks, path):
            length += len(line)
            if length > MAX_POST:
                problem = f"{path}: line {start}: a row is longer than {MAX_POST:,} characters"
                raise TextError(f"{problem}; a quotation mark may be left open there")
            yield line.replace("\0", "") if sys.version_info < (3, 11) else line  # which refuses NULs
        ended = True

    reader = csv.reader(source(), delimiter=delimiter)
    while True:
        start, length = reader.line_num + 1, 0
        limit = csv.field_size_limit(MAX_POST)  # one setting for the whole process: raised for this row alone
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise TextError(f"{path}: line {start}: {error}; a quotation mark may be left open there") from None
        finally:
            csv.field_size_limit(limit)
        if ended:  # the reader looked for more lines in the middle of a row
            raise TextError(f"{path}: line {start}: a quotation mark opens there and never closes; close it")
        if row:
            yield start, row


def _posts_of_table(
    rows: Iterator[tuple[int, list[str]]], wanted: str | None, path: str, notice: Notice
) -> Iterator[Post]:
    layout = None
    found = short = 0
    for line, cells in rows:
        if layout is None:
            layout = _layout(cells, wanted, path)
            if layout.header:
                continue
        if layout.width is not None and any(cells[layout.width :]):
            wide = f"{path}: line {line} has {len(cells)} cells and the first row {layout.width}"
            raise TextError(f"{wide}; put a post that holds the delimiter in quotation marks")
        if layout.column is None:
            yield from map(Post, filter(None, cells))
        elif layout.column < len(cells):
            found += 1
            yield Post(cells[layout.column], _date(cells, layout.date))
        else:
            short += 1
    if short and not found:
        raise TextError(f"{path}: no row has a column {wanted}; choose another with --column")
    if short:
        notice(f"{path}: left out {short} rows that are too short to have a post")


def _date(cells: list[str], column: int | None) -> int | None:
    return read_date(cells[column]) if column is not None and column < len(cells) else None


def _layout(first: list[str], wanted: str | None, path: str) -> _Layout:
    names = [cell.strip().casefold() for cell in first]
    header = any(name in _COLUMNS for name in names)
    width = len(first) if header else None
    date = next((names.index(name) for name in DATE_NAMES if name in names), None)
    if wanted is None and header:
        return _Layout(next(names.index(name) for name in _COLUMNS if name in names), date, True, width)
    if wanted is None and len(first) == 1:
        return _Layout(0, None, False, 1)
    if wanted == "all":
        return _Layout(None, None, header, None)
    if wanted is not None and wanted.isdecimal() and int(wanted) > 0:
        return _Layout(int(wanted) - 1, date if header else None, header, width)
    if wanted is not None and wanted.strip().casefold() in names:
        return _Layout(names.index(wanted.strip().casefold()), date, True, len(first))
    columns = ", ".join(f"{number} {cell[:20]!r}" for number, cell in enumerate(first[:20], 1))
    problem = "which column holds the posts is not clear" if wanted is None else f"there is no column {wanted!r}"
    remedy = "choose with --column a name, a number, or all for every cell"
    raise TextError(f"{path}: {problem}; the first row has {columns}; {remedy}")


# ---- records


def _posts_of_records(found: Iterable[Record], wanted: str | None, path: str, notice: Notice) -> Iterator[Post]:
    fields = _FIELDS if wanted is None else (wanted,)
    other_fields: list[str] = []
    posts = textless = 0
    for record in found:
        post = record if isinstance(record, str) else next((record[name] for name in fields if name in record), None)
        if post is None:
            textless += 1
            other_fields = other_fields or sorted(record)
            continue
        posts += 1
        date = None if isinstance(record, str) else next((record[name] for name in DATE_NAMES if name in record), None)
        yield Post(post, read_date(date) if date else None)
    if not posts and textless:
        # They may be of any length, and hold line ends.
        others = [" ".join(name.split())[:20] for name in other_fields[:20]]
        raise TextError(
            f"{path}: no object has a text named {wanted or ', '.join(fields)}; choose one with --field, "
            f"such as {', '.join(others) or 'none: they hold no text'}"
        )
    if not posts:
        raise TextError(f'{path} holds no posts; it should be a list of them, or an object with a list as "statuses"')
    if textless:
        notice(f"{path}: left out {textless} objects without a text named {wanted or ', '.join(fields)}")
