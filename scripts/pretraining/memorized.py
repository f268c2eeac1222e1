"""How much of what the model writes stands word for word in the text that it was made of."""

from __future__ import annotations

from collections.abc import Sequence

from gluon_lstm.sampling.language_model import LanguageModel
from gluon_lstm.sampling.memorization import n_gram_shares

SAMPLES = 500


def memorized(lm: LanguageModel, lines: Sequence[str]) -> dict[str, object]:
    """Return shares of the n-grams of SAMPLES posts that occur in `lines`, and the longest stretch that does."""
    samples = lm.generate(count=SAMPLES, seed=1)
    whole = set(lines)
    shares = {str(n): round(share, 4) for n, share in n_gram_shares(samples, lines).items()}
    return {
        "samples": SAMPLES,
        "n_grams_found": shares,
        "whole_posts_found": sum(sample in whole for sample in samples),
        "longest_stretch": longest_stretch(samples, lines),
    }


def longest_stretch(samples: Sequence[str], lines: Sequence[str]) -> str:
    """Return the longest substring of a sample that occurs in a line; of several, one of them.

    >>> longest_stretch(["今日は猫と寝る", "犬"], ["きのうは猫と遊ぶ", "犬も"])
    'は猫と'
    """

    def found(n: int) -> str:
        grams = {sample[k : k + n] for sample in samples for k in range(len(sample) - n + 1)}
        for line in lines:
            for k in range(len(line) - n + 1):
                if line[k : k + n] in grams:
                    return line[k : k + n]
        return ""

    low, high, longest = 0, max(map(len, samples), default=0), ""
    while low < high:  # a substring of a found one is found
        middle = (low + high + 1) // 2
        if here := found(middle):
            low, longest = middle, here
        else:
            high = middle - 1
    return longest
