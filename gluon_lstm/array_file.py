"""Named arrays and what describes them in one safetensors file, sealed by a checksum.

What is loaded is what was saved, to the last bit, or it is refused. Nothing that a file says of itself is believed
before it is checked: a file from anywhere costs no more memory than it is long, and what its header is allowed.

A safetensors file is the length of its header in 8 bytes; the header, JSON: a name -> dtype, shape, data_offsets of
each array, and "__metadata__"; and the bytes of the arrays, without gaps.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import IO, Any, NamedTuple

import numpy as np

from gluon_lstm.files import atomic_write

FORMAT = 1
KEY = "gluon_lstm"  # our one entry in the metadata of the file

MAX_HEADER_BYTES = 16 << 20  # bytes
MAX_METADATA_BYTES = 15 << 20  # bytes of the header; the rest is for the table of the arrays
MAX_JSON_VALUES = 1_000_000  # in the JSON of a header: each takes up to 300 bytes of memory
MAX_JSON_DEPTH = 32  # values inside one another
MAX_JSON_DIGITS = 64  # digits: the state of a random generator has 39
MAX_ARRAYS = 4096
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 48  # in an array: what NumPy can count in bytes
DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}
_TYPE_OF = {numpy: name for name, numpy in DTYPES.items()}


class ModelError(ValueError):
    """A file that is not a whole one of this package; the message names it."""


class ArraySpec(NamedTuple):
    """What an array is like: one of TYPES, and its shape."""

    type: str
    shape: tuple[int, ...]


def save(path: str | os.PathLike[str], description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write both to `path`: whole, or not at all.

    `description` is plain JSON values. Raises ValueError for what `load` would not take, and OSError. The arrays are
    written from where they are: a checkpoint costs no memory. The library of this format copies all of them twice.
    """
    text = json.dumps(description)
    _check_room(text)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    header = {"format": FORMAT, **json.loads(text)}
    header["checksum"] = checksum(header, arrays)
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # each at a multiple of its size
    table: dict[str, Any] = {"__metadata__": {KEY: json.dumps(header)}}
    at = 0
    for name in names:
        array = arrays[name]
        if array.dtype.str not in DTYPES.values():
            raise ValueError(f"{name}: arrays of {array.dtype} are not saved, only of {', '.join(DTYPES.values())}")
        place = [at, at + array.nbytes]
        table[name] = {"dtype": _TYPE_OF[array.dtype.str], "shape": list(array.shape), "data_offsets": place}
        at += array.nbytes
    head = json.dumps(table).encode()
    head += b" " * (-len(head) % 8)
    with atomic_write(path, "wb") as file:
        file.write(len(head).to_bytes(8, "little") + head)
        for name in names:
            file.write(arrays[name].reshape(-1).data)


def check_metadata_size(description: Mapping[str, Any]) -> None:
    """ValueError when `description` is too large for a file that `load` would take. Costs no more than its JSON."""
    _check_room(json.dumps(description))


def _check_room(text: str) -> None:
    size = len(json.dumps(text))  # as it lies in the header, which is JSON too
    if size > MAX_METADATA_BYTES or _values(text) > MAX_JSON_VALUES:
        raise ValueError(
            f"a vocabulary and settings of {size:,} bytes are too large for a model file, which has room for"
            f" {MAX_METADATA_BYTES:,} bytes and {MAX_JSON_VALUES:,} values; use a smaller --max-vocab"
        )


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What was saved: the description and the arrays. Raises ModelError, and OSError when the file cannot be read."""
    with open_file(path) as file:
        return file.description, file.arrays()


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[ArrayFile]:
    """The file `path`, its arrays not yet read. Raises ModelError, and OSError when the file cannot be read."""
    with open(path, "rb", opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: a device or a pipe; give a file or folder of `train`")
        yield ArrayFile(path, file, status.st_size)


class ArrayFile:
    """A file whose header was read: a `description`, and arrays of known `kinds` which may not be those it was
    saved with, as long as `arrays` has not said so.
    """

    def __init__(self, path: str | os.PathLike[str], file: IO[bytes], size: int) -> None:
        self.path, self._file = path, file
        try:
            table, self.description = _header(file, size)
            if type(self.description.get("format")) is not int:
                raise ValueError("its description names no format")
            if self.description["format"] != FORMAT:
                raise ModelError(f"{path}: written in a format this version does not know; update gluon-lstm")
            self.specs = _kinds(table, size - file.tell())
        except ModelError:
            raise
        except (ValueError, RecursionError) as error:
            reason = "its header is nested too deeply" if isinstance(error, RecursionError) else error
            raise ModelError(
                f"{path}: not a model of gluon-lstm, or damaged ({reason}); give a file or folder of `train`"
            ) from error

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays. Raises ModelError when they or the description are not what was saved."""
        try:
            arrays = {name: self._read(kind) for name, kind in self.specs.items()}
        except MemoryError:
            raise ModelError(f"{self.path}: its arrays do not fit into the memory of this machine") from None
        if self.description.get("checksum") != checksum(self.description, arrays):
            raise ModelError(f"{self.path}: damaged: what is in it is not what was saved")
        return arrays

    def _read(self, kind: ArraySpec) -> np.ndarray:
        array = np.empty(kind.shape, DTYPES[kind.type])
        if self._file.readinto(array.reshape(-1)) != array.nbytes:  # type: ignore[attr-defined]
            raise ModelError(f"{self.path}: became shorter while it was read; try again")
        return array


def checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the description and over the names, shapes, types and bytes of the arrays, in the order of names.

    `header` is as JSON gives it back.
    """
    described = {key: value for key, value in header.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode("utf-8", "surrogatepass"))
        digest.update(array.reshape(-1).data)
    return digest.hexdigest()


def _open_at_once(path: str, flags: int) -> int:
    """As `open` does, but without waiting for whoever writes to a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _header(file: IO[bytes], size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The table of the arrays and the description, from the beginning of a file of `size` bytes. ValueError."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise ValueError("it ends before its header does")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header is longer than {MAX_HEADER_BYTES:,} bytes")
    table = _parsed(file.read(length))
    metadata = table.pop("__metadata__", None)
    if not isinstance(metadata, dict) or list(metadata) != [KEY] or not isinstance(metadata[KEY], str):
        raise ValueError("its header has no description of gluon-lstm")
    return table, _parsed(metadata[KEY])


def _parsed(content: str | bytes) -> dict[str, Any]:
    """The object that JSON describes, each of its keys once, and not more of anything than is allowed. ValueError."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        if _values(text) > MAX_JSON_VALUES:
            raise ValueError(f"its header has more than {MAX_JSON_VALUES:,} values")
        value = json.loads(text, object_pairs_hook=_each_once, parse_int=_integer, parse_float=_float)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("its header is not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("its header is no JSON object")
    _check_depth(value)
    return value


def _values(text: str) -> int:
    """How many values JSON has at the most; what it has in strings counts too."""
    return text.count(",") + text.count("[") + text.count("{")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header has a key twice")
    return found


def _integer(digits: str) -> int:
    return int(_short(digits))  # of long numbers the time grows with the square


def _float(digits: str) -> float:
    return float(_short(digits))


def _short(digits: str) -> str:
    if len(digits) > MAX_JSON_DIGITS:
        raise ValueError(f"its header has a number of {len(digits):,} digits")
    return digits


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > MAX_JSON_DEPTH:
        raise ValueError("its header is nested too deeply")
    if isinstance(value, (dict, list)):
        for inside in value.values() if isinstance(value, dict) else value:
            _check_depth(inside, depth + 1)


def _kinds(table: dict[str, Any], room: int) -> dict[str, ArraySpec]:
    """The kinds of arrays that fill `room` bytes exactly, in the order in which they lie there. ValueError."""
    if len(table) > MAX_ARRAYS:
        raise ValueError(f"it has more than {MAX_ARRAYS:,} arrays")
    places = {}  # (begin, end) of each
    specs = {}
    for name, entry in table.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError("its header does not describe each array by type, shape and place")
        type, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(type, str) or type not in DTYPES:
            raise ValueError(f"it has arrays of other types than {', '.join(DTYPES)}")
        if not _are_sizes(shape) or len(shape) > MAX_DIMENSIONS or prod(n or 1 for n in shape) > MAX_ELEMENTS:
            raise ValueError("it has arrays of impossible shapes")
        if not _are_sizes(place) or len(place) != 2:
            raise ValueError("it has arrays at impossible places")
        if place[1] - place[0] != prod(shape) * np.dtype(DTYPES[type]).itemsize:
            raise ValueError("it has arrays that are longer or shorter than their shapes")
        places[name], specs[name] = tuple(place), ArraySpec(type, tuple(shape))
    at = 0
    for name in sorted(places, key=places.__getitem__):
        if places[name][0] != at:
            raise ValueError("its arrays do not lie one behind the other")
        at = places[name][1]
    if at != room:
        raise ValueError("it is longer or shorter than its arrays")
    return {name: specs[name] for name in sorted(places, key=places.__getitem__)}


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)
