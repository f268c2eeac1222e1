"""Selection of generated posts: those that fit, no post twice, none that stands in given files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from gluon_lstm.language import N_, _
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.options import SelectionOptions
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.sources.reading import read_posts
from gluon_lstm.text.weighted_length import MAX_WEIGHTED_LENGTH, weighted_length

MAX_REJECTED = 200  # rejected posts in a row after which the search ends
TOO_LONG, REPEATED = N_("longer than 280"), N_("repeated or empty")


class Selection:
    """Selection of posts by options; with `unique` it remembers the posts that it accepted.

    `cleaning` is that of the model. Raises TextError and OSError for the files of `not_in`.
    """

    def __init__(self, options: SelectionOptions, cleaning: CleaningOptions, notice: Notice = ignore) -> None:
        self._fit_post = options.fit_post
        self._cleaner = None
        if options.unique or options.not_in:
            self._cleaner = Cleaner(replace(cleaning, duplicates="drop"))
        # An empty file has no posts; `read_posts` refuses it. The first run of a bot has no posts of earlier runs.
        paths = [path for path in options.not_in if not os.path.isfile(path) or os.path.getsize(path)]
        if self._cleaner and paths:
            for _post in self._cleaner.clean_posts(read_posts(paths, options.reading, notice)):
                pass  # the cleaner remembers it

    def rejection(self, post: str) -> str:
        """Return the reason for which a post is rejected; "" accepts it."""
        if self._fit_post and weighted_length(post) > MAX_WEIGHTED_LENGTH:
            return TOO_LONG
        if self._cleaner and self._cleaner.clean(post) is None:
            return REPEATED
        return ""

    def select(self, texts: Sequence[Iterator[str]], posts: int) -> Iterator[str]:
        """Yield the first `posts` accepted posts of each text, text by text.

        Raises ValueError when MAX_REJECTED posts in a row are rejected.
        """
        found = 0
        for text in texts:
            for _post in range(posts):
                yield self._next_accepted(text, found, len(texts) * posts)
                found += 1

    def _next_accepted(self, text: Iterator[str], found: int, wanted: int) -> str:
        reasons: Counter[str] = Counter()
        while sum(reasons.values()) < MAX_REJECTED:
            post = next(text)
            reason = self.rejection(post)
            if not reason:
                return post
            reasons[reason] += 1
        counts = ", ".join(
            _("{count:,} {reason}").format(count=count, reason=_(reason)) for reason, count in reasons.items()
        )
        raise ValueError(
            _(
                "{found:,} of {wanted:,} posts were found, then {rejected} in a row were rejected"
                " ({counts}); ask for fewer `posts`, or use a higher `temperature` or another `prefix`"
            ).format(found=found, wanted=wanted, rejected=MAX_REJECTED, counts=counts)
        )
