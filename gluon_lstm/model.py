"""What a trained model is: configuration, text settings, vocabulary and named NumPy arrays, in one safetensors file.

Nothing here knows MXNet: a model file needs NumPy alone, and outlives the framework that trained it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm import array_file
from gluon_lstm.array_file import ArraySpec, ModelError
from gluon_lstm.config import ModelConfig
from gluon_lstm.text.codec import Codec, TextSettings, check_specials
from gluon_lstm.text.vocabulary import Vocabulary

BEST, LAST = "best.safetensors", "last.safetensors"
MAX_WEIGHT = np.float32(
    1e20
)  # weight: with more, a sum in a cell could be infinite in float32; training stays below 1000
MAX_REASON_LENGTH = 200  # characters


@dataclass(frozen=True)
class Model:
    """A language model that can be written to a file, read back, and run by `sampling`.

    `arrays` are float32 under the names of the configuration; `about` says how it was trained (plain JSON values), for
    people.
    """

    config: ModelConfig
    codec: Codec
    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.codec.vocabulary

    def description(self) -> dict[str, Any]:
        """What the file says of the model besides its arrays: plain JSON values."""
        return {
            "config": asdict(self.config),
            "text": self.codec.settings.to_json(),
            "vocabulary": self.vocabulary.tokens,
            "specials": self.vocabulary.num_specials,
            "about": dict(self.about),
        }

    def check_room(self) -> None:
        """ValueError when `save` would refuse this model as too large, however it is trained: ask before training."""
        array_file.check_metadata_size(self.description())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path`: whole, or not at all. Raises ValueError as `check_room`, and OSError."""
        names = self.config.shapes(len(self.vocabulary))
        array_file.save(path, self.description(), {name: np.asarray(self.arrays[name], np.float32) for name in names})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """The model in the file `path`, or in the run folder `path` (its best weights, else its last).

        Raises ModelError when that is not a whole model file, OSError when it cannot be read.
        """
        path = model_file(path)
        with array_file.open_file(path) as file:
            try:
                config, settings, vocabulary, about = _described(file.description)
            except (KeyError, TypeError, ValueError) as error:
                raise ModelError(
                    f"{path}: the description of the model in it cannot be used ({_reason(error)}); give a file or"
                    " folder of `train`"
                ) from error
            shapes = config.shapes(len(vocabulary))
            if file.specs != {name: ArraySpec("F32", shape) for name, shape in shapes.items()}:
                raise ModelError(f"{path}: its arrays do not have the shapes that its own description asks for")
            arrays = file.arrays()
        if not all(array.min() >= -MAX_WEIGHT and array.max() <= MAX_WEIGHT for array in arrays.values()):
            raise ModelError(
                f"{path}: its weights are not all finite and of at most {MAX_WEIGHT:.0e} in magnitude; the training it"
                " comes from diverged, so train again"
            )
        return cls(config, Codec(settings, vocabulary), arrays, about)


def _described(description: Mapping[str, Any]) -> tuple[ModelConfig, TextSettings, Vocabulary, dict[str, Any]]:
    """What a file says of its model. Raises KeyError, TypeError or ValueError where that is nonsense."""
    config = ModelConfig(**description["config"])
    settings = TextSettings.from_json(description["text"])
    vocabulary = Vocabulary(description["vocabulary"], description["specials"])
    check_specials(settings, vocabulary)
    if not isinstance(description["about"], dict):
        raise ValueError("what it says about its training is no JSON object")
    return config, settings, vocabulary, description["about"]


def _reason(error: Exception) -> str:
    """An error as a part of a sentence. What a file brought into it may be of any length, and hold line ends."""
    reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
    return " ".join(reason[:MAX_REASON_LENGTH].split())


def model_file(path: str | os.PathLike[str]) -> Path:
    """The file meant by `path`: itself, or the best (else the last) weights of the run folder it names."""
    path = Path(path)
    if not path.is_dir():
        return path
    for name in (BEST, LAST):
        if (path / name).is_file():
            return path / name
    raise ModelError(f"{path}: a folder without {BEST} or {LAST}; give the --out folder of a training run")
