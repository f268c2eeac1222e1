"""Training loop: batch, learning rate, forward, backward, step, evaluate, log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gluon_lstm.language import _
from gluon_lstm.pages.run import TRAINING
from gluon_lstm.progress import Advance
from gluon_lstm.sampling.prefix import Prefix
from gluon_lstm.sampling.scoring import Score
from gluon_lstm.training import evaluate, recovery, run_log
from gluon_lstm.training.run import Run
from gluon_lstm.training.run_dir import RunDirectory
from gluon_lstm.training.run_view import run_view
from gluon_lstm.training.schedule import Schedule
from gluon_lstm.training.trainer import TrainingError

UPDATES_TIMED = 3  # first updates, of which the fastest gives the time left


@dataclass(frozen=True)
class Loop:
    """Training loop of one process, with the objects that it uses in each update."""

    run: Run
    run_dir: RunDirectory
    prefix: Prefix
    schedule: Schedule
    baselines: Mapping[str, float]
    clock: Callable[[], float]

    def train(self, advance: Advance, check_signals: Callable[[], None]) -> None:
        """Train until the run is over; roll back on divergence."""
        run, first = self.run, self.run.tokens
        resumed = run.steps > 0
        timed: list[float] = []  # seconds of the first updates
        while not run.is_over:
            try:
                for x, y in run.windows():  # (T, N) each
                    started = self.clock()
                    rate = run.learning_rate
                    loss = run.update(x, y, rate)  # forward, backward, optimizer step
                    seconds = self.clock() - started
                    run.state.add_update(loss, x.size, seconds)
                    if len(timed) < UPDATES_TIMED:
                        timed.append(seconds)
                        self.after_first_updates(timed, resumed)
                    if run.recipe.rollbacks and run.state.has_diverged:
                        raise TrainingError(
                            _("the loss has diverged (step {steps}, loss {loss:.2f})").format(
                                steps=run.steps, loss=loss
                            )
                        )
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

    def after_first_updates(self, timed: list[float], resumed: bool) -> None:
        """Wait for the first checkpoint, which is written during the first update; log the time left once it is known.

        `timed`: seconds of the updates of this process.
        """
        self.run_dir.wait()
        if len(timed) == UPDATES_TIMED and self.run.limits.steps:
            seconds = self.run.limits.seconds_left(self.run.elapsed, min(timed))
            self.run_dir.notice(run_log.time_left(seconds, resumed))

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
        if due.validation:
            self.run_dir.try_show(lambda: run_view(run, self.run_dir, self.baselines, TRAINING))
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
