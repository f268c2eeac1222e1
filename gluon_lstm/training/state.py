"""Training state: the counters saved in a checkpoint besides weights, optimizer state and carried state."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gluon_lstm.training.schedule import START, Elapsed

RECENT_TOKENS = 2048  # minimum tokens of the mean loss that is checked for divergence


@dataclass
class TrainState:
    """Counters that change with each update. All values survive a round trip through JSON."""

    epoch: int = 0
    windows_done: int = 0  # of this epoch
    seconds: float = 0.0  # training time
    losses: list[float] = field(default_factory=list)  # since the last record
    recent_losses: list[float] = field(default_factory=list)  # of the last RECENT_TOKENS tokens
    moving_loss: float | None = None  # exponential moving average of notes 003
    lowest_moving_loss: float | None = None
    rollbacks: int = 0
    best_bpc: float | None = None  # of all validations
    best_at: Elapsed = START
    validated_at: Elapsed = START  # last validation
    sampled_at: Elapsed = START  # last sample

    def add_update(self, loss: float, tokens: int, seconds: float) -> None:
        """Count one update: its loss, number of tokens and training time."""
        self.windows_done += 1
        self.seconds += seconds
        self.losses.append(loss)
        self.recent_losses = [*self.recent_losses, loss][-max(RECENT_TOKENS // tokens, 1) :]
        self.moving_loss = loss if self.moving_loss is None else 0.99 * self.moving_loss + 0.01 * loss  # notes 003
        self.lowest_moving_loss = min(self.moving_loss, self.lowest_moving_loss or self.moving_loss)

    @property
    def has_diverged(self) -> bool:
        """Whether the mean recent loss exceeds twice the lowest moving loss plus one nat."""
        return sum(self.recent_losses) / len(self.recent_losses) > 2 * (self.lowest_moving_loss or 0.0) + 1

    def to_json(self) -> dict[str, Any]:
        """Return the counters as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainState:
        """Read what `to_json` returned. Raises KeyError, TypeError or ValueError for anything else."""
        times = {name: Elapsed(*values[name]) for name in ("best_at", "validated_at", "sampled_at")}
        return cls(**{**values, **times})
