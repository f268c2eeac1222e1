"""JSON files: any number of posts in one value (.json), or one value a line (.jsonl, .ndjson)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gluon_lstm.language import N_, _
from gluon_lstm.text.sources.base import TEXT_NAMES, FileFormat, LeftOut, Post, SourceLog
from gluon_lstm.text.sources.dates import DATE_FIELDS, date_of
from gluon_lstm.text.sources.encodings import TextError, split_lines
from gluon_lstm.text.sources.json_records import (
    SEARCH_RESULT,
    Row,
    Search,
    list_as_row,
    records_in,
    string_fields,
    strings_at,
)
from gluon_lstm.text.sources.json_text import JsonText, LazyList, LazyObject, without_lone_surrogates
from gluon_lstm.text.sources.meta import is_mojibake, latin1_as_utf8
from gluon_lstm.text.sources.services import Recognized, recognize
from gluon_lstm.text.sources.text_files import read_file
from gluon_lstm.text.sources.x_posts import casefolded, writer

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

_MAX_SUGGESTIONS = 5


class JsonFile(FileFormat):
    """Lists and objects of posts, wrapped in each other in any way that services and tools write."""

    extensions = (".json",)

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        return posts_of_json(read_file(path, options.encoding, log.notice), path, options, log)


class JsonLinesFile(FileFormat):
    """One JSON value a line."""

    extensions = (".jsonl", ".ndjson")

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        return RecordReader(path, options, log).posts(_values_of_lines(path, options, log))


def posts_of_json(
    chunks: Iterable[str], path: str, options: ReadingOptions, log: SourceLog, may_be_empty: bool = False
) -> Iterator[Post]:
    """Yield the posts of a JSON text. `path` is its name for messages; without posts it is refused, or may be empty."""
    return RecordReader(path, options, log, True, may_be_empty).posts(_value_of_file(chunks, path))


def _value_of_file(chunks: Iterable[str], path: str) -> Iterator[tuple[Any, JsonText]]:
    text = JsonText(chunks, path)
    value = text.whole()
    if isinstance(value, (list, dict, LazyList, LazyObject)):
        yield value, text
    text.end()


def _values_of_lines(path: str, options: ReadingOptions, log: SourceLog) -> Iterator[tuple[Any, JsonText]]:
    for number, line in enumerate(split_lines(read_file(path, options.encoding, log.notice), path), 1):
        if not line.isspace():
            text = JsonText([line.rstrip()], path, number)
            value = text.whole()
            text.end()
            yield list_as_row(value) or value, text


class RecordReader:
    """Reader of the posts in JSON values, which counts what it leaves out."""

    def __init__(
        self, name: str, options: ReadingOptions, log: SourceLog, whole_file: bool = False, may_be_empty: bool = False
    ) -> None:
        self._name, self.options, self.log = name, options, log
        self._whole_file = whole_file  # whether a value is a whole file
        self._may_be_empty = may_be_empty  # whether no post is no error
        self._textless = self._mended = self._left_out = 0
        self._date_names = (options.date.casefold(),) if options.date else ()
        self._suggestions: dict[str, str] = {}  # dotted name -> example

    def posts(self, values: Iterable[tuple[Any, JsonText]]) -> Iterator[Post]:
        """Yield the posts. Raises TextError when there are none, naming the fields there are."""
        find = self._recognized if self.options.field is None else self._named
        found = 0
        for value, text in values:
            try:
                for post in find(value, text):
                    found += 1
                    yield post
            except RecursionError:
                raise text.error(_("lists and objects are nested too deep")) from None
        if not found and not self._left_out and not self._may_be_empty:
            self._refuse()
        if self._textless:
            self.log.left_out[N_("objects without a text")] += self._textless
            named = self.options.field or ", ".join(TEXT_NAMES)
            self.log.notice(
                _("{name}: skipped {textless:,} objects without a text named {named}").format(
                    name=self._name, textless=self._textless, named=named
                )
            )
        if self._mended:
            self.log.notice(
                _("{name}: {mended:,} texts were UTF-8 written as Latin-1; mended").format(
                    name=self._name, mended=self._mended
                )
            )

    def _recognized(self, value: Any, text: JsonText) -> Iterator[Post]:
        """Yield the posts of every record that is recognized."""

        def is_record(inner: dict[str, Any]) -> bool:
            found = recognize(inner)
            return found.is_known_service or (found.post is not None and not (self._whole_file and inner is value))

        for record, wrapped_in, _rest in records_in(value, Search(text, is_record)):
            if isinstance(record, Row):
                name, example = next(iter(string_fields(record).items()), ("1", ""))
                raise text.error(
                    _(
                        "a list instead of a post; choose one of its values with `field`, such as {name} ({example!r})"
                    ).format(name=name, example=example[:20])
                )
            found = Recognized(Post(record)) if isinstance(record, str) else recognize(record)
            if self._whole_file and record is value and not found.is_known_service:
                self._suggestions = string_fields(value)
                continue  # an object of no known service that is a whole file is no post
            post = found.post
            if isinstance(post, LeftOut) and post.private and "private" in self.options.included:
                post = post.private
            if post is None:
                self._count_textless(record)
            elif isinstance(post, LeftOut):
                self.log.left_out[post.reason] += 1
                self._left_out += 1
            else:
                self._mended += found.is_mended
                self.log.is_search_result |= SEARCH_RESULT in wrapped_in
                yield self._finished(post, record)

    def _finished(self, post: Post, record: str | dict[str, Any]) -> Post:
        """Return a post with its content warning if included, and the date of `options.date`."""
        text, date = without_lone_surrogates(post.text), post.date
        if post.warning and "warnings" in self.options.included:
            text = f"{without_lone_surrogates(post.warning)}\n{text}"
        if self._date_names and isinstance(record, dict):
            inside = (inner for inner in record.values() if isinstance(inner, dict))
            dates = (date_of(casefolded(each), self._date_names) for each in (record, *inside))
            date = next((found for found in dates if found is not None), None)
        return Post(text, date, post.author and without_lone_surrogates(post.author))

    def _named(self, value: Any, text: JsonText) -> Iterator[Post]:
        """Yield the strings at the path `field`."""
        path = tuple(str(self.options.field).split("."))
        names = self._date_names or DATE_FIELDS
        for record, _wrapped_in, rest in records_in(value, Search(text, lambda inner: False), path):
            if isinstance(record, str):  # in a list of strings and objects
                yield Post(without_lone_surrogates(record))
                continue
            found = False
            for string, around in strings_at(record, rest):
                found = True
                dates = (date_of(casefolded(each), names) for each in reversed(around))
                date = next((date for date in dates if date is not None), None)
                author = None
                if self.options.author is not None:
                    author = next(filter(None, map(writer, reversed(around))), None)
                text_found = without_lone_surrogates(string)
                if is_mojibake(text_found):
                    self._mended += 1
                    text_found = latin1_as_utf8(text_found)
                yield Post(text_found, date, author and without_lone_surrogates(author))
            if not found:
                self._count_textless(record)

    def _count_textless(self, record: str | dict[str, Any]) -> None:
        self._textless += 1
        if not self._suggestions and isinstance(record, dict):
            self._suggestions = string_fields(record)

    def _refuse(self) -> None:
        # Names may have any length and contain line ends.
        shown = [
            f"{' '.join(name.split())} ({' '.join(example.split())[:20]!r})"
            for name, example in list(self._suggestions.items())[:_MAX_SUGGESTIONS]
        ]
        remedy = _("its objects have no text at all")
        if shown:
            remedy = _("set `field`, such as {fields}").format(fields=", ".join(shown))
        if self._textless:
            wanted = self.options.field or ", ".join(TEXT_NAMES)
            raise TextError(
                _("{name}: no object has a text named {wanted}; {remedy}").format(
                    name=self._name, wanted=wanted, remedy=remedy
                )
            )
        remedy = remedy if shown else _("use a list of posts, or one post a line as .jsonl")
        raise TextError(_("{name} contains no posts; {remedy}").format(name=self._name, remedy=remedy))
