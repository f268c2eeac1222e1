"""Models of this package: what each was made of, its licence, its figures. docs/pretrained.md has more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gluon_lstm.config import ModelConfig
from gluon_lstm.model import PRETRAINED, Model, ModelError, model_file


@dataclass(frozen=True)
class Entry:
    """One model. `reason`: why it cannot be used here, None if it can; then all other fields have values."""

    name: str
    reason: str | None = None
    bytes: int = 0
    config: ModelConfig | None = None
    vocabulary: int = 0
    tokenizer: str = ""
    card: dict[str, Any] | None = None  # made_of (list of str), licence, bits_per_character (text -> figure)

    def card_texts(self) -> Iterator[str]:
        """Yield the sentences of the card: what the model was made of, its licence, the names of its figures."""
        if self.card is not None:
            yield from (*self.card["made_of"], self.card["licence"], *self.card["bits_per_character"])

    def record(self) -> dict[str, Any]:
        """Return the fields as JSON values, with the architecture in words."""
        architecture = f"{self.config.variant} cell, {self.config.size}" if self.config else ""
        values = {**vars(self), "config": architecture}
        return {"architecture" if name == "config" else name: value for name, value in values.items()}


def entries() -> Iterator[Entry]:
    """Yield the models of this package, also one whose file is missing or damaged."""
    for name in PRETRAINED:
        try:
            path = model_file(name)
            model = Model.load(path)
        except (ModelError, OSError) as error:
            yield Entry(name, reason=str(error))
            continue
        yield Entry(
            name,
            bytes=path.stat().st_size,
            config=model.config,
            vocabulary=len(model.vocabulary),
            tokenizer=model.codec.settings.tokenizer,
            card=model.metadata["card"],
        )
