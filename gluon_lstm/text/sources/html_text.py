"""HTML of posts to text (Mastodon and other ActivityPub servers).

>>> html_to_text("<p>A &lt;3<br />B</p><p>@<span>hanako</span></p>")
'A <3\\nB\\n@hanako'
"""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

_LITERAL_LESS_THAN = re.compile(r"<(?!/?[A-Za-z]|[!?])")  # not the start of a tag, comment or declaration
_MARKED_SECTION = re.compile(r"<!\[+")  # HTMLParser raises AssertionError for unknown ones, so all become comments
_LONG_REFERENCE = re.compile(r"&#[0-9]{9,};?")  # int() of Python 3.11 raises ValueError for very long ones
_SOURCE_LINE_END = re.compile(r"\r\n|\r|\n")
_TAG = re.compile(r"<[^<>]*>")
_EMOJI_NAME = re.compile(r":\w+:")
_HIDDEN_TAGS = frozenset(("script", "style"))
_BLOCK_TAGS = frozenset(
    ("address", "article", "aside", "blockquote", "dd", "div", "dl", "dt", "figcaption", "figure", "footer", "h1", "h2",
     "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul")
)  # fmt: skip


def html_to_text(html: str) -> str:
    """Return the text of a post as its reader sees it, without line ends at its beginning and end.

    `<br>` is one line end, and so is the border between two paragraphs, list items or other blocks. Line ends in the
    source are spaces, except in `<pre>`. The text of a link includes the parts that Mastodon hides, so it is the whole
    URL. Custom emoji become their names. Invalid HTML never raises. Takes time linear in the length.
    """
    html = _LITERAL_LESS_THAN.sub("&lt;", html)
    html = _LONG_REFERENCE.sub("\ufffd", _MARKED_SECTION.sub("<!", html))
    writer = _TextWriter()
    # `feed` stops at an unfinished tag; `close` would search for its end again from each "<", in quadratic time.
    writer.feed(html)
    if not writer.rawdata.startswith(("<!", "<?")):
        writer.handle_data(unescape(_TAG.sub("", writer.rawdata)))
    return "".join(writer.parts)


_QUOTE_CLASS = "quote-inline"  # "RE: link", which servers put before a quoting post and their pages hide


class _TextWriter(HTMLParser):
    """Parser that collects the visible text in `parts`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._line_ends = 0  # number of `<br>` since the last text
        self._block_border = self._space = False  # a border of blocks, or a line end in the source, since the last text
        self._hidden = self._preformatted = False
        self._quote_tag, self._quote_depth = "", 0  # the element of a quotation's link, and the elements like it inside

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._quote_tag:
            self._quote_depth += tag == self._quote_tag
        elif _QUOTE_CLASS in (dict(attrs).get("class") or "").split():
            self._quote_tag, self._quote_depth = tag, 1
        if tag == "br" and not self._quote_tag:
            self._line_ends += 1
        elif tag == "img":
            attributes = dict(attrs)
            alt = attributes.get("alt") or ""
            if "emoji" in (attributes.get("class") or "") or _EMOJI_NAME.fullmatch(alt):
                self._write(alt)
        self._at_tag(tag, True)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._quote_tag:
            self._quote_depth -= 1
            self._quote_tag = tag if self._quote_depth else ""
        self._at_tag(tag, False)

    def _at_tag(self, tag: str, opened: bool) -> None:
        if tag in _BLOCK_TAGS:
            self._block_border = True
        if tag == "pre":
            self._preformatted = opened
        elif tag in _HIDDEN_TAGS:
            self._hidden = opened

    def handle_data(self, data: str) -> None:
        if self._hidden or self._quote_tag:
            return
        lines = _SOURCE_LINE_END.split(data)
        for number, line in enumerate(lines):
            if self._preformatted:
                self._line_ends += number > 0
            else:
                if number > 0:
                    self._space = True
                    line = line.lstrip(" \t")
                if number < len(lines) - 1:
                    line = line.rstrip(" \t")
            self._write(line)

    def _write(self, text: str) -> None:
        if not text:
            return
        line_ends = max(self._line_ends, int(self._block_border))
        if self.parts:
            self.parts.append("\n" * line_ends or " " * self._space)
        self.parts.append(text)
        self._line_ends, self._block_border, self._space = 0, False, False
