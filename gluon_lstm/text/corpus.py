"""From files to a memory map of ids: read, clean, tokenize, count, number; each only when it was not done before.

Two stages are kept in the cache folder, each under a key made of the contents of the files and the settings it depends
on: the tokens (`tokens-…`, the slow part for Janome) and the ids (`ids-…`, with the vocabulary). Nothing grows with the
text but the files: ids are read through a memory map.
"""

from __future__ import annotations

import mmap
import os
import shutil
import weakref
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Union

import numpy as np

from gluon_lstm.options import check, option
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.text.cache import commit, get_or_build, key_of, metadata, open_cache
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.codec import Codec, TextSettings
from gluon_lstm.text.graphemes import graphemes
from gluon_lstm.text.parallel import tokenize_posts
from gluon_lstm.text.sources.fingerprint import fingerprint
from gluon_lstm.text.sources.reading import ReadingOptions, read_posts, read_text
from gluon_lstm.text.token_stream import END, NumberWriter, cleaned_first
from gluon_lstm.text.tokenizers import BOUNDARY
from gluon_lstm.text.vocabulary import Vocabulary

BLOCK = 1 << 20  # tokens handled at once
MAX_VOCABULARY = 50_000  # of a vocabulary that nobody gave a size: an update holds 2,048 logits, 8 kB, for each
Paths = Sequence[Union[str, "os.PathLike[str]"]]
SPLITTERS = ("janome", "jaconv", "regex")  # libraries whose next version may clean or cut a text in another way


@dataclass(frozen=True)
class CorpusOptions:
    """What else decides the ids: how files are read, what is held back, what the vocabulary keeps.

    `min_count` None: 2 for words, 1 for characters. `cache` None: nothing is kept.
    """

    reading: ReadingOptions = field(default_factory=ReadingOptions)
    validation: float = 0.05
    min_count: int | None = option(
        None, "minimum count of a token (default: 2 for words, else 1)", "N", "data", minimum=1
    )
    max_vocab: int | None = option(None, "maximum vocabulary size (default: 50,000)", "V", "data", minimum=1)
    cache: Path | None = None
    processes: int | None = None

    def __post_init__(self) -> None:
        check(self)
        if not 0 <= self.validation < 1:
            raise ValueError(f"`validation` {self.validation}: use at least 0 and less than 1")


@dataclass(frozen=True)
class Corpus:
    """A text as ids. `ids[:split]` is for training, `ids[split:]` is held back; posts are closed by an end of post."""

    ids: np.ndarray  # int32, a memory map
    split: int
    codec: Codec
    fingerprint: str  # of the contents of the files
    posts: int  # 0 for a raw text
    characters: int  # code points, end of posts not counted
    validation_chars: int  # code points of the held-back part, plus one for each of its posts
    cleaning: dict[str, int]  # what cleaning did, as the `clean` command counts it; empty for a raw text

    @property
    def train(self) -> np.ndarray:
        return self.ids[: self.split]

    @property
    def validation(self) -> np.ndarray:
        return self.ids[self.split :]

    @cached_property
    def counts(self) -> np.ndarray:
        """How often each token occurs in the part for training: (V,)."""
        return counts_of(self.train, len(self.codec.vocabulary))


def splitter_versions() -> list[str]:
    """What a key of cleaned and cut text holds besides the text and the settings."""
    return [version(name) for name in SPLITTERS]


