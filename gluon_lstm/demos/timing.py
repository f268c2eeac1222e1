"""Demo: a timer that one cell learns with peepholes and does not learn without them.

The first input gives a delay; the target is 1 (a spike) that many steps later and 0 elsewhere. The task, the single
cell and the squared error are those of Gers, Schraudolph & Schmidhuber (2002), "Learning Precise Timing with LSTM
Recurrent Networks". Without peepholes the gates depend on the cell only through h = o * tanh(c), which must stay
constant while the target is 0. The networks are trained on odd delays and tested on the even delays between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.demos.block_diagonal import BlockDiagonal
from gluon_lstm.demos.result import DemoResult, Table, lines
from gluon_lstm.figures import in_language
from gluon_lstm.files import write_png
from gluon_lstm.language import _
from gluon_lstm.progress import Progress, silent

__all__ = ["lines", "run"]

SEEDS = 5
VARIANTS = ("standard", "peephole")
CELL_COUNTS = (1, 2)
TRAIN_DELAYS, TEST_DELAYS = range(5, 22, 2), range(6, 21, 2)
MAX_DELAY = max(TRAIN_DELAYS)
UPDATES, LEARNING_RATE, CLIP_THRESHOLD = 1000, 0.05, 1.0  # Adam; cosine decay to 0
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class DelayScores(NamedTuple):
    """Outputs and scores of K networks for the test delays."""

    outputs: np.ndarray  # (T, delays, K)
    error: np.ndarray  # (K,) mean squared error of a sequence; the output 0 has error 1
    on_time: np.ndarray  # (K,) share of delays with an output above 1/2 at the right step and at no other


def run(out: Path | None = None, seed: int = 1, progress: Progress = silent) -> DemoResult:
    """Train and test with the seeds `seed` to `seed` + 4; write timing.png into the directory `out`."""
    seeds = range(seed, seed + SEEDS)
    results = train_all(seeds, progress)
    if out:
        save_plot(results, out / "timing.png")
    return DemoResult(tables(results, seeds), sentences(results))


def train_all(seeds: Sequence[int], progress: Progress = silent) -> dict[tuple[int, str], DelayScores]:
    """Return the test results by (cells, variant), each with one network a seed."""
    with progress(_("training"), len(CELL_COUNTS) * len(VARIANTS) * UPDATES, _("updates")) as advance:
        return {
            (H, variant): evaluate(train(ModelConfig(H, variant), seeds, UPDATES, advance))
            for H in CELL_COUNTS
            for variant in VARIANTS
        }


def task(delays: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return x, y (T, delays, 1): at the first step the delay / MAX_DELAY, and the spike that many steps later."""
    x = np.zeros((MAX_DELAY + 3, len(delays), 1))
    y = np.zeros_like(x)
    x[0, :, 0] = np.array(delays) / MAX_DELAY
    y[delays, np.arange(len(delays))] = 1
    return x, y


def initial_weights(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the initial weights of notes 000, N(0, 0.1²), with a forget bias of 1, other biases and peepholes 0.

    Both variants have the same initial values.
    """
    arrays = {name: np.zeros(shape) for name, shape in config.shapes(1).items()}
    for name, array in arrays.items():
        if name.startswith(("Wx", "Wh")):
            array[:] = 0.1 * rng.standard_normal(array.shape)
    arrays["bf"][:] = 1
    return arrays


def train(
    config: ModelConfig, seeds: Sequence[int], updates: int, advance: Callable[[int], None] = lambda n: None
) -> BlockDiagonal:
    """Train one network a seed; each update takes the gradient over all training delays."""
    networks = BlockDiagonal([initial_weights(config, np.random.default_rng(seed)) for seed in seeds], config)
    x, y = (np.tile(array, len(seeds)) for array in task(TRAIN_DELAYS))
    mean, square = ({name: np.zeros_like(array) for name, array in networks.W.items()} for _ in range(2))
    for update in range(updates):
        outputs = networks.forward(x)
        grads = networks.backward(outputs, (outputs.z - y) / len(TRAIN_DELAYS))
        rate = LEARNING_RATE * (1 + np.cos(np.pi * update / updates)) / 2
        rate *= np.sqrt(1 - BETA2 ** (update + 1)) / (1 - BETA1 ** (update + 1))
        for name, grad in networks.clip(grads, CLIP_THRESHOLD).items():  # Adam: Kingma & Ba 2015, arXiv:1412.6980
            mean[name] += (1 - BETA1) * (grad - mean[name])
            square[name] += (1 - BETA2) * (grad**2 - square[name])
            networks.W[name] -= rate * mean[name] / (np.sqrt(square[name]) + EPSILON)
        advance(1)
    return networks


def evaluate(networks: BlockDiagonal) -> DelayScores:
    """Run the networks on the test delays."""
    x, y = (np.tile(array, networks.count) for array in task(TEST_DELAYS))
    z = networks.forward(x).z
    return DelayScores(z, ((z - y) ** 2).sum(axis=0).mean(axis=0), ((z > 0.5) == (y > 0.5)).all(axis=0).mean(axis=0))


def tables(results: dict[tuple[int, str], DelayScores], seeds: Sequence[int]) -> list[Table]:
    """Return one table for each number of cells: error and delays met, by seed, with the medians."""
    result = []
    for H in CELL_COUNTS:
        columns = [values for variant in VARIANTS for values in results[H, variant][1:]]
        rows = [*zip(map(str, seeds), zip(*columns)), (_("median"), tuple(map(np.median, columns)))]
        delays = f"{TEST_DELAYS[0]}, {TEST_DELAYS[1]} ... {TEST_DELAYS[-1]}"
        result.append(
            Table(
                _(
                    "Cells: {cells}. Error (1: that of the output 0) and share of the delays {delays} met, by seed"
                ).format(cells=H, delays=delays),
                [f"{variant}{suffix}" for variant in VARIANTS for suffix in ("", _(", met"))],
                [(name, [f"{v:.3f}" if k % 2 == 0 else f"{v:.0%}" for k, v in enumerate(row)]) for name, row in rows],
            )
        )
    return result


def sentences(results: dict[tuple[int, str], DelayScores]) -> list[str]:
    return [
        _("Cells: {cells}. With peepholes the error is smaller in {smaller} of {seeds} seeds").format(
            cells=H,
            smaller=np.count_nonzero(results[H, "peephole"].error < results[H, "standard"].error),
            seeds=SEEDS,
        )
        for H in CELL_COUNTS
    ]


@in_language()
def save_plot(results: dict[tuple[int, str], DelayScores], path: Path) -> None:
    """Write a PNG of the outputs of one cell for three delays, with the first seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    for axes, variant in zip(figure.subplots(1, 2, sharey=True), VARIANTS):
        for k in (0, len(TEST_DELAYS) // 2, len(TEST_DELAYS) - 1):
            (line,) = axes.plot(
                results[1, variant].outputs[:, k, 0], label=_("delay {steps}").format(steps=TEST_DELAYS[k])
            )
            axes.plot(TEST_DELAYS[k], 1, "v", color=line.get_color())
        axes.axhline(0.5, color="gray", linestyle=":")
        axes.set(title=_("{variant}, one cell").format(variant=variant), xlabel=_("step (triangle: target spike)"))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.axes[0].set_ylabel(_("output"))
    write_png(figure, path)
