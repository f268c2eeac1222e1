"""Training session: from the lock of the run directory to the last checkpoint, around the training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gluon_lstm.context import describe
from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.pages.run import COMPLETE, STOPPED
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.sampling.prefix import Prefix
from gluon_lstm.signals import Interrupted, defer_signals
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training import recovery, run_log
from gluon_lstm.training.baselines import baselines
from gluon_lstm.training.loop import Loop
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.run import Run
from gluon_lstm.training.run_dir import RunDirectory
from gluon_lstm.training.run_view import run_view
from gluon_lstm.training.schedule import Schedule
from gluon_lstm.training.trainer import Trainer, TrainingError


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
    arrays: Mapping[str, np.ndarray] | None = None,
    language: str | None = None,
    make_trainer: Callable[..., Trainer] = Trainer,
) -> Model:
    """Train a model, write the run to the directory `out`, and return the model. See `Run` and `fit` for errors.

    `arrays`: initial weights; None: as in the recipe. `language`: of the page; None: that of the reader's browser.
    """
    run = Run(corpus, recipe, ctx, arrays, make_trainer)
    fit(run, RunDirectory(out, notice, language), prefix, progress, schedule, resume)
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
    (to resume from), history.jsonl, samples.txt, curve.png and index.html. Results do not depend on the clock, except
    with the limit `minutes`.

    An interrupt (Interrupted, a KeyboardInterrupt) between two updates saves the run before it is raised to the caller.
    Raises TrainingError if training diverges more often than `rollbacks`, ValueError if the directory holds another
    run, OSError if the run cannot be saved.
    """
    losses = baselines(run.corpus) if len(run.corpus.validation) else {}
    read = Prefix(prefix, run.corpus.codec, run_dir.notice)
    loop = Loop(run, run_dir, read, schedule or Schedule(), losses, clock)
    with run_dir.locked():
        recovery.start_or_resume(run, run_dir, resume)
        if run.is_over:
            run_dir.wait()
            run_dir.show(run_view(run, run_dir, losses, COMPLETE))
            run_dir.draw(losses)  # the last file of a run: an interruption may have prevented it
            run_dir.notice(run_log.complete(run_dir.out, run.steps))
            return
        log_opening(run, run_dir.notice, losses)
        with progress(_("training"), None, _("tokens")) as advance, defer_signals() as check_signals:
            try:
                loop.train(advance, check_signals)
            except (Interrupted, TrainingError) as error:
                if not getattr(error, "at_once", False):
                    finish(run, run_dir, losses)
                raise
            finish(run, run_dir, losses)
        if run.progress < 1:
            run_dir.notice(run_log.out_of_patience())


def log_opening(run: Run, notice: Notice, losses: dict[str, float]) -> None:
    """Log the sizes of a run, and its time where that does not depend on the time of an update."""
    W, seconds_left = run.trainer.W, None if run.limits.steps else run.limits.seconds_left(run.elapsed)
    values = (W.count(), describe(W.ctx), seconds_left, run.steps > 0, losses)
    for line in run_log.opening(run.corpus, run.recipe, run.batches, *values):
        notice(line)


def finish(run: Run, run_dir: RunDirectory, losses: dict[str, float]) -> None:
    """Save the last checkpoint, write the page and plot the curve. Raises OSError."""
    run_dir.save(run.checkpoint(), run.model_view())
    status = COMPLETE if run.is_over else STOPPED
    run_dir.show(run_view(run, run_dir, losses, status))
    run_dir.draw(losses)
