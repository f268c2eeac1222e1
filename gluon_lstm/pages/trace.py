"""Values of every gate and state while a model reads, and their float16 form for a page.

A page gets the gates and computes c and h itself. Sizes: T steps, N lanes, H hidden units.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm import reference

STATES = ("c", "h")
DTYPES = {"F16": "<f2", "F32": "<f4", "I32": "<i4"}  # names as in safetensors files
SMALLEST = 2.0**-24  # smallest positive float16
MAX_SHIFT = 1e-3  # maximum change of a gate that keeps the rounded c near c


def read(x: np.ndarray, arrays: Mapping[str, np.ndarray], config: ModelConfig) -> list[dict[str, np.ndarray]]:
    """Return, for each layer, the gates and states after each step: name -> float64 (T, N, H).

    Names are those of `config.cell.gates`, c and h; of the simple RNN h alone. x: ids (T, N), or rows (T, N, D). The
    first state is zero.
    """
    W = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    zero = np.zeros((config.layers * x.shape[1], config.hidden))
    layers = []
    for cache in reference.forward(x, zero, zero, W, config)[3]:
        values = {k: np.stack([step.gates[k] for step in cache.steps]) for k in cache.steps[0].gates}
        states = STATES if values else ("h",)
        values.update({name: np.stack([getattr(step, name) for step in cache.steps]) for name in states})
        layers.append(values)
    return layers


def rounded(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what a page needs of one layer of `read`, as float16 (T, N, H): g, i, f and o; of the simple RNN h.

    With gates that are only rounded, c = f * c + i * g would accumulate their errors. Here f and then g are changed by
    at most MAX_SHIFT, so that the c of the page stays near the true one. f is stored as `f_code` does.
    """
    if "c" not in values:
        return {"h": values["h"].astype(np.float16)}
    gates = {k: values[k].astype(np.float16) for k in "gifo"}
    c = np.zeros_like(values["c"][0])
    for t, wanted in enumerate(values["c"]):
        i, g, f = np.float64(gates["i"][t]), values["g"][t], values["f"][t]
        gates["f"][t] = f_code(np.clip(f + _shift(wanted - f * c - i * g, c), 0, 1))
        f = f_value(gates["f"][t])
        gates["g"][t] = np.clip(g + _shift(wanted - f * c - i * g, i), -1, 1)
        c = f * c + i * np.float64(gates["g"][t])
    return gates


def f_code(f: np.ndarray) -> np.ndarray:
    """Return forget gates as float16: above 1/2 as f - 1, of which float16 keeps more digits where f is near 1."""
    return np.where(f > 0.5, np.minimum(f - 1, -SMALLEST), f).astype(np.float16)


def f_value(code: np.ndarray) -> np.ndarray:
    """Return the forget gates of `f_code` in float64."""
    return np.where(code < 0, np.float64(code) + 1, np.float64(code))


def _shift(error: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return error / factor within MAX_SHIFT: the change of a gate, multiplied by `factor`, that removes the error."""
    return np.clip(error / np.where(factor == 0, 1, factor), -MAX_SHIFT, MAX_SHIFT)


def packed(array: np.ndarray, dtype: str) -> dict[str, str]:
    """Return an array as JSON values, for `unpack` in trace.js: dtype (a key of DTYPES), and its bytes in base64."""
    return {"dtype": dtype, "data": base64.b64encode(array.astype(DTYPES[dtype]).tobytes()).decode("ascii")}


def packed_layer(values: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return the float16 values of one layer as packed arrays (N*T, H), lane after lane."""
    H = values["h"].shape[-1]
    return {k: packed(gate.transpose(1, 0, 2).reshape(-1, H), "F16") for k, gate in rounded(values).items()}
