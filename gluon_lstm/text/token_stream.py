"""Token streams: token numbers of a text in a file, written in order and read in blocks through a memory map."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.text.sources.encodings import TextError

BLOCK_TOKENS = 1 << 20  # tokens processed at once
END = 0  # token number of an end of post; the tokens of the text are numbered from 1
MAX_DISTINCT_TOKENS = 1_200_000  # maximum distinct tokens, held in memory; Unicode has fewer characters
MAX_TOKEN_CHARACTERS = 32 << 20  # maximum characters of all distinct tokens together


Token = Union[str, "tuple[str, ...]"]  # a tuple: the fields of a Word


class _TokenNumbers(dict[Token, int]):
    """Numbers of distinct tokens: 1, 2, … in order of first occurrence. Raises TextError when there are too many."""

    characters = 0

    def __missing__(self, token: Token) -> int:
        self.characters += sum(map(len, token))
        if len(self) == MAX_DISTINCT_TOKENS or self.characters > MAX_TOKEN_CHARACTERS:
            raise TextError(
                _(
                    "the text has more than {tokens:,} different tokens of {characters:,} characters together,"
                    " too many for a text of one language; inspect the text with `gluon-lstm clean`"
                ).format(tokens=len(self), characters=self.characters)
            )
        self[token] = number = len(self) + 1
        return number


class TokenStreamWriter:
    """Writer of token numbers (uint32), in order of first occurrence, to the file `array` of a cache entry."""

    def __init__(self, folder: Path) -> None:
        self.numbers = _TokenNumbers()
        self._file = open(folder / "array", "wb")  # noqa: SIM115 (closed by __exit__)

    def __enter__(self) -> TokenStreamWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, tokens: Sequence[Token]) -> None:
        """Append the numbers of the tokens. Raises TextError when the text has too many distinct tokens."""
        array("I", map(self.numbers.__getitem__, tokens)).tofile(self._file)

    def end_post(self) -> None:
        array("I", [END]).tofile(self._file)


def blocks_of(stream: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a stream, BLOCK_TOKENS at a time. Pages of a memory map are released after use, so memory stays bounded."""
    mapped = getattr(stream, "_mmap", None)
    for at in range(0, len(stream), BLOCK_TOKENS):
        yield np.asarray(stream[at : at + BLOCK_TOKENS])
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def check_ids(stream: np.ndarray, size: int) -> None:
    """Raise ValueError unless every number of the stream is from 0 to `size` - 1."""
    if not all(int(block.min()) >= 0 and int(block.max()) < size for block in blocks_of(stream)):
        raise ValueError(_("a token number is out of range"))


def check_counts(*counts: Any) -> None:
    """Raise ValueError unless all counts are integers of at least 0."""
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError(_("a count is not an integer of at least 0"))


def counts_of(stream: np.ndarray, size: int) -> np.ndarray:
    """Return the occurrences of each number 0 … size - 1 in a stream, which may be larger than memory: (size,)."""
    counts = np.zeros(size, dtype=np.int64)
    for block in blocks_of(stream):
        counts += np.bincount(block, minlength=size)
    return counts
