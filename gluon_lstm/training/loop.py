"""Training loop: epochs over the corpus, validation, samples, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gluon_lstm import __version__
from gluon_lstm.compat import mx
from gluon_lstm.context import describe
from gluon_lstm.model import LAST, Model
from gluon_lstm.progress import Advance, Notice, Progress, ignore, silent
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.options import SamplingOptions
from gluon_lstm.sampling.prefix import Prefix
from gluon_lstm.sampling.scoring import Score, score
from gluon_lstm.signals import Interrupted, defer_signals
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training import batches, checkpoint
from gluon_lstm.training.baselines import baselines
from gluon_lstm.training.checkpoint import Checkpoint
from gluon_lstm.training.history import Record
from gluon_lstm.training.recipe import Recipe, learning_rate
from gluon_lstm.training.run_dir import RunDirectory, check_free
from gluon_lstm.training.run_log import opening, resumption
from gluon_lstm.training.schedule import START, Elapsed, Limits
from gluon_lstm.training.state import TrainState
from gluon_lstm.training.trainer import Trainer, TrainingError, training_rng

RECORD_STEPS = 50  # a record at least this often
VALIDATE_EVERY, SAMPLE_EVERY = 0.02, 0.05  # of the run
VALIDATION_SHARE = 0.05  # of the work, at the most: a token read costs about as much as one trained on


class Run:
    """One corpus, one recipe, one folder.

    `run()` leaves best.safetensors (the weights that did best on the held-back part, where there is one),
    last.safetensors, state.safetensors (from which it can go on), history.jsonl, samples.txt and curve.png. Raises
    ValueError for a text too short to train on, and for a vocabulary too large for a model file. Nothing but the limit
    `minutes` goes by the clock: a run with another one comes to the same weights and the same history each time.

    `validate_every`: after this share of the run, whatever it costs (None: as often as costs little);
    `checkpoint_minutes`: of training, between two states saved.
    """

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        out: Path,
        ctx: Any = None,
        prefix: str = "",
        notice: Notice = ignore,
        progress: Progress = silent,
        validate_every: float | None = None,
        checkpoint_minutes: float = 1.0,
    ) -> None:
        if not checkpoint_minutes > 0:
            raise ValueError(f"`checkpoint_minutes` {checkpoint_minutes}: use more than 0")
        self.corpus, self.recipe, self.out = corpus, recipe, out
        self.notice, self.progress = notice, progress
        self.validate_every, self.checkpoint_minutes = validate_every, checkpoint_minutes
        self.trainer = Trainer(recipe, len(corpus.codec.vocabulary), ctx, counts=corpus.counts)
        if len(corpus.train) < 2:
            raise ValueError("the text has only one token: training needs at least two")
        usable = len(corpus.train) - (recipe.layout == "notebook")  # its last token is a target only
        self.N, self.T = batches.fit_batch(usable, recipe.batch_size, recipe.seq_len)
        self.steps_per_epoch = batches.windows_per_epoch(usable, self.N, self.T)
        self._present_model().check_size()
        self.prefix = Prefix(prefix, corpus.codec, notice)
        self.baselines = baselines(corpus) if len(corpus.validation) else {}
        self.limits = Limits.of(recipe, self.steps_per_epoch)
        self.run_dir = RunDirectory(out, notice)
        self.state = TrainState()
        self.h, self.c = self.trainer.begin_state(self.N)
        self.run_config, self.environment = (
            checkpoint.run_config(recipe, corpus),
            checkpoint.environment(describe(self.trainer.W.ctx)),
        )
        self._saved_at = 0.0
        self._begun = 0  # tokens, before this sitting

    @property
    def tokens(self) -> int:
        """That the weights were trained on."""
        return self.trainer.steps * self.N * self.T

    @property
    def elapsed(self) -> Elapsed:
        return Elapsed(self.trainer.steps, self.state.seconds)

    @property
    def done(self) -> float:
        """The share of the run that is behind: 0 to 1."""
        return self.limits.progress(self.elapsed)

    @property
    def is_over(self) -> bool:
        """A limit is reached, or validation has not got better for too long."""
        patience = self.recipe.patience
        got_no_better = patience and self.state.best_bpc is not None and self._since(self.state.best_at) > patience
        return self.done >= 1 or bool(got_no_better)

    def _since(self, elapsed: Elapsed) -> float:
        """The share of the run that lies behind `place`."""
        return self.done - self.limits.progress(elapsed)

    def run(self, resume: bool = False) -> None:
        """Train until the run is over; with `resume` go on with the run in the folder, if one has begun there.

        What was done is saved when an interrupt (Interrupted, a KeyboardInterrupt) comes between two updates, which
        then goes on to the caller. Raises TrainingError when training goes astray more often than the recipe allows,
        ValueError when the folder holds another run, OSError when the run could not be saved.
        """
        with self.run_dir.locked():
            self._begin(resume)
            if self.is_over:
                self.run_dir.draw(self.baselines)  # the last thing of a run, which may be missing
                done = f"the training run is complete after {self.trainer.steps:,} updates"
                self.notice(f"{self.out}: {done}; use a higher limit to continue it")
                return
            self._begun = self.tokens
            for line in opening(self):
                self.notice(line)
            with self.progress("training", None, "tokens") as advance, defer_signals() as check:
                try:
                    self._train(advance, check)
                except (Interrupted, TrainingError) as stop:
                    if not getattr(stop, "at_once", False):
                        self._finish()
                    raise
                self._finish()
            if self.done < 1:
                self.notice("validation has stopped improving: training ends, and the best weights are kept")

    def _train(self, advance: Advance, check: Callable[[], None]) -> None:
        while not self.is_over:
            try:
                self._run_epoch(advance, check)
            except TrainingError as error:
                before = self.tokens
                self._roll_back(error)
                advance(self.tokens - before)

    def model(self) -> Model:
        """A copy of the weights as they are now."""
        present = self._present_model()
        return replace(present, arrays={name: array.copy() for name, array in present.arrays.items()})

    def _present_model(self) -> Model:
        """The weights themselves: for what is over before the next update."""
        about = {"gluon_lstm": __version__, "steps": self.trainer.steps, "recipe": asdict(self.recipe)}
        return Model(self.recipe.config, self.corpus.codec, self.trainer.weights(), about)

    def _run_epoch(self, advance: Advance, check: Callable[[], None]) -> None:
        """What is left of this epoch, or of the run."""
        state = self.state
        if not state.windows_done:
            self.h, self.c = self.trainer.begin_state(self.N)
        for x, y in self.windows(state.windows_done):
            start = perf_counter()
            rate = self.learning_rate()
            loss, self.h, self.c = self.trainer.update(x, y, self.h, self.c, rate)
            state.seconds += perf_counter() - start
            state.windows_done += 1
            state.add_loss(loss, x.size)
            if self.recipe.rollbacks and state.has_diverged:
                raise TrainingError(f"the loss has diverged (step {self.trainer.steps}, loss {loss:.2f})")
            advance(x.size, round(self.tokens / self.done) - self._begun)
            self._measure(rate)
            check()
            if self.is_over:
                break
        if state.windows_done == self.steps_per_epoch:
            state.epoch, state.windows_done = state.epoch + 1, 0

    def learning_rate(self) -> float:
        """Of the next update."""
        return learning_rate(self.recipe, self.state.epoch, self.done) * 0.5**self.state.rollbacks

    def windows(self, skip: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The windows of this epoch, but for the first `skip`."""
        ids, epoch = self.corpus.train, self.state.epoch
        if self.recipe.layout == "notebook":
            return batches.notebook(ids, self.N, self.T, skip)
        # The notes begin each epoch at the same place; elsewhere each time, the windows are never cut twice alike.
        start = 0 if self.recipe.name == "notes" else int(training_rng(self.recipe, "lanes", epoch).integers(len(ids)))
        return batches.contiguous(ids, self.N, self.T, start, self.corpus.codec.end_of_post, skip)

    def _measure(self, rate: float) -> None:
        """Whatever is due behind a step: a record, validation, a sample, a checkpoint."""
        ends_epoch = self.state.windows_done == self.steps_per_epoch
        ends = self.is_over  # where patience ends it, only after one more validation
        validates = bool(len(self.corpus.validation)) and (ends or self._validation_is_due(ends_epoch))
        if validates or ends or ends_epoch or self.trainer.steps % RECORD_STEPS == 0:
            self._record(rate, self._validate() if validates else None, announce=validates or ends or ends_epoch)
        if self._sample_is_due(ends, ends_epoch):
            self._sample()
        if self._save_is_due():
            self._save()

    def _save_is_due(self) -> bool:
        return self.state.seconds - self._saved_at >= 60 * self.checkpoint_minutes

    def _sample_is_due(self, ends: bool, ends_epoch: bool) -> bool:
        if self.recipe.sample_every:
            return self.trainer.steps % self.recipe.sample_every == 0
        if self.recipe.name == "notes":  # which print one behind each epoch
            return ends_epoch
        return ends or self._since(self.state.sampled_at) >= SAMPLE_EVERY

    def _validation_is_due(self, ends_epoch: bool) -> bool:
        since = self._since(self.state.validated_at)
        if self.validate_every:
            return since >= self.validate_every
        trained = (self.trainer.steps - self.state.validated_at.steps) * self.N * self.T
        return (ends_epoch or since >= VALIDATE_EVERY) and trained * VALIDATION_SHARE >= len(self.corpus.validation)

    def _validate(self) -> Score:
        model = self._present_model()
        cell = InferenceCell(model.arrays, model.config)
        result = score(cell, self.corpus.codec, self.corpus.validation, self.corpus.validation_chars)
        self.state.validated_at = self.elapsed
        if self.state.best_bpc is None or result.bpc < self.state.best_bpc:
            self.state.best_bpc, self.state.best_at = result.bpc, self.elapsed
            self.run_dir.save_best(model, result.bpc, self.elapsed)
        return result

    def _record(self, rate: float, validation: Score | None, announce: bool) -> None:
        state = self.state
        record = Record(
            step=self.trainer.steps,
            epoch=state.epoch,
            seconds=round(state.seconds, 3),
            tokens=self.tokens,
            train_loss=float(np.mean(state.losses)),
            moving_loss=state.moving_loss,
            val_loss=validation.loss if validation else None,
            val_bpc=validation.bpc if validation else None,
            val_perplexity=validation.perplexity if validation else None,
            learning_rate=rate,
        )
        state.losses = []
        self.run_dir.record(record)
        if announce:
            measured = (
                f", validation {validation.loss:.4f} = {validation.bpc:.3f} bits per character" if validation else ""
            )
            self.notice(
                f"Epoch {state.epoch}. Loss: {state.moving_loss:.4f}{measured}"
                f"  (step {record.step}, {state.seconds:.0f} s, {self.tokens / state.seconds:,.0f} tokens/s)"
            )

    def _sample(self) -> None:
        options = SamplingOptions(temperature=self.recipe.temperature)
        rng = rng_for(self.recipe.seed, self.trainer.steps)
        text = "".join(
            TextGenerator(self._present_model(), options).stream(self.prefix, rng, self.recipe.sample_length)
        )[:-1]
        heading = f"== step {self.trainer.steps}, epoch {self.state.epoch}, loss {self.state.moving_loss:.4f}"
        self.run_dir.sample(f"{heading}\n{text}\n\n")
        self.notice(text)
        self.state.sampled_at = self.elapsed

    # ---- what survives

    def _begin(self, resume: bool) -> None:
        """The first checkpoint of the run, or the last one of the run that is to go on."""
        check_free(self.out, resume)
        found = self.run_dir.load(self.run_config, like=self._arrays())
        if found is None:
            self.run_dir.save(self._checkpoint(), self._present_model())
            return
        self._go_on_from(found)
        self.run_dir.truncate_logs(found)
        best = self.run_dir.best()
        if (
            best is None or self.state.best_bpc is None or best[0] < self.state.best_bpc
        ):  # or from behind the checkpoint
            self.state.best_bpc, self.state.best_at = best or (None, START)
        self._present_model().save(self.out / LAST)  # which an interruption may have left undone
        for line in resumption(self, found):
            self.notice(line)

    def _go_on_from(self, found: Checkpoint) -> None:
        self.trainer.load_state_dict(found.arrays, found.steps)
        self.h[:], self.c[:] = (mx.nd.array(found.arrays[name], dtype=self.h.dtype) for name in ("h", "c"))
        self.state, self._saved_at = found.state, found.state.seconds

    def _roll_back(self, error: TrainingError) -> None:
        """Go back to the last checkpoint, and on at half the learning rate. Raises TrainingError after too many."""
        if not self.recipe.rollbacks:  # then the weights are finite numbers still
            raise TrainingError(f"{error}{self._advice()}") from error
        state, elapsed, tokens = self.state, self.elapsed, self.tokens
        found = self.run_dir.load(self.run_config, like=self._arrays())
        if found is None:
            raise TrainingError(f"{error}, and the last checkpoint is missing") from error
        self._go_on_from(found)
        self.state = replace(
            found.state,
            seconds=state.seconds,  # a limit in minutes must come nearer
            rollbacks=state.rollbacks + 1,
            best_bpc=state.best_bpc,
            best_at=state.best_at,
        )
        if state.rollbacks == self.recipe.rollbacks:
            raise TrainingError(f"{error}{self._advice()}") from error
        rate = self.learning_rate()
        self.notice(
            f"{error}: rolled back to step {found.steps:,}; training continues at half the learning rate ({rate:.3g})"
        )
        seconds = round(elapsed.seconds, 3)
        self.run_dir.record(Record(elapsed.steps, state.epoch, seconds, tokens, rolled_back_to=found.steps))
        self._save()  # a run that is killed now must not forget

    def _advice(self) -> str:
        if self.recipe.rollbacks:
            return (
                f"; the learning rate was already halved {self.recipe.rollbacks} times, so training ends with the"
                " weights of the last checkpoint; start again with a smaller `learning_rate` or `clip`"
            )
        return (
            "; training ends with the last finite weights: use a smaller `learning_rate`, a smaller `clip`, or"
            " `rollbacks` 5, which restores the last checkpoint at half the learning rate"
        )

    def _arrays(self) -> dict[str, np.ndarray]:
        return {**self.trainer.state_dict(), "h": self.h.asnumpy(), "c": self.c.asnumpy()}

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self.run_config, self.environment, self.trainer.steps, self.state, self._arrays())

    def _save(self) -> None:
        self.run_dir.try_save(self._checkpoint(), self._present_model())
        self._saved_at = self.state.seconds

    def _finish(self) -> None:
        self.run_dir.save(self._checkpoint(), self._present_model())
        self.run_dir.draw(self.baselines)
