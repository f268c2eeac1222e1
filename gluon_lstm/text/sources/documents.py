"""Files that hold no plain text: what they are, and how their owner gets the text out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gluon_lstm.text.sources.base import extension
from gluon_lstm.text.sources.encodings import TextError

_AS_TEXT = "open it and save it as plain text (.txt)"
_AS_CSV = "open it and save it as CSV (UTF-8)"
_UNPACK = "extract it and give the files in it"


class _Kind(NamedTuple):
    name: str
    signature: re.Pattern[bytes]
    remedy: str
    extensions: Sequence[str] = ()  # of formats that share their signature; none: the signature is enough
    is_binary: bool = True


def _starts(*signatures: bytes) -> re.Pattern[bytes]:
    return re.compile(b"|".join(map(re.escape, signatures)))


_ZIP = _starts(b"PK\x03\x04", b"PK\x05\x06")
_OLE = _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")  # Microsoft Office until 2003
_KINDS = (
    _Kind("an RTF document", re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\\rtf"), _AS_TEXT, is_binary=False),
    _Kind(
        "a web page (HTML)",
        re.compile(
            rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b",
            re.IGNORECASE | re.DOTALL,
        ),
        "give the data that the service exports, or save its text as plain text (.txt)",
        is_binary=False,
    ),
    _Kind("a Word document", _ZIP, _AS_TEXT, (".docx", ".docm")),
    _Kind("an Excel workbook", _ZIP, _AS_CSV, (".xlsx", ".xlsm")),
    _Kind("an OpenDocument text", _ZIP, _AS_TEXT, (".odt",)),
    _Kind("an OpenDocument spreadsheet", _ZIP, _AS_CSV, (".ods",)),
    _Kind("a presentation", _ZIP, _AS_TEXT, (".pptx", ".odp")),
    _Kind("an EPUB book", _ZIP, _AS_TEXT, (".epub",)),
    _Kind("an Excel workbook", _OLE, _AS_CSV, (".xls",)),
    _Kind("a Microsoft Office document", _OLE, _AS_TEXT),
    _Kind("a PDF document", _starts(b"%PDF-"), "copy its text, and save it as plain text (.txt)"),
    _Kind("a zip file", _ZIP, _UNPACK),
    _Kind("a compressed file", _starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd"), _UNPACK),
    _Kind(
        "a picture",
        re.compile(
            rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|....ftyp(?:heic|heix|mif1|avif)|II\*\0|MM\0\*|BM....\0\0\0\0",
            re.DOTALL,
        ),
        "give the text of the posts",
    ),
    _Kind("a database", _starts(b"SQLite format 3"), "export its posts as CSV"),
    _Kind("a program or data of one", _starts(b"\x7fELF", b"\x93NUMPY"), "give a text file"),
)  # fmt: skip


def check_document(path: str) -> None:
    """Raise TextError for a file that holds no plain text, by its first bytes. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(1024)
    for kind in _KINDS:
        if kind.signature.match(head) and (not kind.extensions or extension(path) in kind.extensions):
            looks = f"looks like a binary file ({kind.name})" if kind.is_binary else f"is {kind.name}, not plain text"
            raise TextError(f"{path} {looks}; {kind.remedy}")
