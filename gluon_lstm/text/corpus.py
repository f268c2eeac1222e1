"""Corpus of token ids in a memory map: read, clean, tokenize, count and encode files, each step only when not cached.

The cache has two stages, with keys of the file contents and the settings they depend on: token numbers (`tokens-…`, the
slow stage for Janome) and ids (`ids-…`, with the vocabulary). Memory does not grow with the text.
"""

from __future__ import annotations

import shutil
import weakref
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.progress import Notice, Progress, ignore, silent
from gluon_lstm.text.cache import commit, get_or_build, key_of, metadata, open_cache, text_library_versions
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.graphemes import graphemes
from gluon_lstm.text.pipeline import FileSource, tokenized_text
from gluon_lstm.text.settings import DEFAULT_MAX_VOCAB, CorpusOptions, TextSettings
from gluon_lstm.text.source_summary import SourceSummary
from gluon_lstm.text.sources.files import fingerprint
from gluon_lstm.text.sources.reading import Paths
from gluon_lstm.text.token_stream import END, TokenStreamWriter, blocks_of, check_counts, check_ids, counts_of
from gluon_lstm.text.tokenizers.registry import TOKENIZER_CLASSES
from gluon_lstm.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Corpus:
    """Text as ids: training set `ids[:split]`, validation set `ids[split:]`. An end of post follows each post."""

    ids: np.ndarray  # int32, a memory map
    split: int
    codec: Codec
    fingerprint: str  # digest of the file contents
    posts: int  # 0 for raw text
    characters: int  # code points, without ends of posts
    validation_chars: int  # code points of the validation set, plus one for each of its posts
    cleaning: dict[str, int]  # counts of the Cleaner; empty for raw text
    summaries: list[SourceSummary] = field(default_factory=list)  # what was read, by file or archive; not for raw text
    files: TokenizedFiles | None = None  # owner of the memory map, where that is a temporary file

    @property
    def train(self) -> np.ndarray:
        return self.ids[: self.split]

    @property
    def validation(self) -> np.ndarray:
        return self.ids[self.split :]

    @cached_property
    def counts(self) -> np.ndarray:
        """Occurrences of each token in the training set: (V,)."""
        return counts_of(self.train, len(self.codec.vocabulary))


