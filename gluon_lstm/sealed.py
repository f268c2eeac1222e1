"""Named arrays and what describes them in one safetensors file, sealed by a checksum.

What is loaded is what was saved, to the last bit, or it is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from gluon_lstm.files import written_whole

FORMAT = 1
KEY = "gluon_lstm"  # our one entry in the metadata of the file


class ModelError(ValueError):
    """A file that is not a whole one of this package; the message names it."""


def save(path: str | os.PathLike[str], description: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write both to `path`: whole, or not at all. `description` is plain JSON values. Raises OSError."""
    from safetensors.numpy import save

    header = {"format": FORMAT, **description}
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header["checksum"] = checksum(header, arrays)
    with written_whole(path, "wb") as file:
        file.write(save(arrays, metadata={KEY: json.dumps(header)}))


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What was saved: the description and the arrays. Raises ModelError, and OSError when the file cannot be read."""
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # a missing or forbidden file says so in the words of the system
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[KEY])
            arrays = {name: file.get_tensor(name) for name in list(file.keys())}
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not a model of gluon-lstm, or damaged; give a file or folder of `train`") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelError(f"{path}: written in a format this version does not know; update gluon-lstm")
    if header.get("checksum") != checksum(header, arrays):
        raise ModelError(f"{path}: damaged: what is in it is not what was saved")
    return header, arrays


def checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the description and over the names, shapes, types and bytes of the arrays, in the order of names."""
    described = json.loads(json.dumps({key: value for key, value in header.items() if key != "checksum"}))
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()
