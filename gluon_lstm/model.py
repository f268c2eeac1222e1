"""A trained model: configuration, text settings, vocabulary and named NumPy arrays, in one safetensors file.

A model needs NumPy alone, never MXNet: it outlives the framework that trained it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm import array_file, quantization
from gluon_lstm.array_file import ModelError
from gluon_lstm.config import ModelConfig
from gluon_lstm.language import _
from gluon_lstm.text.codec import Codec, check_specials
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

BEST, LAST = "best.safetensors", "last.safetensors"  # file names in a run directory
PRETRAINED = ("ja",)  # names of the models of this package
PRETRAINED_FOLDER = Path(__file__).parent / "pretrained"
# Maximum magnitude of a weight: larger ones can overflow a pre-activation in float32. Training stays below 1000.
MAX_WEIGHT = np.float32(1e20)
MAX_REASON_LENGTH = 200  # maximum length of an error quoted from a file, in characters


@dataclass(frozen=True)
class Model:
    """A language model: saved to and loaded from a file, run by `sampling`.

    `arrays`: float32, under the names and in the shapes of `config.shapes(V)`. `metadata`: how the model was trained
    (plain JSON values), for people; nothing is computed from it.
    """

    config: ModelConfig
    codec: Codec
    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def vocabulary(self) -> Vocabulary:
        return self.codec.vocabulary

    def file_metadata(self) -> dict[str, Any]:
        """Return everything in the file besides the arrays: plain JSON values."""
        return {
            "config": asdict(self.config),
            "text": self.codec.settings.to_json(),
            "vocabulary": self.vocabulary.tokens,
            "num_specials": self.vocabulary.num_specials,
            "metadata": dict(self.metadata),
        }

    def check_size(self) -> None:
        """Raise ValueError when `save` would refuse this model as too large. The answer does not depend on training."""
        array_file.check_metadata_size(self.file_metadata())

    def save(self, path: str | os.PathLike[str], precision: str = "float32") -> None:
        """Write the model to `path`, atomically. Raises ValueError as `check_size`, and OSError.

        `precision`: float32, or float16 or int8 in about a half or a quarter of the bytes.
        """
        names = self.config.shapes(len(self.vocabulary))
        arrays = quantization.encode({name: self.arrays[name] for name in names}, precision)
        array_file.save(path, self.file_metadata(), arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Return the model in the file, the run directory (best weights, else last) or of the name `path`.

        Raises ModelError unless the file is a valid model, OSError when it cannot be read.
        """
        path = model_file(path)
        with array_file.open_file(path) as file:
            try:
                config, settings, vocabulary, metadata = _parse_metadata(file.metadata)
            except (KeyError, TypeError, ValueError) as error:
                raise ModelError(
                    _("{path}: its metadata is invalid ({reason}); give a file or run directory of `train`").format(
                        path=path, reason=_reason(error)
                    )
                ) from error
            shapes = config.shapes(len(vocabulary))
            if file.specs not in [quantization.specs(shapes, precision) for precision in quantization.PRECISIONS]:
                raise ModelError(
                    _("{path}: its arrays do not have the shapes that its metadata requires").format(path=path)
                )
            arrays = quantization.decode(file.arrays())
        if not all(array.min() >= -MAX_WEIGHT and array.max() <= MAX_WEIGHT for array in arrays.values()):
            raise ModelError(
                _(
                    "{path}: a weight is not finite or larger than {max_weight:.0e} in magnitude; the"
                    " training diverged, so train again"
                ).format(path=path, max_weight=MAX_WEIGHT)
            )
        return cls(config, Codec(settings, vocabulary), arrays, metadata)


def _parse_metadata(stored: Mapping[str, Any]) -> tuple[ModelConfig, TextSettings, Vocabulary, dict[str, Any]]:
    """Return config, settings, vocabulary and metadata of a model. Raises KeyError, TypeError or ValueError."""
    config = ModelConfig(**stored["config"])
    settings = TextSettings.from_json(stored["text"])
    vocabulary = Vocabulary(stored["vocabulary"], stored["num_specials"])
    check_specials(settings, vocabulary)
    if not isinstance(stored["metadata"], dict):
        raise ValueError(_("`metadata` is not a JSON object"))
    return config, settings, vocabulary, stored["metadata"]


def _reason(error: Exception) -> str:
    """Return an error as part of a sentence: one line of limited length, since it can quote the file."""
    reason = f"missing {error}" if isinstance(error, KeyError) else str(error)
    return " ".join(reason[:MAX_REASON_LENGTH].split())


def model_file(model: str | os.PathLike[str]) -> Path:
    """Return the path of a model file: of a model of this package for its name, of the best (else the last) weights
    for a run directory, else the path itself.

    A file of your own with the name of a model of this package is `./ja`. Raises ModelError for a directory without
    weights, and for a model that this installation lacks.
    """
    path = Path(model)
    if str(model) in PRETRAINED:
        path = PRETRAINED_FOLDER / f"{model}.safetensors"
        if not path.is_file():
            raise ModelError(
                _("{model}: this installation lacks the file of the model ({path}); install gluon-lstm again").format(
                    model=model, path=path
                )
            )
    if not path.is_dir():
        return path
    for name in (BEST, LAST):
        if (path / name).is_file():
            return path / name
    raise ModelError(
        _("{path}: a directory without {best} or {last}; give a run directory of `train`").format(
            path=path, best=BEST, last=LAST
        )
    )
