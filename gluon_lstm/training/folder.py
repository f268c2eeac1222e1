"""The folder of a run: what its files are called, and whether it is free."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from gluon_lstm.model import BEST, LAST

HISTORY, SAMPLES, CURVE = "history.jsonl", "samples.txt", "curve.png"


def check_free(out: Path) -> None:
    """Raise ValueError when `out` holds a run, OSError when a run could not be written there. Changes nothing."""
    for name in (BEST, LAST, HISTORY, SAMPLES):
        if (out / name).exists():
            raise ValueError(f"{out}: there is a training run in it already ({name}); give another folder as --out")
    nearest = out
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder, so no run can be written in it", str(nearest))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "this folder cannot be written in", str(nearest))
