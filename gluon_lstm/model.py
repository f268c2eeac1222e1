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

from gluon_lstm import sealed
from gluon_lstm.configuration import Configuration
from gluon_lstm.sealed import ModelError
from gluon_lstm.text.codec import Codec, TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Model:
    """A language model that can be written to a file, read back, and run by `sampling`.

    `arrays` are float32 under the names of the configuration; `about` says how it was trained (plain JSON values), for
    people.
    """

    configuration: Configuration
    codec: Codec
    arrays: Mapping[str, np.ndarray]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.codec.vocabulary

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to `path`: whole, or not at all. Raises OSError."""
        names = self.configuration.shapes(len(self.vocabulary))
        sealed.save(path, self.description(), {name: np.asarray(self.arrays[name], np.float32) for name in names})

    def description(self) -> dict[str, Any]:
        """Everything but the arrays, as plain JSON values."""
        return {
            "configuration": asdict(self.configuration),
            "text": self.codec.settings.to_json(),
            "vocabulary": self.vocabulary.tokens,
            "specials": self.vocabulary.specials,
            "about": dict(self.about),
        }

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """The model in the file `path`, or in the run folder `path` (its best weights, else its last).

        Raises ModelError when that is not a whole model file, OSError when it cannot be read.
        """
        path = model_file(path)
        description, arrays = sealed.load(path)
        try:
            vocabulary = Vocabulary(description["vocabulary"], description["specials"])
            model = cls(
                Configuration(**description["configuration"]),
                Codec(TextSettings.from_json(description["text"]), vocabulary),
                arrays,
                description["about"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path}: the description of the model in it cannot be used ({error})") from error
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != model.configuration.shapes(len(vocabulary)):
            raise ModelError(f"{path}: its arrays do not have the shapes that its own description asks for")
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise ModelError(f"{path}: its weights are not all finite numbers; the training it comes from went astray")
        return model


def model_file(path: str | os.PathLike[str]) -> Path:
    """The file meant by `path`: itself, or the best (else the last) weights of the run folder it names."""
    path = Path(path)
    if not path.is_dir():
        return path
    for name in (BEST, LAST):
        if (path / name).is_file():
            return path / name
    raise ModelError(f"{path}: a folder without {BEST} or {LAST}; give the --out folder of a training run")
