"""Storage of float32 weights in fewer bytes: float16, or int8 with a float32 scale per row.

Only matrices are stored so; vectors (biases, peepholes) stay float32. A model computes in float32: `decode` runs once,
when a file is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from gluon_lstm.array_file import ArraySpec
from gluon_lstm.language import _

SCALE = ".scale"  # suffix of the array of scales (rows,) beside an int8 matrix
MAX_LEVEL = 127  # largest magnitude of an int8 weight; -128 is not used

Arrays = dict[str, np.ndarray]


def encode_int8(name: str, matrix: np.ndarray) -> Arrays:
    """Return a matrix (rows, columns) as int8 and the scale of each row: weight = scale * int8.

    The error of a weight is at most half the scale, 1/254 of the largest magnitude in its row.
    """
    scale = np.abs(matrix).max(1, initial=0).astype(np.float32) / np.float32(MAX_LEVEL)
    levels = np.rint(matrix / np.where(scale, scale, 1)[:, None])
    return {name: levels.astype(np.int8), name + SCALE: scale}


def encode_float16(name: str, matrix: np.ndarray) -> Arrays:
    """Return a matrix as float16; magnitudes above 65,504 become the largest float16."""
    limit = np.finfo(np.float16).max
    return {name: np.clip(matrix, -limit, limit).astype(np.float16)}


# precision of a model file -> dtype of its matrices
PRECISIONS = {"float32": "F32", "float16": "F16", "int8": "I8"}
_ENCODERS: dict[str, Callable[[str, np.ndarray], Arrays]] = {"float16": encode_float16, "int8": encode_int8}


def encode(arrays: Mapping[str, np.ndarray], precision: str) -> Arrays:
    """Return float32 arrays as they are stored with this precision. Raises ValueError for an unknown precision."""
    if precision not in PRECISIONS:
        raise ValueError(
            _("`precision` {precision}: use one of {precisions}").format(
                precision=precision, precisions=", ".join(PRECISIONS)
            )
        )
    stored: Arrays = {}
    for name, array in arrays.items():
        array = np.asarray(array, np.float32)
        encoder = _ENCODERS.get(precision) if array.ndim > 1 else None
        stored.update(encoder(name, array) if encoder else {name: array})
    return stored


def specs(shapes: Mapping[str, tuple[int, ...]], precision: str) -> dict[str, ArraySpec]:
    """Return the specs of the arrays that `encode` returns for arrays of these shapes."""
    found = {}
    for name, shape in shapes.items():
        found[name] = ArraySpec(PRECISIONS[precision] if len(shape) > 1 else "F32", shape)
        if found[name].dtype == "I8":
            found[name + SCALE] = ArraySpec("F32", shape[:1])
    return found


def decode(stored: Mapping[str, np.ndarray]) -> Arrays:
    """Return stored arrays as float32. A scale that is not finite gives weights that are not."""
    arrays = {}
    for name, array in stored.items():
        if name.endswith(SCALE):
            continue
        arrays[name] = array.astype(np.float32, copy=False)
        if array.dtype == np.int8:
            with np.errstate(all="ignore"):
                arrays[name] *= stored[name + SCALE][:, None]
    return arrays
