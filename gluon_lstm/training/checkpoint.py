"""Checkpoints: the state file from which another process continues a run as if it had never stopped.

The file is written atomically: its rename is the moment the checkpoint exists. It holds the weights, the optimizer
state, the carried state (h, c), the counters and the run_config. Random generators need no state: each one depends on
the seed, its purpose and the step (`rng.training_rng`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm import array_file
from gluon_lstm.array_file import ModelError
from gluon_lstm.language import _
from gluon_lstm.training.run_config import config_differences
from gluon_lstm.training.state import TrainState


@dataclass(frozen=True)
class Checkpoint:
    """A run after `steps` updates.

    `run_config` holds the settings that must match on resume, `environment` the hardware and library versions,
    `arrays` the state_dict of the trainer with the carried `h` and `c`, `lengths` the bytes of history.jsonl and
    samples.txt that belong to the checkpoint.
    """

    run_config: Mapping[str, Any]
    environment: Mapping[str, Any]
    steps: int
    state: TrainState
    arrays: Mapping[str, np.ndarray]
    lengths: Mapping[str, int] = field(default_factory=dict)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write the state file `path` atomically. Raises OSError."""
    values = {key: value for key, value in vars(checkpoint).items() if key != "arrays"}
    array_file.save(path, {**values, "state": checkpoint.state.to_json()}, checkpoint.arrays)


def load(path: Path, run_config: Mapping[str, Any], like: Mapping[str, np.ndarray]) -> Checkpoint:
    """Read a state file, for a run with this run_config and arrays of the same names, shapes and dtypes as `like`.

    Raises ValueError naming the settings that differ, ModelError for a file that is damaged or not a state file, and
    OSError.
    """
    values, arrays = array_file.load(path)
    try:
        values["state"] = TrainState.from_json(values["state"])
        names = ("run_config", "environment", "steps", "state", "lengths")
        checkpoint = Checkpoint(**{name: values[name] for name in names}, arrays=arrays)
        differences = config_differences(checkpoint.run_config, run_config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            _("{path}: not the state of a training run, or of another version ({error}); start a new run").format(
                path=path, error=error
            )
        ) from error
    if differences:
        raise ValueError(
            _(
                "{folder}: the training run in this directory was started with {differences}; use the same"
                " settings, or start a new run in another directory"
            ).format(folder=path.parent, differences="; ".join(differences))
        )
    specs, expected = ({name: (a.shape, a.dtype) for name, a in some.items()} for some in (arrays, like))
    if specs != expected:
        raise ModelError(_("{path}: its arrays do not belong to this run; start a new run").format(path=path))
    return checkpoint
