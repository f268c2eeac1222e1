"""Text of a file: its kind checked, its encoding detected, decoded in chunks."""

from __future__ import annotations

from collections.abc import Iterator

from gluon_lstm.progress import Notice
from gluon_lstm.text.sources.documents import check_document
from gluon_lstm.text.sources.encodings import decode_blocks, detect_encoding, read_blocks


def read_file(path: str, encoding: str | None, notice: Notice) -> Iterator[str]:
    """Yield the text of a file in chunks; `encoding` None: detected.

    Raises TextError as `check_document`, `detect_encoding` and `decode_blocks` do, and OSError.
    """
    check_document(path)
    codec = detect_encoding(path, notice) if encoding is None else encoding
    with open(path, "rb") as file:
        yield from decode_blocks(read_blocks(file), codec, path)
