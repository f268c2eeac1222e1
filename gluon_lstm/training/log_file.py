"""A text file that grows with a run: what a failed or an interrupted write left half done is cut off by the next."""

from __future__ import annotations

import os
from pathlib import Path


class LogFile:
    """Lines at the end of `path`, of whose first `length` bytes it is known that they are whole."""

    def __init__(self, path: Path) -> None:
        self.path, self.length = path, 0
        self._waiting = b""

    def append(self, text: str) -> None:
        """Write `text` behind what is there. Raises OSError; the text then waits, and is written with the next."""
        self._waiting += text.encode("utf-8", "backslashreplace")
        self.flush()

    def flush(self, to_disk: bool = False) -> None:
        """Write what waits; with `to_disk` return when the disk has it. Raises OSError."""
        if not self._waiting and not (to_disk and self.length):
            return
        with open(self.path, "ab", buffering=0) as file:
            file.truncate(min(self.length, os.fstat(file.fileno()).st_size))
            while self._waiting:
                written = file.write(self._waiting)
                self.length, self._waiting = self.length + written, self._waiting[written:]
            if to_disk:
                os.fsync(file.fileno())

    def cut(self, length: int) -> None:
        """Forget everything behind the first `length` bytes. Raises OSError."""
        self.length, self._waiting = length, b""
        if self.path.exists():
            os.truncate(self.path, min(length, self.path.stat().st_size))
