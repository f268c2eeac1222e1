"""history.jsonl: what was measured while training, one JSON object a line, always with the same keys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gluon_lstm.files import write_png
from gluon_lstm.training.log_file import LogFile


@dataclass(frozen=True)
class Record:
    """One line of history.jsonl; None (null) where nothing was measured.

    `step` updates are done, `epoch` counts from 0, `seconds` is training time alone, `tokens` are those trained on so
    far. Losses are nats a token: `train_loss` the mean since the record before, `moving_loss` that of the notes,
    `val_loss` on the held-back part; `val_bpc` is bits per character, `val_perplexity` exp(val_loss). Where training
    went astray, `rolled_back_to` is the step from which it goes on: that of the last good weights.
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


class History:
    """The records of a run, in memory and, line by line, in a file."""

    def __init__(self, path: Path) -> None:
        self.file = LogFile(path)
        self.records: list[Record] = []

    def append(self, record: Record) -> None:
        """Raises OSError when the line could not be written; it is then written with the next."""
        self.records.append(record)
        self.file.append(json.dumps(asdict(record)) + "\n")

    def cut(self, length: int) -> None:
        """Go back to the records in the first `length` bytes of the file. Raises OSError, and ValueError as `read`."""
        self.file.cut(length)
        self.records = read(self.file.path) if length else []


def read(path: Path) -> list[Record]:
    """The records in a history.jsonl; ValueError when it is none."""
    with open(path, encoding="utf-8") as lines:
        try:
            return [Record(**json.loads(line)) for line in lines]
        except TypeError as error:
            raise ValueError(f"{path}: not a history of a training run ({error})") from error


def draw(records: Sequence[Record], path: Path, baselines: dict[str, float] | None = None) -> None:
    """The curve of a run as a PNG: losses against training time, the baselines (nats a token) as lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    minutes = [record.seconds / 60 for record in records]
    trained = [(m, r.moving_loss) for m, r in zip(minutes, records) if r.moving_loss is not None]
    validated = [(m, r.val_loss) for m, r in zip(minutes, records) if r.val_loss is not None]
    for points, label, style in ((trained, "training (moving)", "-"), (validated, "held back", "o-")):
        if points:
            axes.plot(*zip(*points), style, label=label, markersize=3)
    for k, (name, loss) in enumerate((baselines or {}).items()):
        axes.axhline(loss, color="gray", linestyle=[":", "--", "-."][k % 3], linewidth=1, label=f"{name} {loss:.2f}")
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("loss, nats a token")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    write_png(figure, path)
