"""What a terminal shows: nothing that steers it; and of long work a bar, or in a log a quiet line now and then.

A model can learn escape sequences, and a file can be called by them. So when standard output or standard error is a
terminal, everything on its way there goes through `visible`; into a file or a pipe it goes exactly as it is.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from gluon_lstm.progress import Advance

LINE_EVERY = 30.0  # seconds, in a log

# Control characters become their pictures (U+2400 and on): all of C0 but tab and newline, and DEL.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421}
# What else could steer a terminal or turn text around becomes U+FFFD: C1; the marks, embeddings, overrides and isolates
# of direction, and their outdated kin; line and paragraph separators; annotations; lone surrogates. Joiners, variation
# selectors, the tags of flags and combining characters stay: emoji and letters are made of them.
_RANGES = ((0x80, 0x9F), (0x61C, 0x61C), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x206F), (0xFFF9, 0xFFFB))
_VISIBLE = _PICTURES | {code: 0xFFFD for first, last in (*_RANGES, (0xD800, 0xDFFF)) for code in range(first, last + 1)}


def escape(text: str) -> str:
    """The text as a terminal may have it; character by character, so that it may come in pieces.

    >>> escape("ね\\x1b[2Jこ\\u202e\\n👨\\u200d👧")
    'ね␛[2Jこ\ufffd\\n👨\\u200d👧'
    """
    return text.translate(_VISIBLE)


class EscapingStream:
    """A text stream to a terminal that makes everything `visible`; `exact` is the stream itself."""

    def __init__(self, exact: TextIO) -> None:
        self.exact = exact

    def write(self, text: str) -> int:
        self.exact.write(escape(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.exact, name)


@contextmanager
def escape_output() -> Iterator[None]:
    """Standard output and error for as long as a command runs: `Shown` on a terminal, exact elsewhere.

    Lone surrogates are written as UTF-8 would write them if it could (surrogatepass), and what another encoding lacks
    as an escape (backslashreplace), unless PYTHONIOENCODING names another way.
    """
    streams = sys.stdout, sys.stderr
    _write_anything(sys.stdout)
    sys.stdout, sys.stderr = map(_escaping, streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _write_anything(stream: Any) -> None:
    """Let no character be an error. Standard error is so already: Python escapes there what cannot be encoded."""
    if getattr(stream, "errors", None) in ("strict", "surrogateescape") and hasattr(stream, "reconfigure"):
        utf = stream.encoding.lower().startswith("utf")
        stream.reconfigure(errors="surrogatepass" if utf else "backslashreplace")


def _escaping(stream: Any) -> Any:
    if stream is None:  # it was closed before we began
        return open(os.devnull, "w", encoding="utf-8", errors="surrogatepass")
    return EscapingStream(stream) if stream.isatty() else stream


def _exact_stderr() -> TextIO:
    """Standard error for a bar, which has to steer the terminal."""
    return sys.stderr.exact if isinstance(sys.stderr, EscapingStream) else sys.stderr


def notice(line: str) -> None:
    """Say one line, above a bar if there is one."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(escape(line), file=_exact_stderr())
    else:
        print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """A Progress with rate and time left."""
    if sys.stderr.isatty():
        with _bar(label, total, unit) as advance:
            yield advance
    else:
        yield _lines(label, total, unit)


@contextmanager
def _bar(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    from tqdm import tqdm

    looks = {"unit": f" {unit}", "unit_scale": True, "leave": False, "dynamic_ncols": True}
    with tqdm(desc=escape(label), total=total, file=_exact_stderr(), **looks) as bar:

        def advance(n: int, total: int | None = None) -> None:
            if total is not None:
                bar.total = total
            bar.update(n)

        yield advance


def _lines(label: str, total: int | None, unit: str) -> Advance:
    begun = said = time.monotonic()
    done, whole = 0, total

    def advance(n: int, total: int | None = None) -> None:
        nonlocal done, said, whole
        done += n
        whole = total or whole
        now = time.monotonic()
        if now - said < LINE_EVERY:
            return
        said = now
        rate = done / (now - begun)
        left = f", {100 * done / whole:.0f} %, {(whole - done) / rate / 60:.1f} min left" if whole else ""
        notice(f"{label}: {done:,} {unit}, {rate:,.0f} a second{left}")

    return advance
