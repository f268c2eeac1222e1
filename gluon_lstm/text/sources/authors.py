"""Selection of one writer's posts in files with several writers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from gluon_lstm.language import N_, _
from gluon_lstm.text.sources.base import Post, SourceLog
from gluon_lstm.text.sources.encodings import TextError

ALL_AUTHORS = "*"
_MAX_AUTHORS = 10_000  # maximum names counted; a column with more holds no names
_MAX_SHOWN = 20  # names listed
_MAX_NAME = 25  # characters of a name in the list


def select_author(posts: Iterator[Post], wanted: str | None, log: SourceLog) -> Iterator[Post]:
    """Yield the posts of the writer `wanted` (ALL_AUTHORS: of all), and posts without a writer's name.

    With `wanted` None a file of several writers is refused, after all its posts are counted: a bot that sounds like its
    owner must not learn the words of others. Only a search result is read whole.
    """
    counts: Counter[str] = Counter()
    for post in posts:
        if post.author is None:
            yield post
            continue
        author = post.author.strip()
        if not author:  # in a file that names its writers
            if wanted in (None, ALL_AUTHORS):
                yield post
            else:
                log.left_out[N_("posts without a writer")] += 1
            continue
        if author in counts or author == wanted or len(counts) < _MAX_AUTHORS:
            counts[author] += 1
        if wanted in (ALL_AUTHORS, author) or (wanted is None and (len(counts) == 1 or log.is_search_result)):
            yield post
        elif wanted is not None:
            log.left_out[N_("posts of other writers")] += 1
    log.names_authors = bool(counts)
    if wanted is None and len(counts) > 1 and not log.is_search_result:
        raise TextError(
            _("{path} has the posts of several writers: {listed}; choose one with `author`, or * for all").format(
                path=log.path, listed=_listed(counts)
            )
        )
    if wanted is None and len(counts) > 1:
        log.notice(
            _("{path}: a search result; the posts of all its {writers:,} writers are read").format(
                path=log.path, writers=len(counts)
            )
        )
    if counts and wanted not in (None, ALL_AUTHORS) and wanted not in counts:
        raise TextError(
            _("{path} has no writer {wanted!r}; it has {listed}; correct `author`").format(
                path=log.path, wanted=wanted, listed=_listed(counts)
            )
        )


def without_author(posts: Iterator[Post], unwanted: str, log: SourceLog) -> Iterator[Post]:
    """Yield the posts of all writers but `unwanted`. Raises TextError when no other post is there."""
    own = others = 0
    for post in posts:
        if post.author is not None and post.author.strip() == unwanted:
            own += 1
            log.left_out[N_("posts of the report's writer")] += 1
        else:
            others += 1
            yield post
    if own and not others:
        raise TextError(
            _("{path} has posts of {writer!r} alone; use other files, or choose a writer with `compare_author`").format(
                path=log.path, writer=unwanted
            )
        )


def _listed(counts: Counter[str]) -> str:
    names = [f"{' '.join(name.split())[:_MAX_NAME]} ({count:,})" for name, count in counts.most_common(_MAX_SHOWN)]
    others = len(counts) - len(names)
    return ", ".join(names) + (_(" and {others:,} more").format(others=others) if others else "")
