"""Checksummed safetensors files: named arrays and JSON metadata in one file.

A file from any source loads to the last bit as saved, or is refused in one sentence. Every size in the header is
checked before anything is allocated for it: a hostile file costs no more memory than its own length plus the limits
below.

Layout of a safetensors file: the length of the header (8 bytes, little-endian); the header, a JSON object of array
name -> dtype, shape and data_offsets, with an entry "__metadata__"; the bytes of the arrays, without gaps.
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
from gluon_lstm.language import _

FORMAT = 2  # version of the layout of the metadata
METADATA_KEY = "gluon_lstm"  # the only key in "__metadata__"

MAX_HEADER_BYTES = 16 << 20  # maximum length of the header
MAX_METADATA_BYTES = 15 << 20  # maximum length of the metadata inside the header
MAX_JSON_VALUES = 1_000_000  # maximum number of JSON values in the header; Python needs up to 300 bytes for each
MAX_JSON_DEPTH = 32  # maximum nesting depth of JSON
MAX_JSON_DIGITS = 64  # maximum length of a JSON number; the state of a random generator has 39 digits
MAX_ARRAYS = 4096  # maximum number of arrays
MAX_DIMENSIONS = 8  # maximum number of dimensions of an array
MAX_ELEMENTS = 1 << 48  # maximum number of elements of an array; NumPy counts bytes in int64
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I8": "|i1"}  # safetensors dtype -> NumPy dtype
_NAME_OF_DTYPE = {numpy: name for name, numpy in DTYPES.items()}


class ModelError(ValueError):
    """A file that is invalid, damaged or of another format; the message names the file."""


class ArraySpec(NamedTuple):
    """The dtype (a key of DTYPES) and the shape of an array."""

    dtype: str
    shape: tuple[int, ...]


def save(path: str | os.PathLike[str], metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write `metadata` (plain JSON values) and `arrays` to the file `path`, atomically.

    The arrays are written from their own memory: a checkpoint needs no second copy of them (the library `safetensors`
    makes two). Raises ValueError for what `load` would refuse, and OSError.
    """
    text = json.dumps(metadata)
    _check_metadata_text(text)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    stored = {"format": FORMAT, **json.loads(text)}
    stored["checksum"] = checksum(stored, arrays)
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # aligns each array to its item size
    header: dict[str, Any] = {"__metadata__": {METADATA_KEY: json.dumps(stored)}}
    offset = 0
    for name in names:
        array = arrays[name]
        if array.dtype.str not in DTYPES.values():
            raise ValueError(
                _("{name}: {dtype} is not supported; use one of {values}").format(
                    name=name, dtype=array.dtype, values=", ".join(DTYPES.values())
                )
            )
        offsets = [offset, offset + array.nbytes]
        header[name] = {"dtype": _NAME_OF_DTYPE[array.dtype.str], "shape": list(array.shape), "data_offsets": offsets}
        offset += array.nbytes
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with atomic_write(path, "wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for name in names:
            file.write(arrays[name].reshape(-1).data)


def check_metadata_size(metadata: Mapping[str, Any]) -> None:
    """Raise ValueError when `save` would refuse `metadata` as too large."""
    _check_metadata_text(json.dumps(metadata))


def _check_metadata_text(text: str) -> None:
    size = len(json.dumps(text))  # the metadata is a JSON string inside the JSON header
    if size > MAX_METADATA_BYTES or _max_values(text) > MAX_JSON_VALUES:
        raise ValueError(
            _(
                "a vocabulary and settings of {size:,} bytes are too large for a model file, which holds at"
                " most {max_bytes:,} bytes and {max_values:,} values; use a smaller `max_vocab`"
            ).format(size=size, max_bytes=MAX_METADATA_BYTES, max_values=MAX_JSON_VALUES)
        )


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the metadata and the arrays of a file. Raises ModelError, and OSError when the file cannot be read."""
    with open_file(path) as file:
        return file.metadata, file.arrays()


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[ArrayFile]:
    """Open the file `path` without reading its arrays. Raises ModelError, and OSError when it cannot be read."""
    with open(path, "rb", opener=_open_nonblocking) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(_("{path}: a device or a pipe; give a file or run directory of `train`").format(path=path))
        yield ArrayFile(path, file, status.st_size)


class ArrayFile:
    """An open file with its header parsed: `metadata`, and `specs` of the arrays in file order.

    The checksum covers the arrays too, so neither is verified before `arrays` returns.
    """

    def __init__(self, path: str | os.PathLike[str], file: IO[bytes], size: int) -> None:
        self.path, self._file = path, file
        try:
            header, self.metadata = _read_header(file, size)
            found = self.metadata.get("format")
            if type(found) is not int:
                raise ValueError(_("its metadata has no format number"))
            if found != FORMAT:
                advice = _("train the model again") if found < FORMAT else _("update gluon-lstm")
                raise ModelError(
                    _("{path}: file format {found}, but this version reads format {format}; {advice}").format(
                        path=path, found=found, format=FORMAT, advice=advice
                    )
                )
            self.specs = _array_specs(header, size - file.tell())
        except ModelError:
            raise
        except (ValueError, RecursionError) as error:
            reason = _("its header is nested too deeply") if isinstance(error, RecursionError) else error
            raise ModelError(
                _(
                    "{path}: not a model of gluon-lstm, or damaged ({reason}); give a file or run directory of `train`"
                ).format(path=path, reason=reason)
            ) from error

    def arrays(self) -> dict[str, np.ndarray]:
        """Read and return the arrays. Raises ModelError unless arrays and metadata match the checksum."""
        try:
            arrays = {name: self._read(spec) for name, spec in self.specs.items()}
        except MemoryError:
            raise ModelError(
                _("{path}: its arrays do not fit into the memory of this machine").format(path=self.path)
            ) from None
        if self.metadata.get("checksum") != checksum(self.metadata, arrays):
            raise ModelError(_("{path}: damaged: the contents do not match the checksum").format(path=self.path))
        return arrays

    def _read(self, spec: ArraySpec) -> np.ndarray:
        array = np.empty(spec.shape, DTYPES[spec.dtype])
        if self._file.readinto(array.reshape(-1)) != array.nbytes:  # type: ignore[attr-defined]
            raise ModelError(_("{path}: truncated while it was read; try again").format(path=self.path))
        return array


def checksum(metadata: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of the metadata and of name, dtype, shape and bytes of each array, in order of names.

    `metadata` must already have passed through JSON (string keys, lists); its own entry "checksum" is left out.
    """
    covered = {key: value for key, value in metadata.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(covered, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode("utf-8", "surrogatepass"))
        digest.update(array.reshape(-1).data)
    return digest.hexdigest()


def _open_nonblocking(path: str, flags: int) -> int:
    """Open `path` without waiting for the writer of a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read_header(file: IO[bytes], size: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the entries of the arrays and the metadata of a file of `size` bytes. Raises ValueError."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise ValueError(_("it ends inside its header"))
    if length > MAX_HEADER_BYTES:
        raise ValueError(_("its header is longer than {maximum:,} bytes").format(maximum=MAX_HEADER_BYTES))
    header = _parse_json(file.read(length))
    metadata = header.pop("__metadata__", None)
    if (
        not isinstance(metadata, dict)
        or list(metadata) != [METADATA_KEY]
        or not isinstance(metadata[METADATA_KEY], str)
    ):
        raise ValueError(_("its header has no metadata of gluon-lstm"))
    return header, _parse_json(metadata[METADATA_KEY])


def _parse_json(content: str | bytes) -> dict[str, Any]:
    """Return a JSON object with unique keys and within the limits of this module. Raises ValueError."""
    try:
        text = content if isinstance(content, str) else content.decode("utf-8")
        if _max_values(text) > MAX_JSON_VALUES:
            raise ValueError(_("its header has more than {maximum:,} values").format(maximum=MAX_JSON_VALUES))
        value = json.loads(
            text, object_pairs_hook=_reject_duplicate_keys, parse_int=_parse_int, parse_float=_parse_float
        )
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError(_("its header is not JSON")) from None
    if not isinstance(value, dict):
        raise ValueError(_("its header is not a JSON object"))
    _check_depth(value)
    return value


def _max_values(text: str) -> int:
    """Return an upper bound on the number of values in JSON: separators inside strings count too."""
    return text.count(",") + text.count("[") + text.count("{")


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(_("its header has a duplicate key"))
    return found


def _parse_int(digits: str) -> int:
    return int(_check_digits(digits))


def _parse_float(digits: str) -> float:
    return float(_check_digits(digits))


def _check_digits(digits: str) -> str:
    if len(digits) > MAX_JSON_DIGITS:  # int() takes quadratic time
        raise ValueError(_("its header has a number of {digits:,} digits").format(digits=len(digits)))
    return digits


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > MAX_JSON_DEPTH:
        raise ValueError(_("its header is nested too deeply"))
    if isinstance(value, (dict, list)):
        for child in value.values() if isinstance(value, dict) else value:
            _check_depth(child, depth + 1)


def _array_specs(header: dict[str, Any], data_bytes: int) -> dict[str, ArraySpec]:
    """Return the specs of the arrays in file order; they must fill `data_bytes` exactly. Raises ValueError."""
    if len(header) > MAX_ARRAYS:
        raise ValueError(_("it has more than {maximum:,} arrays").format(maximum=MAX_ARRAYS))
    ranges = {}  # name -> (begin, end) in the data
    specs = {}
    for name, entry in header.items():
        if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
            raise ValueError(_("its header does not give dtype, shape and data_offsets of each array"))
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            raise ValueError(_("it has arrays of other dtypes than {dtypes}").format(dtypes=", ".join(DTYPES)))
        if not _is_list_of_sizes(shape) or len(shape) > MAX_DIMENSIONS or prod(n or 1 for n in shape) > MAX_ELEMENTS:
            raise ValueError(_("it has arrays of invalid shapes"))
        if not _is_list_of_sizes(offsets) or len(offsets) != 2:
            raise ValueError(_("it has arrays with invalid data_offsets"))
        if offsets[1] - offsets[0] != prod(shape) * np.dtype(DTYPES[dtype]).itemsize:
            raise ValueError(_("it has arrays that are longer or shorter than their shapes"))
        ranges[name], specs[name] = tuple(offsets), ArraySpec(dtype, tuple(shape))
    end = 0
    for name in sorted(ranges, key=ranges.__getitem__):
        if ranges[name][0] != end:
            raise ValueError(_("its arrays are not contiguous"))
        end = ranges[name][1]
    if end != data_bytes:
        raise ValueError(_("it is longer or shorter than its arrays"))
    return {name: specs[name] for name in sorted(ranges, key=ranges.__getitem__)}


def _is_list_of_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)
