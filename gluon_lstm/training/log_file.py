"""LogFile: a text file that only grows. Incomplete lines of a failed or interrupted write are removed by the next."""

from __future__ import annotations

import os
from pathlib import Path


class LogFile:
    """Text file `path`, whose first `length` bytes are complete lines."""

    def __init__(self, path: Path) -> None:
        self.path, self.length = path, 0
        self._pending = b""

    def append(self, text: str) -> None:
        """Append `text`. Raises OSError; the text then stays pending and is written with the next."""
        self._pending += text.encode("utf-8", "backslashreplace")
        self.flush()

    def flush(self, to_disk: bool = False) -> None:
        """Write pending text; with `to_disk` also fsync. Raises OSError."""
        if not self._pending and not (to_disk and self.length):
            return
        with open(self.path, "ab", buffering=0) as file:
            file.truncate(min(self.length, os.fstat(file.fileno()).st_size))
            while self._pending:
                written = file.write(self._pending)
                self.length, self._pending = self.length + written, self._pending[written:]
            if to_disk:
                os.fsync(file.fileno())

    def truncate(self, length: int) -> None:
        """Drop everything after the first `length` bytes. Raises OSError."""
        self.length, self._pending = length, b""
        if self.path.exists():
            os.truncate(self.path, min(length, self.path.stat().st_size))
