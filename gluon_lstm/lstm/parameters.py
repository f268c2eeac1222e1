"""The parameters of the model as NDArrays with gradients: the only copy of the weights during training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import CellConfig, ModelConfig, require_arrays
from gluon_lstm.lstm.fast.inplace_function import as_matrix_view


class Parameters:
    """The arrays `Wxg Wxi Wxf Wxo Whg Whi Whf Who bg bi bf bo Why by` as attributes, on one device.

    A product reads as in the equations: `nd.dot(h, W.Whg)`. After `backward()` each array has its gradient in `.grad`.
    Other configs have other arrays; `layers[k]` has those of layer k + 1 under the names of the equations.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        ctx: Any = None,
        dtype: str = "float32",
        config: ModelConfig | None = None,
    ) -> None:
        """Copy `arrays` to the device `ctx` (mx.Context; None: the CPU) and attach gradients.

        `config`: None for the standard model of the 14 arrays. Raises ValueError that names missing arrays.
        """
        self.config = config or ModelConfig(len(arrays["Why"]) if "Why" in arrays else 1)
        names = self.config.shapes(1)
        require_arrays(names, arrays)
        self.ctx = ctx or mx.cpu()
        self._arrays = {name: mx.nd.array(arrays[name], ctx=self.ctx, dtype=dtype) for name in names}
        self._views: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for array in self._arrays.values():
            array.attach_grad()

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the arrays in the order of `config.shapes`."""
        return iter(self._arrays.values())

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter(self._arrays.items())

    @property
    def embedding_names(self) -> list[str]:
        """The names of the input weights of layer 1, whose rows the ids select: Wxg, Wxi, ..."""
        return self.config.embedding_names

    @property
    def layers(self) -> list[Layer]:
        """The layers, lowest first."""
        return [Layer(self, layer) for layer in range(1, self.config.layers + 1)]

    @property
    def H(self) -> int:
        return int(self.Why.shape[0])

    @property
    def V(self) -> int:
        return int(self.Why.shape[1])

    def count(self) -> int:
        """Return the number of trained scalars."""
        return sum(int(array.size) for array in self)

    def to_numpy(self) -> dict[str, np.ndarray]:
        """Return copies of the arrays in NumPy, for a model file."""
        return {name: array.asnumpy() for name, array in self.items()}

    def gradients(self) -> dict[str, np.ndarray]:
        """Return copies of the gradients of the last `backward()`."""
        return {name: array.grad.asnumpy() for name, array in self.items()}

    def views(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return (array, gradient) by name, views of their memory as matrices, after all pending operations.

        For float32 on the CPU (`is_viewable`), else ValueError. The views stay valid; they are made once.
        """
        mx.nd.waitall()
        if not self._views:
            self._views = {name: (as_matrix_view(each), as_matrix_view(each.grad)) for name, each in self.items()}
        return self._views

    def assign(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy `arrays` into the NDArrays in place; their identity and gradient buffers stay."""
        for name, array in self.items():
            array[:] = mx.nd.array(arrays[name], ctx=self.ctx, dtype=array.dtype)


class Layer:
    """The arrays `Wxg ... bo` of one layer (numbered from 1) as attributes, and its CellConfig in `cell`."""

    def __init__(self, W: Parameters, layer: int) -> None:
        self.cell: CellConfig = W.config.cell
        for name, in_model in W.config.names(layer).items():
            setattr(self, name, getattr(W, in_model))

    def __getattr__(self, name: str) -> Any:  # lets the type checker accept the arrays of every variant
        raise AttributeError(name)
