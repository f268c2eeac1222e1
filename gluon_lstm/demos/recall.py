"""Long-range task: recall which of four symbols came first, after a gap of random tokens.

The task of Bengio, Simard & Frasconi (1994), "Learning long-term dependencies with gradient descent is difficult",
section II: the first token determines the target, the others are noise. Only the last target depends on the symbol, so
its gradient must pass through the whole gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.lstm import initializers
from gluon_lstm.progress import Progress, silent
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.rng import training_rng
from gluon_lstm.training.trainer import Trainer

SYMBOLS, DISTRACTORS = 4, 4  # ids 0 … 3 and 4 … 7
QUERY, BLANK = SYMBOLS + DISTRACTORS, SYMBOLS + DISTRACTORS + 1  # id of the last input; target before the query
V = BLANK + 1
H, N, UPDATES = 64, 32, 300  # hidden units, lanes, maximum updates
RATES = {"rnn": 1e-2, "standard": 3e-2}  # learning rate: the best of 0.003, 0.01 and 0.03 for each variant
STOP_LOSS = 0.02  # nats per sequence, below which training stops
FORGET_BIAS = 2.0  # initial bias of the LSTM's forget gate, which is then 0.88


@dataclass(frozen=True)
class RecallResult:
    """Accuracy on new sequences of a network trained with one seed and one gap."""

    variant: str
    gap: int
    seed: int
    updates: int  # of training, at most UPDATES
    accuracy: float


def random_batch(gap: int, N: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return ids x, y (gap + 2, N): x is a symbol, `gap` distractors, QUERY; y is BLANK, at last the symbol."""
    x = rng.integers(SYMBOLS, SYMBOLS + DISTRACTORS, (gap + 2, N), dtype=np.int32)
    y = np.full_like(x, BLANK)
    x[0] = y[-1] = rng.integers(SYMBOLS, size=N)
    x[-1] = QUERY
    return x, y


def train_and_test(
    variant: str, gap: int, seed: int, updates: int = UPDATES, test_sequences: int = 512, progress: Progress = silent
) -> RecallResult:
    """Train a network on random sequences and test it on others.

    The learning rate falls linearly to 0 over `updates`. Training stops early when the loss is below STOP_LOSS.
    """
    recipe = Recipe(
        variant=variant, hidden=H, dropout=0.0, input_dropout=0.0, recurrent_dropout=0.0,
        input_lr_scale=1, output_lr_scale=1, seed=seed,
    )  # fmt: skip
    rng = training_rng(recipe, "recall")
    arrays = initializers.standard(recipe.config, V, rng)
    arrays["by"][BLANK] = 3  # nearly all targets are BLANK
    if "bf" in arrays:
        arrays["bf"][:] = FORGET_BIAS
    trainer = Trainer(recipe, V, arrays=arrays)
    with progress(_("recall, {variant}, gap {gap}").format(variant=variant, gap=gap), updates, _("updates")) as advance:
        for k in range(updates):
            x, y = random_batch(gap, N, rng)
            loss = trainer.update(x, y, *trainer.begin_state(N), RATES[variant] * (1 - k / updates))[0]
            advance(1)
            if loss * len(x) < STOP_LOSS:
                break
    x, y = random_batch(gap, test_sequences, rng)
    lanes = InferenceCell(trainer.W.to_numpy(), recipe.config).zero_state(test_sequences)
    for ids in x:
        lanes.step(ids)
    return RecallResult(variant, gap, seed, trainer.steps, float(np.mean(lanes.logits().argmax(axis=0) == y[-1])))
