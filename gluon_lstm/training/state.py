"""Where a run stands: all that must be known, besides the weights, to go on with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from gluon_lstm.training.schedule import START, Elapsed

RECENT_TOKENS = 2048  # tokens, at the least, whose mean loss counts as the present one


@dataclass
class TrainState:
    """What changes with each update. Plain values, which JSON gives back as they were."""

    epoch: int = 0
    windows: int = 0  # of this epoch that are behind
    seconds: float = 0.0  # of training alone
    losses: list[float] = field(default_factory=list)  # since the last record
    recent: list[float] = field(default_factory=list)  # of the last MOST_RECENT tokens
    moving_loss: float | None = None  # of the notes
    lowest_loss: float | None = None  # that the moving loss has been
    rollbacks: int = 0
    best_bpc: float | None = None
    best_at: Elapsed = START
    validated_at: Elapsed = START
    sampled_at: Elapsed = START

    def add(self, loss: float, tokens: int) -> None:
        """One more update, on so many tokens."""
        self.losses.append(loss)
        self.recent = [*self.recent, loss][-max(RECENT_TOKENS // tokens, 1) :]
        self.moving_loss = loss if self.moving_loss is None else 0.99 * self.moving_loss + 0.01 * loss  # notes 003
        self.lowest_loss = min(self.moving_loss, self.lowest_loss or self.moving_loss)

    @property
    def is_astray(self) -> bool:
        """Whether the loss is far above what it has been: more than twice as high, and a nat."""
        return sum(self.recent) / len(self.recent) > 2 * (self.lowest_loss or 0.0) + 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> TrainState:
        """What `to_json` wrote; TypeError or ValueError when it is not."""
        places = {name: Elapsed(*values[name]) for name in ("best_at", "validated_at", "sampled_at")}
        return cls(**{**values, **places})
