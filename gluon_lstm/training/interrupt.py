"""Ctrl-C while training: heard where it does no harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def heard_between_steps() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises KeyboardInterrupt where the yielded function is called; a second Ctrl-C raises it at once.

    Raised wherever the first one happens to arrive it could be lost: Python drops what a destructor or a callback from
    C raises, and training is full of both.
    """
    plain = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not plain or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    pressed = 0

    def note(*_: Any) -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            raise KeyboardInterrupt

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
