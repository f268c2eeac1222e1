"""JSON files: a list of posts (.json), or one post a line (.jsonl, .ndjson)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gluon_lstm.progress import Notice
from gluon_lstm.text.sources.base import TEXT_NAMES, FileFormat, Post
from gluon_lstm.text.sources.dates import DATE_FIELDS, read_date
from gluon_lstm.text.sources.encodings import TextError, read_file
from gluon_lstm.text.sources.json_stream import Record, read_json_records, read_jsonl_records

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

# names of the text field, in order of preference: of Twitter's two the one that is not truncated is first
_TEXT_FIELDS = ("full_text", *(name for name in TEXT_NAMES if name != "full_text"))


class JsonFile(FileFormat):
    """List of objects or strings, at the top level or as `statuses` or `data` of an object."""

    extensions = (".json",)

    def posts(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[Post]:
        records = read_json_records(read_file(path, options.encoding, notice), path)
        return posts_of_records(records, options.field, path, notice)


class JsonLinesFile(FileFormat):
    """One object or string a line."""

    extensions = (".jsonl", ".ndjson")

    def posts(self, path: str, options: ReadingOptions, notice: Notice) -> Iterator[Post]:
        records = read_jsonl_records(read_file(path, options.encoding, notice), path)
        return posts_of_records(records, options.field, path, notice)


def posts_of_records(found: Iterable[Record], wanted: str | None, path: str, notice: Notice) -> Iterator[Post]:
    fields = _TEXT_FIELDS if wanted is None else (wanted,)
    other_fields: list[str] = []
    posts = textless = 0
    for record in found:
        post = record if isinstance(record, str) else next((record[name] for name in fields if name in record), None)
        if post is None:
            textless += 1
            other_fields = other_fields or sorted(record)
            continue
        posts += 1
        date = None if isinstance(record, str) else next((record[name] for name in DATE_FIELDS if name in record), None)
        yield Post(post, read_date(date) if date else None)
    if not posts and textless:
        # Names may have any length and contain line ends.
        others = [" ".join(name.split())[:20] for name in other_fields[:20]]
        raise TextError(
            f"{path}: no object has a text named {wanted or ', '.join(fields)}; set `field`, "
            f"such as {', '.join(others) or 'none: they have no text'}"
        )
    if not posts:
        raise TextError(f'{path} contains no posts; use a list of posts, or an object with the list "statuses"')
    if textless:
        notice(f"{path}: skipped {textless} objects without a text named {wanted or ', '.join(fields)}")
