"""Demo: how far gradients reach back in a simple RNN and in LSTMs, and what clipping changes.

Notes 004 state that the gradient of a simple RNN vanishes or explodes, that clipping prevents explosion and an LSTM
prevents vanishing. Here the loss is that of the last step alone, so dL/dh[t] is the whole gradient of step t. The
recurrent weights are an orthogonal matrix times a scale: a product with them multiplies the norm of a gradient by
exactly that scale, so any other change is due to tanh and the gates. All in float64 NumPy (`lstm/reference.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gluon_lstm.columns import rjust
from gluon_lstm.config import ModelConfig
from gluon_lstm.figures import in_language
from gluon_lstm.files import write_png
from gluon_lstm.language import _
from gluon_lstm.progress import Progress, silent

if TYPE_CHECKING:
    import numpy as np

T, N, H, V = 100, 8, 64, 50  # steps, lanes, hidden units, ids
SCALES = (0.16, 0.5, 0.9, 1.0, 1.1, 1.5, 2.0)  # 0.16: the spectral radius of 0.01 N(0, 1), H = 256 (notes 003)
RNN = "RNN"
MODELS: dict[str, tuple[str, float | None]] = {  # variant, forget bias
    RNN: ("rnn", None),
    "LSTM, bf = 0": ("standard", 0.0),  # nearly the initial bias of notes 003
    "LSTM, bf = 1": ("standard", 1.0),  # the standard recipe
    "LSTM, bf = 5": ("standard", 5.0),  # a forget gate of 0.993
}
CLIP_THRESHOLD = 1.0
STEPS_BACK = (0, 1, 10, 25, 50, T - 1)  # columns of the table


@dataclass(frozen=True)
class GradientFlow:
    """Norms of the gradients of one model at one scale of its recurrent weights."""

    model: str
    scale: float
    norms: tuple[float, ...]  # of dL/dh[t] (N, H) for t = T, T - 1 ... 1
    norm: float  # global norm of dL/dW
    far_norm: float  # norm of the part of dL/dWh from more than T / 2 steps back
    clip_factor: float  # min(1, threshold / norm)
    clipped_norm: float  # norm after clipping
    cosine: float  # of the angle between the gradients before and after clipping
    far_clipped_norm: float  # `far_norm` after clipping

    @property
    def growth(self) -> float:
        """Geometric mean of the factor by which a step back multiplies the norm, over the first half of the steps."""
        half = T // 2
        return float((self.norms[-1] / self.norms[half]) ** (1 / (T - 1 - half)))


def run(out: Path | None = None, seed: int = 1, progress: Progress = silent) -> list[GradientFlow]:
    """Measure every model at every scale with the same random numbers; write gradients.png into `out`."""
    flows = []
    with progress(_("gradients"), len(MODELS) * len(SCALES), _("models")) as advance:
        for model in MODELS:
            for scale in SCALES:
                flows.append(measure(model, scale, seed))
                advance(1)
    if out:
        save_plot(flows, out / "gradients.png")
    return flows


def measure(model: str, scale: float, seed: int) -> GradientFlow:
    """Measure one model at one scale, with random ids and weights from `seed`."""
    import numpy as np

    from gluon_lstm.lstm import initializers
    from gluon_lstm.numerics import clip_coef

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
    norm = global_norm(grads)
    clip_factor = clip_coef(norm, CLIP_THRESHOLD)
    clipped = {name: clip_factor * grad for name, grad in grads.items()}
    return GradientFlow(
        model=model,
        scale=scale,
        norms=tuple(float(n) for n in np.linalg.norm(dh, axis=(1, 2))[::-1]),
        norm=norm,
        far_norm=global_norm(far),
        clip_factor=clip_factor,
        clipped_norm=global_norm(clipped),
        cosine=sum(float(np.vdot(grads[name], clipped[name])) for name in grads) / (norm * global_norm(clipped)),
        far_clipped_norm=global_norm({name: clip_factor * grad for name, grad in far.items()}),
    )


def gradients(
    x: np.ndarray, y: np.ndarray, W: Mapping[str, np.ndarray], config: ModelConfig
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return dL/dh[t] (T, N, H), dL/dW by name, and the part of dL/dWh from the first half of the steps.

    L is the mean cross-entropy over the lanes at the last step. Ids x (T, N), y (N,); one layer, zero state.
    """
    import numpy as np

    from gluon_lstm.lstm import reference
    from gluon_lstm.numerics import log_softmax

    T, N = x.shape
    zero = np.zeros((N, config.hidden))
    hidden, _h, _c, (tape,) = reference.forward(x, zero, zero, W, config)
    dz = np.exp(log_softmax(reference.logits(hidden[-1], W)))  # (N, V)
    dz[np.arange(N), y] -= 1
    dz /= N
    dhidden = np.zeros_like(hidden)
    dhidden[-1] = dz @ W["Why"].T
    grads = reference.backward([tape], dhidden, W, config, None)
    grads.update(Why=hidden[-1].T @ dz, by=dz.sum(axis=0))

    gates = config.cell.gates
    dh, far_norm = np.empty_like(hidden), {f"Wh{k}": np.zeros_like(W[f"Wh{k}"]) for k in gates}
    for t, dh[t], dA in reference.backward_steps(tape.steps, dhidden, W, config.cell):
        for k in gates if t < T // 2 else ():
            far_norm[f"Wh{k}"] += tape.steps[t].h_prev.T @ dA[k]
    return dh, grads, far_norm


