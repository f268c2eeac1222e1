"""Records of JSON values: where the posts of a file are, in whatever lists and objects they are wrapped.

A record is a string or an object. Lists are transparent: pages of an API, a list of pages and a plain list have the
same records. Tables as pandas writes them (`to_json`, all orients) are lists of objects after `records_in`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Union

from gluon_lstm.text.sources.base import TEXT_NAMES
from gluon_lstm.text.sources.json_text import JsonText, LazyList, LazyObject

Record = Union[str, "dict[str, Any]"]

SEARCH_RESULT = "statuses"  # key of the posts in a search result, which has many writers on purpose
# keys of the lists of posts: pages of APIs (X, Misskey, Bluesky, ActivityPub), talks, pandas' orients table and split
WRAPPERS = (
    SEARCH_RESULT, "data", "items", "orderedItems", "messages", "tweets", "notes", "posts", "results", "records",
    "feed", "chats", "list", "text_post_app_text_posts",
)  # fmt: skip
_NAMES_OF_RECORDS = {*TEXT_NAMES, "timestamp", "created_at", "createdAt"}  # keys of an object that is itself a record
_MAX_DEPTH = 8  # maximum nesting of wrappers
_MAX_TABLE_CHARACTERS = 1 << 26  # maximum characters of the columns of a table written column by column


def records_in(
    value: Any, text: JsonText, wrapped_in: tuple[str, ...] = ()
) -> Iterator[tuple[Record, tuple[str, ...]]]:
    """Yield the records of a value with the keys they are wrapped in, outermost first.

    Raises TextError for values that are neither objects nor strings, and for a large object without wrapped records.
    """
    if isinstance(value, str):
        yield value, wrapped_in
    elif isinstance(value, (list, LazyList)):
        for item in value:
            row = list_as_row(item)
            if row is not None:
                yield row, wrapped_in
            elif isinstance(item, list) and (not item or len(wrapped_in) >= _MAX_DEPTH):
                raise text.error("a list instead of a post")
            else:
                yield from records_in(item, text, (*wrapped_in, "") if isinstance(item, list) else wrapped_in)
    elif isinstance(value, dict):
        yield from _records_of_object(value, text, wrapped_in)
    elif isinstance(value, LazyObject):
        yield from _records_of_large_object(value, text, wrapped_in)
    else:
        raise text.error(f"{_kind(value)} instead of a post")


def _records_of_object(
    value: dict[str, Any], text: JsonText, wrapped_in: tuple[str, ...]
) -> Iterator[tuple[Record, tuple[str, ...]]]:
    """Yield the records wrapped in an object, or the object itself."""
    columns: Any = value.get("columns")
    if _is_column_table(value):
        names = list(value)
        yield from ((dict(zip(names, row)), wrapped_in) for row in zip(*(column.values() for column in value.values())))
    elif _are_names(columns) and isinstance(value.get("data"), list):
        yield from ((row, wrapped_in) for row in _named_rows(columns, value["data"], text))
    elif value and all(key.isdecimal() and isinstance(inner, dict) for key, inner in value.items()):
        yield from ((inner, wrapped_in) for inner in value.values())
    else:
        found = [key for key in value if key in WRAPPERS and _is_wrapper(value[key])]
        if not found or len(wrapped_in) >= _MAX_DEPTH or not value.keys().isdisjoint(_NAMES_OF_RECORDS):
            yield value, wrapped_in
        else:
            for key in found:
                yield from records_in(value[key], text, (*wrapped_in, key))


def _records_of_large_object(
    value: LazyObject, text: JsonText, wrapped_in: tuple[str, ...]
) -> Iterator[tuple[Record, tuple[str, ...]]]:
    columns: dict[str, list[Any]] = {}  # of a table written column by column
    names = None  # of a table written as {"columns": names, "data": rows}
    found = False
    for key, inner in value.items():
        if key in _NAMES_OF_RECORDS and isinstance(inner, str):
            raise text.too_long()  # the object is a record itself
        if key in WRAPPERS and _is_wrapper(inner):
            found = True
            rows = names and _named_rows(names, inner, text)
            if rows:
                yield from ((row, wrapped_in) for row in rows)
            else:
                yield from records_in(inner, text, (*wrapped_in, key))
        elif key == "columns" and _are_names(inner):
            names = inner
        elif key.isdecimal() and isinstance(inner, dict):
            found = True
            yield inner, wrapped_in
        elif isinstance(inner, (dict, LazyObject)):
            _add_column(columns, key, inner, text)
    if not found and columns and len({len(column) for column in columns.values()}) == 1:
        yield from ((dict(zip(columns, row)), wrapped_in) for row in zip(*columns.values()))
    elif not found:
        raise text.too_long()


def _add_column(columns: dict[str, list[Any]], name: str, cells: dict[str, Any] | LazyObject, text: JsonText) -> None:
    column, size = [], sum(len(str(cell)) for inner in columns.values() for cell in inner)
    for key, cell in cells.items():
        if not key.isdecimal():
            return
        column.append(cell)
        size += len(cell) if isinstance(cell, str) else 8
        if size > _MAX_TABLE_CHARACTERS:
            raise text.error('a table written column by column is too large; write it with orient="records"')
    columns[name] = column


class Row(dict[str, Any]):
    """List of plain values, as an object with the keys 1, 2, …"""


def list_as_row(item: Any) -> Row | None:
    """Return a list of plain values as a Row; None for any other value."""
    if not isinstance(item, list) or not item or any(isinstance(cell, (list, dict)) for cell in item):
        return None
    return Row((str(number), cell) for number, cell in enumerate(item, 1))


def _named_rows(names: list[str], rows: Iterable[Any], text: JsonText) -> Iterator[Record]:
    for row in rows:
        if not isinstance(row, list) or len(row) != len(names):
            raise text.error(f"a row has not the {len(names)} cells of `columns`")
        yield dict(zip(names, row))


def _is_column_table(value: dict[str, Any]) -> bool:
    """Return whether an object is {column: {row number: cell}}."""
    columns = list(value.values())
    if not columns or not all(isinstance(column, dict) and column for column in columns):
        return False
    first = columns[0].keys()
    return all(key.isdecimal() for key in first) and all(column.keys() == first for column in columns)


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_wrapper(value: Any) -> bool:
    return isinstance(value, (list, dict, LazyList, LazyObject))


def _kind(value: Any) -> str:
    return "a null" if value is None else "a boolean" if isinstance(value, bool) else "a number"


Found = tuple[Union[str, None], Sequence["dict[str, Any]"]]  # the text, and the objects around it from the outermost


def strings_at(value: Any, path: list[str], around: tuple[dict[str, Any], ...] = ()) -> Iterator[Found]:
    """Yield each string at a path of keys, through every list; None for an object of a list that has none.

    The path is from the top of the file, or from a record.
    """
    if isinstance(value, (list, LazyList)):
        for item in value:
            item = list_as_row(item) or item
            found = False
            for each in strings_at(item, path, around):
                found = True
                yield each
            if not found and isinstance(item, dict):
                yield None, (*around, item)
    elif not path:
        if isinstance(value, str):
            yield value, around
    elif isinstance(value, str) and not around:
        yield value, around  # a list of strings and objects
    elif isinstance(value, (dict, LazyObject)):
        inside = (*around, value) if isinstance(value, dict) else around
        named = isinstance(value, dict) and path[0] in value
        for key, inner in value.items():
            if key == path[0]:
                yield from strings_at(inner, path[1:], inside)
            elif not named and key in WRAPPERS and _is_wrapper(inner) and len(around) < _MAX_DEPTH:
                yield from strings_at(inner, path, around)


def string_fields(record: dict[str, Any]) -> dict[str, str]:
    """Return dotted name -> first string, for each name in an object; the likeliest text first."""
    found: dict[str, str] = {}
    stack: list[tuple[str, Any, int]] = [("", record, 0)]
    while stack:
        name, value, depth = stack.pop()
        if isinstance(value, str):
            found.setdefault(name, value)
        elif isinstance(value, (list, dict)) and depth <= _MAX_DEPTH:
            inner = [(name, item) for item in value] if isinstance(value, list) else [
                (f"{name}.{key}" if name else key, item) for key, item in value.items()
            ]  # fmt: skip
            stack += [(path, item, depth + 1) for path, item in reversed(inner) if len(path) <= 200]

    def unlikeliness(item: tuple[str, str]) -> tuple[bool, bool, int]:
        last = item[0].rpartition(".")[2].casefold()
        return last not in TEXT_NAMES, item[1].isascii(), -min(len(item[1]), 200)

    return dict(sorted(found.items(), key=unlikeliness))
