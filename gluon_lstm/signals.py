"""Ctrl-C, and a polite request of the system to end: heard where it does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)  # Windows has no SIGHUP
]


class Interrupted(KeyboardInterrupt):
    """One of SIGNALS has come. `at_once`: there was no waiting for a good moment, and nothing may be saved."""

    def __init__(self, number: int = signal.SIGINT, at_once: bool = True) -> None:
        super().__init__(number)
        self.number, self.at_once = number, at_once


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """Each of SIGNALS raises Interrupted wherever it arrives, so that what is being written is taken away again."""

    def interrupt(number: int, _: Any) -> None:
        raise Interrupted(number)

    with _handler(interrupt):
        yield


@contextmanager
def defer_signals() -> Iterator[Callable[[], None]]:
    """The first of SIGNALS raises Interrupted where the yielded function is called; a second one at once.

    Raised wherever the first one happens to arrive it could be lost: Python drops what a destructor or a callback from
    C raises, and training is full of both.
    """
    heard: list[int] = []

    def note(number: int, _: Any) -> None:
        heard.append(number)
        if len(heard) > 1:
            raise Interrupted(number)

    def check() -> None:
        if heard:
            raise Interrupted(heard[0], at_once=False)

    with _handler(note):
        yield check


@contextmanager
def _handler(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """The signals that nobody else (nohup, a program that uses this package) takes care of go to `handler`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: old for number in SIGNALS if _is_free(old := signal.getsignal(number))}
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _is_free(handler: Any) -> bool:
    ours = getattr(handler, "__module__", None) == __name__
    return ours or handler in (signal.SIG_DFL, signal.default_int_handler)
