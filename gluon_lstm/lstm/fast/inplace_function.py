"""Views of NDArray memory as NumPy arrays, and an autograd function whose backward writes gradients in place.

For float32 NDArrays on the CPU. Guarantee: no copy is made of an input or of a gradient with `grad_req="write"`.
"""

from __future__ import annotations

import ctypes
import math
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from gluon_lstm.compat import mx

NULL, ADD = 0, 3  # MXNet's kNullOp and kAddTo; all other gradient requests mean write


def is_viewable(array: Any) -> bool:
    """Return whether `as_numpy_view` accepts the array: float32 on the CPU."""
    return array.context.device_type == "cpu" and array.dtype == np.float32


def as_numpy_view(array: Any) -> np.ndarray:
    """Return the memory of a float32 NDArray on the CPU as a NumPy array, without a copy, after pending operations.

    By its pointer, because a DLPack array is read-only. The view is valid as long as the NDArray. Raises ValueError for
    any other array.
    """
    if not is_viewable(array):
        raise ValueError(
            f"{np.dtype(array.dtype)} on {array.context}: the fast implementation needs float32 on the CPU"
        )
    array.wait_to_read()
    return _memory(array, array.shape)


def as_matrix_view(array: Any) -> np.ndarray:
    """Return `as_numpy_view` of an NDArray, of a vector as a matrix of one row."""
    return np.atleast_2d(as_numpy_view(array))


def _memory(array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return the view of a viewable array of known shape, in a fifth of the time of `as_numpy_view`."""
    address = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))
    return np.ndarray(shape, np.float32, (ctypes.c_float * math.prod(shape)).from_address(address.value or 0))


def view_or_copy(array: Any) -> np.ndarray:
    """Return a view of the NDArray's memory if it is viewable, else a copy."""
    return as_numpy_view(array) if is_viewable(array) else array.asnumpy()


def view_or_array(array: Any) -> Any:
    """Return a view of the NDArray's memory if it is viewable, else the NDArray, for operations that both have."""
    return as_numpy_view(array) if is_viewable(array) else array


def ndarray(array: np.ndarray, ctx: Any) -> Any:
    """Return a new float32 NDArray on a CPU with these values, in a tenth of the 0.1 ms of `mx.nd.array`."""
    new = mx.nd.empty(array.shape, ctx)
    _memory(new, array.shape)[:] = array
    return new


class InplaceFunction(mx.autograd.Function):  # type: ignore[misc]
    """Autograd function on NumPy views of float32 NDArrays on the CPU; its `backward` writes the gradients in place.

    `mx.autograd.Function.backward` returns NDArrays, which MXNet copies into the gradients in one thread, and gradients
    with `grad_req="add"` are ignored. Measured at (N, T, H) = (32, 64, 256): the copies add 6 ms to the 48 ms of CPU
    time of a backward at V = 1,500, and 20 ms to 452 ms at V = 20,000.

    In `forward`, `self.recording` says whether `backward` may follow.
    """

    recording = False

    def __call__(self, *inputs: Any) -> Any:
        self.recording = mx.autograd.is_recording()
        views = [as_numpy_view(array) for array in inputs]
        with mx.autograd.pause():
            results = self.forward(*views)
            outputs = tuple(ndarray(result, inputs[0].context) for result in results)
        self._shapes = [array.shape for array in (*results, *views)]
        if self.recording:
            self._record(inputs, outputs)
        return outputs

    def forward(self, *inputs: np.ndarray) -> Sequence[np.ndarray]:
        """Return the outputs."""
        raise NotImplementedError

    def backward(self, gradients: Sequence[np.ndarray], *output_gradients: np.ndarray) -> None:
        """Write `gradients`, one array for each input of `forward`, from those of its outputs."""
        raise NotImplementedError

    def _record(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Register `backward` with MXNet, as `mx.autograd.Function.__call__` does (mxnet 1.9.1, autograd.py)."""
        Function, base = mx.autograd.Function, mx.base
        key = Function._registry.inc()

        def backward(n_outputs: int, n_inputs: int, handles: Any, requests: Any, is_train: int, _: Any) -> bool:
            try:
                arrays = [
                    mx.nd.NDArray(ctypes.cast(handles[k], base.NDArrayHandle)) for k in range(n_outputs + n_inputs)
                ]
                views = [_memory(array, shape) for array, shape in zip(arrays, self._shapes)]
                self._write(views[:n_outputs], views[n_outputs:], requests[:n_inputs])
            except BaseException:  # exceptions must not cross MXNet's C code, which reports the failed callback
                traceback.print_exc()
                return False
            return True

        def delete(_: Any) -> bool:
            Function._registry.ref_holder.pop(key, None)
            return True

        callback = ctypes.CFUNCTYPE(ctypes.c_int)
        callbacks = [Function._bwd_functype(backward), Function._del_functype(delete)]
        info = base.MXCallbackList(
            len(callbacks),
            ctypes.cast(base.c_array(callback, [ctypes.cast(each, callback) for each in callbacks]),
                        ctypes.POINTER(callback)),
            ctypes.cast(base.c_array(ctypes.c_void_p, [None] * len(callbacks)), ctypes.POINTER(ctypes.c_void_p)),
        )  # fmt: skip
        Function._registry.ref_holder[key] = info, callbacks
        base.check_call(
            base._LIB.MXCustomFunctionRecord(
                len(inputs), base.c_handle_array(inputs), len(outputs), base.c_handle_array(outputs), ctypes.byref(info)
            )
        )

    def _write(self, output_gradients: list[np.ndarray], targets: list[np.ndarray], requests: list[int]) -> None:
        gradients = [
            np.empty_like(array) if request in (NULL, ADD) else array for array, request in zip(targets, requests)
        ]
        self.backward(gradients, *output_gradients)
        for array, gradient, request in zip(targets, gradients, requests):
            if request == ADD:
                array += gradient
