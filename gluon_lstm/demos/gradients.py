"""gluon-lstm demo gradients: how far back a gradient reaches in a simple RNN and in LSTMs, and what clipping changes

Notes 004 say that the gradient of a simple RNN vanishes or explodes, that clipping cures the one and an LSTM the other.
Here the loss is that of the last step alone, so dL/dh[t] is all that a step t hears of it. Recurrent weights are
orthogonal times a scale: each product with them makes a gradient longer by just that scale, and what a table shows
beyond it is the work of tanh and of the gates. NumPy float64 throughout (`lstm/reference.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lstm.config import ModelConfig
from gluon_lstm.files import write_png
from gluon_lstm.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np

T, N, H, V = 100, 8, 64, 50
SCALES = (0.16, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0)  # 0.16: the spectral radius of 0.01 N(0, 1), H = 256 (notes 003)
RNN = "RNN"
MODELS: dict[str, tuple[str, float | None]] = {  # -> variant, forget bias
    RNN: ("rnn", None),
    "LSTM, bf = 0": ("standard", 0.0),  # as good as what notes 003 begin with
    "LSTM, bf = 1": ("standard", 1.0),  # the standard recipe
    "LSTM, bf = 5": ("standard", 5.0),  # a forget gate of 0.993
}
THRESHOLD = 1.0  # of clipping
BACK = (0, 1, 10, 25, 50, T - 1)  # the columns of the table, in steps before the last


@dataclass(frozen=True)
class Flow:
    """What came back through time in one model at one scale of its recurrent weights."""

    model: str
    scale: float
    norms: tuple[float, ...]  # of dL/dh[t], (N, H), by steps before the last: t = T, T - 1 ... 1
    length: float  # of the gradients of all arrays together, as one vector
    far: float  # of what more than T / 2 steps back adds to the gradients of the recurrent weights
    factor: float  # of clipping: threshold / length, never more than 1
    clipped: float  # the length behind it
    cosine: float  # between the gradients before and behind it
    far_clipped: float

    @property
    def growth(self) -> float:
        """What a step back multiplies the norm by, on average over the older half of the steps."""
        half = T // 2
        return float((self.norms[-1] / self.norms[half]) ** (1 / (T - 1 - half)))


def run(out: Path | None = None, seed: int = 1, progress: Progress = silent) -> list[Flow]:
    """Every model at every scale, on the same ids and the same directions of the weights; gradients.png in `out`."""
    flows = []
    with progress("gradients", len(MODELS) * len(SCALES), "models") as advance:
        for model in MODELS:
            for scale in SCALES:
                flows.append(flow(model, scale, seed))
                advance(1)
    if out:
        draw(flows, out / "gradients.png")
    return flows


def flow(model: str, scale: float, seed: int) -> Flow:
    import numpy as np

    from gluon_lstm.lstm import initializers
    from gluon_lstm.training.optimizer import clip_coef

    rng = np.random.default_rng(seed)
    variant, forget = MODELS[model]
    config = ModelConfig(H, variant)
    W = {name: array.astype(np.float64) for name, array in initializers.standard(config, V, rng).items()}
    for k in config.cell.gates:
        W[f"Wh{k}"] *= scale
    if forget is not None:
        W["bf"][:] = forget
    x, y = rng.integers(V, size=(T, N)), rng.integers(V, size=N)
    dh, grads, far = gradients(x, y, W, config)
    length = norm(grads)
    factor = clip_coef(length, THRESHOLD)
    clipped = {name: factor * grad for name, grad in grads.items()}
    return Flow(
        model=model,
        scale=scale,
        norms=tuple(float(n) for n in np.linalg.norm(dh, axis=(1, 2))[::-1]),
        length=length,
        far=norm(far),
        factor=factor,
        clipped=norm(clipped),
        cosine=sum(float(np.vdot(grads[name], clipped[name])) for name in grads) / (length * norm(clipped)),
        far_clipped=norm({name: factor * grad for name, grad in far.items()}),
    )


def gradients(
    x: np.ndarray, y: np.ndarray, W: Mapping[str, np.ndarray], config: ModelConfig
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Of the mean cross-entropy over the lanes at the last step alone: ids x (T, N), y (N,), one layer, zero state.

    dL/dh[t] (T, N, H); dL/dW for every array; and the part of dL/dWh that the first half of the steps gave.
    """
    import numpy as np

    from gluon_lstm.lstm import reference
    from gluon_lstm.numerics import log_softmax

    T, N = x.shape
    zero = np.zeros((N, config.hidden))
    hidden, _, _, (tape,) = reference.forward(x, zero, zero, W, config)
    dz = np.exp(log_softmax(reference.logits(hidden[-1], W)))  # (N, V)
    dz[np.arange(N), y] -= 1
    dz /= N
    dhidden = np.zeros_like(hidden)
    dhidden[-1] = dz @ W["Why"].T
    grads = reference.backward([tape], dhidden, W, config, None)
    grads.update(Why=hidden[-1].T @ dz, by=dz.sum(axis=0))

    gates = config.cell.gates
    dh, far = np.empty_like(hidden), {f"Wh{k}": np.zeros_like(W[f"Wh{k}"]) for k in gates}
    for t, dh[t], dA in reference.backward_steps(tape.steps, dhidden, W, config.cell):
        for k in gates if t < T // 2 else ():
            far[f"Wh{k}"] += tape.steps[t].h_prev.T @ dA[k]
    return dh, grads, far


