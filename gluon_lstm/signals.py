"""Handling of SIGINT, SIGTERM and SIGHUP: immediately, or between two steps."""

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


_deferred: list[int] = []  # signals that wait for the function of `defer_signals`


class Interrupted(KeyboardInterrupt):
    """Raised for one of SIGNALS. `at_once`: raised at an arbitrary instruction, so the state must not be saved."""

    def __init__(self, number: int = signal.SIGINT, at_once: bool = True) -> None:
        super().__init__(number)
        self.number, self.at_once = number, at_once


@contextmanager
def raise_on_signal() -> Iterator[None]:
    """Raise Interrupted as soon as one of SIGNALS arrives, so that `finally` blocks remove partial output."""

    def interrupt(number: int, _: Any) -> None:
        raise Interrupted(number)

    with _handler(interrupt):
        yield


@contextmanager
def defer_signals() -> Iterator[Callable[[], None]]:
    """Defer the first of SIGNALS: the yielded function raises Interrupted for it. A second one raises at once.

    Python discards exceptions raised in destructors and in callbacks from C, and training runs both all the time: an
    exception raised at the first signal's arrival could be lost.
    """
    _deferred.clear()

    def record(number: int, _: Any) -> None:
        _deferred.append(number)
        if len(_deferred) > 1:
            raise Interrupted(number)

    def check() -> None:
        if _deferred:
            raise Interrupted(_deferred[0], at_once=False)

    with _handler(record):
        yield check


def deferred_signal() -> int:
    """Return the signal that `defer_signals` has deferred, for another process of the same work; 0 for none."""
    return _deferred[0] if _deferred else 0


def defer(number: int) -> None:
    """Defer a signal that another process of the same work has received, unless one is deferred already."""
    if not _deferred:
        _deferred.append(number)


@contextmanager
def _handler(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Install `handler` for SIGNALS without a foreign handler (of nohup, of a program that uses this package).

    Does nothing outside the main thread, where Python allows no handlers. The previous handlers return at the end.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = handlers_of_signals()
    for number in previous:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in previous.items():
            signal.signal(number, old)


def handlers_of_signals() -> dict[int, Any]:
    """Return the handlers of SIGNALS by signal, without foreign handlers."""
    return {number: handler for number in SIGNALS if _is_replaceable(handler := signal.getsignal(number))}


def _is_replaceable(handler: Any) -> bool:
    ours = getattr(handler, "__module__", None) == __name__
    return ours or handler in (signal.SIG_DFL, signal.default_int_handler)