def global_norm(arrays: Mapping[str, np.ndarray]) -> float:
    """Return the Euclidean norm of all arrays, taken as one vector."""
    return float(sum(float((array**2).sum()) for array in arrays.values()) ** 0.5)


def lines(flows: Sequence[GradientFlow]) -> list[str]:
    """Return a table of the norms of dL/dh[t] and a table of clipping."""
    heading = " " * 13 + rjust(_("scale"), 5)
    names = (_("length"), _("factor"), _("clipped"), _("cosine"), _("far"), _("clipped"))
    columns = ["T" if back == 0 else f"T-{back}" for back in STEPS_BACK]
    table = [
        _("norm of dL/dh[t]; the loss is that of step T = {T} alone; {N} lanes, {H} hidden units").format(
            T=T, N=N, H=H
        ),
        heading + "".join(f"{column:>9}" for column in columns) + "   " + _("a step back multiplies by"),
    ]
    for f in flows:
        norms = "".join(f"{f.norms[back]:>9.1e}" for back in STEPS_BACK)
        table.append(f"{f.model:<13}{f.scale:>5}{norms}   {f.growth:.3f}")
    table += [
        "",
        _(
            "clipping to {threshold:g}: factor = min(1, {threshold:g} / length); `far`: length of the part of dL/dWh"
            " from more than {steps} steps back"
        ).format(threshold=CLIP_THRESHOLD, steps=T // 2),
        heading + "".join(rjust(name, 9) for name in names),
    ]
    for f in flows:
        whole = f"{f.norm:>9.1e}{f.clip_factor:>9.1e}{f.clipped_norm:>9.1e}{f.cosine:>9.6f}"
        table.append(f"{f.model:<13}{f.scale:>5}{whole}{f.far_norm:>9.1e}{f.far_clipped_norm:>9.1e}")
    return table


@in_language()
def save_plot(flows: Sequence[GradientFlow], path: Path) -> None:
    """Write a PNG: dL/dh[t] of each model and of the clipped RNN, and the norms of dL/dW before and after clipping."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 7), dpi=70, layout="constrained")
    panels: Any = figure.subplots(2, 3).flat
    shown = [*((model, False) for model in MODELS), (RNN, True)]
    for axes, (model, is_clipped) in zip(panels, shown):
        for f in flows:
            if f.model == model:
                clip_factor = f.clip_factor if is_clipped else 1.0
                color = colormaps["viridis"](SCALES.index(f.scale) / len(SCALES))
                axes.semilogy([clip_factor * n for n in f.norms], color=color, label=f"{f.scale:g}")
        title = (
            _("{model}, clipped to {threshold:g}").format(model=model, threshold=CLIP_THRESHOLD)
            if is_clipped
            else model
        )
        axes.set(title=title, ylim=(1e-20, 1e10), xlabel=_("steps back from the loss"), ylabel=_("norm of dL/dh[t]"))
    panels[len(MODELS) - 1].legend(title=_("scale of Wh"), fontsize="small", loc="lower left", ncols=2)
    last = panels[len(shown)]
    for model in MODELS:
        own = [f for f in flows if f.model == model]
        (line,) = last.semilogy([f.scale for f in own], [f.norm for f in own], "o:", label=model)
        last.semilogy([f.scale for f in own], [f.clipped_norm for f in own], "-", color=line.get_color())
    last.set(title=_("norm of dL/dW (line: clipped)"), xlabel=_("scale of Wh"))
    last.legend(fontsize="small")
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    write_png(figure, path)
