"""Posts on their way into the cache: cleaned ones in a file, then a stream of numbers in which END closes each post."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Union

from gluon_lstm.progress import Progress
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.sources.encodings import TextError

END = 0  # the number of an end of post; the tokens of the text follow from 1
MAX_DISTINCT_TOKENS = 1_200_000  # tokens, more than Unicode has characters; they are held in memory
MAX_TOKEN_CHARACTERS = 32 << 20  # of those together


Token = Union[str, "tuple[str, ...]"]  # a tuple: what is known of a word


class _Numbers(dict[Token, int]):
    """The number of each token: 1 and on, in the order they are first asked for. TextError when there are too many."""

    characters = 0

    def __missing__(self, token: Token) -> int:
        self.characters += sum(map(len, token))
        if len(self) == MAX_DISTINCT_TOKENS or self.characters > MAX_TOKEN_CHARACTERS:
            raise TextError(
                f"the text has more than {len(self):,} different tokens of {self.characters:,} characters together,"
                " too many for a text of one language; see what is in it with `gluon-lstm clean`"
            )
        self[token] = number = len(self) + 1
        return number


class NumberWriter:
    """Numbers tokens in the order they are first seen, and appends the numbers to the file `array` of an entry."""

    def __init__(self, folder: Path) -> None:
        self.numbers = _Numbers()
        self._file = open(folder / "array", "wb")  # noqa: SIM115 (closed by __exit__)

    def __enter__(self) -> NumberWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, tokens: Sequence[Token]) -> None:
        """Raises TextError when the text has too many different tokens."""
        array("I", map(self.numbers.__getitem__, tokens)).tofile(self._file)

    def end_post(self) -> None:
        array("I", [END]).tofile(self._file)


class Cleaned(NamedTuple):
    """Posts that were cleaned into a file, so that the slow part behind knows how much there is."""

    posts: int
    characters: int
    texts: Iterator[str]


@contextmanager
def cleaned_first(folder: Path, texts: Iterable[str], cleaner: Cleaner, progress: Progress) -> Iterator[Cleaned]:
    """Write the texts, which `cleaner` has let pass, to a file of `folder` that goes when the block ends.

    Raises TextError when there is none, or nothing in them.
    """
    path = folder / "cleaned.jsonl"
    posts = characters = 0
    with open(path, "w", encoding="ascii") as out, progress("reading", None, "posts") as advance:
        for text in texts:
            out.write(json.dumps(text) + "\n")
            posts += 1
            characters += len(text)
            advance(1)
    if posts and not characters:
        raise TextError(f"there is not a single character in the {posts} posts that were read")
    if not posts:
        raise TextError(
            f"no post is left of the {cleaner.counts['read']} that were read: see what cleaning drops with"
            " `gluon-lstm clean`, and keep it with its options"
        )
    with open(path, encoding="ascii") as lines:
        yield Cleaned(posts, characters, map(json.loads, lines))
    path.unlink()
