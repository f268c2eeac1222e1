"""A timer that one cell can be if its gates see the cell (peepholes), and cannot be if they do not.

The first input says how many steps to wait; the answer is 0, but 1 at the step that many steps later (a spike, as in
Gers, Schraudolph & Schmidhuber 2002, "Learning Precise Timing with LSTM Recurrent Networks", and as there with one cell
and a squared error). Without peepholes the gates see the cell only through h = o * tanh(c), and so not at all while the
answer is to be 0. Trained on the odd delays, tried on the even ones between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gluon_lstm.config import ModelConfig
from gluon_lstm.demos.block_diagonal import BlockDiagonal
from gluon_lstm.demos.result import DemoResult, Table
from gluon_lstm.progress import Progress, silent

SEEDS = 5
VARIANTS = ("standard", "peephole")
CELLS = (1, 2)
TRAINED, TRIED = range(5, 22, 2), range(6, 21, 2)  # delays
LONGEST = max(TRAINED)
UPDATES, RATE, THRESHOLD = 1000, 0.05, 1.0  # Adam; the rate falls to 0 along a cosine
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Result(NamedTuple):
    """What K networks answer to the delays they were not trained on."""

    answers: np.ndarray  # (T, delays, K)
    error: np.ndarray  # (K,): squared error of a sequence, 1 for an answer of 0
    on_time: np.ndarray  # (K,): share of the delays with an answer above 1/2 at the right step and at no other


def demonstrate(seed: int, progress: Progress = silent) -> DemoResult:
    """The whole demonstration, over the seeds `seed` to `seed` + 4."""
    seeds = range(seed, seed + SEEDS)
    results = run(seeds, progress)
    return DemoResult(tables(results, seeds), sentences(results), lambda figure: draw(results, figure))


def run(seeds: Sequence[int], progress: Progress = silent) -> dict[tuple[int, str], Result]:
    """(cells, variant) -> what it learned, a network for each seed; with the same beginning, updates and rates."""
    with progress("training", len(CELLS) * len(VARIANTS) * UPDATES, "updates") as advance:
        return {
            (H, variant): tried(train(ModelConfig(H, variant), seeds, UPDATES, advance))
            for H in CELLS
            for variant in VARIANTS
        }


def task(delays: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """x, y (T, delays, 1): the delay, as a share of the longest, at the first step; the spike that many steps later."""
    x = np.zeros((LONGEST + 3, len(delays), 1))
    y = np.zeros_like(x)
    x[0, :, 0] = np.array(delays) / LONGEST
    y[delays, np.arange(len(delays))] = 1
    return x, y


def begin(config: ModelConfig, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """As notes 000 begin: weights with standard deviation 0.1, biases 0; but the forget gate's 1, and the peepholes 0,
    so that both variants begin with the same numbers.
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
    """A network for each seed, all of them trained with all the delays at each update."""
    networks = BlockDiagonal([begin(config, np.random.default_rng(seed)) for seed in seeds], config)
    x, y = (np.tile(array, len(seeds)) for array in task(TRAINED))
    mean, square = ({name: np.zeros_like(array) for name, array in networks.W.items()} for _ in range(2))
    for update in range(updates):
        answer = networks.answer(x)
        grads = networks.gradients(answer, (answer.z - y) / len(TRAINED))
        rate = RATE * (1 + np.cos(np.pi * update / updates)) / 2
        rate *= np.sqrt(1 - BETA2 ** (update + 1)) / (1 - BETA1 ** (update + 1))
        for name, grad in networks.clipped(grads, THRESHOLD).items():  # Adam: Kingma & Ba 2015, arXiv:1412.6980
            mean[name] += (1 - BETA1) * (grad - mean[name])
            square[name] += (1 - BETA2) * (grad**2 - square[name])
            networks.W[name] -= rate * mean[name] / (np.sqrt(square[name]) + EPSILON)
        advance(1)
    return networks


def tried(networks: BlockDiagonal) -> Result:
    x, y = (np.tile(array, networks.count) for array in task(TRIED))
    z = networks.answer(x).z
    return Result(z, ((z - y) ** 2).sum(axis=0).mean(axis=0), ((z > 0.5) == (y > 0.5)).all(axis=0).mean(axis=0))


def tables(results: dict[tuple[int, str], Result], seeds: Sequence[int]) -> list[Table]:
    found = []
    for H in CELLS:
        columns = [values for variant in VARIANTS for values in results[H, variant][1:]]
        rows = [*zip(map(str, seeds), zip(*columns)), ("median", tuple(map(np.median, columns)))]
        delays = f"{TRIED[0]}, {TRIED[1]} ... {TRIED[-1]}"
        found.append(
            Table(
                f"Cells: {H}. By seed the error (1: an answer of 0), and how many of the delays {delays} are met",
                [f"{variant}{what}" for variant in VARIANTS for what in ("", ", met")],
                [(name, [f"{v:.3f}" if k % 2 == 0 else f"{v:.0%}" for k, v in enumerate(row)]) for name, row in rows],
            )
        )
    return found


def sentences(results: dict[tuple[int, str], Result]) -> list[str]:
    return [
        f"Cells: {H}. With peepholes the error is smaller in"
        f" {np.count_nonzero(results[H, 'peephole'].error < results[H, 'standard'].error)} of {SEEDS} seeds"
        for H in CELLS
    ]


def draw(results: dict[tuple[int, str], Result], figure: Any) -> None:
    """What one cell answers to three of the delays, with the first seed."""
    for axes, variant in zip(figure.subplots(1, 2, sharey=True), VARIANTS):
        for k in (0, len(TRIED) // 2, len(TRIED) - 1):
            (line,) = axes.plot(results[1, variant].answers[:, k, 0], label=f"delay {TRIED[k]}")
            axes.plot(TRIED[k], 1, "v", color=line.get_color())
        axes.axhline(0.5, color="gray", linestyle=":")
        axes.set(title=f"{variant}, one cell", xlabel="step (triangle: the spike that is wanted)")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.axes[0].set_ylabel("answer")
