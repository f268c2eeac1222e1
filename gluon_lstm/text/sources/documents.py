"""Files that hold no plain text: what they are, and how their owner gets the text out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from gluon_lstm.language import N_, _
from gluon_lstm.text.sources.base import extension
from gluon_lstm.text.sources.encodings import TextError

_AS_TEXT = N_("open it and save it as plain text (.txt)")
_AS_CSV = N_("open it and save it as CSV (UTF-8)")
_UNPACK = N_("extract it and give the files in it")


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
    _Kind(N_("an RTF document"), re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\\rtf"), _AS_TEXT, is_binary=False),
    _Kind(
        N_("a web page (HTML)"),
        re.compile(
            rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,500}?-->\s*)?<(?:!doctype\s+html|html)\b",
            re.IGNORECASE | re.DOTALL,
        ),
        N_("give the data that the service exports, or save its text as plain text (.txt)"),
        is_binary=False,
    ),
    _Kind(N_("a Word document"), _ZIP, _AS_TEXT, (".docx", ".docm")),
    _Kind(N_("an Excel workbook"), _ZIP, _AS_CSV, (".xlsx", ".xlsm")),
    _Kind(N_("an OpenDocument text"), _ZIP, _AS_TEXT, (".odt",)),
    _Kind(N_("an OpenDocument spreadsheet"), _ZIP, _AS_CSV, (".ods",)),
    _Kind(N_("a presentation"), _ZIP, _AS_TEXT, (".pptx", ".odp")),
    _Kind(N_("an EPUB book"), _ZIP, _AS_TEXT, (".epub",)),
    _Kind(N_("an Excel workbook"), _OLE, _AS_CSV, (".xls",)),
    _Kind(N_("a Microsoft Office document"), _OLE, _AS_TEXT),
    _Kind(N_("a PDF document"), _starts(b"%PDF-"), N_("copy its text, and save it as plain text (.txt)")),
    _Kind(N_("a zip file"), _ZIP, _UNPACK),
    _Kind(
        N_("a compressed file"),
        _starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd"),
        _UNPACK,
    ),
    _Kind(
        N_("a picture"),
        re.compile(
            rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|....ftyp(?:heic|heix|mif1|avif)|II\*\0|MM\0\*|BM....\0\0\0\0",
            re.DOTALL,
        ),
        N_("give the text of the posts"),
    ),
    _Kind(N_("a database"), _starts(b"SQLite format 3"), N_("export its posts as CSV")),
    _Kind(N_("a program or data of one"), _starts(b"\x7fELF", b"\x93NUMPY"), N_("give a text file")),
)  # fmt: skip


def check_document(path: str) -> None:
    """Raise TextError for a file that holds no plain text, by its first bytes. Raises OSError."""
    with open(path, "rb") as file:
        head = file.read(1024)
    for kind in _KINDS:
        if kind.signature.match(head) and (not kind.extensions or extension(path) in kind.extensions):
            message = (
                _("{path} looks like a binary file ({kind}); {remedy}")
                if kind.is_binary
                else _("{path} is {kind}, not plain text; {remedy}")
            )
            raise TextError(message.format(path=path, kind=_(kind.name), remedy=_(kind.remedy)))
