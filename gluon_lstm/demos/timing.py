"""gluon-lstm demo timing: a timer that one cell can be with peepholes, and cannot be without"""

from __future__ import annotations

from pathlib import Path

from gluon_lstm.demos.result import DemoResult, lines, show
from gluon_lstm.progress import Progress, silent

__all__ = ["lines", "run"]


def run(out: Path | None = None, seed: int = 1, progress: Progress = silent) -> DemoResult:
    """Over the seeds `seed` to `seed` + 4; timing.png in `out`."""
    from gluon_lstm.demos.spikes import demonstrate

    return show(demonstrate, out and out / "timing.png", seed, progress)
