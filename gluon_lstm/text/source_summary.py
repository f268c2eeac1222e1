"""Summary of what was read of one source: the posts kept, and those left out by reason.

>>> SourceSummary("tweets.js", 12034, 12034, {"retweets": 3210, "blank": 88}).line()
'tweets.js: 12,034 posts; left out: 3,210 retweets, 88 blank; dates: 12,034'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gluon_lstm.language import N_, _, ngettext

# outcomes of cleaning, and the words for the posts dropped
_DROPPED = {
    "dropped: retweet": N_("retweets"),
    "dropped: blank": N_("blank"),
    "dropped: duplicate": N_("repeated"),
}


@dataclass
class SourceSummary:
    """Counts of one file or archive."""

    name: str
    posts: int = 0  # kept by cleaning
    dates: int = 0  # of these, posts with a date
    left_out: dict[str, int] = field(default_factory=dict)  # reason, a plural noun or adjective -> posts

    def add_left_out(self, reading: Mapping[str, int], before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """Add what reading left out, and the posts that a Cleaner dropped between two states of its counts."""
        dropped = {word: after[outcome] - before[outcome] for outcome, word in _DROPPED.items()}
        for counts in (reading, dropped):
            for reason, count in counts.items():
                if count:
                    self.left_out[reason] = self.left_out.get(reason, 0) + count

    def line(self) -> str:
        """Return the summary in one line."""
        parts = [
            ngettext("{name}: {posts:,} post", "{name}: {posts:,} posts", self.posts).format(
                name=self.name, posts=self.posts
            )
        ]
        if self.left_out:
            counts = (_("{count:,} {reason}").format(count=n, reason=_(reason)) for reason, n in self.left_out.items())
            parts.append(_("left out: {counts}").format(counts=_(", ").join(counts)))
        if self.dates:
            parts.append(_("dates: {dates:,}").format(dates=self.dates))
        return _("; ").join(parts)

    @classmethod
    def from_json(cls, values: Any) -> SourceSummary:
        """Return the summary that `vars` wrote. Raises ValueError or TypeError for any other value."""
        summary = cls(**values)
        counts = [summary.posts, summary.dates, *summary.left_out.values()]
        if not all(isinstance(name, str) for name in (summary.name, *summary.left_out)):
            raise ValueError("a name in a summary is not a string")
        if not all(isinstance(count, int) and count >= 0 for count in counts):
            raise ValueError("a count in a summary is not a number")
        return summary
