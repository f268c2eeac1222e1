"""Model architecture: variant of the cell, hidden units, number of layers; names and shapes of the arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from gluon_lstm.language import _
from gluon_lstm.options import check, option

GATES = "gifo"  # candidate, input, forget and output gate, in the order of notes 003: one array each
FUSED_GATE_ORDER = "ifog"  # gate order of this package's fused arrays (..., 4H): the three sigmoids first, contiguous
NOTES_GATE_ORDER = "fgio"  # gate order of the fused arrays of notes 001
GLUON_GATE_ORDER = "ifgo"  # gate order of the fused arrays of `gluon.rnn.LSTM` and of PyTorch


@dataclass(frozen=True)
class CellConfig:
    """Switches of the cell.

    `gates`: the pre-activations of a step. GATES for an LSTM; "h" for a simple recurrent network, h = tanh(x Wxh +
    h Whh + bh), whose cell state c is passed through unchanged.
    `peepholes`: i and f read c of the step before, o reads the new c. "diagonal": weight vectors (Gers & Schmidhuber
    2000, "Recurrent nets that time and count", equations 3 to 5). "full": weight matrices, as printed in notes 000.
    `output_tanh`: h = o * tanh(c); False: h = o * c.
    `scratch_only`: not implemented by `lstm/fast` and `lstm/fused`, which refuse the cell.
    """

    gates: str = GATES
    peepholes: str = ""
    output_tanh: bool = True
    scratch_only: bool = False

    @property
    def fused_gate_order(self) -> str:
        """The order of the gates in a fused array of this cell."""
        return self.gates if self.gates == "h" else FUSED_GATE_ORDER


VARIANTS = {
    "standard": CellConfig(),  # notes 001, 003, 004
    "peephole": CellConfig(peepholes="diagonal"),
    "peephole-full": CellConfig(peepholes="full", scratch_only=True),  # notes 000
    "no-output-tanh": CellConfig(output_tanh=False),  # notes 002
    "rnn": CellConfig(gates="h"),  # the baseline of notes 003
}
PEEPHOLE_GATES = "ifo"  # the gates with a peephole weight
MAX_SIZES = {"hidden": 65_536, "layers": 64}  # upper bounds of the sizes: a hostile model file can ask for any


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of a model: H = `hidden` units, the cell VARIANTS[`variant`], `layers` stacked layers.

    The size of the vocabulary, V, is not part of it. Raises ValueError for an invalid field.
    """

    hidden: int = 256
    variant: str = "standard"
    layers: int = 1

    def __post_init__(self) -> None:
        for name, maximum in MAX_SIZES.items():
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(_("`{name}` {value}: use at least 1").format(name=name, value=value))
            if value > maximum:
                raise ValueError(
                    _("`{name}` {value}: use at most {maximum:,}").format(name=name, value=value, maximum=maximum)
                )
        if not isinstance(self.variant, str) or self.variant not in VARIANTS:
            raise ValueError(
                _("`variant` {variant}: use one of {variants}").format(
                    variant=self.variant, variants=", ".join(VARIANTS)
                )
            )

    @property
    def cell(self) -> CellConfig:
        return VARIANTS[self.variant]

    def shapes(self, V: int, D: int | None = None) -> dict[str, tuple[int, ...]]:
        """Return name -> shape of all arrays, in the order used everywhere.

        Layer 1 reads ids, that is, one-hot rows (V,); with D, rows of D numbers.
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
                shapes.update({array_name(f"Wc{k}", layer): shape for k in PEEPHOLE_GATES})
        return {**shapes, "Why": (H, V), "by": (V,)}

    @property
    def embedding_names(self) -> list[str]:
        """The names of the input weights of layer 1, whose rows the ids select: Wxg, Wxi, ..."""
        return [f"Wx{k}" for k in self.cell.gates]

    @property
    def size(self) -> str:
        """The size in words: 1 layer of 256 units."""
        return f"{self.layers} layer{'s' * (self.layers > 1)} of {self.hidden:,} units"

    @property
    def recurrent_names(self) -> list[str]:
        """The names of the recurrent weights (H, H) of all layers: Whg, Whi, ... Whg_2, ..."""
        return [array_name(f"Wh{k}", layer) for layer in range(1, self.layers + 1) for k in self.cell.gates]

    def names(self, layer: int) -> dict[str, str]:
        """Return, for one layer (from 1), the name in the equations -> the name in the model."""
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
    """Return the name of an array in a layer (from 1): Wxg, Wxg_2, Wxg_3 ..."""
    return name if layer == 1 else f"{name}_{layer}"


def require_arrays(names: Iterable[str], arrays: Collection[str]) -> None:
    """Raise ValueError that lists the `names` missing from `arrays`."""
    missing = [name for name in names if name not in arrays]
    if missing:
        raise ValueError(_("the model lacks the arrays {missing}").format(missing=", ".join(missing)))


ARRAY_NAMES = tuple(ModelConfig().shapes(1))  # the 14 arrays of the standard model
