"""The 14 NDArrays of the model, each with a gradient: the only home of the weights while they are trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.model import NAMES


class Parameters:
    """`Wxg Wxi Wxf Wxo Whg Whi Whf Who bg bi bf bo Why by`, as attributes, on one device.

    A product with a weight is written as in the equations: `nd.dot(h, W.Whg)`. Each array has its gradient in `.grad`
    after `backward()`.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], ctx: Any = None, dtype: str = "float32") -> None:
        """Copies of `arrays` on the device `ctx` (mx.Context; None: the CPU); ValueError when one is missing."""
        missing = [name for name in NAMES if name not in arrays]
        if missing:
            raise ValueError(f"the arrays of the model lack {', '.join(missing)}")
        self.ctx = ctx or mx.cpu()
        self._arrays = {name: mx.nd.array(arrays[name], ctx=self.ctx, dtype=dtype) for name in NAMES}
        for array in self._arrays.values():
            array.attach_grad()

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[Any]:
        """The arrays in the order of NAMES."""
        return iter(self._arrays.values())

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter(self._arrays.items())

    @property
    def H(self) -> int:
        return int(self.Why.shape[0])

    @property
    def V(self) -> int:
        return int(self.Why.shape[1])

    def count(self) -> int:
        """How many numbers there are to learn."""
        return sum(int(array.size) for array in self)

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Copies as NumPy arrays, for a model file."""
        return {name: array.asnumpy() for name, array in self.items()}

    def gradients(self) -> dict[str, np.ndarray]:
        """Copies of the gradients of the last `backward()`."""
        return {name: array.grad.asnumpy() for name, array in self.items()}

    def set(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Put other numbers in the same places."""
        for name, array in self.items():
            array[:] = mx.nd.array(arrays[name], ctx=self.ctx, dtype=array.dtype)
