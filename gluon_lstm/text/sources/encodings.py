"""Bytes of a file -> text: which encoding a file is in, and decoding it a block at a time.

Nothing here holds more than one block of a file, or one line, in memory. Which lines are posts is `reading`'s business.
"""

from __future__ import annotations

import codecs
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import IO

from gluon_lstm.progress import Notice

BLOCK = 1 << 18  # bytes read at once; a chunk of decoded text is never longer than this many characters plus one
_SAMPLE = 1 << 16  # bytes on which readings are compared
MAX_POST = 1 << 20  # characters in one line, row or record: the bound on what is held; as tokens they take 90 MB

_LABELS = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16 LE",
    "utf-16-be": "UTF-16 BE",
    "utf-32-le": "UTF-32 LE",
    "utf-32-be": "UTF-32 BE",
    "cp932": "CP932 (Shift_JIS)",
    "euc_jp": "EUC-JP",
    "iso2022_jp_ext": "ISO-2022-JP",
}
_MARKS = (  # byte order marks; UTF-32 LE begins like UTF-16 LE, so it is asked first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BINARY_HEADS = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF-", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"BZh",
    b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd", b"SQLite format 3", b"\x7fELF", b"\x93NUMPY",
)  # fmt: skip
_CANDIDATES = ("utf-8", "cp932", "euc_jp", "utf-16-le", "utf-16-be")  # in order of preference when equally plausible
_UNICODE = ("utf-8", "utf-16-le", "utf-16-be")
_SHIFT_TO_JIS = re.compile(rb"\x1b(?:\$[@B]|\$\(D|\([JI])")  # the escapes by which ISO-2022-JP leaves ASCII
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_USUAL = re.compile("[\t\n\r\x20-\x7e\u3001-\u303f\u3041-\u30ff\uff01-\uff5e]")  # ASCII, kana, full-width signs
_KANJI = re.compile("[\u4e00-\u9fff]")
_HALF_KANA = re.compile("[\uff61-\uff9f]")


class TextError(ValueError):
    """A text file that cannot be read; the message names file, place and remedy."""


def check_encoding(encoding: str) -> None:
    """Raise TextError unless Python knows `encoding` as a text encoding that can be decoded in blocks."""
    try:
        codecs.getincrementaldecoder(encoding)
        " ".encode(encoding)  # raises LookupError for codecs that are no text encodings, such as hex
        b" ".decode(encoding, "replace")  # raises UnicodeError for idna: nothing could say where it fails
    except (LookupError, ValueError):
        raise TextError(
            f"{encoding!r} is not a text encoding; try utf-8, cp932, euc_jp, iso2022_jp, utf-16-le or utf-16-be"
        ) from None


