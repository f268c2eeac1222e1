"""LSTM language models of Japanese text: load one and write with it, or train one on posts.

>>> import gluon_lstm
>>> lm = gluon_lstm.load("runs/mine")  # NumPy alone
>>> lm.generate("こんにち", posts=3, seed=1)  # three str
>>> lm.score(["今日は寒い", "眠い"]).bpc
>>> lm = gluon_lstm.train(["posts.txt"], out="runs/mine", minutes=5)  # MXNet
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gluon_lstm.sampling.language_model import LanguageModel

__version__ = "0.1.0"
__all__ = ["load", "train"]


def load(path: str | os.PathLike[str]) -> LanguageModel:
    """Return the model of a .safetensors file, or of a run directory (its best weights, else its last).

    Warns once where the kernels of NumPy's BLAS are poor; the command line chooses better ones by itself.
    Raises ModelError (a ValueError) for any other file, OSError for a file that cannot be read.
    """
    from gluon_lstm.sampling.language_model import LanguageModel, warn_of_poor_kernels

    warn_of_poor_kernels()
    return LanguageModel.load(path)


def train(
    paths: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], recipe: str = "standard", **options: Any
) -> LanguageModel:
    """Train on the posts in files, write the run directory `out`, and return its best model.

    `recipe` (standard, notes) sets all defaults; `options` are those of the command `train` by their field names:
    minutes=5, tokenizer="janome", resume=True, notice=print (called with each log line) ... Raises ValueError for an
    invalid option or text, OSError for a file that cannot be read or written, ImportError without MXNet.
    """
    from gluon_lstm.training.from_files import train as train_files

    train_files(paths, out, recipe, **options)
    return load(out)
