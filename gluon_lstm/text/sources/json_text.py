"""JSON texts of any size as Python values: a value too large to hold is a lazy list or object.

The standard library's decoder reads each value; this module finds where the values of a large list or object begin.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from gluon_lstm.language import _
from gluon_lstm.text.sources.encodings import MAX_POST_CHARACTERS, TextError, count_line_ends

_MAX_LAZY_DEPTH = 16  # maximum nesting of lazy values; each is looked at for MAX_POST_CHARACTERS first
_WORD = re.compile(r"[-+.\w]*", re.ASCII)  # a number or a literal such as null
_WHITE_SPACE = re.compile(r"[ \t\n\r]*")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 40  # Python converts long numbers slowly, or refuses them; none of that length is an id or a date


def _integer(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


_decode = json.JSONDecoder(parse_int=_integer).raw_decode  # accepts NaN and Infinity


class JsonText:
    """Position in a JSON text that is read in chunks. At most the value at the position is in memory."""

    def __init__(self, chunks: Iterable[str], name: str, first_line: int = 1) -> None:
        self._chunks = iter(chunks)
        self._name = name
        self._buffer = ""
        self._position = 0
        self._line = first_line  # line of the first character of the buffer
        self.lazy_depth = 0  # lazy values around the position

    def peek(self) -> str:
        """Return the next character that is not white space, without reading over it; "" at the end."""
        while True:
            self._position = _WHITE_SPACE.match(self._buffer, self._position).end()  # type: ignore[union-attr]
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._read_more():
                return ""

    def skip(self, expected: str) -> str:
        """Read over the next character, which must be one of `expected`, and return it."""
        found = self.peek()
        if not found or found not in expected:
            raise self.error(_("this is not JSON ({expected} is missing)").format(expected=_(" or ").join(expected)))
        self._position += 1
        return found

    def value(self) -> Any:
        """Return the next value; a list or object longer than MAX_POST_CHARACTERS as LazyList or LazyObject.

        Raises TextError with the line for invalid JSON and for a longer string.
        """
        opening = self.peek()
        while True:
            if _WORD.match(self._buffer, self._position).end() == len(self._buffer) and self._read_more():  # type: ignore
                continue  # a number may continue in the next chunk
            try:
                value, end = _decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                held = len(self._buffer) - self._position
                if held <= MAX_POST_CHARACTERS and self._read_more():
                    continue
                if held <= MAX_POST_CHARACTERS:
                    raise self.error(_("this is not JSON ({error})").format(error=error.msg), error.pos) from None
                if opening in "[{" and self.lazy_depth < _MAX_LAZY_DEPTH:
                    return LazyList(self) if opening == "[" else LazyObject(self)
                raise self.too_long() from None
            except RecursionError:
                raise self.error(_("lists and objects are nested too deep")) from None
            except ValueError as error:  # a number outside the range of float
                raise self.error(_("this is not JSON ({error})").format(error=error)) from None
            self._position = end
            return value

    def pair(self) -> tuple[str, Any]:
        """Return the next key and value of an object."""
        if self.peek() != '"':
            raise self.error(_("this is not JSON (a key is missing)"))
        key = self.value()
        self.skip(":")
        return key, self.value()

    def whole(self) -> Any:
        """Return the only value of the text. `end` must be called after it."""
        if not self.peek():
            raise self.error(_("this is not JSON (there is no value)"))
        return self.value()

    def end(self) -> None:
        """Raise TextError unless the text ends here."""
        if self.peek():
            raise self.error(
                _(
                    "this is not JSON (a second value follows the first; a file with one value a line has the extension"
                    " .jsonl)"
                )
            )

    def error(self, what: str, position: int | None = None) -> TextError:
        """Return an error at the line of a position in the buffer, by default the current one."""
        line = self._line + count_line_ends(self._buffer[: self._position if position is None else position])
        return TextError(
            _("{name}: line {line}: {problem}; fix the file there, or remove that part").format(
                name=self._name, line=line, problem=what
            )
        )

    def too_long(self) -> TextError:
        return self.error(_("a record is longer than {maximum:,} characters").format(maximum=MAX_POST_CHARACTERS))

    def _read_more(self) -> bool:
        """Add at least as many characters as are held: a value of any length is decoded in linear time."""
        self._line += count_line_ends(self._buffer[: self._position])
        parts = [self._buffer[self._position :]]
        held = length = len(parts[0])
        while length <= 2 * held:
            chunk = next(self._chunks, "")
            if not chunk:
                break
            parts.append(chunk)
            length += len(chunk)
        self._buffer, self._position = "".join(parts), 0
        return length > held


class LazyList:
    """Iterable, once, of the values of a large list."""

    def __init__(self, text: JsonText) -> None:
        self._values = _items(text, "[]", text.value)

    def __iter__(self) -> Iterator[Any]:
        return self._values


class LazyObject:
    """Iterable, once, of the (key, value) pairs of a large object."""

    def __init__(self, text: JsonText) -> None:
        self._pairs = _items(text, "{}", text.pair)

    def items(self) -> Iterator[tuple[str, Any]]:
        return self._pairs


def _items(text: JsonText, brackets: str, read: Callable[[], Any]) -> Iterator[Any]:
    """Yield the items between two brackets, each as `read` returns it at the position."""
    opening, closing = brackets[0], brackets[1]
    text.skip(opening)
    text.lazy_depth += 1
    is_empty = text.peek() == closing
    while not is_empty:
        item = read()
        yield item
        drain(item[1] if isinstance(item, tuple) else item)
        if text.peek() == closing:
            break
        text.skip("," + closing)
    text.skip(closing)
    text.lazy_depth -= 1


def drain(value: Any) -> None:
    """Read over what is left of a lazy value."""
    if isinstance(value, LazyList):
        for _ in value:
            pass
    elif isinstance(value, LazyObject):
        for _ in value.items():
            pass


def without_lone_surrogates(text: str) -> str:
    """Return the text with U+FFFD for each lone surrogate, as in posts truncated inside an emoji."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)
