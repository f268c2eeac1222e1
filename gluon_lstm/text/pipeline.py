"""Pipeline of text: files or posts -> clean posts -> tokens, one for training, evaluation and reports."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable, Union

from gluon_lstm.language import _
from gluon_lstm.progress import Advance, Notice, Progress, ignore, silent
from gluon_lstm.text.cleaning import Cleaner
from gluon_lstm.text.parallel import tokenize_posts
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.source_summary import SourceSummary
from gluon_lstm.text.sources.base import SourceLog
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.reading import Paths, Post, ReadingOptions, Source, read_sources, read_text

# (posts, progress) -> the tokens or words of each post
Tokenize = Callable[[Iterable[str], Advance], Iterator[Sequence[Any]]]


@dataclass(frozen=True)
class FileSource:
    """Text source: files, and how to read them."""

    paths: Paths
    reading: ReadingOptions = field(default_factory=ReadingOptions)
    notice: Notice = ignore

    def sources(self) -> Iterator[Source]:
        return read_sources(self.paths, self.reading, self.notice)

    def text(self) -> Iterator[str]:
        return read_text(self.paths, self.reading, self.notice)


@dataclass(frozen=True)
class PostSource:
    """Text source: posts in memory. As raw text it is the text of a file with one post a line."""

    strings: Iterable[str]

    def sources(self) -> Iterator[Source]:
        yield Source(SourceLog("posts"), map(Post, self.strings))

    def text(self) -> Iterator[str]:
        return (f"{post}\n" for post in self.strings)


TextSource = Union[FileSource, PostSource]


@dataclass
class TokenizedText:
    """Tokens of each post, or the code points of each chunk of raw text, with the totals of the text."""

    tokens: Iterator[Sequence[Any]]
    posts: int = 0  # 0 for raw text
    characters: int = 0  # code points, without ends of posts; of raw text those read so far
    summaries: list[SourceSummary] = field(default_factory=list)  # of each file or archive; none for raw text


def cleaned_posts(
    sources: Iterable[Source], cleaner: Cleaner, summaries: list[SourceSummary]
) -> Iterator[tuple[Post, str]]:
    """Yield (post, cleaned text) of the posts that cleaning keeps; append a summary for each source."""
    for log, posts in sources:
        before, summary = dict(cleaner.counts), SourceSummary(log.path)
        for post in posts:
            text = cleaner.clean(post.text)
            if text is not None:
                summary.posts += 1
                summary.dates += post.date is not None
                yield post, text
        summary.name = log.name
        summary.add_left_out(log.left_out, before, cleaner.counts)
        summaries.append(summary)


@contextmanager
def tokenized_posts(
    sources: Iterable[Source],
    cleaner: Cleaner,
    tokenize: Tokenize,
    folder: Path,
    progress: Progress = silent,
    on_kept: Callable[[Post], None] | None = None,
) -> Iterator[TokenizedText]:
    """Clean the posts of sources into a temporary file in `folder`, then tokenize them.

    The file gives the progress of the slow part a total; it is removed when the block ends. `on_kept` is called with
    each post that cleaning keeps, as it was before. Raises TextError when no post is left, or when the posts left have
    no characters.
    """
    path = folder / "cleaned.jsonl"
    characters = 0
    summaries: list[SourceSummary] = []
    with (
        open(path, "w", encoding="utf-8", errors="surrogatepass") as out,
        progress(_("reading"), None, _("posts")) as advance,
    ):
        for post, text in cleaned_posts(sources, cleaner, summaries):
            if on_kept:
                on_kept(post)
            out.write(json.dumps(text, ensure_ascii=False) + "\n")
            characters += len(text)
            advance(1)
    kept = sum(summary.posts for summary in summaries)
    if kept and not characters:
        raise TextError(
            _("the {kept} posts have no characters; check the files, or the `column` or `field` of the text").format(
                kept=kept
            )
        )
    if not kept:
        raise TextError(
            _(
                "no post is left of the {counts} posts read: see what cleaning drops with `gluon-lstm"
                " clean`, and keep such posts with its options"
            ).format(counts=cleaner.counts["read"])
        )
    with (
        open(path, encoding="utf-8", errors="surrogatepass") as lines,
        progress(_("tokenizing"), characters, _("characters")) as advance,
    ):
        yield TokenizedText(tokenize(map(json.loads, lines), advance), kept, characters, summaries)
    path.unlink()


@contextmanager
def tokenized_text(
    source: TextSource,
    settings: TextSettings,
    folder: Path,
    cleaner: Cleaner | None = None,
    processes: int | None = None,
    progress: Progress = silent,
) -> Iterator[TokenizedText]:
    """Read a source, clean it and tokenize it by the settings of a model; raw text is only read.

    Raises TextError as `read_posts` and `tokenized_posts` do.
    """
    if settings.raw:
        with progress(_("reading"), None, _("characters")) as advance:
            result = TokenizedText(iter(()))
            result.tokens = _counted(source.text(), result, advance)
            yield result
        return
    name, user_dictionary = settings.effective_tokenizer, settings.user_dictionary
    tokenize = partial(tokenize_posts, name=name, processes=processes, user_dictionary=user_dictionary)
    cleaner = cleaner or Cleaner(settings.cleaning)
    with tokenized_posts(
        source.sources(), cleaner, lambda posts, advance: tokenize(posts, progress=advance), folder, progress
    ) as result:
        yield result


def _counted(chunks: Iterable[str], result: TokenizedText, advance: Advance) -> Generator[str, None, None]:
    for chunk in chunks:
        yield chunk  # a str is a sequence of its code points
        result.characters += len(chunk)
        advance(len(chunk))
