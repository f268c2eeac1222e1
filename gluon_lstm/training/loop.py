"""Training loop: batch, learning rate, forward, backward, step, evaluate, log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from gluon_lstm.context import describe
from gluon_lstm.model import Model
from gluon_lstm.progress import Advance, Notice, Progress, ignore, silent
from gluon_lstm.sampling.prefix import Prefix
from gluon_lstm.sampling.scoring import Score
from gluon_lstm.signals import Interrupted, defer_signals
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training import evaluate, recovery, run_log
from gluon_lstm.training.baselines import baselines
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.run import Run
from gluon_lstm.training.run_dir import RunDirectory
from gluon_lstm.training.schedule import Schedule
from gluon_lstm.training.trainer import TrainingError


def train(
    corpus: Corpus,
    recipe: Recipe,
    out: Path,
    ctx: Any = None,
    prefix: str = "",
    notice: Notice = ignore,
    progress: Progress = silent,
    schedule: Schedule | None = None,
    resume: bool = False,
) -> Model:
    """Train a model, write the run to the directory `out`, and return the model. See `Run` and `fit` for errors."""
    run = Run(corpus, recipe, ctx)
    fit(run, RunDirectory(out, notice), prefix, progress, schedule, resume)
    return run.model()


def fit(
    run: Run,
    run_dir: RunDirectory,
    prefix: str = "",
    progress: Progress = silent,
    schedule: Schedule | None = None,
    resume: bool = False,
    clock: Callable[[], float] = perf_counter,
) -> None:
    """Train until a limit is reached; with `resume` continue the run in the directory, if there is one.

    Writes best.safetensors (lowest validation loss, if there is a validation set), last.safetensors, state.safetensors
    (to resume from), history.jsonl, samples.txt and curve.png. Results do not depend on the clock, except with the
    limit `minutes`.

    An interrupt (Interrupted, a KeyboardInterrupt) between two updates saves the run before it is raised to the caller.
    Raises TrainingError if training diverges more often than `rollbacks`, ValueError if the directory holds another
    run, OSError if the run cannot be saved.
    """
    loop = _Loop(run, run_dir, Prefix(prefix, run.corpus.codec, run_dir.notice), schedule or Schedule(), clock)
    losses = baselines(run.corpus) if len(run.corpus.validation) else {}
    with run_dir.locked():
        recovery.start_or_resume(run, run_dir, resume)
        if run.is_over:
            run_dir.draw(losses)  # the last file of a run: an interruption may have prevented it
            run_dir.notice(run_log.complete(run_dir.out, run.steps))
            return
        log_opening(run, run_dir.notice, losses)
        with progress("training", None, "tokens") as advance, defer_signals() as check_signals:
            try:
                loop.train(advance, check_signals)
            except (Interrupted, TrainingError) as error:
                if not getattr(error, "at_once", False):
                    finish(run, run_dir, losses)
                raise
            finish(run, run_dir, losses)
        if run.progress < 1:
            run_dir.notice(run_log.OUT_OF_PATIENCE)


def log_opening(run: Run, notice: Notice, losses: dict[str, float]) -> None:
    """Log the sizes and the estimated time of a run. The time is that of two trial updates, which change no weights."""
    W, seconds_per_update = run.trainer.W, run.trainer.time_step(*next(run.batches.epoch(run.state.epoch)))
    seconds_left = run.limits.seconds_left(run.elapsed, seconds_per_update)
    values = (W.count(), describe(W.ctx), seconds_left, run.steps > 0, losses)
    for line in run_log.opening(run.corpus, run.recipe, run.batches, *values):
        notice(line)


def finish(run: Run, run_dir: RunDirectory, losses: dict[str, float]) -> None:
    """Save the last checkpoint and plot the curve. Raises OSError."""
    run_dir.save(run.checkpoint(), run.model_view())
    run_dir.draw(losses)


@dataclass(frozen=True)
class _Loop:
    """Training loop of one process, with the objects that it uses in each update."""

    run: Run
    run_dir: RunDirectory
    prefix: Prefix
    schedule: Schedule
    clock: Callable[[], float]

    def train(self, advance: Advance, check_signals: Callable[[], None]) -> None:
        """Train until the run is over; roll back on divergence."""
        run, first = self.run, self.run.tokens
        while not run.is_over:
            try:
                for x, y in run.windows():  # (T, N) each
                    started = self.clock()
                    rate = run.learning_rate
                    loss = run.update(x, y, rate)  # forward, backward, optimizer step
                    run.state.add_update(loss, x.size, self.clock() - started)
                    if run.recipe.rollbacks and run.state.has_diverged:
                        raise TrainingError(f"the loss has diverged (step {run.steps}, loss {loss:.2f})")
                    advance(x.size, round(run.tokens / run.progress) - first)
                    self.after_update(rate)
                    check_signals()
                    if run.is_over:
                        break
                run.end_epoch()
            except TrainingError as error:
                tokens = run.tokens
                recovery.roll_back(run, self.run_dir, error)
                advance(run.tokens - tokens)

    def after_update(self, rate: float) -> None:
        """Validate, record, sample and save a checkpoint, where due."""
        run, now = self.run, self.run.moment()
        due = self.schedule.due(now, run.recipe, len(run.corpus.validation))
        if due.record:
            record = run.record(rate, self.validate() if due.validation else None)
            self.run_dir.record(record)
            if due.validation or now.ends_epoch or now.ends_run:
                self.run_dir.notice(run_log.measurement(record, run.tokens / run.state.seconds))
        if due.sample:
            text = evaluate.sample(run.model_view(), self.prefix, run.recipe, run.steps)
            heading = run_log.sample_heading(run.steps, run.state.epoch, run.state.moving_loss)
            self.run_dir.sample(f"{heading}\n{text}\n\n")
            self.run_dir.notice(text)
            run.state.sampled_at = run.elapsed
        if due.checkpoint:
            recovery.save(run, self.run_dir)

    def validate(self) -> Score:
        """Score the validation set, and keep the best weights."""
        run = self.run
        model = run.model_view()
        score = evaluate.validate(model, run.corpus)
        run.state.validated_at = run.elapsed
        if run.state.best_bpc is None or score.bpc < run.state.best_bpc:
            run.state.best_bpc, run.state.best_at = score.bpc, run.elapsed
            self.run_dir.save_best(model, score.bpc, run.elapsed)
        return score
