"""Text to pretrain on: paragraphs of books and informal posts, in one file with one of them a line."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

BLOCK = 20  # lines that stay together
MIN_REPEATED = 20  # characters from which a paragraph is used once; a shorter one may be a common answer


@dataclass(frozen=True)
class Split:
    """Lines to train on, and lines to validate on."""

    train: list[str]
    held_out: list[str]


def unique_paragraphs(paragraphs: Iterable[str], seen: set[str]) -> list[str]:
    """Return the paragraphs whose text is not in `seen`, and add them there; short ones may repeat."""
    kept = []
    for paragraph in paragraphs:
        if len(paragraph) >= MIN_REPEATED:
            if paragraph in seen:
                continue
            seen.add(paragraph)
        kept.append(paragraph)
    return kept


def informal_posts(
    files: Sequence[Path], skipped: int, offensive: Sequence[str], held_out: int, rng: random.Random
) -> Split:
    """Return the posts of files, one a line, without repetitions and without those with an offensive word.

    The first `skipped` posts of the first file, and every repetition of one of them, are left out: they are test data.
    """
    lines = [file.read_text(encoding="utf-8").splitlines() for file in files]
    seen = set(map(plain, lines[0][:skipped]))
    posts = [*lines[0][skipped:], *(post for more in lines[1:] for post in more)]
    kept = []
    for post in posts:
        if plain(post) in seen or any(word in post.lower() for word in offensive):
            continue
        seen.add(plain(post))
        kept.append(post)
    chosen = set(rng.sample(range(len(kept)), held_out))
    return Split([p for n, p in enumerate(kept) if n not in chosen], [p for n, p in enumerate(kept) if n in chosen])


def plain(post: str) -> str:
    """Return a post without its white space, to find repetitions."""
    return "".join(post.split())


def blocks(lines: Sequence[str]) -> list[Sequence[str]]:
    """Return lines in blocks of BLOCK."""
    return [lines[at : at + BLOCK] for at in range(0, len(lines), BLOCK)]


def tokens_in(block: Iterable[str]) -> int:
    """Return the characters of a block and its ends of post."""
    return sum(len(line) + 1 for line in block)


def mixed(
    works: Sequence[Sequence[str]], posts: Sequence[str], tokens: int, share: float, rng: random.Random
) -> list[str]:
    """Return about `tokens` tokens of text in shuffled blocks, `share` of them posts, which repeat as often as needed.

    The density of the posts rises linearly from 0 at the beginning: the text ends like the texts that the model is
    meant for, while the learning rate falls.
    """
    placed: list[tuple[float, Sequence[str]]] = []
    books = [block for work in works for block in blocks(work)]
    rng.shuffle(books)
    _take(books, tokens * (1 - share), placed, rng.random)
    left = tokens * share
    while left > 0:
        again = rng.sample(posts, len(posts))
        left = _take(blocks(again), left, placed, lambda: max(rng.random(), rng.random()))
    placed.sort(key=lambda entry: entry[0])
    return [line for _, block in placed for line in block]


def _take(
    source: Iterable[Sequence[str]],
    left: float,
    placed: list[tuple[float, Sequence[str]]],
    place: Callable[[], float],
) -> float:
    """Append blocks with their places (0 to 1) until `left` tokens are used up; return what is left."""
    for block in source:
        if left <= 0:
            break
        placed.append((place(), block))
        left -= tokens_in(block)
    return left
