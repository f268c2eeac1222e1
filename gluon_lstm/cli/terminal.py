"""Terminal output: escaping of control characters, notices, progress bars (terminal) and progress lines (log).

Generated text and file names can contain escape sequences. `escape_output` therefore escapes standard output and
standard error if they are terminals (see `escape`). Files and pipes receive the text unchanged.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from gluon_lstm.language import _
from gluon_lstm.progress import Advance

LOG_INTERVAL = 30.0  # seconds between progress lines in a log

# code point -> control picture (U+2400...) for DEL and all C0 control characters except tab and newline
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421}
# Code point ranges replaced by U+FFFD: C1 control characters; bidirectional marks, embeddings, overrides and isolates;
# deprecated format characters; line and paragraph separators; interlinear annotations. `_ESCAPES` adds lone surrogates.
# Joiners, variation selectors, tag characters (flags) and combining characters are parts of graphemes and unchanged.
_RANGES = ((0x80, 0x9F), (0x61C, 0x61C), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x206F), (0xFFF9, 0xFFFB))
_ESCAPES = _PICTURES | {code: 0xFFFD for first, last in (*_RANGES, (0xD800, 0xDFFF)) for code in range(first, last + 1)}


def escape(text: str) -> str:
    """Return the text with control and bidirectional characters replaced by visible ones, character by character.

    >>> escape("ね\\x1b[2Jこ\\u202e\\n👨\\u200d👧")
    'ね␛[2Jこ\ufffd\\n👨\\u200d👧'
    """
    return text.translate(_ESCAPES)


class EscapingStream:
    """Text stream that escapes all text (see `escape`) and writes it to `stream`."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(escape(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def escape_output() -> Iterator[None]:
    """Escape standard output and standard error on a terminal until the context ends.

    No character raises an encoding error: UTF encodings write lone surrogates (surrogatepass), other encodings write
    unencodable characters as escapes (backslashreplace), unless PYTHONIOENCODING names another error handler. A closed
    stream is replaced by the null device.
    """
    streams = sys.stdout, sys.stderr
    _set_encoding_errors(sys.stdout)
    sys.stdout, sys.stderr = map(_escaping_stream, streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _set_encoding_errors(stream: Any) -> None:
    """Set an encoding error handler that raises no errors.

    Does not change standard error, whose error handler is backslashreplace by default.
    """
    if getattr(stream, "errors", None) in ("strict", "surrogateescape") and hasattr(stream, "reconfigure"):
        utf = stream.encoding.lower().startswith("utf")
        stream.reconfigure(errors="surrogatepass" if utf else "backslashreplace")


def can_show_japanese() -> bool:
    """Return whether the encodings of standard output and standard error have Japanese characters."""
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            "日本語。".encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _escaping_stream(stream: Any) -> Any:
    """Return an `EscapingStream` for a terminal, the null device for a closed stream (None), else the stream."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8", errors="surrogatepass")
    return EscapingStream(stream) if stream.isatty() else stream


def json_line(value: Any) -> str:
    """Return a value as JSON in one line, escaped to ASCII where standard output cannot encode a character of it."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:  # also lone surrogates
        return json.dumps(value)
    return line


def error_message(error: Exception) -> str:
    """Return the message of an error; for an OSError, the file name and the reason."""
    if isinstance(error, OSError) and error.strerror:
        reason = _(error.strerror)  # the common ones of the system are in the catalogue
        return f"{error.filename}: {reason}" if error.filename else reason
    return str(error)


def input_lines() -> Iterator[str]:
    """Yield the lines of standard input without their ends. Raises ValueError for bytes that are not text."""
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="strict")
    try:
        yield from (line.rstrip("\r\n") for line in sys.stdin or ())
    except UnicodeDecodeError as error:
        encoding = error.encoding.upper()
        raise ValueError(
            _("standard input is not {encoding} ({reason}); convert it to {encoding}").format(
                encoding=encoding, reason=error.reason
            )
        ) from error


def unescaped(stream: TextIO) -> TextIO:
    """Return a stream without escaping, for progress bars and prompts, which move the cursor."""
    return stream.stream if isinstance(stream, EscapingStream) else stream


def notice(line: str) -> None:
    """Print one line on standard error, above the progress bar if there is one."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(escape(line), file=unescaped(sys.stderr))
    else:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Report progress, rate and remaining time on standard error (see `gluon_lstm.progress.Progress`)."""
    if sys.stderr.isatty():
        with _progress_bar(label, total, unit) as advance:
            yield advance
    else:
        yield _progress_log(label, total, unit)


@contextmanager
def _progress_bar(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Draw a progress bar."""
    from tqdm import tqdm

    style = {"unit": f" {unit}", "unit_scale": True, "leave": False, "dynamic_ncols": True}
    with tqdm(desc=escape(label), total=total, file=unescaped(sys.stderr), **style) as bar:

        def advance(n: int, total: int | None = None) -> None:
            if total is not None:
                bar.total = total
            bar.update(n)

        yield advance


def _progress_log(label: str, total: int | None, unit: str) -> Advance:
    """Return an `Advance` that prints a line every `LOG_INTERVAL` seconds."""
    start = last_line = time.monotonic()
    done, expected = 0, total

    def advance(n: int, total: int | None = None) -> None:
        nonlocal done, last_line, expected
        done += n
        expected = total or expected
        now = time.monotonic()
        if now - last_line < LOG_INTERVAL:
            return
        last_line = now
        rate = done / (now - start)
        left = ""
        if expected:
            left = _(", {percent:.0f} %, {minutes:.1f} min left").format(
                percent=100 * done / expected, minutes=(expected - done) / rate / 60
            )
        line = _("{label}: {done:,} {unit}, {rate:,.0f} {unit}/s{left}")
        notice(line.format(label=label, done=done, unit=unit, rate=rate, left=left))

    return advance
