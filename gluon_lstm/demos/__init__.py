"""Demos: questions of the notes answered by running code (`gluon-lstm demo NAME`).

A demo is a module of this package with `run(out, seed, progress, **options) -> result` and `lines(result) ->
list[str]`, and an entry of DEMOS. `run` writes NAME.png into the directory `out`, or no file where `out` is None.
Modules are loaded only when their demo runs, since they import NumPy and some import MXNet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple


class Option(NamedTuple):
    """Keyword argument of a demo's `run`, which the command line offers as an option or a positional argument."""

    name: str
    type: Callable[[str], Any]
    default: Any
    metavar: str
    help: str
    positional: bool = False


class Demo(NamedTuple):
    """Summary of a demo, one line without a period, and its options."""

    summary: str
    options: Sequence[Option] = ()


DEMOS = {  # module name -> Demo
    "compare": Demo(
        "a simple RNN and an LSTM trained on the same text for the same time, and tested on a long-range task",
        (
            Option("file", Path, None, "FILE", "posts to train on (default: data/posts_ja.txt)", positional=True),
            Option("minutes", float, 0.1, "M", "training time of each model on FILE (default: 0.1)"),
            Option("prefix", str, "こんにち", "TEXT", "beginning of the samples (default: こんにち)"),
        ),
    ),
    "gradients": Demo("how far gradients reach back in a simple RNN and in LSTMs, and what clipping changes"),
    "nan": Demo("why the LSTM of notes 000 became NaN: each of its errors alone, and the cell repaired"),
    "timing": Demo("a timer that one cell learns with peepholes and does not learn without them"),
}


def load(name: str) -> ModuleType:
    """Import the module of a demo."""
    return import_module(f"{__name__}.{name}")
