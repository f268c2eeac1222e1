"""An operator of our own for MXNet's autograd that writes its gradients where they belong."""

from __future__ import annotations

import ctypes
import math
import traceback
from collections.abc import Sequence
from typing import Any

import numpy as np

from gluon_lstm.compat import mx

NULL, ADD = 0, 3  # of MXNet's gradient requests; the others mean: write


def is_viewable(array: Any) -> bool:
    """Whether `view` can show the array: float32 on the CPU."""
    return array.context.device_type == "cpu" and array.dtype == np.float32


def as_numpy_view(array: Any, wait: bool = True) -> np.ndarray:
    """The memory of a float32 NDArray on the CPU as a NumPy array, without a copy, when all that uses it is done.

    By the pointer: what DLPack gives may only be read. Raises ValueError for any other array.
    """
    if not is_viewable(array):
        raise ValueError(f"{np.dtype(array.dtype)} on {array.context}: the fast cell needs float32 on the CPU")
    if wait:
        array.wait_to_read()
    address = ctypes.c_void_p()
    mx.base.check_call(mx.base._LIB.MXNDArrayGetData(array.handle, ctypes.byref(address)))
    shape = array.shape
    return np.ndarray(shape, np.float32, (ctypes.c_float * math.prod(shape)).from_address(address.value))


def view_or_copy(array: Any) -> np.ndarray:
    """The memory of an NDArray where that can be seen, which changes and goes with it; else a copy."""
    return as_numpy_view(array) if is_viewable(array) else array.asnumpy()


def ndarray(array: np.ndarray, ctx: Any) -> Any:
    """A new NDArray on a CPU with these numbers, in float32: `mx.nd.array`, but a tenth of its 0.1 ms."""
    new = mx.nd.empty(array.shape, ctx)
    as_numpy_view(new, wait=False)[:] = array
    return new


class InplaceFunction(mx.autograd.Function):  # type: ignore[misc]
    """`mx.autograd.Function`, but `backward(gradients, *output_gradients)` fills NumPy arrays it is handed.

    MXNet's own class takes NDArrays from `backward` and copies them one behind the other, which for a model of 20
    million weights takes as long as a tenth of the work; and it leaves out those with `grad_req="add"`. In `forward`,
    `self.recording` tells whether `backward` may follow.
    """

    recording = False

    def __call__(self, *inputs: Any) -> Any:
        self.recording = mx.autograd.is_recording()
        with mx.autograd.pause():
            outputs = self.forward(*inputs)
        if self.recording:
            self._record(inputs, outputs)
        return outputs

    def backward(self, gradients: Sequence[np.ndarray], *output_gradients: Any) -> None:
        """Fill `gradients`, one array for each input of `forward`."""
        raise NotImplementedError

    def _record(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Tell MXNet whom to call for the gradients, as its own class does (mxnet 1.9.1, autograd.py)."""
        Function, base = mx.autograd.Function, mx.base
        key = Function._registry.inc()

        def backward(n_outputs: int, n_inputs: int, handles: Any, requests: Any, is_train: int, _: Any) -> bool:
            try:
                arrays = [
                    mx.nd.NDArray(ctypes.cast(handles[k], base.NDArrayHandle)) for k in range(n_outputs + n_inputs)
                ]
                self._fill(arrays[:n_outputs], arrays[n_outputs:], requests[:n_inputs])
            except BaseException:  # it must not pass through MXNet, which then says that a callback failed
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

    def _fill(self, output_gradients: list[Any], arrays: list[Any], requests: list[int]) -> None:
        wanted = [as_numpy_view(array, wait=False) for array in arrays]  # ours alone as long as this call lasts
        filled = [np.empty_like(array) if request in (NULL, ADD) else array for array, request in zip(wanted, requests)]
        self.backward(filled, *output_gradients)
        for array, new, request in zip(wanted, filled, requests):
            if request == ADD:
                array += new
