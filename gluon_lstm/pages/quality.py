"""What a model loses in a page: bits per character by precision, and samples that copy the posts."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.quantization import PRECISIONS
from gluon_lstm.sampling.evaluation import evaluate
from gluon_lstm.sampling.memorization import memorization
from gluon_lstm.text.sources.reading import Paths, ReadingOptions

SAMPLES, SEED = 200, 1


@dataclass(frozen=True)
class Quality:
    """Bits per character on posts by precision, and how many of `samples` posts are copies."""

    bits_per_character: dict[str, float]
    samples: int
    copies: int


def measure(
    model: Model,
    paths: Paths,
    reading: ReadingOptions,
    precision: str,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> Quality:
    """Return the quality of `model` on the posts in `paths`; samples are of the weights in `precision`.

    Raises TextError and OSError.
    """
    bits = {}
    with tempfile.TemporaryDirectory(prefix="gluon-lstm-") as folder:
        for stored in PRECISIONS:
            model.save(Path(folder) / stored, stored)
            bits[stored] = evaluate(Model.load(Path(folder) / stored), paths, reading, ignore, progress).bpc
        found = memorization(Path(folder) / precision, paths, reading, SAMPLES, SEED, notice, progress)
    return Quality(bits, SAMPLES, found.copies)