def norm(arrays: Mapping[str, np.ndarray]) -> float:
    """The length of all arrays together, as one vector."""
    return float(sum(float((array**2).sum()) for array in arrays.values()) ** 0.5)


def lines(flows: Sequence[Flow]) -> list[str]:
    """Two tables."""
    columns = ["T" if back == 0 else f"T-{back}" for back in BACK]
    table = [
        f"norm of dL/dh[t]; the loss is that of step T = {T} alone; {N} lanes, {H} hidden units",
        f"{'':<13}{'scale':>5}" + "".join(f"{column:>9}" for column in columns) + "   a step back multiplies by",
    ]
    for f in flows:
        norms = "".join(f"{f.norms[back]:>9.1e}" for back in BACK)
        table.append(f"{f.model:<13}{f.scale:>5}{norms}   {f.growth:.3f}")
    table += [
        "",
        f"clipping to {THRESHOLD:g}: all gradients times {THRESHOLD:g} / length, never more than 1;"
        f" `far`: what more than {T // 2} steps back adds to dL/dWh",
        f"{'':<13}{'scale':>5}{'length':>9}{'factor':>9}{'clipped':>9}{'cosine':>9}{'far':>9}{'clipped':>9}",
    ]
    for f in flows:
        numbers = f"{f.length:>9.1e}{f.factor:>9.1e}{f.clipped:>9.1e}{f.cosine:>9.6f}{f.far:>9.1e}{f.far_clipped:>9.1e}"
        table.append(f"{f.model:<13}{f.scale:>5}{numbers}")
    return table


def draw(flows: Sequence[Flow], path: Path) -> None:
    """dL/dh[t] of each model, that of the RNN once more as clipping leaves it, and all lengths, as a PNG."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), dpi=70, layout="constrained")
    panels: Any = figure.subplots(2, 3).flat
    shown = [*((model, False) for model in MODELS), (RNN, True)]
    for axes, (model, is_clipped) in zip(panels, shown):
        for f in flows:
            if f.model == model:
                factor = f.factor if is_clipped else 1.0
                color = colormaps["viridis"](SCALES.index(f.scale) / len(SCALES))
                axes.semilogy([factor * n for n in f.norms], color=color, label=f"{f.scale:g}")
        title = f"{model}, clipped to {THRESHOLD:g}" if is_clipped else model
        axes.set(title=title, ylim=(1e-20, 1e10), xlabel="steps back from the loss", ylabel="norm of dL/dh[t]")
    panels[len(MODELS) - 1].legend(title="scale of Wh", fontsize="small", loc="lower left", ncols=2)
    last = panels[len(shown)]
    for model in MODELS:
        own = [f for f in flows if f.model == model]
        (line,) = last.semilogy([f.scale for f in own], [f.length for f in own], "o:", label=model)
        last.semilogy([f.scale for f in own], [f.clipped for f in own], "-", color=line.get_color())
    last.set(title="length of dL/dW: found (o), clipped (-)", xlabel="scale of Wh")
    last.legend(fontsize="small")
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    write_png(figure, path)
