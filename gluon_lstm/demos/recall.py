"""A long-range task: which of four symbols came first is asked behind a gap of other tokens.

The task of Bengio, Simard & Frasconi (1994, "Learning long-term dependencies with gradient descent is difficult",
section II): the beginning decides, and all that follows is noise. Only the answer teaches anything about the symbol, so
what a network learns of it has come back through the whole gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gluon_lstm.lstm import initializers
from gluon_lstm.progress import Progress, silent
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.rng import training_rng
from gluon_lstm.training.trainer import Trainer

SYMBOLS, OTHERS = 4, 4  # ids 0 … 3 and 4 … 7
ASK, NOTHING = SYMBOLS + OTHERS, SYMBOLS + OTHERS + 1  # the last input; what is to be said until then
V = NOTHING + 1
H, N, UPDATES = 64, 32, 300
RATES = {"rnn": 1e-2, "standard": 3e-2}  # learning rates: of 0.003, 0.01 and 0.03 the one that served each best
LEARNED = 0.02  # nats an answer, below which no more is learned
FORGET = 2.0  # the LSTM's forget bias: a cell keeps 0.88 of itself a step


@dataclass(frozen=True)
class Recall:
    """The share of fresh sequences that a network, trained from one seed for one gap, answers rightly."""

    variant: str
    gap: int
    seed: int
    updates: int  # until it had learned it, or until there were enough
    accuracy: float


def sequences(gap: int, N: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ids x, y (gap + 2, N): a symbol, `gap` other tokens, the question; nothing to say until the symbol is asked."""
    x = rng.integers(SYMBOLS, SYMBOLS + OTHERS, (gap + 2, N), dtype=np.int32)
    y = np.full_like(x, NOTHING)
    x[0] = y[-1] = rng.integers(SYMBOLS, size=N)
    x[-1] = ASK
    return x, y


def recall(
    variant: str, gap: int, seed: int, updates: int = UPDATES, tested: int = 512, progress: Progress = silent
) -> Recall:
    """Train a network on fresh sequences, at a learning rate that falls to 0, and ask it about others.

    It may learn for `updates`, and stops when it makes no mistakes.
    """
    recipe = Recipe(
        variant=variant, hidden=H, dropout=0.0, input_dropout=0.0, recurrent_dropout=0.0,
        input_lr_scale=1, output_lr_scale=1, seed=seed,
    )  # fmt: skip
    rng = training_rng(recipe, "recall")
    arrays = initializers.standard(recipe.config, V, rng)
    arrays["by"][NOTHING] = 3  # that nothing is to be said mostly need not be learned
    if "bf" in arrays:
        arrays["bf"][:] = FORGET
    trainer = Trainer(recipe, V, arrays=arrays)
    with progress(f"recall, {variant}, gap {gap}", updates, "updates") as advance:
        for k in range(updates):
            x, y = sequences(gap, N, rng)
            loss, *_ = trainer.update(x, y, *trainer.begin_state(N), RATES[variant] * (1 - k / updates))
            advance(1)
            if loss * len(x) < LEARNED:
                break
    x, y = sequences(gap, tested, rng)
    lanes = InferenceCell(trainer.W.to_numpy(), recipe.config).zero_state(tested)
    for ids in x:
        lanes.step(ids)
    return Recall(variant, gap, seed, trainer.steps, float(np.mean(lanes.logits().argmax(axis=0) == y[-1])))
