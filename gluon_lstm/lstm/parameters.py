"""The NDArrays of the model, each with a gradient: the only home of the weights while they are trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.config import CellConfig, ModelConfig, require_arrays


class Parameters:
    """`Wxg Wxi Wxf Wxo Whg Whi Whf Who bg bi bf bo Why by`, as attributes, on one device.

    A product with a weight is written as in the equations: `nd.dot(h, W.Whg)`. Each array has its gradient in `.grad`
    after `backward()`. Another configuration has other arrays; those of one of its layers are `layers[k]`.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        ctx: Any = None,
        dtype: str = "float32",
        config: ModelConfig | None = None,
    ) -> None:
        """Copies of `arrays` on the device `ctx` (mx.Context; None: the CPU), of the standard model if nothing else is
        said; ValueError when one is missing.
        """
        self.config = config or ModelConfig(len(arrays["Why"]) if "Why" in arrays else 1)
        names = self.config.shapes(1)
        require_arrays(names, arrays)
        self.ctx = ctx or mx.cpu()
        self._arrays = {name: mx.nd.array(arrays[name], ctx=self.ctx, dtype=dtype) for name in names}
        for array in self._arrays.values():
            array.attach_grad()

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_arrays"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[Any]:
        """The arrays in the order of the configuration."""
        return iter(self._arrays.values())

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter(self._arrays.items())

    @property
    def embedding_names(self) -> list[str]:
        """The names of the arrays whose rows the ids name: the input weights of the lowest layer."""
        return [f"Wx{k}" for k in self.config.cell.gates]

    @property
    def layers(self) -> list[Layer]:
        """The layers from below, each with its arrays under the names of the equations."""
        return [Layer(self, layer) for layer in range(1, self.config.layers + 1)]

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


class Layer:
    """`Wxg ... bo` of one layer (from 1), as attributes, and the variant of its cell."""

    def __init__(self, W: Parameters, layer: int) -> None:
        self.cell: CellConfig = W.config.cell
        for name, in_model in W.config.names(layer).items():
            setattr(self, name, getattr(W, in_model))

    def __getattr__(self, name: str) -> Any:  # for the type checker: an array of another variant
        raise AttributeError(name)
