"""Recovery of a run from its last checkpoint: resume after an interruption, roll back after divergence."""

from __future__ import annotations

from dataclasses import replace

from gluon_lstm.language import _
from gluon_lstm.model import LAST
from gluon_lstm.training import run_log
from gluon_lstm.training.history import Record
from gluon_lstm.training.run import Run
from gluon_lstm.training.run_dir import RunDirectory, check_free
from gluon_lstm.training.schedule import START
from gluon_lstm.training.trainer import TrainingError


def start_or_resume(run: Run, run_dir: RunDirectory, resume: bool) -> None:
    """Begin to save the first checkpoint, or with `resume` restore the last one if there is any.

    Raises ValueError if the directory holds another run, ModelError for a damaged checkpoint, and OSError.
    """
    check_free(run_dir.out, resume)
    checkpoint = run_dir.load(run.run_config, like=run.arrays())
    if checkpoint is None:
        run_dir.save_beside(run.checkpoint(), run.model_view())
        return
    run.restore(checkpoint)
    run_dir.truncate_logs(checkpoint)
    best, state = run_dir.best(), run.state
    if best is None or state.best_bpc is None or best[0] < state.best_bpc:  # better weights saved after the checkpoint
        state.best_bpc, state.best_at = best or (None, START)
    run.model_view().save(run_dir.out / LAST)  # an interruption may have prevented it
    run_dir.notice(run_log.resumed(checkpoint.steps, state.seconds))
    if line := run_log.environment_change(checkpoint.environment, run.environment):
        run_dir.notice(line)
    if checkpoint.run_config != run.run_config and not run.is_over:
        run_dir.notice(run_log.limit_change(run.progress, run.learning_rate))


def roll_back(run: Run, run_dir: RunDirectory, error: TrainingError) -> None:
    """Restore the last checkpoint at half the learning rate. Raises TrainingError after `rollbacks` times."""
    rollbacks = run.recipe.rollbacks
    if not rollbacks:  # the current weights are finite
        raise TrainingError(run_log.diverged(str(error), rollbacks)) from error
    before, elapsed, tokens = run.state, run.elapsed, run.tokens
    checkpoint = run_dir.load(run.run_config, like=run.arrays())
    if checkpoint is None:
        raise TrainingError(_("{error}, and the last checkpoint is missing").format(error=error)) from error
    run.restore(checkpoint)
    run.state = replace(
        checkpoint.state,
        seconds=before.seconds,  # training time counts towards `minutes`
        rollbacks=before.rollbacks + 1,
        best_bpc=before.best_bpc,
        best_at=before.best_at,
    )
    if before.rollbacks == rollbacks:
        raise TrainingError(run_log.diverged(str(error), rollbacks)) from error
    run_dir.notice(run_log.rolled_back(str(error), checkpoint.steps, run.learning_rate))
    seconds = round(elapsed.seconds, 3)
    run_dir.record(Record(elapsed.steps, before.epoch, seconds, tokens, rolled_back_to=checkpoint.steps))
    save(run, run_dir)  # so that a killed run does not forget the rollback


def save(run: Run, run_dir: RunDirectory) -> None:
    """Save a checkpoint during training; a failed write is only reported."""
    run_dir.try_save(run.checkpoint(), run.model_view())
    run.checkpoint_seconds = run.state.seconds
