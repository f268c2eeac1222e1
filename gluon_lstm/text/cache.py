"""Cache of intermediate results on disk: one directory for each entry, named by a key and created atomically."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gluon_lstm.language import _
from gluon_lstm.options import option

CACHE_FORMAT = 4  # raised whenever the layout of an entry, or the tokens or ids of the same input, change
MAX_METADATA_BYTES = 128 << 20  # maximum size of metadata.json, which is read into memory as Python objects
# libraries that affect cleaning and tokenization; their versions are in the cache keys
TEXT_LIBRARIES = ("janome", "jaconv", "regex")
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CONTENT_FILES = ("metadata.json", "array")
_ENTRY = re.compile(r"(tokens|ids|words)-[0-9a-f]{32}|\.building-.{8}")

Result = TypeVar("Result")


class CacheError(ValueError):
    """Cache directory that cannot be written; the message names it and the remedy."""


def default_cache() -> Path:
    """Return the user's cache directory of this package."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "gluon-lstm"


def open_cache(cache: Path | None) -> Path:
    """Return the directory `cache`, created if needed; for None a temporary one that the caller removes.

    Raises CacheError when it cannot be created.
    """
    if cache is None:
        return Path(tempfile.mkdtemp(prefix="gluon-lstm-"))
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _cache_error(cache, error) from None
    return cache


def _cache_error(cache: Path, error: OSError) -> CacheError:
    return CacheError(
        _("{cache} cannot store tokens and ids ({reason}); choose another folder with `cache`").format(
            cache=cache, reason=error.strerror
        )
    )


def clear_cache(cache: Path) -> int:
    """Remove the entries in `cache`, and no other file; return the bytes freed."""
    freed = 0
    for entry in sorted(cache.glob("*")) if cache.is_dir() else ():
        if _ENTRY.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
            freed += sum(file.stat().st_size for file in entry.glob("*") if file.is_file())
            shutil.rmtree(entry)
    return freed


def key_of(*parts: Any) -> str:
    """Return a key of 32 hex digits for everything an entry depends on; `parts` are plain JSON values."""
    text = json.dumps([CACHE_FORMAT, *parts], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def text_library_versions() -> list[str]:
    """Return the versions of TEXT_LIBRARIES for cache keys."""
    from importlib.metadata import version  # here: the options below are imported by every start

    return [version(name) for name in TEXT_LIBRARIES]


def get_or_build(cache: Path, name: str, build: Callable[[Path], None], read: Callable[[Path], Result]) -> Result:
    """Return `read(entry)` for the entry `name` of the cache; `build(directory)` creates the entry when it is missing.

    An entry is built in a temporary directory and renamed when it is complete. An entry whose digest is wrong, or for
    which `read` raises any error, is rebuilt. Raises CacheError when the directory cannot be written or the disk is
    full, and every error of `build`.
    """
    folder = cache / name
    if _is_intact(folder):
        with suppress(Exception):  # any content, also one made by hand
            return read(folder)
    try:
        building = Path(tempfile.mkdtemp(prefix=".building-", dir=cache))  # mode 700: private to the user
    except OSError as error:
        raise _cache_error(cache, error) from None
    try:
        build(building)
        _remove_entry(folder)
        try:
            building.rename(folder)
        except OSError as error:
            if not _is_intact(folder):  # unless another process was first
                raise _cache_error(cache, error) from None
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise _cache_error(cache, error) from None
        raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return read(folder)


def _remove_entry(folder: Path) -> None:
    """Remove a damaged entry, or a file or link of its name."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _is_intact(folder: Path) -> bool:
    """Return whether an entry consists of regular files (no pipe would be waited for) that match its digest."""
    try:
        modes = [os.lstat(path).st_mode for path in (folder, *(folder / name for name in ("digest", *_CONTENT_FILES)))]
        if not (stat.S_ISDIR(modes[0]) and all(map(stat.S_ISREG, modes[1:]))):
            return False
        if (folder / "metadata.json").stat().st_size > MAX_METADATA_BYTES:
            return False
        with open(folder / "digest", encoding="ascii") as file:
            return file.read(100) == _digest(folder)
    except (OSError, ValueError):
        return False


def _digest(folder: Path) -> str:
    """Return the digest of the files of an entry: a disk error or power cut can change bytes without the length."""
    digest = hashlib.blake2b(digest_size=16)
    for name in _CONTENT_FILES:
        with open(folder / name, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def metadata(folder: Path) -> dict[str, Any]:
    """Return the values stored by `commit` in the entry `folder`."""
    return json.loads((folder / "metadata.json").read_text(encoding="utf-8"))


def commit(folder: Path, **values: Any) -> None:
    """Complete an entry being built, whose data are in its file `array`, with metadata and a digest."""
    (folder / "metadata.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "digest").write_text(_digest(folder), encoding="ascii")


@dataclass(frozen=True)
class CacheOptions:
    """The folder that keeps tokens and ids between runs."""

    cache: Path | None = option(None, "folder of the cache (default: $XDG_CACHE_HOME/gluon-lstm)", "DIR", "cache")
    no_cache: bool = option(False, "keep nothing between runs", group="cache")

    @property
    def folder(self) -> Path | None:
        """Return the folder, or None for no cache."""
        return None if self.no_cache else Path(self.cache or default_cache())