def prepare(
    paths: Paths,
    settings: TextSettings,
    options: CorpusOptions | None = None,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> Corpus:
    """The ids of the posts (or, with `settings.raw`, of the text) in `paths`, from the cache where they are.

    Raises TextError for a file that cannot be read or holds nothing, ValueError for settings that cannot be met,
    OSError for a folder that cannot be read or written.
    """
    options = options or CorpusOptions()
    contents = fingerprint(paths, options.reading)
    text_key = key_of(contents, settings.to_json(), splitter_versions())
    ids_key = key_of(text_key, options.validation, options.min_count, options.max_vocab)
    cache = open_cache(options.cache)

    def make_tokens(folder: Path) -> None:
        write = _write_raw_tokens if settings.raw else _write_post_tokens
        write(folder, paths, settings, options, notice, progress)

    def make_ids(folder: Path) -> None:
        stored, stream = get_or_build(cache, f"tokens-{text_key}", make_tokens, _read_tokens)
        _write_ids(folder, stored, stream, settings, options, notice)

    try:
        corpus = get_or_build(cache, f"ids-{ids_key}", make_ids, lambda folder: _open(folder, settings, contents))
    except BaseException:
        if options.cache is None:
            shutil.rmtree(cache, ignore_errors=True)
        raise
    if options.cache is None:
        weakref.finalize(corpus, shutil.rmtree, cache, ignore_errors=True)
    return corpus


def _write_post_tokens(
    folder: Path, paths: Paths, settings: TextSettings, options: CorpusOptions, notice: Notice, progress: Progress
) -> None:
    """The token stage of posts. They are cleaned into a file first: then the slow part knows how much there is."""
    cleaner = Cleaner(settings.cleaning)
    posts = cleaner.clean_posts(read_posts(paths, options.reading, notice))
    name, processes, user_dictionary = settings.effective_tokenizer, options.processes, settings.user_dictionary
    with (
        cleaned_first(folder, posts, cleaner, progress) as cleaned,
        NumberWriter(folder) as writer,
        progress("tokenizing", cleaned.characters, "characters") as advance,
    ):
        for tokens in tokenize_posts(cleaned.texts, name, processes, advance, user_dictionary):
            writer.write(tokens)
            writer.end_post()
    about_posts = {"posts": cleaned.posts, "characters": cleaned.characters, "cleaning": dict(cleaner.counts)}
    commit(folder, tokens=list(writer.numbers), **about_posts)


def _write_raw_tokens(
    folder: Path, paths: Paths, settings: TextSettings, options: CorpusOptions, notice: Notice, progress: Progress
) -> None:
    characters = 0
    with NumberWriter(folder) as writer, progress("reading", None, "characters") as advance:
        for chunk in read_text(paths, options.reading, notice):
            writer.write(chunk)  # a str is the sequence of its code points
            characters += len(chunk)
            advance(len(chunk))
    commit(folder, tokens=list(writer.numbers), posts=0, characters=characters, cleaning={})


def _read_tokens(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What the token stage has written, as far as it can be checked; ValueError, KeyError, … when it is damaged."""
    stored = metadata(folder)
    check_counts(stored["posts"], stored["characters"], *stored["cleaning"].values())
    if not all(isinstance(token, str) and token for token in stored["tokens"]):
        raise ValueError("a token is not a string")
    stream = np.memmap(folder / "array", dtype=np.uint32, mode="r")
    check_numbers(stream, len(stored["tokens"]) + 1)
    return stored, stream


def _write_ids(
    folder: Path,
    stored: dict[str, Any],
    stream: np.ndarray,
    settings: TextSettings,
    options: CorpusOptions,
    notice: Notice,
) -> None:
    """The id stage: split, vocabulary of the training part, ids of both parts."""
    tokens: list[str] = stored["tokens"]
    split = _split(stream, stored["posts"], options.validation)
    codec = Codec(settings, _vocabulary(counts_of(stream[:split], len(tokens) + 1), tokens, settings, options))
    if options.max_vocab is None and len(codec.vocabulary) == MAX_VOCABULARY:
        notice(f"the vocabulary has the {MAX_VOCABULARY:,} most frequent tokens; more, or fewer, with --max-vocab")

    spelled = [[codec.end_of_post or END], *map(codec.ids, tokens)]
    lengths = np.array([len(ids) for ids in spelled])
    flat = np.array([id for ids in spelled for id in ids], dtype=np.int32)
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    units = np.array([1, *(0 if token == BOUNDARY and codec.boundary is not None else len(token) for token in tokens)])
    written = {}
    with open(folder / "array", "wb") as file:
        for part, numbers in (("train", stream[:split]), ("validation", stream[split:])):
            written[part] = 0
            for block in blocks_of(numbers):
                ids = _expand(flat, offsets[block], lengths[block])
                ids.tofile(file)
                written[part] += len(ids)
    commit(
        folder,
        split=written["train"],
        validation_chars=sum(int(units[block].sum()) for block in blocks_of(stream[split:])),
        vocabulary=codec.vocabulary.tokens,
        specials=codec.vocabulary.num_specials,
        **{key: stored[key] for key in ("posts", "characters", "cleaning")},
    )


def _split(stream: np.ndarray, posts: int, validation: float) -> int:
    """Where the held-back part begins: the last posts, or with no posts characters; at least one, if there are two."""
    total = posts or len(stream)
    held = max(int(total * validation), 1) if validation and total > 1 else 0
    if not posts:
        return total - held
    seen = at = 0
    for block in blocks_of(stream):
        ends = np.flatnonzero(block == END)
        if seen + len(ends) >= posts - held:
            return at + int(ends[posts - held - seen - 1]) + 1
        seen += len(ends)
        at += len(block)
    return at


def counts_of(stream: np.ndarray, size: int) -> np.ndarray:
    """How often each of the numbers 0 … size - 1 is in a stream of them, which may be longer than memory: (size,)."""
    counts = np.zeros(size, dtype=np.int64)
    for block in blocks_of(stream):
        counts += np.bincount(block, minlength=size)
    return counts


def _vocabulary(counts: np.ndarray, tokens: list[str], settings: TextSettings, options: CorpusOptions) -> Vocabulary:
    seen = {token: int(n) for token, n in zip(tokens, counts[1:]) if n}
    characters: dict[str, int] | None = None
    if settings.effective_tokenizer == "janome":
        characters = defaultdict(int)
        for word, n in seen.items():
            for cluster in graphemes(word):
                characters[cluster] += n
    if BOUNDARY in settings.specials:
        seen.pop(BOUNDARY, None)
    min_count = options.min_count or (1 if characters is None else 2)
    return Vocabulary.from_counts(seen, settings.specials, min_count, options.max_vocab or MAX_VOCABULARY, characters)


def _expand(flat: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """flat[offset : offset + length] for each pair, one behind the other."""
    before = np.cumsum(lengths) - lengths
    return flat[np.repeat(offsets - before, lengths) + np.arange(int(lengths.sum()))]


def blocks_of(stream: np.ndarray) -> Iterator[np.ndarray]:
    """A stream, BLOCK tokens at a time; of a memory map what was seen is let go, or in the end all would be held."""
    mapped = getattr(stream, "_mmap", None)
    for at in range(0, len(stream), BLOCK):
        yield np.asarray(stream[at : at + BLOCK])
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def check_numbers(stream: np.ndarray, below: int) -> None:
    """ValueError when a number in the stream is not one from 0 to `below` - 1: each is a place in a list."""
    if not all(int(block.min()) >= 0 and int(block.max()) < below for block in blocks_of(stream)):
        raise ValueError("a number stands for nothing")


def check_counts(*counts: Any) -> None:
    """ValueError when one of them is not a whole number from 0 on."""
    if not all(type(count) is int and count >= 0 for count in counts):
        raise ValueError("a count is not a whole number")


def _open(folder: Path, settings: TextSettings, contents: str) -> Corpus:
    """The corpus that the id stage has written, as far as it can be checked; errors as of `_read_tokens`."""
    stored = metadata(folder)
    codec = Codec(settings, Vocabulary(stored["vocabulary"], stored["specials"]))
    ids = np.memmap(folder / "array", dtype=np.int32, mode="r")
    check_numbers(ids, len(codec.vocabulary))
    named = ("split", "posts", "characters", "validation_chars")
    check_counts(*(stored[name] for name in named), *stored["cleaning"].values())
    if stored["split"] > len(ids):
        raise ValueError("the part for training is longer than the text")
    return Corpus(
        ids=ids,
        split=stored["split"],
        codec=codec,
        fingerprint=contents,
        posts=stored["posts"],
        characters=stored["characters"],
        validation_chars=stored["validation_chars"],
        cleaning=stored["cleaning"],
    )
