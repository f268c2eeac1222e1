"""Analysis of posts: every word with part of speech and base form, cached.

The cache stage `words-…` has a memory map of word numbers with END after each post, the words, and the dates.
"""

from __future__ import annotations

import shutil
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from gluon_lstm.options import option
from gluon_lstm.progress import Advance, Notice, Progress, ignore, silent
from gluon_lstm.text.cache import commit, get_or_build, key_of, metadata, open_cache, text_library_versions
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.janome.analyzer import Word
from gluon_lstm.text.parallel import analyze_posts
from gluon_lstm.text.pipeline import FileSource, tokenized_posts
from gluon_lstm.text.source_summary import SourceSummary
from gluon_lstm.text.sources.files import fingerprint
from gluon_lstm.text.sources.reading import Paths, Post, ReadingOptions
from gluon_lstm.text.token_stream import END, TokenStreamWriter, check_counts, check_ids
from gluon_lstm.text.user_dictionary import check_entries, read_user_dictionary

NET_WORDS = Path(__file__).with_name("net_words.csv")  # user dictionary of this package: 推し, ワイ, ググる, エモい, …
NO_DATE = -(1 << 62)  # stored date of a post without date


@dataclass(frozen=True)
class AnalysisOptions:
    """Options of the analysis. `cache` None: no cache. Raises ValueError for an invalid dictionary entry.

    `net_words` adds the words of NET_WORDS to those of Janome and of the user dictionary.
    """

    reading: ReadingOptions = field(default_factory=ReadingOptions)
    cleaning: CleaningOptions = field(default_factory=CleaningOptions)
    user_dictionary: tuple[str, ...] = ()
    net_words: bool = True
    compound_nouns: bool = option(False, "count adjacent nouns as one word", group="words")
    cache: Path | None = None
    processes: int | None = None

    def __post_init__(self) -> None:
        check_entries(self.user_dictionary)

    @cached_property
    def dictionary(self) -> tuple[str, ...]:
        """The entries added to Janome's dictionary: those of the user, then those of this package."""
        return (*self.user_dictionary, *(read_user_dictionary(NET_WORDS) if self.net_words else ()))


@dataclass(frozen=True)
class Analysis:
    """Posts as word numbers: `stream` has 1 + the index in `words` of each word, and END after each post."""

    stream: np.ndarray  # uint32
    words: list[Word]
    dates: np.ndarray  # datetime64[s] (posts,), local time in Japan; NaT for no date
    characters: int
    cleaning: dict[str, int]
    summaries: list[SourceSummary] = field(default_factory=list)  # what was read, by file or archive

    @cached_property
    def ends(self) -> np.ndarray:
        """Positions of END in `stream`: (posts,)."""
        return np.flatnonzero(self.stream == END)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Code points of each post: (posts,)."""
        of_word = np.array([0, *(len(word.surface) for word in self.words)])
        before = np.cumsum(of_word[self.stream])[self.ends]
        return np.diff(before, prepend=0)

    def __len__(self) -> int:
        """Return the number of posts."""
        return len(self.dates)

    def text(self, post: int) -> str:
        """Return the cleaned text of a post."""
        start = int(self.ends[post - 1]) + 1 if post else 0
        return "".join(self.words[number - 1].surface for number in self.stream[start : self.ends[post]].tolist())


def analyze(
    paths: Paths, options: AnalysisOptions | None = None, notice: Notice = ignore, progress: Progress = silent
) -> Analysis:
    """Return the analysis of the posts in `paths`. Raises TextError, ValueError and OSError as `prepare` does."""
    options = options or AnalysisOptions()
    settings = [vars(options.cleaning), options.dictionary, options.compound_nouns]
    key = key_of(fingerprint(paths, options.reading), settings, text_library_versions())
    cache = open_cache(options.cache)
    try:
        source = FileSource(paths, options.reading, notice)
        analysis = get_or_build(cache, f"words-{key}", lambda folder: _write(folder, source, options, progress), _read)
        return analysis if options.cache else replace(analysis, stream=np.array(analysis.stream))
    finally:
        if options.cache is None:
            shutil.rmtree(cache, ignore_errors=True)


def _read(folder: Path) -> Analysis:
    """Return the analysis that `_write` stored. Raises ValueError or another error for a damaged entry."""
    stored = metadata(folder)
    stream = np.memmap(folder / "array", dtype=np.uint32, mode="r")
    words = [Word(*word) for word in stored["words"]]
    dates = np.array(stored["dates"], dtype=np.int64)
    times = dates.astype("datetime64[s]")
    times[dates == NO_DATE] = np.datetime64("NaT", "s")
    check_ids(stream, len(words) + 1)
    check_counts(stored["characters"], *stored["cleaning"].values())
    summaries = [SourceSummary.from_json(values) for values in stored["summaries"]]
    analysis = Analysis(stream, words, times, stored["characters"], stored["cleaning"], summaries)
    if not all(isinstance(part, str) for word in words for part in word) or len(analysis.ends) != len(dates):
        raise ValueError("a word is not a string, or the number of dates is not that of the posts")
    return analysis


def _write(folder: Path, source: FileSource, options: AnalysisOptions, progress: Progress) -> None:
    """Build the cache entry of an analysis."""
    cleaner, dates = Cleaner(options.cleaning), array("q")

    def add_date(post: Post) -> None:
        dates.append(NO_DATE if post.date is None else post.date)

    def tokenize(posts: Iterable[str], advance: Advance) -> Iterator[list[Word]]:
        return analyze_posts(posts, options.dictionary, options.compound_nouns, options.processes, advance)

    with (
        tokenized_posts(source.sources(), cleaner, tokenize, folder, progress, add_date) as text,
        TokenStreamWriter(folder) as writer,
    ):
        for words in text.tokens:
            writer.write(words)
            writer.end_post()
    commit(
        folder,
        words=list(writer.numbers),
        dates=dates.tolist(),
        characters=text.characters,
        cleaning=dict(cleaner.counts),
        summaries=[vars(summary) for summary in text.summaries],
    )
