"""What a trained model is: configuration, text settings, vocabulary and named NumPy arrays, in one safetensors file.

Nothing here knows MXNet: a model file needs NumPy alone, and outlives the framework that trained it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm.configuration import Configuration
from gluon_lstm.files import written_whole
from gluon_lstm.text.codec import Codec, TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

FORMAT = 1
KEY = "gluon_lstm"  # our one entry in the metadata of the file
BEST, LAST = "best.safetensors", "last.safetensors"


class ModelError(ValueError):
    """A file that is not a whole model of this package; the message names it."""


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
        from safetensors.numpy import save

        names = self.configuration.shapes(len(self.vocabulary))
        arrays = {name: np.ascontiguousarray(self.arrays[name], dtype=np.float32) for name in names}
        header = {
            "format": FORMAT,
            "configuration": asdict(self.configuration),
            "text": self.codec.settings.to_json(),
            "vocabulary": self.vocabulary.tokens,
            "specials": self.vocabulary.specials,
            "about": dict(self.about),
        }
        header["checksum"] = checksum(header, arrays)
        with written_whole(path, "wb") as file:
            file.write(save(arrays, metadata={KEY: json.dumps(header)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """The model in the file `path`, or in the run folder `path` (its best weights, else its last).

        Raises ModelError when that is not a whole model file, OSError when it cannot be read.
        """
        path = model_file(path)
        header, arrays = _read(path)
        try:
            vocabulary = Vocabulary(header["vocabulary"], header["specials"])
            model = cls(
                Configuration(**header["configuration"]),
                Codec(TextSettings.from_json(header["text"]), vocabulary),
                arrays,
                header["about"],
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


def checksum(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the description and over the names, shapes, types and bytes of the arrays, in the order of names."""
    described = json.loads(json.dumps({key: value for key, value in header.items() if key != "checksum"}))
    digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):  # a missing or forbidden file says so in the words of the system
        pass
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[KEY])
            arrays = {name: file.get_tensor(name) for name in list(file.keys())}
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not a model of gluon-lstm, or damaged; give a file or folder of `train`") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelError(f"{path}: written in a format this version does not know; update gluon-lstm")
    if header.get("checksum") != checksum(header, arrays):
        raise ModelError(f"{path}: damaged: what is in it is not what was saved")
    return header, arrays
