"""Interface of a file format, and the posts it gives."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from gluon_lstm.progress import Notice
from gluon_lstm.text.sources.encodings import BLOCK_SIZE, read_blocks

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

# names of the text column or field, in order of preference, compared without case
TEXT_NAMES = ("text", "full_text", "tweet", "body", "content", "post", "本文", "テキスト", "投稿", "ツイート")


class Post(NamedTuple):
    """Post with its date (see `dates`), or None for no date."""

    text: str
    date: int | None = None


class FileFormat:
    """Base class of a file format. `registry` has an instance of each."""

    extensions: ClassVar[tuple[str, ...]] = ()  # lower case; such files are also read inside folders

    def matches(self, path: str) -> bool:
        """Return whether the file has this format."""
        return extension(path) in self.extensions

    def matches_folder(self, path: str) -> bool:
        """Return whether the folder as a whole has this format (an unpacked archive)."""
        return False

    def check(self, path: str) -> None:
        """Raise TextError for a path that is refused without opening it."""

    def posts(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[Post]:
        """Yield the posts as written, empty ones too. Raises TextError with file, place and remedy, and OSError."""
        raise NotImplementedError

    def text(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[str]:
        """Yield the file as text in chunks of at most BLOCK_SIZE: by default its posts, separated by newlines."""
        separator = ""
        for post in self.posts(path, options, notice):
            text = separator + normalize_line_ends(post.text)
            yield from (text[start : start + BLOCK_SIZE] for start in range(0, len(text), BLOCK_SIZE))
            separator = "\n"

    def contents(self, path: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield (kind, bytes in blocks) of everything that `posts` reads, for the fingerprint."""
        with open(path, "rb") as file:
            yield extension(path), read_blocks(file)


def extension(path: str) -> str:
    """Return the extension in lower case, with its dot."""
    return os.path.splitext(path)[1].lower()


def normalize_line_ends(text: str) -> str:
    """Return the text with CRLF and CR replaced by LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
