"""run_config: settings that must match when a run is resumed. environment: hardware and library versions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.system import available_cores, cpu_name, versions
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.text.token_stream import blocks_of
from gluon_lstm.training.recipe import Recipe

# options that earlier runs did not have, with what these runs did
_EARLIER = {"phones": "keep", "from_": "none", "post_order": "text"}
LIMITS = ("epochs", "steps", "minutes")  # fields of a recipe that may grow on resume


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
        found.append(_("other input files or reading options"))
    old_options, new_options = {**_EARLIER, **saved["options"]}, current["options"]
    for name in sorted(old_options.keys() | new_options.keys()):
        old, new = old_options.get(name), new_options.get(name)
        grown = name in LIMITS and (None in (old, new) or new >= old)
        if old != new and not grown:
            values = {"old": _option_value(old), "new": _option_value(new)}
            found.append(_("`{name}` {old}, not {new}").format(name=name, **values))
    if not found and saved["tokens"] != current["tokens"]:
        found.append(_("another vocabulary (`min_count`, `max_vocab`, or another version of Janome)"))
    return found


def _option_value(value: Any) -> str:
    """Return a value as the option spells it; of a user dictionary only the number of entries."""
    if isinstance(value, list):
        return _("of {entries} entries").format(entries=len(value))
    return "0" if value is None else str(value)
