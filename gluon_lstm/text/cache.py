"""Work that is kept between runs: one folder for each result, whole or not there, told by a key."""

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

from gluon_lstm.options import option

CACHE_FORMAT = 2  # raised whenever the same files and settings would give other tokens or ids
MAX_METADATA_BYTES = 128 << 20  # bytes of an about.json: it is held in memory, as Python's objects
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_HELD = ("about.json", "array")
_ENTRY = re.compile(r"(tokens|ids|words)-[0-9a-f]{32}|\.making-.{8}")

Found = TypeVar("Found")


class CacheError(ValueError):
    """A folder that cannot keep what it should; the message names it and the remedy."""


def default_cache() -> Path:
    """The user's cache folder for this package."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "gluon-lstm"


def open_cache(cache: Path | None) -> Path:
    """The folder `cache`, made if need be; or, with None, a temporary one that the caller removes. CacheError."""
    if cache is None:
        return Path(tempfile.mkdtemp(prefix="gluon-lstm-"))
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(cache, error) from None
    return cache


def _unusable(cache: Path, error: OSError) -> CacheError:
    return CacheError(f"{cache} cannot keep tokens and ids ({error.strerror}); name another folder with --cache")


def clear_cache(cache: Path) -> int:
    """Remove every stage kept in `cache`, and nothing else there; return the bytes set free."""
    freed = 0
    for entry in sorted(cache.glob("*")) if cache.is_dir() else ():
        if _ENTRY.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink():
            freed += sum(file.stat().st_size for file in entry.glob("*") if file.is_file())
            shutil.rmtree(entry)
    return freed


def key_of(*parts: Any) -> str:
    """A name of 32 characters for everything a result depends on; `parts` are plain JSON values."""
    text = json.dumps([CACHE_FORMAT, *parts], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def get_or_build(cache: Path, name: str, make: Callable[[Path], None], read: Callable[[Path], Found]) -> Found:
    """What `read` finds in the folder `name` of the cache, made under another name and renamed when it is whole.

    Nothing that lies there is believed: an entry that is not whole, or that `read` raises an error for, is made anew.
    Raises CacheError when the folder cannot be written or has no room, and what `make` raises.
    """
    folder = cache / name
    if _is_whole(folder):
        with suppress(Exception):  # whatever it is that somebody put there
            return read(folder)
    try:
        making = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))  # private to the user
    except OSError as error:
        raise _unusable(cache, error) from None
    try:
        make(making)
        _remove(folder)
        try:
            making.rename(folder)
        except OSError as error:
            if not _is_whole(folder):  # not just another run that was first
                raise _unusable(cache, error) from None
    except OSError as error:
        if error.errno in _FULL:
            raise _unusable(cache, error) from None
        raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return read(folder)


def _remove(folder: Path) -> None:
    """Whatever lies in the place of an entry: a damaged one, or a file or a link."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Whether an entry is as it was closed: made of files (a pipe would be waited for), and no byte of them another."""
    try:
        modes = [os.lstat(path).st_mode for path in (folder, *(folder / name for name in ("digest", *_HELD)))]
        if not (stat.S_ISDIR(modes[0]) and all(map(stat.S_ISREG, modes[1:]))):
            return False
        if (folder / "about.json").stat().st_size > MAX_METADATA_BYTES:
            return False
        with open(folder / "digest", encoding="ascii") as file:
            return file.read(100) == _digest(folder)
    except (OSError, ValueError):
        return False


def _digest(folder: Path) -> str:
    """Of what an entry holds: a disk or a power cut can change a file without changing its length."""
    digest = hashlib.blake2b(digest_size=16)
    for name in _HELD:
        with open(folder / name, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def metadata(folder: Path) -> dict[str, Any]:
    """The values that `finish` was given for the entry `folder`."""
    return json.loads((folder / "about.json").read_text(encoding="utf-8"))


def commit(folder: Path, **values: Any) -> None:
    """Close an entry in the making, whose data are in its file `array`, with what else is to be known of it."""
    (folder / "about.json").write_text(json.dumps(values), encoding="utf-8")
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
