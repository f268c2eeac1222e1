"""Plain text: one post a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gluon_lstm.progress import Notice
from gluon_lstm.text.sources.base import FileFormat, Post, normalize_line_ends
from gluon_lstm.text.sources.encodings import read_file, split_lines

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions


class PlainText(FileFormat):
    """Format of .txt and of every file that no other format matches."""

    extensions = (".txt",)

    def matches(self, path: str) -> bool:
        return True

    def posts(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[Post]:
        for line in split_lines(read_file(path, options.encoding, notice), path):
            yield Post(line.rstrip("\r\n"))

    def text(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[str]:
        return map(normalize_line_ends, read_file(path, options.encoding, notice))
