"""Reading of posts from files: txt, csv, tsv, json, jsonl, archives of X, and folders of these.

Memory does not grow with the size of a file. Posts are read as written, empty ones too; `cleaning` changes and drops.

>>> list(read_posts(["posts.txt"]))  # doctest: +SKIP
['おはよう', 'ねむい']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gluon_lstm.options import option
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.base import Post
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.files import Paths, files_to_read

__all__ = ["Paths", "Post", "ReadingOptions", "TextError", "read_dated_posts", "read_posts", "read_text"]


@dataclass(frozen=True)
class ReadingOptions:
    """Options of reading.

    column: column of the posts in csv and tsv: its name, its number from 1 as text, or "all" for every cell.
    field: name of the text in objects of json and jsonl, with dots for inner objects.
    encoding: encoding of all files; None: detected for each file.
    """

    column: str | None = option(
        None, "column of the posts in csv and tsv: a name, a number from 1, or all", "C", "reading"
    )
    field: str | None = option(None, "field of the posts in json and jsonl, dots for inner objects", "F", "reading")
    encoding: str | None = option(None, "encoding of the files (default: detected)", "E", "reading")


def read_posts(paths: Paths, options: ReadingOptions = ReadingOptions(), notice: Notice = ignore) -> Iterator[str]:
    """Yield the posts of files and folders, in the order given.

    - .txt and unknown extensions: one post a line, empty lines too. Lines end with CRLF, CR or LF and nothing else.
    - .csv, .tsv: `column`; else one named text, full_text, tweet, body, content, post, 本文, テキスト, 投稿, ツイート;
      else the only column. The first row is a header when one of its cells is such a name, or `column` (in any case);
      otherwise it is data. Rows without the column are skipped.
    - .jsonl, .ndjson: one object or string a line; .json: a list of them, alone or as `statuses` or `data` of an
      object. The text is in `field`; else in full_text, text, or a field named as the columns above.
    - An archive of X (folder, .zip, tweets.js): its posts from oldest to newest; nothing else in it is opened.
    - A folder: the files in it with the extensions above, sorted by path, without hidden ones.

    `notice` is called with one sentence for a detected encoding, and for skipped files or rows. Missing files are
    errors at the call, all other errors are raised while reading: TextError, which names file, place and remedy, and
    OSError for a file that cannot be opened.
    """
    return (post.text for post in read_dated_posts(paths, options, notice))


def read_dated_posts(
    paths: Paths, options: ReadingOptions = ReadingOptions(), notice: Notice = ignore
) -> Iterator[Post]:
    """Yield the posts of `read_posts` with the dates of an archive, or of a column or field named in DATE_FIELDS."""
    files = files_to_read(paths, options, notice)
    return (post for path, file_format in files for post in file_format.posts(path, options, notice))


def read_text(paths: Paths, options: ReadingOptions = ReadingOptions(), notice: Notice = ignore) -> Iterator[str]:
    """Yield the files of `read_posts` as one text, in chunks of less than 2**20 characters.

    Line ends become \\n and byte order marks are removed. Formats other than plain text give their posts separated by
    newlines. A newline is added to a file that does not end with one, unless it is the last.
    """
    files = files_to_read(paths, options, notice)
    return _joined(file_format.text(path, options, notice) for path, file_format in files)


def _joined(texts: Iterable[Iterator[str]]) -> Iterator[str]:
    last = "\n"
    for text in texts:
        if not last.endswith("\n"):
            yield "\n"
        for chunk in text:
            yield chunk
            last = chunk
