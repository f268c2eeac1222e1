"""Output files: their names, a check that none of them is also an input, and atomic writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from gluon_lstm.language import N_, _

RUN_PAGE = "index.html"  # the page of a training run
RUN_FILES = (
    "state.safetensors", "best.safetensors", "last.safetensors", "history.jsonl", "samples.txt", "curve.png", RUN_PAGE,
)  # fmt: skip
REPORT_FILES = (
    "report.html", "report.json", "words.csv", "wordcloud.png", "words.png", "network.png", "activity.png",
)  # fmt: skip
CACHE_FILES = ("metadata.json", "array", "digest")


class OutputKind(NamedTuple):
    """Kind of directory that this package writes: its files, and those of which any two identify it."""

    name: str
    files: Sequence[str]
    marks: Sequence[str]


OUTPUT_KINDS = (
    OutputKind(N_("training run"), RUN_FILES, RUN_FILES),
    OutputKind(N_("report"), REPORT_FILES, ("report.html", "report.json")),
    OutputKind(N_("cache entry"), CACHE_FILES, CACHE_FILES),
)


def check_outputs(
    outputs: Iterable[str | os.PathLike[str]], inputs: Iterable[str | os.PathLike[str]], option: str = "out"
) -> None:
    """Raise ValueError if one of the files `outputs` is one of `inputs`, also under another name or through a link.

    `option` names the outputs.
    """
    existing = [(path, os.stat(path)) for path in outputs if os.path.exists(path)]
    for source in filter(os.path.exists, inputs if existing else ()):
        status = os.stat(source)
        for path, output in existing:
            if os.path.samestat(output, status):
                raise ValueError(
                    _(
                        "{source} is one of the files read, and writing {path} would overwrite it; use"
                        " another path for `{option}`"
                    ).format(source=os.fspath(source), path=os.fspath(path), option=option)
                )


def check_new(path: str | os.PathLike[str], remedy: str) -> None:
    """Raise FileExistsError if `path` exists, with a sentence that says what to do; a directory passes."""
    if os.path.lexists(path) and not os.path.isdir(path):  # a directory is refused by atomic_write
        raise FileExistsError(
            errno.EEXIST, _("this file already exists; {remedy}").format(remedy=remedy), os.fspath(path)
        )


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path` for writing; rename it to `path` when the block ends without an exception.

    Text is UTF-8 with LF line ends. The bytes are flushed to disk before the rename: a reader finds the old file or
    the new one, never a part of one. Raises OSError; on any exception `path` is unchanged and the temporary file is
    removed.
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
            raise type(error)(
                error.errno, error.strerror, str(target)
            ) from None  # name the target, not the temporary file
        raise
    sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Flush `directory` to disk, so that a rename in it survives a power cut. Does nothing on Windows."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows has no handles of directories
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_png(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a matplotlib Figure to the PNG file `path`, atomically. Raises OSError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with atomic_write(path, "wb") as file:
        FigureCanvasAgg(figure).print_png(file)
