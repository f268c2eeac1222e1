"""Word counts of posts: tables by part of speech, counted by base form.

>>> from gluon_lstm.text.janome.analyzer import Word
>>> is_word(Word("!", "名詞,サ変接続,*,*", "!")), is_word(Word("(^^)", "顔文字", "(^^)"))
(False, True)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import regex

from gluon_lstm.language import _
from gluon_lstm.report.analysis import Analysis
from gluon_lstm.text.janome.analyzer import Word
from gluon_lstm.text.janome.atomic import ATOMIC_KINDS, EMOJI, HASHTAG, KAOMOJI, MENTION
from gluon_lstm.text.token_stream import END

ALL_WORDS = "words"  # table of all parts of speech of the selection
CONTENT_WORDS = "content"  # ALL_WORDS without light words: for plots and the summary, not shown as a table
# tables beside those of the selection, of one part of speech each
OTHER_TABLES = {
    "interjections": "感動詞",
    "hashtags": HASHTAG,
    "mentions": MENTION,
    "emoji": EMOJI,
    "kaomoji": KAOMOJI,
}
DEFAULT_SELECTION = Path(__file__).with_name("words.json")  # without words that say nothing alone: の, さん, れる
NOTES_SELECTION = Path(__file__).with_name("words_notes.json")  # as in notes 003: all but numbers
EXAMPLE = '{"parts_of_speech": {"nouns": ["名詞"]}, "stop": {"words": ["こと"]}}'  # of a selection

# A letter: Janome tags ASCII punctuation as nouns, and digits or long vowel marks (ーーー) alone are not words either.
_LETTER = regex.compile(r"[\p{L}--\p{Lm}]|々|〆", regex.V1)


class WordClass(NamedTuple):
    """Set of words, given by prefixes of their parts of speech and by base forms."""

    parts_of_speech: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()

    def matches(self, base_form: str, part_of_speech: str) -> bool:
        """Return whether a word belongs to the class."""
        return base_form in self.words or _has_prefix(part_of_speech, self.parts_of_speech)


@dataclass(frozen=True)
class Selection:
    """Words that are counted, by table.

    `parts_of_speech` maps the name of each table to prefixes of Janome's parts of speech (名詞,固有名詞 selects proper
    nouns only). Words in `stop` are not counted. Words in `light` are counted but carry little content: they are
    excluded from the word cloud, the network and the summary.
    """

    parts_of_speech: dict[str, list[str]]
    stop: WordClass = field(default_factory=WordClass)
    light: WordClass = field(default_factory=WordClass)

    @classmethod
    def read(cls, path: Path | None = None, stop_words: Path | None = None) -> Selection:
        """Return the selection in the JSON file `path` (None: words.json of the package) and the lines of `stop_words`.

        Raises ValueError with the name of an invalid file, and OSError.
        """
        path = path or DEFAULT_SELECTION
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
            parts = {_string(name): _strings(prefixes) for name, prefixes in values["parts_of_speech"].items()}
            stop, light = _word_class(values.get("stop", {})), _word_class(values.get("light", {}))
            lines = stop_words.read_text(encoding="utf-8-sig").splitlines() if stop_words else []
            more = frozenset(filter(None, map(str.strip, lines)))
            selection = cls(parts, stop._replace(words=stop.words | more), light)
        except UnicodeDecodeError as error:
            where = path if stop_words is None else _("{one} or {other}").format(one=path, other=stop_words)
            raise ValueError(_("{file}: not UTF-8; save it as UTF-8").format(file=where)) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                _("{file}: invalid selection of words; use JSON such as {example}").format(file=path, example=EXAMPLE)
            ) from error
        reserved = {ALL_WORDS, CONTENT_WORDS, *OTHER_TABLES} & parts.keys()
        if reserved or not parts:
            message = _("{file}: use other names for the tables than {names}") if reserved else _("{file}: no table")
            raise ValueError(message.format(file=path, names=", ".join(sorted(reserved))))
        return selection


def _word_class(values: Any) -> WordClass:
    """Return a word class from its JSON object; raise TypeError or AttributeError when it is invalid."""
    return WordClass(tuple(_strings(values.get("parts_of_speech", []))), frozenset(_strings(values.get("words", []))))


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _strings(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is not a list")
    return [_string(value) for value in values]


@dataclass(frozen=True)
class WordCount:
    """Count of one word: a row of a table."""

    word: str
    count: int  # occurrences
    posts: int  # posts that contain the word
    share: float  # posts that contain the word / all posts


@dataclass(frozen=True)
class WordTable:
    """Words in order of first occurrence, and their counts by post: `X` (posts, words), scipy CSR."""

    words: list[str]
    X: Any = field(repr=False)

    @cached_property
    def counts(self) -> np.ndarray:
        """Occurrences of each word, (words,)."""
        return np.asarray(self.X.sum(axis=0)).ravel()

    @cached_property
    def posts(self) -> np.ndarray:
        """Number of posts that contain each word, (words,)."""
        return np.bincount(self.X.indices, minlength=len(self.words))

    def select_posts(self, posts: np.ndarray) -> WordTable:
        """Return the table of some posts, given by a mask or indices; all words are kept."""
        return WordTable(self.words, self.X[posts])

    def rows(self, limit: int | None = None) -> list[WordCount]:
        """Return the `limit` most frequent words (None: all); ties in order of occurrence, as in the notes."""
        counts, posts = self.counts, self.posts
        order = np.argsort(-counts, kind="stable")[:limit]
        N = max(self.X.shape[0], 1)
        present = [k for k in order.tolist() if counts[k]]
        return [WordCount(self.words[k], int(counts[k]), int(posts[k]), int(posts[k]) / N) for k in present]


def is_word(word: Word) -> bool:
    """Return whether a token is a word: it has a letter, or is an emoji, a hashtag or the like."""
    return word.part_of_speech in ATOMIC_KINDS or _LETTER.search(word.base_form) is not None


def word_tables(analysis: Analysis, selection: Selection) -> dict[str, WordTable]:
    """Return the tables of the selection, ALL_WORDS, CONTENT_WORDS, and those of OTHER_TABLES, by name."""
    prefixes_of: dict[str, list[str]] = {
        **selection.parts_of_speech,
        ALL_WORDS: [part for parts in selection.parts_of_speech.values() for part in parts],
        **{name: [kind] for name, kind in OTHER_TABLES.items()},
    }
    stop, light = (
        [word_class.matches(word.base_form, word.part_of_speech) for word in analysis.words]
        for word_class in (selection.stop, selection.light)
    )
    words = [word if is_word(word) and not stopped else None for word, stopped in zip(analysis.words, stop)]
    stream = np.asarray(analysis.stream)
    post_of = np.cumsum(stream == END) - (stream == END)  # (tokens,)
    found = {}
    for name, parts in prefixes_of.items():
        names = [word.base_form if word and _has_prefix(word.part_of_speech, parts) else None for word in words]
        found[name] = _word_table(names, stream, post_of)
        if name == ALL_WORDS:
            content = [None if is_light else name for name, is_light in zip(names, light)]
            found[CONTENT_WORDS] = _word_table(content, stream, post_of)
    return found


def _has_prefix(part_of_speech: str, prefixes: Iterable[str]) -> bool:
    """Return whether a part of speech begins with a prefix: 名詞,数,*,* with 名詞,数, but not 名詞,数詞."""
    return any(f"{part_of_speech},".startswith(f"{prefix},") for prefix in prefixes)


def _word_table(names: Sequence[str | None], stream: np.ndarray, post_of: np.ndarray) -> WordTable:
    """Return the table that counts word n of the stream under names[n - 1]; None: not counted."""
    from scipy.sparse import csr_matrix

    columns: dict[str, int] = {}
    column_of = np.array([-1, *(-1 if name is None else columns.setdefault(name, len(columns)) for name in names)])
    found = column_of[stream]
    counted = np.flatnonzero(found >= 0)
    shape = int(post_of[-1]) + 1, len(columns)
    ones = np.ones(len(counted), dtype=np.int64)
    return WordTable(list(columns), csr_matrix((ones, (post_of[counted], found[counted])), shape=shape))
