"""Records of JSON values: where the posts of a file are, in whatever lists and objects they are wrapped.

A record is a string or an object. Lists are transparent: pages of an API, a list of pages and a plain list have the
same records. Tables as pandas writes them (`to_json`, all orients) are lists of objects after `records_in`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Callable, NamedTuple

from gluon_lstm.language import _
from gluon_lstm.text.sources.base import TEXT_NAMES
from gluon_lstm.text.sources.json_text import JsonText, LazyList, LazyObject

SEARCH_RESULT = "statuses"  # key of the posts in a search result, which has many writers on purpose
# keys of the lists of posts: pages of APIs (X, Misskey, Bluesky, ActivityPub), talks, pandas' orients table and split
WRAPPERS = (
    SEARCH_RESULT, "data", "items", "orderedItems", "messages", "tweets", "notes", "posts", "results", "records",
    "feed", "chats", "left_chats", "list", "text_post_app_text_posts",
)  # fmt: skip
_MAX_DEPTH = 8  # maximum nesting of wrappers
_MAX_TABLE_CHARACTERS = 1 << 26  # maximum characters of the columns of a table written column by column

_MAX_NAME = 256  # maximum characters of a key that is suggested

Keys = tuple[str, ...]


class Row(dict[str, Any]):
    """List of plain values, as an object with the keys 1, 2, …"""


class Record(NamedTuple):
    """String or object, with the keys it is wrapped in, and what is left of a path inside it."""

    value: str | dict[str, Any]
    wrapped_in: Keys = ()
    path: Keys = ()


class Search(NamedTuple):
    """Search for the records of a text: whether an object with lists in it is itself a record."""

    text: JsonText
    is_record: Callable[[dict[str, Any]], bool]


def records_in(value: Any, search: Search, path: Keys = (), wrapped_in: Keys = ()) -> Iterator[Record]:
    """Yield the records of a value; with a `path` of keys, from the top or from a record, the objects it leads into.

    Raises TextError for values that are neither objects nor strings, and for a large object without wrapped records.
    """
    if isinstance(value, str):
        yield Record(value, wrapped_in, path)
    elif isinstance(value, (list, LazyList)):
        yield from _records_of_list(value, search, path, wrapped_in)
    elif isinstance(value, dict):
        yield from _records_of_object(value, search, path, wrapped_in)
    elif isinstance(value, LazyObject):
        yield from _records_of_large_object(value, search, path, wrapped_in)
    else:
        kind = _("a null") if value is None else _("a boolean") if isinstance(value, bool) else _("a number")
        raise search.text.error(_("{kind} instead of a post").format(kind=kind))


def _records_of_list(values: Iterable[Any], search: Search, path: Keys, wrapped_in: Keys) -> Iterator[Record]:
    only_empty_lists = None  # a page may be empty, but not all of them
    for item in values:
        only_empty_lists = item == [] and only_empty_lists is not False
        if not isinstance(item, (list, LazyList)):
            yield from records_in(item, search, path, wrapped_in)
        elif item != []:
            row = list_as_row(item)
            if row is not None:
                yield Record(row, wrapped_in, path)
            elif len(wrapped_in) >= _MAX_DEPTH:
                raise search.text.error(_("a list instead of a post"))
            else:
                yield from records_in(item, search, path, (*wrapped_in, ""))
    if only_empty_lists:
        raise search.text.error(_("a list instead of a post"))


def _records_of_object(value: dict[str, Any], search: Search, path: Keys, wrapped_in: Keys) -> Iterator[Record]:
    """Yield the rows of a table, the records wrapped in an object, or the object itself."""
    rows = _rows_of_table(value, search.text)
    if rows is not None:
        yield from (Record(row, wrapped_in, path) for row in rows)
        return
    wrappers = [key for key in value if key in WRAPPERS and _is_wrapper(value[key])]
    is_record = _keys_in(value, path) if path else search.is_record(value) if wrappers else True
    if is_record or not wrappers or len(wrapped_in) >= _MAX_DEPTH:
        yield Record(value, wrapped_in, path)
        return
    for key in wrappers:
        yield from records_in(value[key], search, path, (*wrapped_in, key))


def _records_of_large_object(value: LazyObject, search: Search, path: Keys, wrapped_in: Keys) -> Iterator[Record]:
    columns: dict[str, list[Any]] = {}  # of a table written column by column
    names = None  # of a table written as {"columns": names, "data": rows}
    found = False
    held = 0  # characters in `columns`
    for key, inner in value.items():
        if names and key == "data" and isinstance(inner, (list, LazyList)):
            found = True
            yield from (Record(row, wrapped_in, path) for row in _named_rows(names, inner, search.text))
        elif path and key == path[0] and isinstance(inner, (list, LazyList)):
            found = True
            yield from records_in(inner, search, path[1:], (*wrapped_in, key))
        elif key in WRAPPERS and _is_wrapper(inner) and len(wrapped_in) < _MAX_DEPTH:
            found = True
            yield from records_in(inner, search, path, (*wrapped_in, key))
        elif key in TEXT_NAMES and isinstance(inner, str) and wrapped_in:
            raise search.text.too_long()  # the object is a record itself
        elif key == "columns" and _are_names(inner):
            names = inner
        elif key.isdecimal() and isinstance(inner, dict):
            found = True
            yield Record(inner, wrapped_in, path)
        elif isinstance(inner, (dict, LazyObject)):
            column, size = _column_of(inner)
            held += size
            if held > _MAX_TABLE_CHARACTERS:
                too_large = _('a table written column by column is too large; write it with orient="records"')
                raise search.text.error(too_large)
            if column:
                columns[key] = column
    if not found and columns and len({len(column) for column in columns.values()}) == 1:
        yield from (Record(dict(zip(columns, row)), wrapped_in, path) for row in zip(*columns.values()))
    elif not found:
        raise search.text.too_long()


def _rows_of_table(value: dict[str, Any], text: JsonText) -> Iterable[dict[str, Any]] | None:
    """Return the rows of a table in one of pandas' orients columns, split and index; None for another object."""
    inner = list(value.values())
    if inner and all(isinstance(each, dict) and each for each in inner):
        numbers = inner[0].keys()
        is_named = _has_text(value) and len(numbers) > 1 and not any(map(_holds_objects, inner))
        is_column_table = is_named or all(number.isdecimal() for number in numbers)
        if is_column_table and all(each.keys() == numbers for each in inner) and not any(map(_has_text, inner)):
            return (dict(zip(value, row)) for row in zip(*(column.values() for column in inner)))
        if all(key.isdecimal() for key in value) or (len(inner) > 1 and all(map(_has_text, inner))):
            return inner
    if len(inner) > 1 and all(isinstance(each, str) for each in inner) and all(key.isdecimal() for key in value):
        return [{"text": each} for each in inner]  # a Series
    names, rows = value.get("columns"), value.get("data")
    return _named_rows(names, rows, text) if _are_names(names) and isinstance(rows, list) and names else None


