"""The state of a run in one file: what another process needs to go on with it as if it had not stopped.

The file appears whole under its name, or not at all: its rename is the moment a checkpoint exists. It holds the weights
and what the optimizer remembers, the carried state, where the run stands, and what the run was told. Randomness needs
no place in it: it depends on the seed, the purpose and the count of steps alone (`trainer.random`).
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
from gluon_lstm.training.recipe import Recipe, option_name
from gluon_lstm.training.state import TrainState

LIMITS = ("epochs", "steps", "minutes")  # of a recipe: they may grow


@dataclass(frozen=True)
class Checkpoint:
    """A run at one moment.

    `arrays` are those of the trainer, and the carried `h` and `c`; `lengths` tells how many bytes of history.jsonl and
    samples.txt belong to it, `told` what the run was told (see there), `machine` what it was computed on.
    """

    run_config: Mapping[str, Any]
    environment: Mapping[str, Any]
    steps: int
    state: TrainState
    arrays: Mapping[str, np.ndarray]
    lengths: Mapping[str, int] = field(default_factory=dict)


def save(checkpoint: Checkpoint, path: Path) -> None:
    """Write the state file `path`: whole, or not at all. Raises OSError."""
    values = {key: value for key, value in vars(checkpoint).items() if key != "arrays"}
    array_file.save(path, {**values, "state": checkpoint.state.to_json()}, checkpoint.arrays)


def load(path: Path, run_config: Mapping[str, Any], like: Mapping[str, np.ndarray]) -> Checkpoint:
    """What `save` wrote, for a run that is told the same; its arrays are named and shaped as those in `like`.

    Raises ValueError when the run was told otherwise, naming what; ModelError when the file is damaged or is not the
    state of a run; OSError when it cannot be read.
    """
    values, arrays = array_file.load(path)
    try:
        values["state"] = TrainState.from_json(values["state"])
        names = ("run_config", "environment", "steps", "state", "lengths")
        found = Checkpoint(**{name: values[name] for name in names}, arrays=arrays)
        changed = config_differences(found.run_config, run_config)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: not the state of a run, or of another version ({error}); begin a new run") from error
    if changed:
        raise ValueError(
            f"{path.parent}: the run in it was begun with {'; '.join(changed)}; give it the same again, or begin"
            " another run in another folder"
        )
    shapes, wanted = ({name: (a.shape, a.dtype) for name, a in some.items()} for some in (arrays, like))
    if shapes != wanted:
        raise ModelError(f"{path}: the arrays in it are not those of such a run; begin a new run")
    return found


def run_config(recipe: Recipe, corpus: Corpus) -> dict[str, Any]:
    """Everything that decides what a run comes to, as plain values: its options, and digests of its text."""
    settings = corpus.codec.settings.to_json()
    options = {**asdict(recipe), **settings.pop("cleaning"), **settings}
    options["recipe"] = options.pop("name")
    digest = hashlib.blake2b("\n".join(corpus.codec.vocabulary.tokens).encode("utf-8", "surrogatepass"), digest_size=16)
    for piece in blocks_of(corpus.ids):
        digest.update(np.ascontiguousarray(piece).data)
    values = {"options": options, "files": corpus.fingerprint, "tokens": f"{corpus.split} {digest.hexdigest()}"}
    return json.loads(json.dumps(values))  # as it comes back from a file


def environment(device: str) -> dict[str, Any]:
    """What the last digits of a number depend on."""
    threads = {"cores": available_cores(), "threads a product": os.environ.get("OPENBLAS_NUM_THREADS", "any")}
    libraries = versions(("gluon-lstm", "numpy", "mxnet", "numba"))
    return {"processor": cpu_name(), "device": device, **threads, **libraries}


def config_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a run was told otherwise when it began, each in a few words. Limits may have grown, but not shrunk."""
    found = []
    if before["files"] != now["files"]:
        found.append("other files, or files read in another way")
    old_options, new_options = before["options"], now["options"]
    for name in sorted(old_options.keys() | new_options.keys()):
        old, new = old_options.get(name), new_options.get(name)
        grown = name in LIMITS and (None in (old, new) or new >= old)
        if old != new and not grown:
            found.append(f"--{option_name(name)} {_shown(old)}, not {_shown(new)}")
    if not found and before["tokens"] != now["tokens"]:
        found.append("another vocabulary (--min-count, --max-vocab, or another version of Janome)")
    return found


def _shown(value: Any) -> str:
    """A value as an option gives it; a user dictionary is too long for a sentence."""
    if isinstance(value, list):
        return f"of {len(value)} entries"
    return "0" if value is None else str(value)
