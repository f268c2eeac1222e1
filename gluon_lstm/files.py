"""Whole files or none: what is written here is either complete under its own name or not there at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` for writing; rename it to `path` when the block ends well.

    Text is UTF-8 with LF line ends. The bytes are flushed to disk before the rename, so that a reader meets the old
    file or the new one and never half of one. Raises OSError, leaving `path` as it was and no temporary file behind.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(temporary, mode, **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (temporary, str(temporary)):
            raise type(error)(error.errno, error.strerror, str(target)) from None  # the name that was given
        raise
    sync_directory(target.parent)


def sync_directory(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no handle on a folder
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_png(figure: Any, path: str | os.PathLike[str]) -> None:
    """A matplotlib Figure as the PNG `path`: whole, or not at all. Raises OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with atomic_write(path, "wb") as file:
        FigureCanvasAgg(figure).print_png(file)