def prepare(
    paths: Paths,
    settings: TextSettings,
    options: CorpusOptions | None = None,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> Corpus:
    """Return the corpus of the posts (or, with `settings.raw`, of the text) in `paths`, from the cache if possible.

    Raises TextError for a file that cannot be read or is empty, ValueError for invalid settings, and OSError for a
    folder that cannot be read or written.
    """
    return tokenize_files(paths, settings, options, notice, progress).corpus()


def tokenize_files(
    paths: Paths,
    settings: TextSettings,
    options: CorpusOptions | None = None,
    notice: Notice = ignore,
    progress: Progress = silent,
) -> TokenizedFiles:
    """Return the tokens of files, from the cache if possible, before a vocabulary is chosen. Errors: see `prepare`."""
    options = options or CorpusOptions()
    contents = fingerprint(paths, options.reading)
    key = key_of(contents, settings.to_json(), text_library_versions())
    cache = open_cache(options.cache)
    source = FileSource(paths, options.reading, notice)

    def build(folder: Path) -> None:
        _write_tokens(folder, source, settings, options.processes, progress)

    try:
        stored, stream = get_or_build(cache, f"tokens-{key}", build, _read_tokens)
    except BaseException:
        if options.cache is None:
            shutil.rmtree(cache, ignore_errors=True)
        raise
    return TokenizedFiles(settings, options, cache, contents, key, stored, stream, notice)


@dataclass(frozen=True, eq=False)
class TokenizedFiles:
    """Token stage of a corpus: all tokens as numbers in a memory map, before a vocabulary is chosen."""

    settings: TextSettings
    options: CorpusOptions
    cache: Path  # where the id stage is built; without a cache a temporary folder, removed with this object
    fingerprint: str  # digest of the file contents
    key: str  # cache key of this stage
    stored: dict[str, Any]  # its metadata: the spelling of the tokens, counts, summaries
    stream: np.ndarray  # uint32, the numbers of the tokens
    notice: Notice = ignore

    def __post_init__(self) -> None:
        if self.options.cache is None:
            weakref.finalize(self, shutil.rmtree, self.cache, ignore_errors=True)

    @cached_property
    def split(self) -> int:
        """Start of the validation set in `stream`."""
        return _split(self.stream, self.stored["posts"], self.options.validation)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Occurrences of each token in the training set, without ends of posts and boundaries of words."""
        tokens = self.stored["tokens"]
        counts = counts_of(self.stream[: self.split], len(tokens) + 1)
        boundary = TOKENIZER_CLASSES[self.settings.effective_tokenizer].boundary
        return {token: int(n) for token, n in zip(tokens, counts[1:]) if n and token != boundary}

    def corpus(self, more_tokens: Sequence[str] = ()) -> Corpus:
        """Return the corpus; its vocabulary are the tokens of the training set and, after them, `more_tokens`.

        Raises OSError for a cache folder that cannot be read or written.
        """
        options = self.options
        key = key_of(self.key, options.validation, options.min_count, options.max_vocab, *more_tokens)
        corpus = get_or_build(
            self.cache, f"ids-{key}", lambda folder: _write_ids(folder, self, more_tokens), self._open
        )
        for summary in corpus.summaries:
            self.notice(summary.line())
        return corpus

    def _open(self, folder: Path) -> Corpus:
        """Return the corpus of the id stage. Raises errors as `_read_tokens` does."""
        stored = metadata(folder)
        codec = Codec(self.settings, Vocabulary(stored["vocabulary"], stored["num_specials"]))
        ids = np.memmap(folder / "array", dtype=np.int32, mode="r")
        check_ids(ids, len(codec.vocabulary))
        named = ("split", "posts", "characters", "validation_chars")
        check_counts(*(stored[name] for name in named), *stored["cleaning"].values())
        if stored["split"] > len(ids):
            raise ValueError(_("the training set is longer than the text"))
        return Corpus(
            ids=ids,
            split=stored["split"],
            codec=codec,
            fingerprint=self.fingerprint,
            posts=stored["posts"],
            characters=stored["characters"],
            validation_chars=stored["validation_chars"],
            cleaning=stored["cleaning"],
            summaries=[SourceSummary.from_json(values) for values in stored["summaries"]],
            files=self,
        )


def _write_tokens(
    folder: Path, source: FileSource, settings: TextSettings, processes: int | None, progress: Progress
) -> None:
    """Build the token stage."""
    cleaner = Cleaner(settings.cleaning)
    with (
        tokenized_text(source, settings, folder, cleaner, processes, progress) as text,
        TokenStreamWriter(folder) as writer,
    ):
        for tokens in text.tokens:
            writer.write(tokens)
            if not settings.raw:
                writer.end_post()
    cleaning = {} if settings.raw else dict(cleaner.counts)
    commit(
        folder,
        tokens=list(writer.numbers),
        posts=text.posts,
        characters=text.characters,
        cleaning=cleaning,
        summaries=[vars(summary) for summary in text.summaries],
    )


def _read_tokens(folder: Path) -> tuple[dict[str, Any], np.ndarray]:
    """Return metadata and token numbers of the token stage. Raises ValueError, KeyError, … for a damaged entry."""
    stored = metadata(folder)
    check_counts(stored["posts"], stored["characters"], *stored["cleaning"].values())
    if not all(isinstance(token, str) and token for token in stored["tokens"]):
        raise ValueError(_("a token is not a string"))
    stream = np.memmap(folder / "array", dtype=np.uint32, mode="r")
    check_ids(stream, len(stored["tokens"]) + 1)
    return stored, stream


def _write_ids(folder: Path, files: TokenizedFiles, more_tokens: Sequence[str]) -> None:
    """Build the id stage: vocabulary of the training set, ids of both sets."""
    stored, stream, split = files.stored, files.stream, files.split
    tokens: list[str] = stored["tokens"]
    vocabulary = _vocabulary(files.counts, more_tokens, files.settings, files.options)
    codec = Codec(files.settings, vocabulary)
    if files.options.max_vocab is None and len(vocabulary) == DEFAULT_MAX_VOCAB:
        files.notice(
            _("the vocabulary has the {default_max_vocab:,} most frequent tokens; change this with `max_vocab`").format(
                default_max_vocab=DEFAULT_MAX_VOCAB
            )
        )

    spelled = [[codec.end_of_post or END], *map(codec.ids, tokens)]
    lengths = np.array([len(ids) for ids in spelled])
    flat = np.array([id for ids in spelled for id in ids], dtype=np.int32)
    offsets = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    num_chars = np.array([1, *(len(codec.tokenizer.detokenize([token])) for token in tokens)])
    written = {}
    with open(folder / "array", "wb") as file:
        for part, numbers in (("train", stream[:split]), ("validation", stream[split:])):
            written[part] = 0
            for block in blocks_of(numbers):
                ids = _gather_ranges(flat, offsets[block], lengths[block])
                ids.tofile(file)
                written[part] += len(ids)
    commit(
        folder,
        split=written["train"],
        validation_chars=sum(int(num_chars[block].sum()) for block in blocks_of(stream[split:])),
        vocabulary=codec.vocabulary.tokens,
        num_specials=codec.vocabulary.num_specials,
        **{key: stored[key] for key in ("posts", "characters", "cleaning", "summaries")},
    )


def _split(stream: np.ndarray, posts: int, validation: float) -> int:
    """Return the start of the validation set: the last posts (raw text: characters), at least one of two or more."""
    total = posts or len(stream)
    num_validation = max(int(total * validation), 1) if validation and total > 1 else 0
    if not posts:
        return total - num_validation
    num_ends = start = 0
    for block in blocks_of(stream):
        ends = np.flatnonzero(block == END)
        if num_ends + len(ends) >= posts - num_validation:
            return start + int(ends[posts - num_validation - num_ends - 1]) + 1
        num_ends += len(ends)
        start += len(block)
    return start


def _vocabulary(
    counts: Mapping[str, int], more_tokens: Sequence[str], settings: TextSettings, options: CorpusOptions
) -> Vocabulary:
    """Return the vocabulary for the token counts of the training set, and `more_tokens`."""
    tokenizer = TOKENIZER_CLASSES[settings.effective_tokenizer]
    characters: dict[str, int] | None = None
    if tokenizer.has_words:
        characters = defaultdict(int)
        for word, n in counts.items():
            for character in graphemes(word):
                characters[character] += n
    min_count = options.min_count or tokenizer.default_min_count
    max_vocab = options.max_vocab or DEFAULT_MAX_VOCAB
    vocabulary = Vocabulary.from_counts(counts, settings.special_tokens, min_count, max_vocab, characters)
    return vocabulary.extended(more_tokens, max_vocab)


def _gather_ranges(flat: np.ndarray, offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the concatenation of flat[offset : offset + length] for each pair (offset, length)."""
    before = np.cumsum(lengths) - lengths
    return flat[np.repeat(offsets - before, lengths) + np.arange(int(lengths.sum()))]
