"""What long work looks like: a bar on a terminal, a quiet line now and then in a log. All of it on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gluon_lstm.progress import Advance

LINE_EVERY = 30.0  # seconds, in a log


def notice(line: str) -> None:
    """Say one line, above a bar if there is one."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
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

    with tqdm(desc=label, total=total, unit=f" {unit}", unit_scale=True, leave=False, dynamic_ncols=True) as bar:

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
