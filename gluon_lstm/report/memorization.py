"""How much of what a model writes stands word for word in the text it learned from.

Every n-gram here is one of code points. To know what is much, the same is asked of real posts that were held back: a
language repeats itself, and real posts share most of their short n-grams with other posts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.corpus import Paths
from gluon_lstm.text.sources.reading import ReadingOptions, TextError, read_posts, read_text

SIZES = tuple(range(3, 9))  # n
VALIDATION_SHARE = 0.05  # of the posts, where the model does not say how much it was
RAW_LENGTH = 140  # characters of a sample of a model without posts
_LONE = re.compile("[\ud800-\udfff]")  # a model may have learned halves of characters; the page of a report is UTF-8
SEPARATOR = "\ufdd0"  # stands between posts: a character that Unicode has set aside, and no text has


@dataclass(frozen=True)
class Sample:
    """A text a model wrote, and where its longest part that is in one post of the corpus begins and how long it is."""

    text: str
    start: int
    length: int

    @property
    def is_copy(self) -> bool:
        """The whole of it is in one post."""
        return self.length == len(self.text)


@dataclass(frozen=True)
class Memorization:
    """Samples, and by n the share of their n-grams, and of those of held-back posts, which are in the corpus too."""

    samples: list[Sample]
    validation_posts: int  # real posts that were held back
    sample_shares: dict[int, float]
    validation_shares: dict[int, float]

    @property
    def copies(self) -> int:
        return sum(sample.is_copy for sample in self.samples)


def longest_overlap(text: str, corpus: str) -> tuple[int, int]:
    """Where the first of the longest parts of `text` that are in `corpus` begins, and its length.

    >>> longest_overlap("今日は猫と寝る", "きのうは猫と遊ぶ")
    (2, 3)
    """
    start = length = 0
    for at in range(len(text)):
        while at + length < len(text) and text[at : at + length + 1] in corpus:
            start, length = at, length + 1
    return start, length


def n_gram_shares(texts: Sequence[str], corpus: Iterable[str]) -> dict[int, float]:
    """By n, the share of the n-grams of `texts`, each as often as it is there, that are in a post of `corpus`."""
    wanted = {n: Counter(gram for text in texts for gram in _grams(text, n)) for n in SIZES}
    missing = {n: set(grams) for n, grams in wanted.items()}
    for post in corpus:
        for n, grams in missing.items():
            grams.difference_update(_grams(post, n))
    totals = {n: sum(grams.values()) for n, grams in wanted.items()}
    return {n: 1 - sum(wanted[n][gram] for gram in missing[n]) / totals[n] for n in SIZES if totals[n]}


def _grams(text: str, n: int) -> Iterable[str]:
    return (text[at : at + n] for at in range(len(text) - n + 1))


def memorization(
    path: Path,
    paths: Paths,
    reading: ReadingOptions,
    count: int,
    seed: int,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> Memorization:
    """`count` samples of the model in `path` beside the text in `paths`, cleaned as the model's own text was.

    Its last part is held back, as in training. Raises ModelError, TextError and OSError.
    """
    model = Model.load(path)
    generator = TextGenerator(model, notice=notice)
    raw = model.codec.settings.raw
    share = _held_back(model)
    with progress("comparing", count + 3, "steps") as advance:
        corpus, held_back = _parts(_units(model, paths, reading, notice), share, raw)
        advance(1)
        rngs = [rng_for(seed, k) for k in range(count)]
        length, posts = (RAW_LENGTH, None) if raw else (None, 1)
        texts = [
            _LONE.sub("\ufffd", t[:-1]) for t in generator.generate_batch(generator.prefix(""), rngs, length, posts)
        ]
        advance(1)
        joined, samples = SEPARATOR.join(corpus), []
        for text in texts:
            samples.append(Sample(text, *longest_overlap(text, joined)))
            advance(1)
        shares = n_gram_shares(texts, corpus), n_gram_shares(held_back, corpus)
        advance(1)
    return Memorization(samples, len(held_back), *shares)


def _held_back(model: Model) -> float:
    """The share of its text that was held back; what a model says about itself may be anything."""
    recipe = model.metadata.get("recipe")
    share = recipe.get("validation") if isinstance(recipe, dict) else None
    return share if isinstance(share, (int, float)) and 0 <= share < 1 else VALIDATION_SHARE


def _units(model: Model, paths: Paths, reading: ReadingOptions, notice: Notice) -> list[str]:
    """The clean posts; of a raw model the whole text as one."""
    if model.codec.settings.raw:
        units = ["".join(read_text(paths, reading, notice))]
    else:
        units = list(Cleaner(model.codec.settings.cleaning).clean_posts(read_posts(paths, reading, notice)))
    if not any(units):
        raise TextError(f"{', '.join(map(str, paths))}: nothing is left after the cleaning that the model asks for")
    return units


def _parts(units: list[str], share: float, raw: bool) -> tuple[list[str], list[str]]:
    """What was trained on, and what was held back: posts, or of a raw text pieces as long as a sample."""
    if raw:
        text = units[0]
        split = len(text) - int(len(text) * share)
        return [text[:split]], [text[at : at + RAW_LENGTH] for at in range(split, len(text), RAW_LENGTH)]
    held = max(int(len(units) * share), 1) if share and len(units) > 1 else 0
    return units[: len(units) - held], units[len(units) - held :]
