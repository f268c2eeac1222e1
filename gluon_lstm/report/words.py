"""How often words are in posts: tables by part of speech, counted by base form.

>>> from gluon_lstm.text.tokenizers import Word
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

from gluon_lstm.report.analysis import Analysis
from gluon_lstm.text.token_stream import END
from gluon_lstm.text.tokenizers import EMOJI, HASHTAG, KAOMOJI, KINDS, MENTION, Word

ALL = "words"  # the table of all parts of speech together
CONTENT = "content"  # ALL without light words: for pictures and the summary, in no table that is shown
SIGNS = {"hashtags": HASHTAG, "mentions": MENTION, "emoji": EMOJI, "kaomoji": KAOMOJI}
DEFAULTS = Path(__file__).with_name("words.json")

# Janome takes ASCII signs for nouns; digits or a long vowel mark alone (ーーー) are no words either.
_LETTER = regex.compile(r"[\p{L}--\p{Lm}]|々|〆", regex.V1)


class Group(NamedTuple):
    """Words by the beginnings of their parts of speech, or one by one, in base form."""

    parts_of_speech: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()

    def has(self, base_form: str, part_of_speech: str) -> bool:
        return base_form in self.words or _begins(part_of_speech, self.parts_of_speech)


@dataclass(frozen=True)
class Selection:
    """Which words are counted, and in which table.

    `parts_of_speech` has for each table the beginnings of Janome's parts of speech (名詞,固有名詞 takes proper nouns
    only). What is in `stop` is counted nowhere. What is in `light` is counted but says little of what posts are about:
    it is left out of the word cloud, the network and the summary.
    """

    parts_of_speech: dict[str, list[str]]
    stop: Group = field(default_factory=Group)
    light: Group = field(default_factory=Group)

    @classmethod
    def read(cls, path: Path | None = None, stop_words: Path | None = None) -> Selection:
        """What the JSON file `path` says (None: the package's own words.json), with the lines of `stop_words` added.

        Raises ValueError, naming the file, when it says nothing of the kind, and OSError.
        """
        path = path or DEFAULTS
        try:
            values = json.loads(path.read_text(encoding="utf-8-sig"))
            parts = {_text(name): _texts(beginnings) for name, beginnings in values["parts_of_speech"].items()}
            stop, light = _group(values.get("stop", {})), _group(values.get("light", {}))
            lines = stop_words.read_text(encoding="utf-8-sig").splitlines() if stop_words else []
            more = frozenset(filter(None, map(str.strip, lines)))
            selection = cls(parts, stop._replace(words=stop.words | more), light)
        except UnicodeDecodeError as error:
            where = path if stop_words is None else f"{path} or {stop_words}"
            raise ValueError(f"{where}: not UTF-8; save it as UTF-8") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f'{path}: not a choice of words; it should be JSON such as {{"parts_of_speech": {{"nouns": ["名詞"]}},'
                ' "stop": {"words": ["こと"]}}'
            ) from error
        reserved = {ALL, CONTENT, *SIGNS} & parts.keys()
        if reserved or not parts:
            raise ValueError(f"{path}: {', '.join(reserved) or 'no table'}: give each table a name of its own")
        return selection


def _group(values: Any) -> Group:
    return Group(tuple(_texts(values.get("parts_of_speech", []))), frozenset(_texts(values.get("words", []))))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return [_text(value) for value in values]


@dataclass(frozen=True)
class Row:
    """A line of a table: how often the word is there, in how many posts, and in which share of all posts."""

    word: str
    count: int
    posts: int
    share: float


@dataclass(frozen=True)
class Table:
    """Words in the order they are first seen, and how often each is in each post: `X` (posts, words), scipy CSR."""

    words: list[str]
    X: Any = field(repr=False)

    @cached_property
    def counts(self) -> np.ndarray:
        return np.asarray(self.X.sum(axis=0)).ravel()

    @cached_property
    def posts(self) -> np.ndarray:
        """In how many posts each word is."""
        return np.bincount(self.X.indices, minlength=len(self.words))

    def of(self, posts: np.ndarray) -> Table:
        """The same words in some of the posts: a mask or indices."""
        return Table(self.words, self.X[posts])

    def rows(self, most: int | None = None) -> list[Row]:
        """The most frequent words, the first seen first where counts are equal, as the notes print them."""
        order = np.argsort(-self.counts, kind="stable")[:most]
        N = max(self.X.shape[0], 1)
        shown = [k for k in order.tolist() if self.counts[k]]
        return [Row(self.words[k], int(self.counts[k]), int(self.posts[k]), int(self.posts[k]) / N) for k in shown]


def is_word(word: Word) -> bool:
    """Whether a word is written with letters, or is a sign that is counted as such."""
    return word.part_of_speech in KINDS or _LETTER.search(word.base_form) is not None


def tables(analysis: Analysis, selection: Selection) -> dict[str, Table]:
    """The tables of the selection, ALL and CONTENT, and those of SIGNS."""
    chosen: dict[str, list[str]] = {
        **selection.parts_of_speech,
        ALL: [part for parts in selection.parts_of_speech.values() for part in parts],
        **{name: [kind] for name, kind in SIGNS.items()},
    }
    stop, light = (
        [group.has(word.base_form, word.part_of_speech) for word in analysis.words]
        for group in (selection.stop, selection.light)
    )
    words = [word if is_word(word) and not stopped else None for word, stopped in zip(analysis.words, stop)]
    stream = np.asarray(analysis.stream)
    post_of = np.cumsum(stream == END) - (stream == END)  # (tokens,)
    found = {}
    for name, parts in chosen.items():
        names = [word.base_form if word and _begins(word.part_of_speech, parts) else None for word in words]
        found[name] = _table(names, stream, post_of)
        if name == ALL:
            content = [None if is_light else name for name, is_light in zip(names, light)]
            found[CONTENT] = _table(content, stream, post_of)
    return found


def _begins(part_of_speech: str, beginnings: Iterable[str]) -> bool:
    """名詞,数 begins 名詞,数,*,* and not 名詞,数詞."""
    return any(f"{part_of_speech},".startswith(f"{beginning},") for beginning in beginnings)


def _table(names: Sequence[str | None], stream: np.ndarray, post_of: np.ndarray) -> Table:
    """The table in which each word of the stream counts for its name; None: not at all."""
    from scipy.sparse import csr_matrix

    columns: dict[str, int] = {}
    column_of = np.array([-1, *(-1 if name is None else columns.setdefault(name, len(columns)) for name in names)])
    found = column_of[stream]
    counted = np.flatnonzero(found >= 0)
    shape = int(post_of[-1]) + 1, len(columns)
    ones = np.ones(len(counted), dtype=np.int64)
    return Table(list(columns), csr_matrix((ones, (post_of[counted], found[counted])), shape=shape))
