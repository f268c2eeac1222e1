"""Bluesky repository (.car): a file of blocks, of which those that are posts are read.

The format is CARv1 (https://ipld.io/specs/transport/car/carv1): a header, then blocks, each with its length, its
content identifier (CID) and its bytes, which are DAG-CBOR. The library cbor2 (the extra `bluesky`) decodes these.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from gluon_lstm.language import _
from gluon_lstm.text.sources.archives import in_order_of_time
from gluon_lstm.text.sources.base import FileFormat, LeftOut, Post, SourceLog
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.fediverse import bluesky_record
from gluon_lstm.text.sources.json_text import without_lone_surrogates

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

_MAX_BLOCK_BYTES = 1 << 22  # maximum bytes of a block; records have at most one megabyte
_DAG_CBOR = 0x71  # code of the content type of records
_INSTALL = 'pip install -c constraints.txt ".[bluesky]"'


class CarFile(FileFormat):
    """Repository of an account of Bluesky."""

    extensions = (".car",)

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        return in_order_of_time(((post, "") for post in _posts(path, log)), path)


def _posts(path: str, log: SourceLog) -> Iterator[Post]:
    try:
        cbor2 = importlib.import_module("cbor2")
    except ImportError:
        raise TextError(
            _(
                "{path}: a Bluesky repository is read with the library cbor2: {install}; or unpack the"
                " repository, and give its folder app.bsky.feed.post"
            ).format(path=path, install=_INSTALL)
        ) from None
    with open(path, "rb") as file:
        for number, block in enumerate(_blocks(file, path), 1):
            try:
                record: Any = cbor2.loads(block)
                found = bluesky_record(record) if isinstance(record, dict) and "$type" in record else None
            except Exception as error:  # any error of a decoder for damaged bytes; a record may contain itself
                raise _damaged(
                    path, _("block {number}: {name}").format(number=number, name=type(error).__name__)
                ) from None
            if isinstance(found, LeftOut):
                log.left_out[found.reason] += 1
            elif found is not None:
                yield found._replace(text=without_lone_surrogates(found.text))


def _blocks(file: IO[bytes], path: str) -> Iterator[bytes]:
    """Yield the DAG-CBOR of each block after the header."""
    is_header = True
    while True:
        at = file.tell()
        length = _varint(file, path)
        if length is None:
            if is_header:
                raise TextError(_("{path} is empty; give a file with posts").format(path=path))
            return
        if length > _MAX_BLOCK_BYTES:
            raise _damaged(path, _("byte {at}: a block of {length:,} bytes").format(at=at, length=length))
        data = file.read(length)
        if len(data) < length:
            raise _damaged(path, _("byte {at}: the file ends inside a block").format(at=at))
        if is_header:
            is_header = False
            continue
        codec, start = _content_type(data)
        if start > length:
            raise _damaged(path, _("byte {at}: an invalid content identifier").format(at=at))
        if codec == _DAG_CBOR:
            yield data[start:]


def _content_type(data: bytes) -> tuple[int, int]:
    """Return the code of the content type of a block, and where its content begins after the CID."""
    if data[:2] == b"\x12\x20":  # version 0: a SHA-256 digest alone
        return 0x70, 34
    values: list[int] = []
    position = 0
    while len(values) < 4:  # version, content type, hash function, length of the digest
        value = shift = 0
        while True:
            byte = data[position] if position < len(data) else 0
            value |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if byte < 0x80 or shift > 63:
                break
        values.append(value)
    return values[1], position + values[3]


def _varint(file: IO[bytes], path: str) -> int | None:
    """Return the next unsigned LEB128 number, or None at the end of the file."""
    value = shift = 0
    while True:
        byte = file.read(1)
        if not byte:
            if shift:
                raise _damaged(path, _("the file ends inside a number"))
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
        if shift > 63:
            raise _damaged(path, _("byte {at}: an invalid length").format(at=file.tell()))


def _damaged(path: str, what: str) -> TextError:
    return TextError(
        _("{path} is not a Bluesky repository (.car), or is damaged ({what}); download it again").format(
            path=path, what=what
        )
    )
