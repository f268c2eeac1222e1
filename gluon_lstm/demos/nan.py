"""gluon-lstm demo nan: how the LSTM of notes 000 became NaN, which of its errors did it, and the same cell repaired"""

from __future__ import annotations

from pathlib import Path

from gluon_lstm.demos.result import DemoResult, lines, show
from gluon_lstm.progress import Progress, silent

__all__ = ["lines", "run"]


def run(out: Path | None = None, seed: int = 1, progress: Progress = silent) -> DemoResult:
    """Over the seeds `seed` to `seed` + 4; nan.png in `out`."""
    from gluon_lstm.demos.divergence import demonstrate

    return show(demonstrate, out and out / "nan.png", seed, progress)
