"""Cleaning of posts: an ordered list of `str -> str` steps, with counts and examples of what each step changed.

>>> Cleaner().clean("@taro_yamada おはよーーーーー！！！！！ｗｗｗｗｗ https://t.co/abc")
'@ おはよーーー！！！www'
>>> Cleaner().clean("RT @hanako: ほかの人のことば") is None
True
>>> list(Cleaner(CleaningOptions(mentions="remove", width="keep")).clean_posts(["@a ﾈｺ＆犬", "", "ﾈｺ＆犬"]))
['ﾈｺ＆犬']

Kana with combining voicing marks are composed, whatever the options. All other Unicode normalization (NFKC would
damage (´・ω・`) and ①), case and spelling are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from os.path import commonprefix

from gluon_lstm.language import N_
from gluon_lstm.options import check, option
from gluon_lstm.text.cleaning_steps import (
    MENTION,
    POLICIES,
    TEXT_STEPS,
    URL,
    Step,
    compose_voicing_marks,
    limit_runs,
    phone_remover,
)
from gluon_lstm.text.duplicates import PostHashSet

MAX_REPEATS = 1_000_000  # maximum of `max_repeats`: `re` counts repetitions in 32 bits
_MAX_CHANGES = 32  # changes of one post after which the steps are no longer restarted


@dataclass(frozen=True)
class CleaningOptions:
    """One policy a field, in plain values; `POLICIES` says what is allowed."""

    entities: str = option(
        "decode", "HTML entities such as &amp;", group="cleaning", choices=tuple(POLICIES["entities"])
    )
    control_chars: str = option(
        "remove", "control characters and NULs", group="cleaning", choices=tuple(POLICIES["control_chars"])
    )
    retweets: str = option(
        "drop",
        "RT @name: and the words after it, which are other people's; strip: only the head",
        group="cleaning",
        choices=tuple(POLICIES["retweets"]),
    )
    urls: str = option("remove", "links and mail addresses", group="cleaning", choices=tuple(POLICIES["urls"]))
    phones: str = option(
        "remove", "telephone numbers and postal codes", group="cleaning", choices=tuple(POLICIES["phones"])
    )
    mentions: str = option("symbol", "@name; symbol: @ alone", group="cleaning", choices=tuple(POLICIES["mentions"]))
    hashtags: str = option("keep", "#tags", group="cleaning", choices=tuple(POLICIES["hashtags"]))
    emoji: str = option("keep", "emoji", group="cleaning", choices=tuple(POLICIES["emoji"]))
    width: str = option(
        "letters",
        "letters: full-width letters and digits become ASCII; fold: also full-width punctuation, and half-width kana "
        "become full-width; keep: as typed",
        group="cleaning",
        choices=tuple(POLICIES["width"]),
    )
    max_repeats: int = option(
        3,
        "maximum repeats of an emoji, or a character such as ー, ! or w; 0: any number",
        "N",
        "cleaning",
        minimum=0,
        maximum=MAX_REPEATS,
    )
    blanks: str = option("drop", "empty posts", group="cleaning", choices=tuple(POLICIES["blanks"]))
    duplicates: str = option("drop", "repeated posts", group="cleaning", choices=tuple(POLICIES["duplicates"]))

    def __post_init__(self) -> None:
        check(self)

    def steps(self) -> list[tuple[str, Step]]:
        """Return the text steps of these policies with their names, in order."""
        addresses = ((self.urls, URL), (self.mentions, MENTION))
        protected = "|".join(pattern for policy, pattern in addresses if policy == "keep")
        steps = [(name, step) for name in POLICIES for step in [POLICIES[name][getattr(self, name)]] if step]
        if protected:
            steps = [(name, phone_remover(protected) if name == "phones" else step) for name, step in steps]
        steps.append(("voicing_marks", compose_voicing_marks))
        return [*steps, ("max_repeats", limit_runs(self.max_repeats, protected))] if self.max_repeats else steps


def apply_until_stable(
    post: str, steps: list[tuple[str, Step]], on_change: Callable[[str, str, str], None] | None = None
) -> str:
    """Apply the steps in order, from the first again after each change, until no step changes the post.

    `on_change(step name, before, after)` is called for each change. After _MAX_CHANGES changes the remaining steps are
    applied once each: otherwise the time would be quadratic in the length of posts such as &#65286;#65286;… or links
    nested in links.
    """
    position = changes = 0
    while position < len(steps):
        name, step = steps[position]
        after = step(post)
        if after != post and on_change:
            on_change(name, post, after)
        changes += after != post
        position, post = position + 1 if after == post or changes > _MAX_CHANGES else 0, after
    return post


# Blank posts have none of these. Invisible: spaces, joiners and selectors of emoji, letters with an empty glyph.
_VISIBLE = re.compile(r"[^\s\u115f\u1160\u200c\u200d\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")


class Cleaner:
    """Cleaner of posts that counts its changes and drops duplicates.

    `counts`, in order: posts read; posts changed by each step (including posts dropped later); posts dropped, by
    reason; posts kept. read = kept + dropped. `examples` holds up to three (before, after) pairs for each step, cut to
    where they differ.
    """

    def __init__(self, options: CleaningOptions = CleaningOptions()) -> None:
        self.options = options
        self._steps = options.steps()
        # A prefix is the user's own text: the head of a retweet is removed, the words after it are kept.
        self._prefix_steps = replace(options, retweets="strip").steps() if options.retweets == "drop" else self._steps
        self._seen = PostHashSet()
        self._changed: set[str] = set()  # names of the steps that changed the current post
        outcomes = (N_("dropped: retweet"), N_("dropped: blank"), N_("dropped: duplicate"), N_("kept"))
        self.counts: dict[str, int] = dict.fromkeys((N_("read"), *TEXT_STEPS, *outcomes), 0)
        self.examples: dict[str, list[tuple[str, str]]] = {name: [] for name in TEXT_STEPS}

    def clean(self, post: str) -> str | None:
        """Return the clean post, or None when it is dropped."""
        self._changed.clear()
        text = apply_until_stable(post, self._steps, self._record_change)
        if not text and self.options.retweets == "drop" and "retweets" in self._changed:
            outcome = "dropped: retweet"
        elif self.options.blanks == "drop" and not _VISIBLE.search(text):
            outcome = "dropped: blank"
        elif self.options.duplicates == "drop" and not self._seen.add(text):
            outcome = "dropped: duplicate"
        else:
            outcome = "kept"
        self.counts["read"] += 1
        self.counts[outcome] += 1
        return text if outcome == "kept" else None

    def clean_posts(self, posts: Iterable[str]) -> Iterator[str]:
        """Yield the clean posts that are kept."""
        return (text for text in map(self.clean, posts) if text is not None)

    def clean_prefix(self, prefix: str) -> str:
        """Return the clean prefix of a text to be continued. Nothing is dropped, trailing white space is kept.

        >>> Cleaner().clean_prefix("@taro ｶﾞﾝﾊﾞﾚ！！！！！ ")
        '@ ｶﾞﾝﾊﾞﾚ！！！ '
        """
        body = prefix.rstrip()
        return apply_until_stable(body, self._prefix_steps) + apply_until_stable(
            prefix[len(body) :], self._prefix_steps
        )

    def _record_change(self, name: str, before: str, after: str) -> None:
        self.counts[name] += name not in self._changed
        self._changed.add(name)
        if len(self.examples[name]) < 3:
            same = len(commonprefix([before, after]))  # noqa: RUF071 -- a prefix of characters is intended
            excerpt = slice(max(0, same - 20), same + 40)
            self.examples[name].append((before[excerpt], after[excerpt]))
