"""How long work tells what it has done: a label, a total, and one call for each part that is finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Callable, Optional, Protocol


class Advance(Protocol):
    """`advance(n)`: n more are done; `advance(n, total)`: and so many there will be, as is known by now."""

    def __call__(self, n: int, total: int | None = None) -> None: ...


# (label, total or None, unit) -> Advance
Progress = Callable[[str, Optional[int], str], AbstractContextManager[Advance]]
Notice = Callable[[str], None]  # one line a person should know


@contextmanager
def silent(label: str, total: int | None, unit: str) -> Iterator[Advance]:
    """The progress of a library call that nobody watches."""
    yield lambda n, total=None: None


def ignore(line: str) -> None:
    """The notice of a library call that nobody listens to."""
