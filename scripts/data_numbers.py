"""Write the table of numbers in data/README.md: each file of posts, and each writer of data/posts_ja.jsonl.

python scripts/data_numbers.py            write the table
python scripts/data_numbers.py --check    exit with 1 if the table is not current
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from gluon_lstm.text.janome.atomic import EMOJI, HASHTAG, segments
from gluon_lstm.text.sources.reading import Post, ReadingOptions, read_dated_posts

DATA = Path(__file__).resolve().parent.parent / "data"
README = DATA / "README.md"
FILES = ("posts_ja.txt", "posts_mixed_ja.txt", "posts_ja.jsonl")
SHORT = 10  # maximum characters of a short post
LONG = range(97, 141)  # characters of a long post
PATTERNS = {  # row -> pattern of the posts that it counts
    "replies (begin with @)": r"@\w+ ",
    "begin with こんにちは": "こんにちは",
    "with 、": ".*、",
    "with ！": ".*！",
    "with !": ".*!",
    "with Arabic digits": ".*[0-9０-９]",
    "with half-width kana": ".*[ｦ-ﾟ]",
    "with a newline": ".*\n",
}
RUNS = {"w": "(?<![A-Za-z])[wｗ]+(?![A-Za-z])", "ー": "ー+"}  # character -> pattern of its runs


def writers() -> dict[str, list[Post]]:
    """Return the posts of each file of FILES, then of each writer that the files name."""
    posts = {name: list(read_dated_posts([DATA / name], ReadingOptions(author="*"))) for name in FILES}
    by_author: dict[str, list[Post]] = {}
    for post in chain.from_iterable(posts.values()):
        if post.author is not None:
            by_author.setdefault(post.author, []).append(post)
    return {**posts, **dict(sorted(by_author.items()))}


def numbers(posts: Sequence[Post]) -> dict[str, str]:
    """Return the numbers of some posts by row of the table; a share is of all posts."""
    texts = [post.text for post in posts]
    lengths = np.array([len(text) for text in texts])
    tags = Counter(tag for text in texts for tag in _of_kind(HASHTAG, text))
    rows = {
        "posts": f"{len(posts):,}",
        "characters: median": f"{np.median(lengths):g}",
        "characters: longest": str(lengths.max()),
        f"at most {SHORT} characters": _percent(lengths <= SHORT),
        f"{LONG[0]} to {LONG[-1]} characters": _percent(np.isin(lengths, LONG)),
    }
    for row, pattern in PATTERNS.items():
        rows[row] = _percent(re.match(pattern, text, re.DOTALL) is not None for text in texts)
    rows["with emoji"] = _percent(any(_of_kind(EMOJI, text)) for text in texts)
    rows["with a hashtag"] = _percent(any(_of_kind(HASHTAG, text)) for text in texts)
    rows["hashtags: different, used once"] = f"{len(tags)}, {list(tags.values()).count(1)}"
    for character, pattern in RUNS.items():
        runs = Counter(len(run) for text in texts for run in re.findall(pattern, text))
        common = sorted(length for length, _ in runs.most_common(4))
        rows[f"most common runs of {character}"] = ", ".join(map(str, common)) or "–"
    dates = np.array([post.date for post in posts if post.date is not None], dtype="datetime64[s]")
    rows["dates"] = f"{dates.min().astype('M8[D]')} to {dates.max().astype('M8[D]')}" if len(dates) else "–"
    hours = Counter((dates - dates.astype("M8[D]")).astype(int) // 3600)
    rows["most frequent hour"] = f"{hours.most_common(1)[0][0]}:00" if hours else "–"
    return rows


def table() -> str:
    """Return the table as Markdown: a row for each number, a column for each file and writer."""
    columns = {name: numbers(posts) for name, posts in writers().items()}
    rows = next(iter(columns.values()))
    lines = ["| | " + " | ".join(f"`{name}`" for name in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {row} | " + " | ".join(column[row] for column in columns.values()) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _of_kind(kind: str, text: str) -> Iterator[str]:
    """Yield the parts of a text that are of one kind of ATOMIC_KINDS."""
    return (text[start:end] for start, end, found in segments(text) if found == kind)


def _percent(which: Iterable[bool]) -> str:
    """Return the share of True."""
    return f"{np.mean([*which]):.1%}"


def main() -> int:
    """Write or check the table; return the exit code."""
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    options.add_argument("--check", action="store_true", help="write nothing; exit with 1 if the table is not current")
    args = options.parse_args()
    page = README.read_text(encoding="utf-8")
    current = re.sub(r"^\| \| .*\n(?:\|.*\n)*", table(), page, flags=re.MULTILINE)
    if not args.check:
        README.write_text(current, encoding="utf-8")
    elif current != page:
        print("data/README.md is not current; run python scripts/data_numbers.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