def _has_text(value: dict[str, Any]) -> bool:
    """Return whether an object has a key of TEXT_NAMES."""
    return any(key.casefold() in TEXT_NAMES for key in value)


def _holds_objects(value: dict[str, Any]) -> bool:
    return any(isinstance(cell, (list, dict)) for cell in value.values())


def _column_of(cells: dict[str, Any] | LazyObject) -> tuple[list[Any], int]:
    """Return the cells of {row number: cell} and their size in characters; no cells for another object."""
    column, size = [], 0
    for key, cell in cells.items():
        if not key.isdecimal():
            return [], 0
        column.append(cell)
        size += len(cell) if isinstance(cell, str) else 8
        if size > _MAX_TABLE_CHARACTERS:
            break
    return column, size


def _named_rows(names: list[str], rows: Iterable[Any], text: JsonText) -> Iterator[dict[str, Any]]:
    for row in rows:
        if not isinstance(row, list) or len(row) != len(names):
            raise text.error(_("a row has not the {names} cells of `columns`").format(names=len(names)))
        yield dict(zip(names, row))


def list_as_row(item: Any) -> Row | None:
    """Return a list of plain values as a Row; None for any other value."""
    if not isinstance(item, list) or not item or any(isinstance(cell, (list, dict)) for cell in item):
        return None
    return Row((str(number), cell) for number, cell in enumerate(item, 1))


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_wrapper(value: Any) -> bool:
    return isinstance(value, (list, dict, LazyList, LazyObject))


class FoundString(NamedTuple):
    """String at a path, with the objects around it from the outermost."""

    text: str
    around: tuple[dict[str, Any], ...]


def strings_at(value: Any, path: Keys, around: tuple[dict[str, Any], ...] = ()) -> Iterator[FoundString]:
    """Yield each string at a path of keys in a record, through every list."""
    if isinstance(value, list):
        for item in value:
            yield from strings_at(list_as_row(item) or item if path else item, path, around)
    elif isinstance(value, str) and not path:
        yield FoundString(value, around)
    elif isinstance(value, dict) and _keys_in(value, path):
        length = _keys_in(value, path)
        yield from strings_at(value[".".join(path[:length])], path[length:], (*around, value))


def _keys_in(value: dict[str, Any], path: Keys) -> int:
    """Return how many keys of the path, joined by dots, are one key of the object: more than 1 for a key with a dot."""
    return next((length for length in range(1, len(path) + 1) if ".".join(path[:length]) in value), 0)


def string_fields(record: dict[str, Any]) -> dict[str, str]:
    """Return dotted name -> first string, for each name in an object; the likeliest text first."""
    found: dict[str, str] = {}
    stack: list[tuple[Keys, Any]] = [((), record)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, str):
            found.setdefault(".".join(path), value)
        elif isinstance(value, list):
            stack += [(path, item) for item in reversed(value)]
        elif isinstance(value, dict) and len(path) <= _MAX_DEPTH:
            stack += [((*path, key), item) for key, item in reversed(value.items()) if len(key) <= _MAX_NAME]

    def unlikeliness(item: tuple[str, str]) -> tuple[bool, bool, int]:
        last = item[0].rpartition(".")[2].casefold()
        return last not in TEXT_NAMES, item[1].isascii(), -min(len(item[1]), 200)

    return dict(sorted(found.items(), key=unlikeliness))
