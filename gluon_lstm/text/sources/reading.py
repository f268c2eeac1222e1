"""Reading of posts from files: text, tables, JSON, archives and talks, and folders of these.

Memory does not grow with the size of a file. Posts are read as written, empty ones too; `cleaning` changes and drops.

>>> list(read_posts(["posts.txt"]))  # doctest: +SKIP
['おはよう', 'ねむい']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from gluon_lstm.language import _
from gluon_lstm.options import option
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.authors import ALL_AUTHORS, select_author, without_author
from gluon_lstm.text.sources.base import Post, SourceLog, as_text, normalize_line_ends
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.files import Paths, SourceFile, files_to_read
from gluon_lstm.text.sources.text_files import read_file

__all__ = [
    "Paths", "Post", "ReadingOptions", "Source", "TextError", "read_dated_posts", "read_posts", "read_sources",
    "read_text",
]  # fmt: skip

INCLUDABLE = ("community", "deleted", "private", "warnings")
DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "bar": "|"}


@dataclass(frozen=True)
class ReadingOptions:
    """Options of reading.

    column: column of the posts in csv and tsv: its name, its number from 1 as text, or "all" for every cell.
    field: name of the text in objects of json and jsonl, with dots for inner objects.
    encoding: encoding of all files; None: detected for each file.
    delimiter: what separates the cells of a table; None: found in the first rows.
    date: column or field of the dates; None: the first of the usual names that can be read.
    author: writer whose posts are read, "*" for all writers; None: refused where a file has several.
    except_author: writer whose posts are left out.
    include: what is otherwise left out, separated by commas: community, deleted, private, warnings.
    """

    column: str | None = option(
        None, "column of the posts in csv and tsv: a name, a number from 1, or all", "C", "reading"
    )
    field: str | None = option(None, "field of the posts in json and jsonl, dots for inner objects", "F", "reading")
    encoding: str | None = option(None, "encoding of the files (default: detected)", "E", "reading")
    delimiter: str | None = option(
        None, f"delimiter of csv and tsv: {', '.join(DELIMITERS)} (default: detected)", "D", "reading"
    )
    date: str | None = option(None, "column or field of the dates (default: by its name)", "COLUMN", "reading")
    author: str | None = option(None, "writer of the posts, where a file has several; *: all", "NAME", "reading")
    include: str = option(
        "",
        "what is otherwise left out, separated by commas: community and deleted (X archives), private (to named"
        " persons), warnings (the text of content warnings)",
        "KINDS",
        "reading",
    )
    except_author: str | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None and self.delimiter not in (*DELIMITERS, *DELIMITERS.values()):
            raise ValueError(
                _("`delimiter` {delimiter!r}: use one of {delimiters}").format(
                    delimiter=self.delimiter[:20], delimiters=", ".join(DELIMITERS)
                )
            )
        for kind in self.included:
            if kind not in INCLUDABLE:
                raise ValueError(
                    _("`include` {kind!r}: use one or more of {includable}").format(
                        kind=kind[:20], includable=", ".join(INCLUDABLE)
                    )
                )

    @property
    def included(self) -> frozenset[str]:
        return frozenset(kind.strip() for kind in self.include.split(",") if kind.strip())

    @property
    def delimiter_character(self) -> str | None:
        return None if self.delimiter is None else DELIMITERS.get(self.delimiter, self.delimiter)


class Source(NamedTuple):
    """Posts of one file or archive, and the log that is complete when they are read."""

    log: SourceLog
    posts: Iterator[Post]


def read_posts(paths: Paths, options: ReadingOptions = ReadingOptions(), notice: Notice = ignore) -> Iterator[str]:
    """Yield the posts of files and folders, in the order given. docs/sources.md lists what is read of which service.

    - .txt and unknown extensions: one post a line, empty lines too. Lines end with CRLF, CR or LF and nothing else. A
      LINE talk is recognized by its first line.
    - .csv, .tsv: `column`; else one named text, full_text, tweet, body, content, post, 本文, テキスト, 投稿, ツイート;
      else the only column. The first row is a header when one of its cells is such a name, or `column` (in any case);
      otherwise it is data. Rows without the column are left out.
    - .json, .jsonl, .ndjson: objects or strings in whatever lists, pages and objects they are wrapped. The text is in
      `field`; else where the service that wrote the object has it; else in full_text, text, or a field named as above.
    - Archives (folder, .zip, .tar.gz) of X, Mastodon, Bluesky, Facebook, Instagram, Slack and Discord: the posts from
      oldest to newest; nothing else in them is opened.
    - A folder: the files and archives in it, sorted by path, without hidden ones and without training runs.

    `notice` is called with one sentence for a detected encoding, and for skipped files. Missing files are errors at the
    call, all other errors are raised while reading: TextError, which names file, place and remedy, and OSError for a
    file that cannot be opened. Where a file has several writers and `author` is not set, it is raised after the last
    post, with their names.
    """
    return (post.text for post in read_dated_posts(paths, options, notice))


def read_dated_posts(
    paths: Paths, options: ReadingOptions = ReadingOptions(), notice: Notice = ignore
) -> Iterator[Post]:
    """Yield the posts of `read_posts` with the dates of an archive, or of a column or field named in DATE_FIELDS."""
    return (post for source in read_sources(paths, options, notice) for post in source.posts)


def read_sources(paths: Paths, options: ReadingOptions = ReadingOptions(), notice: Notice = ignore) -> Iterator[Source]:
    """Yield the posts of `read_posts` file by file. A source must be read to its end before the next."""
    return _sources(files_to_read(paths, options, notice), options, notice)


def _sources(files: Iterable[SourceFile], options: ReadingOptions, notice: Notice) -> Iterator[Source]:
    named = False
    for path, file_format in files:
        log = SourceLog(path, notice)
        posts = file_format.posts(path, options, log)
        if not file_format.is_text:
            posts = select_author(posts, options.author, log)
        if options.except_author is not None:
            posts = without_author(posts, options.except_author, log)
        yield Source(log, posts)
        named = named or log.names_authors
    if options.author is not None and options.author != ALL_AUTHORS and not named:
        raise TextError(
            _("`author` {author!r}: no file names the writers of its posts; leave it out").format(
                author=options.author[:40]
            )
        )


def read_text(paths: Paths, options: ReadingOptions = ReadingOptions(), notice: Notice = ignore) -> Iterator[str]:
    """Yield the files of `read_posts` as one text, in chunks of less than 2**20 characters.

    Line ends become \\n and byte order marks are removed. Formats other than plain text give their posts separated by
    newlines. A newline is added to a file that does not end with one, unless it is the last.
    """
    return _joined(_texts(files_to_read(paths, options, notice), options, notice))


def _texts(files: Iterable[SourceFile], options: ReadingOptions, notice: Notice) -> Iterator[Iterator[str]]:
    for file in files:
        if file.format.is_text:
            yield map(normalize_line_ends, read_file(file.path, options.encoding, notice))
        else:
            yield from (as_text(source.posts) for source in _sources([file], options, notice))


def _joined(texts: Iterable[Iterator[str]]) -> Iterator[str]:
    last = "\n"
    for text in texts:
        if not last.endswith("\n"):
            yield "\n"
        for chunk in text:
            yield chunk
            last = chunk
