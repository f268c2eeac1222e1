"""Logs of a training run: history.jsonl, one JSON object per line with always the same keys, and LogFile below it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gluon_lstm.figures import in_language
from gluon_lstm.files import write_png
from gluon_lstm.language import _


@dataclass(frozen=True)
class Record:
    """One line of history.jsonl; None (null) for values that were not measured.

    `step` counts updates from 1, `epoch` from 0. `seconds` is training time, `tokens` the number trained on so far.
    Losses are nats per token: `train_loss` is the mean since the previous record, `moving_loss` the moving average of
    notes 003, `val_loss` that of the validation set. `val_bpc` is bits per character, `val_perplexity` exp(val_loss).
    After divergence `rolled_back_to` is the step of the checkpoint that training continues from.
    """

    step: int
    epoch: int
    seconds: float
    tokens: int
    train_loss: float | None = None
    moving_loss: float | None = None
    val_loss: float | None = None
    val_bpc: float | None = None
    val_perplexity: float | None = None
    learning_rate: float | None = None
    rolled_back_to: int | None = None


class LogFile:
    """Text file `path`, whose first `length` bytes are complete lines."""

    def __init__(self, path: Path) -> None:
        self.path, self.length = path, 0
        self._pending = b""

    def append(self, text: str) -> None:
        """Append `text`. Raises OSError; the text then stays pending and is written with the next."""
        self._pending += text.encode("utf-8", "backslashreplace")
        self.flush()

    def flush(self, to_disk: bool = False) -> None:
        """Write pending text; with `to_disk` also fsync. Raises OSError."""
        if not self._pending and not (to_disk and self.length):
            return
        with open(self.path, "ab", buffering=0) as file:
            file.truncate(min(self.length, os.fstat(file.fileno()).st_size))
            while self._pending:
                written = file.write(self._pending)
                self.length, self._pending = self.length + written, self._pending[written:]
            if to_disk:
                os.fsync(file.fileno())

    def truncate(self, length: int) -> None:
        """Drop everything after the first `length` bytes. Raises OSError."""
        self.length, self._pending = length, b""
        if self.path.exists():
            os.truncate(self.path, min(length, self.path.stat().st_size))


class History:
    """Records of a run, in memory and in the file `path`."""

    def __init__(self, path: Path) -> None:
        self.file = LogFile(path)
        self.records: list[Record] = []

    def append(self, record: Record) -> None:
        """Append a record. Raises OSError if the line cannot be written; it is then written with the next."""
        self.records.append(record)
        self.file.append(json.dumps(asdict(record)) + "\n")

    def truncate(self, length: int) -> None:
        """Drop the records after the first `length` bytes of the file. Raises OSError and ValueError."""
        self.file.truncate(length)
        self.records = read(self.file.path) if length else []


def read(path: Path) -> list[Record]:
    """Return the records of a history.jsonl. Raises ValueError for other files."""
    with open(path, encoding="utf-8") as lines:
        try:
            return [Record(**json.loads(line)) for line in lines]
        except TypeError as error:
            raise ValueError(
                _("{path}: not the history of a training run ({error})").format(path=path, error=error)
            ) from error


@in_language()
def draw(records: Sequence[Record], path: Path, baselines: dict[str, float] | None = None) -> None:
    """Plot training and validation loss against training time as a PNG; baselines (nats per token) are lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5))
    axes = figure.add_axes((0.08, 0.11, 0.9, 0.86))  # a layout engine takes half of the time
    minutes = [record.seconds / 60 for record in records]
    trained = [(m, r.moving_loss) for m, r in zip(minutes, records) if r.moving_loss is not None]
    validated = [(m, r.val_loss) for m, r in zip(minutes, records) if r.val_loss is not None]
    for points, label, style in ((trained, _("training (moving average)"), "-"), (validated, _("validation"), "o-")):
        if points:
            axes.plot(*zip(*points), style, label=label, markersize=3)
    for k, (name, loss) in enumerate((baselines or {}).items()):
        axes.axhline(loss, color="gray", linestyle=[":", "--", "-."][k % 3], linewidth=1, label=f"{name} {loss:.2f}")
    axes.set_xlabel(_("training time, minutes"))
    axes.set_ylabel(_("loss, nats per token"))
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    write_png(figure, path)
