"""Callbacks of long operations: progress (label, total, finished units) and notices (lines for a person)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Callable, Optional, Protocol


class Advance(Protocol):
    """`advance(n)`: n more units are done; `advance(n, total)`: the total is now known to be `total`."""

    def __call__(self, n: int, total: int | None = None) -> None: ...


# (label, total or None, unit) -> Advance
Progress = Callable[[str, Optional[int], str], AbstractContextManager[Advance]]
Notice = Callable[[str], None]  # takes one line for a person


@contextmanager
def silent(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Report no progress."""
    yield lambda n, total=None: None


def ignore(line: str) -> None:
    """Discard a notice."""
