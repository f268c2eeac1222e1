"""Plain text: one post a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gluon_lstm.text.sources.base import FileFormat, Post, SourceLog
from gluon_lstm.text.sources.encodings import split_lines
from gluon_lstm.text.sources.text_files import read_file

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions


class PlainText(FileFormat):
    """Format of .txt and of every file that no other format matches."""

    extensions = (".txt",)
    is_text = True

    def matches(self, path: str) -> bool:
        return True

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        for line in split_lines(read_file(path, options.encoding, log.notice), path):
            yield Post(line.rstrip("\r\n"))
