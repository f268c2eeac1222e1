"""Memorization: how much of the text a model generates is copied verbatim from its training text.

N-grams are of code points. The shares of the validation posts are the baseline: real posts share most of their short
n-grams with other posts, too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.sources.reading import Paths, ReadingOptions, TextError, read_posts, read_text

NGRAM_SIZES = tuple(range(3, 9))  # n of the n-grams
VALIDATION_SHARE = 0.05  # validation part of the text, for a model file that does not name it
RAW_SAMPLE_LENGTH = 140  # characters of a sample of a raw model
_SURROGATE = re.compile("[\ud800-\udfff]")  # a vocabulary may contain lone surrogates; a report is UTF-8
SEPARATOR = "\ufdd0"  # between posts: a Unicode noncharacter, which no text contains


@dataclass(frozen=True)
class Sample:
    """A generated text and its longest substring that occurs in one post of the corpus."""

    text: str
    start: int  # of the substring, in code points
    length: int  # of the substring, in code points

    @property
    def is_copy(self) -> bool:
        """Whether the whole text occurs in one post."""
        return self.length == len(self.text)


@dataclass(frozen=True)
class Memorization:
    """Samples of a model, and the shares of n-grams that occur in the training text."""

    samples: list[Sample]
    validation_posts: int  # number of posts in the validation set
    sample_shares: dict[int, float]  # n -> share of the n-grams of the samples, 0 to 1
    validation_shares: dict[int, float]  # n -> share of the n-grams of the validation posts, 0 to 1

    @property
    def copies(self) -> int:
        """Number of samples that are whole in one post."""
        return sum(sample.is_copy for sample in self.samples)


def longest_overlap(text: str, corpus: str) -> tuple[int, int]:
    """Return (start, length) of the longest substring of `text` that occurs in `corpus`; of several, the first.

    >>> longest_overlap("今日は猫と寝る", "きのうは猫と遊ぶ")
    (2, 3)
    """
    start = length = 0
    for k in range(len(text)):
        while k + length < len(text) and text[k : k + length + 1] in corpus:
            start, length = k, length + 1
    return start, length


def n_gram_shares(texts: Sequence[str], corpus: Iterable[str]) -> dict[int, float]:
    """Return n -> share of the n-grams of `texts`, with repetitions, that occur in a post of `corpus`.

    n for which the texts have no n-gram are left out.
    """
    counts = {n: Counter(gram for text in texts for gram in _n_grams(text, n)) for n in NGRAM_SIZES}
    missing = {n: set(grams) for n, grams in counts.items()}
    for post in corpus:
        for n, grams in missing.items():
            grams.difference_update(_n_grams(post, n))
    totals = {n: sum(grams.values()) for n, grams in counts.items()}
    return {n: 1 - sum(counts[n][gram] for gram in missing[n]) / totals[n] for n in NGRAM_SIZES if totals[n]}


def _n_grams(text: str, n: int) -> Iterable[str]:
    return (text[k : k + n] for k in range(len(text) - n + 1))


def memorization(
    path: Path,
    paths: Paths,
    reading: ReadingOptions,
    count: int,
    seed: int,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> Memorization:
    """Compare `count` samples of the model in `path` with the text in `paths`, cleaned as the model was trained.

    The last part of the text is the validation set, as in training. Raises ModelError, TextError and OSError.
    """
    model = Model.load(path)
    generator = TextGenerator(model, notice=notice)
    raw = model.codec.settings.raw
    share = _validation_share(model)
    with progress(_("comparing"), count + 3, _("steps")) as advance:
        corpus, validation = _split(_clean_texts(model, paths, reading, notice), share, raw)
        advance(1)
        rngs = [rng_for(seed, k) for k in range(count)]
        length, posts = (RAW_SAMPLE_LENGTH, None) if raw else (None, 1)
        generated = generator.generate_batch(generator.prefix(""), rngs, length, posts)
        texts = [_SURROGATE.sub("\ufffd", text[:-1]) for text in generated]
        advance(1)
        joined, samples = SEPARATOR.join(corpus), []
        for text in texts:
            samples.append(Sample(text, *longest_overlap(text, joined)))
            advance(1)
        shares = n_gram_shares(texts, corpus), n_gram_shares(validation, corpus)
        advance(1)
    return Memorization(samples, len(validation), *shares)


def _validation_share(model: Model) -> float:
    """Return the validation share that the model was trained with; the metadata of a file may be anything."""
    recipe = model.metadata.get("recipe")
    share = recipe.get("validation") if isinstance(recipe, dict) else None
    return share if isinstance(share, (int, float)) and 0 <= share < 1 else VALIDATION_SHARE


def _clean_texts(model: Model, paths: Paths, reading: ReadingOptions, notice: Notice) -> list[str]:
    """Return the clean posts; for a raw model the whole text as one."""
    if model.codec.settings.raw:
        texts = ["".join(read_text(paths, reading, notice))]
    else:
        texts = list(Cleaner(model.codec.settings.cleaning).clean_posts(read_posts(paths, reading, notice)))
    if not any(texts):
        raise TextError(
            _("{paths}: nothing is left after the cleaning of the model").format(paths=", ".join(map(str, paths)))
        )
    return texts


def _split(texts: list[str], share: float, raw: bool) -> tuple[list[str], list[str]]:
    """Return the training and the validation texts: posts, or of a raw text validation parts as long as a sample."""
    if raw:
        text = texts[0]
        split = len(text) - int(len(text) * share)
        return [text[:split]], [text[k : k + RAW_SAMPLE_LENGTH] for k in range(split, len(text), RAW_SAMPLE_LENGTH)]
    size = max(int(len(texts) * share), 1) if share and len(texts) > 1 else 0
    return texts[: len(texts) - size], texts[len(texts) - size :]
