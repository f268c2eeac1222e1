"""Text encodings: detection, and decoding in blocks.

At most one block of a file, or one line, is in memory.
"""

from __future__ import annotations

import codecs
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from typing import IO

from gluon_lstm.language import _
from gluon_lstm.progress import Notice

BLOCK_SIZE = 1 << 18  # bytes read at once; a decoded chunk has at most this many characters plus one
_SAMPLE_BYTES = 1 << 16  # bytes on which candidate encodings are compared
MAX_POST_CHARACTERS = 1 << 20  # maximum characters of a line, row or record held in memory; as tokens they take 90 MB

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
_BYTE_ORDER_MARKS = (  # UTF-32 LE begins like UTF-16 LE, so it comes first
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CANDIDATES = ("utf-8", "cp932", "euc_jp", "utf-16-le", "utf-16-be")  # in order of preference at equal plausibility
_UNICODE = ("utf-8", "utf-16-le", "utf-16-be")
_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\$\(D|\([JI])")  # escape sequences of ISO-2022-JP that leave ASCII
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_COMMON_CHARACTERS = re.compile(
    "[\t\n\r\x20-\x7e\u3001-\u303f\u3041-\u30ff\uff01-\uff5e]"
)  # ASCII, kana, full-width characters
_KANJI = re.compile("[\u4e00-\u9fff]")
_HALF_WIDTH_KANA = re.compile("[\uff61-\uff9f]")


class TextError(ValueError):
    """Text that cannot be read; the message names file, place and remedy."""


def check_encoding(encoding: str) -> None:
    """Raise TextError unless `encoding` is a text encoding of Python that can be decoded in blocks."""
    try:
        codecs.getincrementaldecoder(encoding)
        " ".encode(encoding)  # raises LookupError for codecs that are not text encodings, such as hex
        b" ".decode(encoding, "replace")  # raises UnicodeError for idna, whose errors have no position
    except (LookupError, ValueError):
        raise TextError(
            _(
                "`encoding` {encoding!r} is not a text encoding; use utf-8, cp932, euc_jp, iso2022_jp or utf-16-le"
            ).format(encoding=encoding)
        ) from None


def detect_encoding(path: str, notice: Notice) -> str:
    """Return the name of the codec of a file, detected in one pass over the whole file.

    A byte order mark decides first, then the escape sequences of ISO-2022-JP in 7-bit text, then valid UTF-8. Otherwise
    the codec among CP932, EUC-JP and UTF-16 whose text looks most like Japanese is chosen. Detection can fail for very
    short text without kana: half-width katakana in CP932 and kanji in EUC-JP can be the same bytes. `notice` is called
    for anything but plain UTF-8. A file of UTF-8, CP932 or EUC-JP with a few invalid bytes is detected as such, and
    decoding it reports their position. Raises TextError for a binary file, OSError for one that cannot be opened.
    """
    with open(path, "rb") as file:
        head = file.read(16)
        for mark, codec in _BYTE_ORDER_MARKS:
            if head.startswith(mark):
                notice(
                    _("{path}: read as {encoding} with a byte order mark").format(path=path, encoding=_LABELS[codec])
                )
                return codec
        file.seek(0)
        codec = _detect_without_bom(path, file)
    if codec != "utf-8":
        notice(_("{path}: read as {encoding}").format(path=path, encoding=_LABELS[codec]))
    return codec


def _detect_without_bom(path: str, file: IO[bytes]) -> str:
    survey = _ByteStatistics(read_blocks(file))
    if survey.first_high is None and survey.shifts_to_jis:
        return "iso2022_jp_ext"
    sparse = survey.nuls == 0 or (survey.first_high is not None and survey.nuls * 4 < survey.size)
    if "utf-8" in survey.valid and sparse:
        return "utf-8"
    # Encodings differ from the first non-ASCII byte on; the position is even because of UTF-16.
    file.seek((survey.first_high or 0) & ~1)
    sample = file.read(_SAMPLE_BYTES)
    scores = {
        codec: _plausibility(sample.decode(codec, "replace")) + (0.05 if codec in survey.valid else 0.0)
        for codec in (_UNICODE if survey.nuls else _CANDIDATES)  # only UTF-8 and UTF-16 contain NUL bytes
    }
    best = max(scores, key=lambda codec: scores[codec])
    if scores[best] < 0.5:
        raise _binary_error(path)
    return best


class _ByteStatistics:
    """Properties of the bytes of a whole file that identify its encoding, computed in one pass."""

    def __init__(self, file_blocks: Iterator[bytes]) -> None:
        self.size = 0
        self.nuls = 0
        self.first_high: int | None = None  # position of the first byte above 127
        self.shifts_to_jis = False
        self._decoders = {codec: codecs.getincrementaldecoder(codec)() for codec in _CANDIDATES}
        tail = b""
        for block in file_blocks:
            self.shifts_to_jis = self.shifts_to_jis or _JIS_ESCAPE.search(tail + block) is not None
            tail = block[-3:]  # an escape sequence may span two blocks
            high = _HIGH_BYTE.search(block) if self.first_high is None else None
            if high:
                self.first_high = self.size + high.start()
            self.nuls += block.count(0)
            self.size += len(block)
            self._decode(block)
        self._decode(b"", final=True)
        self.valid = frozenset(self._decoders)  # codecs for which every byte is valid

    def _decode(self, block: bytes, final: bool = False) -> None:
        for codec, decoder in list(self._decoders.items()):
            try:
                decoder.decode(block, final)
            except UnicodeDecodeError:
                del self._decoders[codec]


def _plausibility(text: str) -> float:
    """Return how much `text` looks like Japanese, 0 to 1.

    Text decoded with a wrong codec has few kana and many kanji, half-width kana, Hangul, control characters and U+FFFD.
    Only the order of the weights matters: 1 > kanji > half-width kana > 0.
    """
    weights = ((_COMMON_CHARACTERS, 1.0), (_KANJI, 0.6), (_HALF_WIDTH_KANA, 0.5))
    return sum(weight * sum(1 for _ in kind.finditer(text)) for kind, weight in weights) / max(len(text), 1)


def _binary_error(path: str) -> TextError:
    return TextError(_("{path} looks like a binary file; give a text file, or set its `encoding`").format(path=path))


def read_blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the bytes of an open file, BLOCK_SIZE at a time."""
    return iter(lambda: file.read(BLOCK_SIZE), b"")


def decode_blocks(file_blocks: Iterable[bytes], encoding: str, name: str) -> Iterator[str]:
    """Yield the text of a file in chunks, without its byte order mark. CR and LF of one line end are never separated.

    Raises TextError, with line and byte, for bytes that are invalid in `encoding`, and for an empty file.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    size, line, held = 0, 1, ""
    at_start = empty = True
    for block in itertools.chain(file_blocks, [b""]):
        size += len(block)
        try:
            text = held + decoder.decode(block, final=not block)
        except UnicodeError as error:
            raise _decode_error(error, size, line, held, encoding, name) from None
        if at_start and text:
            text = text[text.startswith("\ufeff") :]
            at_start = False
        held = "\r" if block and text.endswith("\r") else ""
        text = text[: len(text) - len(held)]
        if text:
            empty = False
            line += count_line_ends(text)
            yield text
    if empty:
        raise TextError(_("{name} is empty; give a file with text").format(name=name))


def _decode_error(error: UnicodeError, size: int, line: int, held: str, encoding: str, name: str) -> TextError:
    label = _LABELS.get(encoding, encoding)
    if not isinstance(error, UnicodeDecodeError):  # utf-16 without its byte order mark
        return TextError(
            _("{name}: cannot be decoded as {label} ({error}); set another `encoding`").format(
                name=name, label=label, error=error
            )
        )
    # A decoder keeps the bytes of an incomplete character: the error counts from there, not from the block.
    byte = size - len(error.object) + error.start
    line += count_line_ends(held + error.object[: error.start].decode(encoding, "replace"))
    return TextError(
        _(
            "{name}: line {line}, byte {byte} (the first byte is 0) is not valid {label}; fix the file"
            " there, or set its `encoding`"
        ).format(name=name, line=line, byte=byte, label=label)
    )


def count_line_ends(text: str) -> int:
    """Return the number of line ends (CRLF, CR or LF) in `text`."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def split_lines(chunks: Iterable[str], name: str) -> Iterator[str]:
    """Yield the lines of a text with their line ends (CRLF, CR or LF, and no other).

    Raises TextError for a line longer than MAX_POST_CHARACTERS.
    """
    pieces: list[str] = []  # parts of a line that began in an earlier chunk
    length, number = 0, 1
    for chunk in chunks:
        for piece in io.StringIO(chunk, newline=""):  # unlike str.splitlines, this splits at these three line ends only
            length += len(piece)
            if length > MAX_POST_CHARACTERS:
                raise TextError(
                    _(
                        "{name}: line {number} is longer than {maximum:,} characters, too long"
                        " for a post; split it, or read plain text with `raw`"
                    ).format(name=name, number=number, maximum=MAX_POST_CHARACTERS)
                )
            pieces.append(piece)
            if piece.endswith(("\n", "\r")):
                yield "".join(pieces)
                pieces, length, number = [], 0, number + 1
    if pieces:
        yield "".join(pieces)
