"""Interface of a file format, the posts it gives, and the log of what it leaves out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from gluon_lstm.progress import Notice, ignore
from gluon_lstm.text.sources.encodings import BLOCK_SIZE, read_blocks

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

# names of the text column or field, in order of preference, compared without case: the one not cut comes first
TEXT_NAMES = (
    "full_text", "text", "tweet", "body", "content", "contents", "post", "本文", "テキスト", "投稿", "ツイート",
)  # fmt: skip
# names of the column or field of the writer, in order of preference, compared without case
AUTHOR_NAMES = (
    "author", "username", "user_name", "screen_name", "user_screen_name", "from_user", "sender_name", "sender", "from",
    "creator", "user", "account", "name", "投稿者", "発言者", "送信者", "名前", "ユーザー名", "ユーザー", "author_id",
    "from_id", "user_id",
)  # fmt: skip


class Post(NamedTuple):
    """Post with its date (see `dates`), its writer, and its content warning; None where the file has none."""

    text: str
    date: int | None = None
    author: str | None = None
    warning: str | None = None


class LeftOut(NamedTuple):
    """Record that is not read as a post, and why; a private post is read where the kind `private` is included."""

    reason: str  # a plural noun such as boosts
    private: Post | None = None


class SourceLog:
    """Log of one source: notices, the posts left out by reason, and the names of the files read in an archive."""

    def __init__(self, path: str, notice: Notice = ignore) -> None:
        self.path, self.notice = path, notice
        self.left_out: Counter[str] = Counter()  # reason, a plural noun -> number of posts
        self.members: list[str] = []  # names of the files read inside a folder or an archive
        self.names_authors = False  # whether posts have writers' names
        self.is_search_result = False  # whether the posts of many writers are there on purpose

    @property
    def name(self) -> str:
        """Path of the source, and the files read in it: archive.zip: data/tweets.js + note-tweet.js."""
        if not self.members:
            return os.path.normpath(self.path)
        first, *others = self.members
        first = os.path.join(self.path, first) if os.path.isdir(self.path) else f"{self.path}: {first}"
        return " + ".join([os.path.normpath(first), *map(os.path.basename, others)])


class FileFormat:
    """Base class of a file format. `registry` has an instance of each."""

    extensions: ClassVar[tuple[str, ...]] = ()  # lower case; such files are also read inside folders
    is_text: ClassVar[bool] = False  # whether the file itself is a text, and no post has a date or a writer

    def matches(self, path: str) -> bool:
        """Return whether the file has this format."""
        return extension(path) in self.extensions

    def matches_folder(self, path: str) -> bool:
        """Return whether the folder as a whole has this format (an unpacked archive)."""
        return False

    def check(self, path: str) -> None:
        """Raise TextError for a path that is refused without reading its posts."""

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        """Yield the posts as written, empty ones too. Raises TextError with file, place and remedy, and OSError."""
        raise NotImplementedError

    def contents(self, path: str, options: ReadingOptions) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield (kind, bytes in blocks) of everything that `posts` reads, for the fingerprint."""
        with open(path, "rb") as file:
            yield extension(path), read_blocks(file)


def as_text(posts: Iterator[Post]) -> Iterator[str]:
    """Yield posts as one text, separated by newlines, in chunks of at most BLOCK_SIZE."""
    separator = ""
    for post in posts:
        text = separator + normalize_line_ends(post.text)
        yield from (text[start : start + BLOCK_SIZE] for start in range(0, len(text), BLOCK_SIZE))
        separator = "\n"


def extension(path: str) -> str:
    """Return the extension in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()


def normalize_line_ends(text: str) -> str:
    """Return the text with CRLF and CR replaced by LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
