"""Run: weights, optimizer state, carried state and counters of a training run. It reads and writes no files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from gluon_lstm import __version__
from gluon_lstm.compat import mx
from gluon_lstm.context import describe
from gluon_lstm.model import Model
from gluon_lstm.sampling.scoring import Score
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training.batches import Batches
from gluon_lstm.training.checkpoint import Checkpoint
from gluon_lstm.training.history import Record
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.run_config import environment, run_config
from gluon_lstm.training.schedule import Elapsed, Limits, Moment, learning_rate
from gluon_lstm.training.state import TrainState
from gluon_lstm.training.trainer import Trainer


class Run:
    """Training run of a recipe on a corpus.

    Raises ValueError for a text too short to train on, and for a vocabulary too large for a model file.
    """

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        ctx: Any = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        make_trainer: Callable[..., Trainer] = Trainer,
    ) -> None:
        self.corpus, self.recipe = corpus, recipe
        self.trainer = make_trainer(recipe, len(corpus.codec.vocabulary), ctx, arrays, corpus.counts)
        self.batches = Batches(corpus.train, recipe, corpus.codec.end_of_post)
        self.limits = Limits.of(recipe, self.batches.steps_per_epoch)
        self.model_view().check_size()
        self.run_config, self.environment = run_config(recipe, corpus), environment(describe(self.trainer.W.ctx))
        self.state = TrainState()
        self.h, self.c = self.trainer.begin_state(self.batches.N)  # carried state of the lanes
        self.checkpoint_seconds = 0.0  # training time at the last checkpoint

    # ---- position

    @property
    def steps(self) -> int:
        """Updates so far."""
        return self.trainer.steps

    @property
    def tokens(self) -> int:
        """Tokens trained on so far."""
        return self.steps * self.batches.tokens

    @property
    def elapsed(self) -> Elapsed:
        return Elapsed(self.steps, self.state.seconds)

    @property
    def progress(self) -> float:
        """Fraction of the run that is done: 0 to 1."""
        return self.limits.progress(self.elapsed)

    @property
    def is_over(self) -> bool:
        """Whether a limit is reached, or the best validation is further back than the recipe's patience."""
        patience, state = self.recipe.patience, self.state
        out_of_patience = patience and state.best_bpc is not None and self._since(state.best_at) > patience
        return self.progress >= 1 or bool(out_of_patience)

    def _since(self, earlier: Elapsed) -> float:
        """Return the fraction of the run between `earlier` and now."""
        return self.progress - self.limits.progress(earlier)

    def moment(self) -> Moment:
        """Return the position that decides what is due."""
        return Moment(
            steps=self.steps,
            ends_epoch=self.state.windows_done == self.batches.steps_per_epoch,
            ends_run=self.is_over,
            fraction_since_validation=self._since(self.state.validated_at),
            tokens_since_validation=(self.steps - self.state.validated_at.steps) * self.batches.tokens,
            fraction_since_sample=self._since(self.state.sampled_at),
            seconds_since_checkpoint=self.state.seconds - self.checkpoint_seconds,
        )

    # ---- training

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update; each rollback halves it."""
        return learning_rate(self.recipe, self.state.epoch, self.progress) * 0.5**self.state.rollbacks

    def windows(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the remaining batches (x, y), each (T, N), of this epoch. A new epoch starts from the zero state."""
        if not self.state.windows_done:
            self.h, self.c = self.trainer.begin_state(self.batches.N)
        return self.batches.epoch(self.state.epoch, self.state.windows_done)

    def update(self, x: np.ndarray, y: np.ndarray, rate: float) -> float:
        """Run forward, backward and optimizer step; carry the state. Return the loss. Raises TrainingError."""
        loss, self.h, self.c = self.trainer.update(x, y, self.h, self.c, rate)
        return loss

    def end_epoch(self) -> None:
        """Start the next epoch if all windows of this one are done."""
        if self.state.windows_done == self.batches.steps_per_epoch:
            self.state.epoch, self.state.windows_done = self.state.epoch + 1, 0

    def record(self, rate: float, validation: Score | None) -> Record:
        """Return the measurements since the last record, and start the next."""
        losses, self.state.losses = self.state.losses, []
        return Record(
            step=self.steps,
            epoch=self.state.epoch,
            seconds=round(self.state.seconds, 3),
            tokens=self.tokens,
            train_loss=float(np.mean(losses)),
            moving_loss=self.state.moving_loss,
            val_loss=validation.loss if validation else None,
            val_bpc=validation.bpc if validation else None,
            val_perplexity=validation.perplexity if validation else None,
            learning_rate=rate,
        )

    # ---- weights and checkpoints

    def model_view(self) -> Model:
        """Return a model that shares its weights with the trainer, for use before the next update."""
        metadata = {"gluon_lstm": __version__, "steps": self.steps, "recipe": asdict(self.recipe)}
        return Model(self.recipe.config, self.corpus.codec, self.trainer.weights(), metadata)

    def model(self) -> Model:
        """Return a model with a copy of the current weights."""
        view = self.model_view()
        return replace(view, arrays={name: array.copy() for name, array in view.arrays.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays of a checkpoint: weights, optimizer state and carried state."""
        return {**self.trainer.state_dict(), "h": self.h.asnumpy(), "c": self.c.asnumpy()}

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the current state."""
        return Checkpoint(self.run_config, self.environment, self.steps, self.state, self.arrays())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from a checkpoint of this run."""
        self.trainer.load_state_dict(checkpoint.arrays, checkpoint.steps)
        self.h[:], self.c[:] = (mx.nd.array(checkpoint.arrays[name], dtype=self.h.dtype) for name in ("h", "c"))
        self.state, self.checkpoint_seconds = checkpoint.state, checkpoint.state.seconds
