"""Cleaned posts as a file of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from gluon_lstm.files import atomic_write
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.sources.reading import ReadingOptions, read_posts


def write_cleaned(
    paths: Sequence[str | os.PathLike[str]],
    cleaner: Cleaner,
    out: Path | None = None,
    reading: ReadingOptions | None = None,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> int:
    """Clean the posts in `paths` and write them to `out` (None: nowhere; the counts of `cleaner` are what is wanted).

    `out` ends in .jsonl (one JSON string a post in an object with the field `text`) or in .txt (a post a line, newlines
    in posts made spaces: their number of posts is returned). Raises ValueError for another ending, TextError for a file
    that cannot be read; `out` is then as it was.
    """
    if out is not None and out.suffix not in (".jsonl", ".txt"):
        raise ValueError(f"{out}: cleaned posts are written as .jsonl or .txt, so let --out end in one of them")
    joined = 0
    posts = read_posts(paths, reading or ReadingOptions(), notice)
    with atomic_write(out) if out else nullcontext() as file, progress("cleaning", None, "posts") as advance:
        for post in cleaner.clean_posts(posts):
            advance(1)
            if out is None or file is None:
                continue
            if out.suffix == ".txt":
                joined += "\n" in post
                file.write(post.replace("\n", " ") + "\n")
            else:
                file.write(json.dumps({"text": post}, ensure_ascii=False) + "\n")
    return joined
