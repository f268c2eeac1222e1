"""Work that is kept between runs: one folder for each result, whole or not there, told by a key."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

CACHE_FORMAT = 1  # raised whenever the same files and settings would give other tokens or ids
_ENTRY = re.compile(r"(tokens|ids|words)-[0-9a-f]{32}|\.making-.{8}")


def default_cache() -> Path:
    """The user's cache folder for this package."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "gluon-lstm"


def open_cache(cache: Path | None) -> Path:
    """The folder `cache`, made if need be; or, with None, a temporary one that the caller removes."""
    if cache is None:
        return Path(tempfile.mkdtemp(prefix="gluon-lstm-"))
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    return cache


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


def stage(cache: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, made under another name and renamed when it is whole."""
    folder = cache / name
    if _is_whole(folder):
        return folder
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=cache))  # private to the user
    try:
        make(making)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        try:
            making.rename(folder)
        except OSError:
            if not _is_whole(folder):  # not just another run that was first
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / "digest").read_text(encoding="ascii") == _digest(folder)
    except (OSError, ValueError):
        return False


def _digest(folder: Path) -> str:
    """Of what an entry holds: a disk or a power cut can change a file without changing its length."""
    digest = hashlib.blake2b(digest_size=16)
    for name in ("about.json", "array"):
        with open(folder / name, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def about(folder: Path) -> dict[str, Any]:
    """The values that `finish` was given for the entry `folder`."""
    return json.loads((folder / "about.json").read_text(encoding="utf-8"))


def finish(folder: Path, **values: Any) -> None:
    """Close an entry in the making, whose data are in its file `array`, with what else is to be known of it."""
    (folder / "about.json").write_text(json.dumps(values), encoding="utf-8")
    (folder / "digest").write_text(_digest(folder), encoding="ascii")
