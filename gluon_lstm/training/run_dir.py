"""The folder of a run: the files in it, and that no other run writes there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm.model import BEST, LAST, Model
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.training import checkpoint, history
from gluon_lstm.training.checkpoint import Checkpoint
from gluon_lstm.training.history import History, Record
from gluon_lstm.training.log_file import LogFile
from gluon_lstm.training.schedule import Elapsed

STATE, HISTORY, SAMPLES, CURVE = "state.safetensors", "history.jsonl", "samples.txt", "curve.png"
LOCK = ".lock"


def check_free(out: Path, resume: bool = False) -> None:
    """Raise ValueError when `out` holds a run, OSError when one could not be written there. Changes nothing.

    With `resume` a run is welcome that has left its state.
    """
    for name in (STATE, BEST, LAST, HISTORY, SAMPLES):
        if (out / name).exists():
            if resume and name == STATE:
                break
            remedy = "go on with it by --resume, or give" if name == STATE else "give"
            raise ValueError(f"{out}: there is a training run in it already ({name}); {remedy} another folder as --out")
    nearest = out
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder, so no run can be written in it", str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "this folder cannot be written in", str(nearest))


class RunDirectory:
    """The files of one run.

    What is recorded while training goes on may fail for a disk that is full now: `notice` is then told, and it is tried
    again with the next. What ends a run raises OSError.
    """

    def __init__(self, out: Path, notice: Notice = ignore) -> None:
        self.out, self.notice = out, notice
        self.history = History(out / HISTORY)
        self.samples = LogFile(out / SAMPLES)
        self._best: Model | None = None  # that could not be written

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder, if need be, and keep other runs out of it. What a killed one left half written is removed.

        The lock is the system's: it goes with the process that holds it, however that ends. Raises ValueError when
        another process has it.
        """
        from filelock import FileLock, Timeout

        self.out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.out / LOCK, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ValueError(
                f"{self.out}: a training run is writing in it now; wait for its end, or give another folder as --out"
            ) from None
        except NotImplementedError:  # some network file systems
            self.notice(f"{self.out}: this file system has no locks; see to it that no second run writes in it")
        try:
            for name in (STATE, BEST, LAST, CURVE):
                for leftover in self.out.glob(f".{name}.*.tmp"):
                    leftover.unlink()
            yield
        finally:
            lock.release()

    # ---- while training goes on

    def record(self, record: Record) -> None:
        self._try(HISTORY, lambda: self.history.append(record))

    def sample(self, text: str) -> None:
        self._try(SAMPLES, lambda: self.samples.append(text))

    def keep_best(self, model: Model, bpc: float, place: Elapsed) -> None:
        """These weights are the best so far; `bpc` is what they reach on the held-back part.

        They are copied only if they have to wait for a disk that takes them.
        """
        best = replace(model, metadata={**model.metadata, "val_bpc": bpc, "seconds": place.seconds})
        if self._try(BEST, lambda: best.save(self.out / BEST)):
            self._best = None
        else:
            self._best = replace(best, arrays={name: array.copy() for name, array in best.arrays.items()})

    def try_to_save(self, state: Checkpoint, model: Model) -> None:
        self._try("a checkpoint", lambda: self.save(state, model))

    def _try(self, what: str, write: Callable[[], None]) -> bool:
        """Whether it went well."""
        try:
            write()
        except OSError as error:
            self.notice(f"{self.out}: {what} could not be written ({error.strerror}); training goes on")
            return False
        return True

    # ---- checkpoints

    def save(self, state: Checkpoint, model: Model) -> None:
        """What belongs to a checkpoint first, then the state itself, then what follows from it. Raises OSError."""
        self.history.file.flush(to_disk=True)
        self.samples.flush(to_disk=True)
        if self._best:
            self._best.save(self.out / BEST)
            self._best = None
        lengths = {HISTORY: self.history.file.length, SAMPLES: self.samples.length}
        checkpoint.save(replace(state, lengths=lengths), self.out / STATE)
        model.save(self.out / LAST)

    def load(self, run_config: Mapping[str, Any], like: Mapping[str, np.ndarray]) -> Checkpoint | None:
        """The last checkpoint, or None before the first one. Arguments and errors are those of `checkpoint.load`."""
        return checkpoint.load(self.out / STATE, run_config, like) if (self.out / STATE).exists() else None

    def go_back_to(self, state: Checkpoint) -> None:
        """Forget what was written behind a checkpoint; but weights that did better stay the best. Raises OSError."""
        self.history.cut(state.lengths[HISTORY])
        self.samples.cut(state.lengths[SAMPLES])

    def best(self) -> tuple[float, Elapsed] | None:
        """What the best weights on the disk reach, in bits a character, and from where in the run they are."""
        try:
            metadata = Model.load(self.out / BEST).metadata
            return float(metadata["val_bpc"]), Elapsed(int(metadata["steps"]), float(metadata["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):  # there are none, or none that can be used
            return None

    def draw(self, baselines: dict[str, float]) -> None:
        """The curve of the run. Raises OSError."""
        history.draw(self.history.records, self.out / CURVE, baselines)
