"""Files of posts, cleaned into one file: what the command `clean` does."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from gluon_lstm.files import atomic_write, check_new, check_outputs
from gluon_lstm.language import _
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.pipeline import cleaned_posts
from gluon_lstm.text.source_summary import SourceSummary
from gluon_lstm.text.sources.files import files_to_read
from gluon_lstm.text.sources.reading import ReadingOptions, read_sources

SHOWN = 3  # posts shown from the beginning, and as many random ones
_SEED = 1  # of the random posts: the same files show the same posts


@dataclass
class CleanedPosts:
    """What cleaning made of files of posts."""

    summaries: list[SourceSummary] = field(default_factory=list)  # one for each file or archive
    first: list[str] = field(default_factory=list)  # the first posts, as a model will read them
    sample: list[str] = field(default_factory=list)  # random posts after these, in their order
    joined: int = 0  # posts in which newlines were replaced by spaces


def write_cleaned(
    paths: Sequence[str | os.PathLike[str]],
    cleaner: Cleaner,
    out: Path | None = None,
    reading: ReadingOptions | None = None,
    notice: Notice = ignore,
    progress: Progress = silent,
    force: bool = False,
) -> CleanedPosts:
    """Clean the posts in `paths` and write them to `out` (None: only update the counts of `cleaner`).

    `out` ends in .jsonl (objects with the field `text`) or .txt (a post a line; newlines in posts become spaces).
    Raises ValueError for another extension and for an `out` that is one of the files read, FileExistsError for an
    existing `out` without `force`, TextError for a file that cannot be read; `out` is then unchanged.
    """
    if out is not None and out.suffix not in (".jsonl", ".txt"):
        raise ValueError(
            _("{out}: cleaned posts are written as .jsonl or .txt; use one of these extensions for `out`").format(
                out=out
            )
        )
    reading = reading or ReadingOptions()
    if out is not None:
        check_outputs([out], [file.path for file in files_to_read(paths, reading)])
        if not force:
            check_new(out, _("replace it with `force`, or use another `out`"))
    result, rng = CleanedPosts(), random.Random(_SEED)
    sample: list[tuple[int, str]] = []
    sources = read_sources(paths, reading, notice)
    with atomic_write(out) if out else nullcontext() as file, progress(_("cleaning"), None, _("posts")) as advance:
        for number, (_summary, post) in enumerate(cleaned_posts(sources, cleaner, result.summaries)):
            advance(1)
            _show(number, post, result.first, sample, rng)
            if out is None or file is None:
                continue
            if out.suffix == ".txt":
                result.joined += "\n" in post
                file.write(post.replace("\n", " ") + "\n")
            else:
                file.write(json.dumps({"text": post}, ensure_ascii=False) + "\n")
    result.sample = [post for _, post in sorted(sample)]
    return result


def _show(number: int, post: str, first: list[str], sample: list[tuple[int, str]], rng: random.Random) -> None:
    """Add a post to the first ones, or maybe to the random ones (reservoir sampling: Vitter 1985, algorithm R)."""
    if number < SHOWN:
        first.append(post)
    elif len(sample) < SHOWN:
        sample.append((number, post))
    else:
        place = rng.randrange(number - SHOWN + 1)
        if place < SHOWN:
            sample[place] = (number, post)
