"""What a model is built like: the cell, its size, how many lie above one another, and the names of its arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gluon_lstm.options import check, option

GATES = "gifo"  # candidate, input, forget and output gate, in the order of the notes


@dataclass(frozen=True)
class CellConfig:
    """What is inside a cell.

    `gates` names its sums: those of an LSTM, or "h", the one of a simple recurrent network, h = tanh(x Wxh + h Whh +
    bh), which has no cell (its c stays what it is). With `peepholes` the gates see the cell, i and f the one before the
    step, o the one behind it: "diagonal" through vectors (Gers & Schmidhuber 2000, "Recurrent nets that time and
    count", equations 3 to 5), "full" through matrices, as notes 000 print it. Without `output_tanh`, h = o * c.
    """

    gates: str = GATES
    peepholes: str = ""
    output_tanh: bool = True

    @property
    def fused_gate_order(self) -> str:
        """The gates in the order in which they lie where one product gives them all: first those of a sigmoid."""
        return self.gates if self.gates == "h" else "ifog"


VARIANTS = {
    "standard": CellConfig(),  # notes 001, 003, 004
    "peephole": CellConfig(peepholes="diagonal"),
    "peephole-full": CellConfig(peepholes="full"),  # notes 000
    "no-output-tanh": CellConfig(output_tanh=False),  # notes 002
    "rnn": CellConfig(gates="h"),  # what notes 003 compare with
}
PEEPHOLES = "ifo"  # the gates that may see the cell
MAX_SIZES = {"hidden": 65_536, "layers": 64}  # a model file may come from anywhere, and ask for a billion layers


@dataclass(frozen=True)
class ModelConfig:
    """What a model is built like: H, the number of hidden units, a cell of VARIANTS, and layers, one above the other.

    (V is the length of the vocabulary.) Raises ValueError for what cannot be.
    """

    hidden: int = 256
    variant: str = "standard"
    layers: int = 1

    def __post_init__(self) -> None:
        for name, most in MAX_SIZES.items():
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"`{name}` {value}: use at least 1")
            if value > most:
                raise ValueError(f"`{name}` {value}: use at most {most:,}")
        if not isinstance(self.variant, str) or self.variant not in VARIANTS:
            raise ValueError(f"`variant` {self.variant}: use one of {', '.join(VARIANTS)}")

    @property
    def cell(self) -> CellConfig:
        return VARIANTS[self.variant]

    def shapes(self, V: int, D: int | None = None) -> dict[str, tuple[int, ...]]:
        """The shape of each array, in the order in which they are named everywhere.

        Layer 1 reads ids, which stand for rows (V,), or where D is given rows of D numbers.
        """
        H, shapes = self.hidden, {}
        for layer in range(1, self.layers + 1):
            shapes.update(
                {
                    **{array_name(f"Wx{k}", layer): ((D or V) if layer == 1 else H, H) for k in self.cell.gates},
                    **{array_name(f"Wh{k}", layer): (H, H) for k in self.cell.gates},
                    **{array_name(f"b{k}", layer): (H,) for k in self.cell.gates},
                }
            )
            if self.cell.peepholes:
                shape = (H,) if self.cell.peepholes == "diagonal" else (H, H)
                shapes.update({array_name(f"Wc{k}", layer): shape for k in PEEPHOLES})
        return {**shapes, "Why": (H, V), "by": (V,)}

    @property
    def recurrent(self) -> list[str]:
        """The names of the recurrent weights of all layers: those of `Whg` and the like."""
        return [array_name(f"Wh{k}", layer) for layer in range(1, self.layers + 1) for k in self.cell.gates]

    def names(self, layer: int) -> dict[str, str]:
        """The arrays of one layer (from 1): the name in the equations -> the name in the model."""
        one = ModelConfig(self.hidden, self.variant).shapes(1)
        return {name: array_name(name, layer) for name in one if name not in ("Why", "by")}


@dataclass(frozen=True)
class WindowSize:
    """Sizes of one window: N lanes, T time steps, H hidden units, V tokens. Raises ValueError below 1."""

    batch_size: int = option(8, "lanes per batch", "N", minimum=1)
    seq_len: int = option(20, "time steps of the window", "T", minimum=1)
    hidden: int = option(48, "hidden units per layer", "H", minimum=1)
    vocab_size: int = option(300, "vocabulary size", "V", minimum=1)

    def __post_init__(self) -> None:
        check(self)


def array_name(name: str, layer: int) -> str:
    """The name of an array in a layer (from 1): Wxg, Wxg_2, Wxg_3 ..."""
    return name if layer == 1 else f"{name}_{layer}"


def require_arrays(names: Iterable[str], arrays: Collection[str]) -> None:
    """ValueError for those of `names` that `arrays` does not have."""
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(f"the arrays of the model lack {', '.join(missing)}")


NAMES = tuple(ModelConfig().shapes(1))  # the 14 arrays of the standard model
