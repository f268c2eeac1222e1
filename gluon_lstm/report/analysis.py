"""From files to analysed posts: every word with its part of speech and base form, from the cache where it is there.

What is kept is a stage of its own (`words-…`), in the way of the tokens: a memory map of word numbers with an end
behind each post, and beside it the words and the dates.
"""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from gluon_lstm.options import option
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.text.cache import commit, get_or_build, key_of, metadata, open_cache
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.corpus import Paths, check_counts, check_numbers, splitter_versions
from gluon_lstm.text.parallel import analyse_posts
from gluon_lstm.text.sources.fingerprint import fingerprint
from gluon_lstm.text.sources.reading import Post, ReadingOptions, read_dated_posts
from gluon_lstm.text.token_stream import END, NumberWriter, cleaned_first
from gluon_lstm.text.tokenizers import Word
from gluon_lstm.text.user_dictionary import check_entries

UNDATED = -(1 << 62)  # the date of a post that has none


@dataclass(frozen=True)
class AnalysisOptions:
    """What decides the words besides the files. `cache` None: nothing is kept."""

    reading: ReadingOptions = field(default_factory=ReadingOptions)
    cleaning: CleaningOptions = field(default_factory=CleaningOptions)
    user_dictionary: tuple[str, ...] = ()
    compound_nouns: bool = option(False, "count adjacent nouns as one word", group="words")
    cache: Path | None = None
    processes: int | None = None

    def __post_init__(self) -> None:
        check_entries(self.user_dictionary)


@dataclass(frozen=True)
class Analysis:
    """Posts as numbers of words: `stream` has 1 + the place in `words` of each word, and END behind each post."""

    stream: np.ndarray  # uint32
    words: list[Word]
    dates: np.ndarray  # datetime64[s] (posts,), as the clock in Japan shows it; NaT where a post has none
    characters: int
    cleaning: dict[str, int]

    @cached_property
    def ends(self) -> np.ndarray:
        """Where each post ends in `stream`: (posts,)."""
        return np.flatnonzero(self.stream == END)

    @cached_property
    def lengths(self) -> np.ndarray:
        """The code points of each post: (posts,)."""
        of_word = np.array([0, *(len(word.surface) for word in self.words)])
        before = np.cumsum(of_word[self.stream])[self.ends]
        return np.diff(before, prepend=0)

    def __len__(self) -> int:
        """The number of posts."""
        return len(self.dates)

    def text(self, post: int) -> str:
        """A post as it was cleaned."""
        start = int(self.ends[post - 1]) + 1 if post else 0
        return "".join(self.words[number - 1].surface for number in self.stream[start : self.ends[post]].tolist())


def analyse(
    paths: Paths, options: AnalysisOptions | None = None, notice: Notice = ignore, progress: Progress = silent
) -> Analysis:
    """The posts in `paths`, read, cleaned and analysed. Raises TextError, ValueError and OSError as `prepare` does."""
    options = options or AnalysisOptions()
    described = [vars(options.cleaning), options.user_dictionary, options.compound_nouns]
    key = key_of(fingerprint(paths, options.reading), described, splitter_versions())
    cache = open_cache(options.cache)
    try:
        found = get_or_build(
            cache, f"words-{key}", lambda making: _write(making, paths, options, notice, progress), _read
        )
        return found if options.cache else replace(found, stream=np.array(found.stream))
    finally:
        if options.cache is None:
            shutil.rmtree(cache, ignore_errors=True)


def _read(folder: Path) -> Analysis:
    """What `_write` has written, as far as it can be checked. ValueError, or another error of a damaged entry."""
    stored = metadata(folder)
    stream = np.memmap(folder / "array", dtype=np.uint32, mode="r")
    words = [Word(*word) for word in stored["words"]]
    dates = np.array(stored["dates"], dtype=np.int64)
    known = dates.astype("datetime64[s]")
    known[dates == UNDATED] = np.datetime64("NaT")
    check_numbers(stream, len(words) + 1)
    check_counts(stored["characters"], *stored["cleaning"].values())
    analysis = Analysis(stream, words, known, stored["characters"], stored["cleaning"])
    if not all(isinstance(part, str) for word in words for part in word) or len(analysis.ends) != len(dates):
        raise ValueError("the words are not strings, or the dates not those of the posts")
    return analysis


def _write(folder: Path, paths: Paths, options: AnalysisOptions, notice: Notice, progress: Progress) -> None:
    cleaner, dates = Cleaner(options.cleaning), array("q")

    def kept(posts: Iterator[Post]) -> Iterator[str]:
        for post in posts:
            text = cleaner.clean(post.text)
            if text is not None:
                dates.append(UNDATED if post.date is None else post.date)
                yield text

    with (
        cleaned_first(folder, kept(read_dated_posts(paths, options.reading, notice)), cleaner, progress) as cleaned,
        NumberWriter(folder) as writer,
        progress("tokenizing", cleaned.characters, "characters") as advance,
    ):
        described = options.user_dictionary, options.compound_nouns, options.processes
        for words in analyse_posts(cleaned.texts, *described, progress=advance):
            writer.write(words)
            writer.end_post()
    commit(
        folder,
        words=list(writer.numbers),
        dates=dates.tolist(),
        characters=cleaned.characters,
        cleaning=dict(cleaner.counts),
    )
