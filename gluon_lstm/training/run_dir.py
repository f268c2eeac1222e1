"""RunDirectory: the files of a training run, and the lock that keeps other runs out."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gluon_lstm.files import RUN_PAGE
from gluon_lstm.language import _
from gluon_lstm.model import BEST, LAST, Model
from gluon_lstm.pages import run as run_page
from gluon_lstm.pages.run import RunView
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.training import checkpoint, history
from gluon_lstm.training.checkpoint import Checkpoint
from gluon_lstm.training.history import History, LogFile, Record
from gluon_lstm.training.schedule import Elapsed

STATE, HISTORY, SAMPLES, CURVE = "state.safetensors", "history.jsonl", "samples.txt", "curve.png"
LOCK = ".lock"
PAGE_SHARE = 0.01  # maximum share of the time that the page of the run takes


def check_free(out: Path, resume: bool = False) -> None:
    """Check that a run can be written to `out`, without changing anything.

    Raises ValueError if `out` holds a run (with `resume`, one without a state file), OSError if it is not writable.
    """
    for name in (STATE, BEST, LAST, HISTORY, SAMPLES):
        if (out / name).exists():
            if resume and name == STATE:
                break
            message = _("{out}: already contains a training run ({name}); use another directory for `out`")
            if name == STATE:
                message = _(
                    "{out}: already contains a training run ({name}); continue it with `resume`, or use another"
                    " directory for `out`"
                )
            raise ValueError(message.format(out=out, name=name))
    nearest = out
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(
            errno.ENOTDIR, _("not a directory, so no training run can be written to it"), str(nearest)
        )
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, _("this directory is not writable"), str(nearest))


class RunDirectory:
    """Files of one training run.

    Records, samples and checkpoints during training may fail on a full disk: `notice` reports the failure, and the next
    write retries. The writes that end a run raise OSError. The page begins in `language`; None: in the browser's.
    """

    def __init__(self, out: Path, notice: Notice = ignore, language: str | None = None) -> None:
        self.out, self.notice, self.language = out, notice, language
        self.history = History(out / HISTORY)
        self.samples = LogFile(out / SAMPLES)
        self._unsaved_best: Model | None = None  # best weights whose write failed
        self._saved: Future[None] | None = None  # checkpoint that a thread writes
        self._shown_at, self._show_seconds = -math.inf, 0.0  # last time that the page was written, and how long it took

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory, lock it against other runs, and remove the temporary files of a killed run.

        The lock belongs to the operating system and ends with the process. Raises ValueError if another process holds
        it.
        """
        from filelock import FileLock, Timeout

        self.out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.out / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(
                _(
                    "{out}: another training run is writing to this directory; wait until it ends, or use"
                    " another directory for `out`"
                ).format(out=self.out)
            ) from None
        except NotImplementedError:  # some network file systems
            self.notice(
                _("{out}: this file system has no locks; make sure that no second run writes to it").format(
                    out=self.out
                )
            )
        try:
            for name in (STATE, BEST, LAST, CURVE, RUN_PAGE):
                for leftover in self.out.glob(f".{name}.*.tmp"):
                    leftover.unlink()
            yield
        finally:
            with suppress(OSError):  # raised to a caller that has waited
                self.wait()
            lock.release()

    # ---- during training: a write may fail

    def record(self, record: Record) -> None:
        """Append a record to history.jsonl."""
        self._try(HISTORY, lambda: self.history.append(record))

    def sample(self, text: str) -> None:
        """Append a sample to samples.txt."""
        self._try(SAMPLES, lambda: self.samples.append(text))

    def save_best(self, model: Model, bpc: float, elapsed: Elapsed) -> None:
        """Save the weights with the lowest validation loss so far, with their bits per character.

        If the write fails, the weights are copied and saved with the next checkpoint.
        """
        best = replace(model, metadata={**model.metadata, "val_bpc": bpc, "seconds": elapsed.seconds})
        if self._try(BEST, lambda: best.save(self.out / BEST)):
            self._unsaved_best = None
        else:
            self._unsaved_best = replace(best, arrays={name: array.copy() for name, array in best.arrays.items()})

    def try_show(self, view: Callable[[], RunView]) -> None:
        """Write the page of the run, but only so often that it takes less than PAGE_SHARE of the time."""
        started = perf_counter()
        if started - self._shown_at > self._show_seconds / PAGE_SHARE:
            self._try(RUN_PAGE, lambda: self.show(view()))
            self._shown_at = perf_counter()
            self._show_seconds = self._shown_at - started

    def try_save(self, state: Checkpoint, model: Model) -> None:
        """Save a checkpoint like `save`, but only report OSError."""
        self._try(_("a checkpoint"), lambda: self.save(state, model))

    def _try(self, name: str, write: Callable[[], None]) -> bool:
        """Return whether the write succeeded."""
        try:
            write()
        except OSError as error:
            self.notice(
                _("{out}: {name} could not be written ({reason}); training continues").format(
                    out=self.out, name=name, reason=error.strerror
                )
            )
            return False
        return True

    # ---- checkpoints

    def save_beside(self, state: Checkpoint, model: Model) -> None:
        """Save a checkpoint like `save`, of a copy of the arrays and in a thread; `wait` must be called."""
        arrays = {name: _copy(array) for name, array in {**model.arrays, **state.arrays}.items()}
        copied = replace(model, arrays={name: arrays[name] for name in model.arrays})
        copied_state = replace(state, state=deepcopy(state.state), arrays={name: arrays[name] for name in state.arrays})
        thread = ThreadPoolExecutor(1)
        self._saved = thread.submit(self.save, copied_state, copied)
        thread.shutdown(wait=False)

    def wait(self) -> None:
        """Wait until the checkpoint of `save_beside` is written. Raises OSError if it could not be."""
        if self._saved is not None:
            saved, self._saved = self._saved, None
            saved.result()

    def save(self, state: Checkpoint, model: Model) -> None:
        """Save a checkpoint: first the logs and best weights, then the state file, then last.safetensors.

        Raises OSError.
        """
        self.history.file.flush(to_disk=True)
        self.samples.flush(to_disk=True)
        if self._unsaved_best:
            self._unsaved_best.save(self.out / BEST)
            self._unsaved_best = None
        lengths = {HISTORY: self.history.file.length, SAMPLES: self.samples.length}
        checkpoint.save(replace(state, lengths=lengths), self.out / STATE)
        model.save(self.out / LAST)

    def load(self, run_config: Mapping[str, Any], like: Mapping[str, np.ndarray]) -> Checkpoint | None:
        """Return the last checkpoint, or None if there is none. Raises the errors of `checkpoint.load`."""
        return checkpoint.load(self.out / STATE, run_config, like) if (self.out / STATE).exists() else None

    def truncate_logs(self, state: Checkpoint) -> None:
        """Drop the records and samples written after a checkpoint. Raises OSError."""
        self.history.truncate(state.lengths[HISTORY])
        self.samples.truncate(state.lengths[SAMPLES])

    def best(self) -> tuple[float, Elapsed] | None:
        """Return the bits per character of best.safetensors and when it was saved; None if there is no valid file."""
        try:
            metadata = Model.load(self.out / BEST).metadata
            return float(metadata["val_bpc"]), Elapsed(int(metadata["steps"]), float(metadata["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def show(self, view: RunView) -> None:
        """Write the page of the run. Raises OSError."""
        run_page.write(view, self.out / RUN_PAGE, self.language)

    def draw(self, baselines: dict[str, float]) -> None:
        """Plot the history to curve.png. Raises OSError."""
        history.draw(self.history.records, self.out / CURVE, baselines)


def _copy(array: np.ndarray) -> np.ndarray:
    """Return a copy. Zeros, such as the moments of Adam before the first update, take no memory and no time."""
    return array.copy() if array.any() else np.zeros_like(array)
