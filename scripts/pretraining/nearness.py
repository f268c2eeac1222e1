"""Works that read most like the posts: cross-entropy difference of two bigram models (Moore and Lewis, 2010)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from pretraining.aozora import Work

SMOOTHING = 20.0  # weight of a character's own frequency against its counts after the one before it
SAMPLE = 5  # lines of each work in the model of the books
CHARACTERS = 5500  # the commonest of both kinds; all others are one
END, OTHER = 0, 1


def nearest(works: Sequence[Work], posts: Sequence[str], characters: float, rng: random.Random) -> list[Work]:
    """Return the works that read most like the posts, nearest first, up to `characters` characters together."""
    sample = [line for work in works for line in rng.sample(work.lines, min(len(work.lines), SAMPLE))]
    table = _table((*posts, *sample))
    difference = _bigrams(_ids(sample, table)) - _bigrams(_ids(posts, table))  # log2 of books over posts

    def bits(work: Work) -> float:
        ids = _ids(work.lines, table)
        return float(difference[ids[:-1], ids[1:]].mean())

    kept, used = [], 0
    for work in sorted(works, key=bits):
        if used >= characters:
            break
        kept.append(work)
        used += sum(map(len, work.lines))
    return kept


def _table(lines: Iterable[str]) -> np.ndarray:
    """Return the id of every Unicode code point: the commonest characters have their own."""
    table = np.full(0x110000, OTHER, dtype=np.int32)
    counts = Counter("".join(lines))
    for n, (character, _) in enumerate(counts.most_common(CHARACTERS), start=OTHER + 1):
        table[ord(character)] = n
    table[ord("\n")] = END
    return table


def _ids(lines: Iterable[str], table: np.ndarray) -> np.ndarray:
    """Return the ids of the characters of lines, each line with its beginning and its end."""
    text = "\n" + "".join(f"{line}\n" for line in lines)
    return table[np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)]


def _bigrams(ids: np.ndarray) -> np.ndarray:
    """Return log2 p(character | the one before), (V, V), smoothed with the frequency of the character."""
    V = CHARACTERS + 2
    counts = np.bincount(ids[:-1].astype(np.int64) * V + ids[1:], minlength=V * V).reshape(V, V).astype(np.float32)
    frequency = ((np.bincount(ids, minlength=V) + 0.5) / (len(ids) + 0.5 * V)).astype(np.float32)
    totals = counts.sum(axis=1, keepdims=True)
    return np.log2((counts + SMOOTHING * frequency) / (totals + SMOOTHING))
