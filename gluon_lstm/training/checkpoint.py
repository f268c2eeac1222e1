"""Checkpoints: the state file from which another process continues a run as if it had never stopped.

The file is written atomically: its rename is the moment the checkpoint exists. It holds the weights, the optimizer
state, the carried state (h, c), the counters and the run_config. Random generators need no state: each one depends on
the seed, its purpose and the step (`trainer.training_rng`).
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

from gluon_lstm import array_file
from gluon_lstm.array_file import ModelError
from gluon_lstm.system import available_cores, cpu_name, versions
from gluon_lstm.text.corpus import Corpus, blocks_of
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.state import TrainState

LIMITS = ("epochs", "steps", "minutes")  # fields of a recipe that may grow on resume


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
            f"{path}: not the state of a training run, or of another version ({error}); start a new run"
        ) from error
    if differences:
        raise ValueError(
            f"{path.parent}: the training run in this directory was started with {'; '.join(differences)}; use the same"
            " settings, or start a new run in another directory"
        )
    specs, expected = ({name: (a.shape, a.dtype) for name, a in some.items()} for some in (arrays, like))
    if specs != expected:
        raise ModelError(f"{path}: its arrays do not belong to this run; start a new run")
    return checkpoint


def run_config(recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    """Return the settings that determine the result of a run as a JSON object: options, and digests of its text."""
    settings = corpus.codec.settings.to_json()
    options = {**asdict(recipe), **settings.pop("cleaning"), **settings}
    options["recipe"] = options.pop("name")
    digest = hashlib.blake2b("\n".join(corpus.codec.vocabulary.tokens).encode("utf-8", "surrogatepass"), digest_size=16)
    for block in blocks_of(corpus.ids):
        digest.update(np.ascontiguousarray(block).data)
    values = {"options": options, "files": corpus.fingerprint, "tokens": f"{corpus.split} {digest.hexdigest()}"}
    return json.loads(json.dumps(values))  # the same types as after loading a file


def environment(device: str) -> dict[str, Any]:
    """Return the hardware, thread count and library versions, on which the last bits of a result depend."""
    threads = {"cores": available_cores(), "BLAS threads": os.environ.get("OPENBLAS_NUM_THREADS", "any")}
    libraries = versions(("gluon-lstm", "numpy", "mxnet", "numba"))
    return {"processor": cpu_name(), "device": device, **threads, **libraries}


def config_differences(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[str]:
    """Describe each setting that differs from the saved run_config. A limit may have grown."""
    found = []
    if saved["files"] != current["files"]:
        found.append("other input files or reading options")
    old_options, new_options = saved["options"], current["options"]
    for name in sorted(old_options.keys() | new_options.keys()):
        old, new = old_options.get(name), new_options.get(name)
        grown = name in LIMITS and (None in (old, new) or new >= old)
        if old != new and not grown:
            found.append(f"`{name}` {_option_value(old)}, not {_option_value(new)}")
    if not found and saved["tokens"] != current["tokens"]:
        found.append("another vocabulary (`min_count`, `max_vocab`, or another version of Janome)")
    return found


def _option_value(value: Any) -> str:
    """Return a value as it is given as an option; of a user dictionary only the number of entries."""
    if isinstance(value, list):
        return f"of {len(value)} entries"
    return "0" if value is None else str(value)