def find_encoding(path: str, notice: Notice) -> str:
    """The name of the codec that reads the file, found by looking through the whole of it once.

    A byte order mark decides; then the escapes of ISO-2022-JP in 7-bit text; then valid UTF-8. What is left is read as
    whichever of CP932, EUC-JP and UTF-16 looks most like Japanese. A very short text without kana may be taken for
    another: half-width katakana in CP932 and kanji in EUC-JP can be the same bytes. Anything but plain UTF-8 is told to
    `notice`. A file that is UTF-8, CP932 or EUC-JP but for a few broken places is said to be that: decoding it then
    names the place. Raises TextError for a binary file, OSError for one that cannot be opened.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        for mark, codec in _MARKS:
            if head.startswith(mark):
                notice(f"{path}: read as {_LABELS[codec]} with a byte order mark")
                return codec
        if head.startswith(_BINARY_HEADS):
            raise _binary(path)
        file.seek(0)
        codec = _without_mark(path, file)
    if codec != "utf-8":
        notice(f"{path}: read as {_LABELS[codec]}")
    return codec


def _without_mark(path: str, file: IO[bytes]) -> str:
    survey = _Survey(blocks(file))
    if survey.first_high is None and survey.shifts_to_jis:
        return "iso2022_jp_ext"
    sparse = survey.nuls == 0 or (survey.first_high is not None and survey.nuls * 4 < survey.size)
    if "utf-8" in survey.valid and sparse:
        return "utf-8"
    # The part of the file that tells encodings apart begins at the first byte that is not ASCII; even, for UTF-16.
    file.seek((survey.first_high or 0) & ~1)
    sample = file.read(_SAMPLE)
    scores = {
        codec: _plausibility(sample.decode(codec, "replace")) + (0.05 if codec in survey.valid else 0.0)
        for codec in (_UNICODE if survey.nuls else _CANDIDATES)  # no other encoding writes NUL bytes
    }
    best = max(scores, key=lambda codec: scores[codec])
    if scores[best] < 0.5:
        raise _binary(path)
    return best


class _Survey:
    """What one look through the whole file says about its encoding."""

    def __init__(self, file_blocks: Iterator[bytes]) -> None:
        self.size = 0
        self.nuls = 0
        self.first_high: int | None = None  # place of the first byte that is not 7-bit
        self.shifts_to_jis = False
        self._decoders = {codec: codecs.getincrementaldecoder(codec)() for codec in _CANDIDATES}
        tail = b""
        for block in file_blocks:
            self.shifts_to_jis = self.shifts_to_jis or _SHIFT_TO_JIS.search(tail + block) is not None
            tail = block[-3:]  # an escape may lie across two blocks
            high = _HIGH_BYTE.search(block) if self.first_high is None else None
            if high:
                self.first_high = self.size + high.start()
            self.nuls += block.count(0)
            self.size += len(block)
            self._decode(block)
        self._decode(b"", final=True)
        self.valid = frozenset(self._decoders)  # codecs that decode every byte

    def _decode(self, block: bytes, final: bool = False) -> None:
        for codec, decoder in list(self._decoders.items()):
            try:
                decoder.decode(block, final)
            except UnicodeDecodeError:
                del self._decoders[codec]


def _plausibility(text: str) -> float:
    """How much `text` looks like Japanese, 0 to 1.

    A wrong decoding shows few kana and many kanji, half-width kana, Hangul, controls and U+FFFD. The weights order
    those readings; only the order of 1 > kanji > half-width kana > 0 matters.
    """
    weights = ((_USUAL, 1.0), (_KANJI, 0.6), (_HALF_KANA, 0.5))
    return sum(weight * sum(1 for _ in kind.finditer(text)) for kind, weight in weights) / max(len(text), 1)


def _binary(path: str) -> TextError:
    return TextError(f"{path} looks like a binary file; give a text file, or name its encoding with --encoding")


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of an open file, BLOCK at a time."""
    return iter(lambda: file.read(BLOCK), b"")


def decoded(file_blocks: Iterable[bytes], encoding: str, name: str) -> Iterator[str]:
    """The text of a file in chunks, without its byte order mark; no chunk parts the CR from the LF of one line end.

    Raises TextError, with line and byte, where the bytes are not valid in `encoding`, and when there is no text at all.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    size, line, held = 0, 1, ""
    at_start = empty = True
    for block in itertools.chain(file_blocks, [b""]):
        size += len(block)
        try:
            text = held + decoder.decode(block, final=not block)
        except UnicodeError as error:
            raise _undecodable(error, size, line, held, encoding, name) from None
        if at_start and text:
            text = text[text.startswith("\ufeff") :]
            at_start = False
        held = "\r" if block and text.endswith("\r") else ""
        text = text[: len(text) - len(held)]
        if text:
            empty = False
            line += line_ends(text)
            yield text
    if empty:
        raise TextError(f"{name} is empty; there is nothing to read in it")


def _undecodable(error: UnicodeError, size: int, line: int, held: str, encoding: str, name: str) -> TextError:
    label = _LABELS.get(encoding, encoding)
    if not isinstance(error, UnicodeDecodeError):  # utf-16 without the byte order mark it asks for
        return TextError(f"{name}: cannot be read as {label} ({error}); give another encoding with --encoding")
    # A decoder keeps the start of an unfinished character: the error counts from there, not from the block.
    byte = size - len(error.object) + error.start
    line += line_ends(held + error.object[: error.start].decode(encoding, "replace"))
    return TextError(
        f"{name}: line {line}, byte {byte} (the first byte is 0) is not valid {label}; "
        "cut the file there, or give its encoding with --encoding"
    )


def line_ends(text: str) -> int:
    """How many line ends (CRLF, CR or LF) are in `text`."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def lines(chunks: Iterable[str], name: str) -> Iterator[str]:
    """The lines of a text, each with its line end: CRLF, CR or LF, and no other. TextError for one beyond MAX_POST."""
    pieces: list[str] = []  # of a line that began in an earlier chunk
    length, number = 0, 1
    for chunk in chunks:
        for piece in io.StringIO(chunk, newline=""):  # this, unlike str.splitlines, knows just those three line ends
            length += len(piece)
            if length > MAX_POST:
                raise TextError(
                    f"{name}: line {number} is longer than {MAX_POST:,} characters, too long for a post; "
                    "break it up, or, where it is plain text, read it with --raw"
                )
            pieces.append(piece)
            if piece.endswith(("\n", "\r")):
                yield "".join(pieces)
                pieces, length, number = [], 0, number + 1
    if pieces:
        yield "".join(pieces)
