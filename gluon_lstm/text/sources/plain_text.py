"""Plain text: one post a line. A table, JSON or a chat log in its place is refused: dates and names are no posts."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gluon_lstm.language import _
from gluon_lstm.text.sources.base import TEXT_NAMES, FileFormat, Post, SourceLog
from gluon_lstm.text.sources.encodings import TextError, split_lines
from gluon_lstm.text.sources.text_files import read_file

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

_SAMPLE_LINES = 20
_MIN_CHAT_LINES = 3
_MAX_JSON_LINE = 100_000  # characters of a line that is tried as JSON
_CHAT_LINE = re.compile(  # date, time, name and a colon, as WhatsApp and others write them
    r"\[?\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}日?[,、]?\s(?:午前|午後|[AP]M\s)?\d{1,2}:\d\d(?::\d\d)?(?:\s?[AP]M)?\]?"
    r"(?:\s[-–])?\s[^:：]{1,40}[:：]\s",
    re.IGNORECASE,
)


class PlainText(FileFormat):
    """Format of .txt and of every file that no other format matches."""

    extensions = (".txt",)
    is_text = True

    def matches(self, path: str) -> bool:
        return True

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        lines = split_lines(read_file(path, options.encoding, log.notice), path)
        sample = list(itertools.islice(lines, _SAMPLE_LINES))
        reason = other_format([line for line in sample if not line.isspace()])
        if reason:
            raise TextError(_("{path} is not a text of one post a line: {reason}").format(path=path, reason=reason))
        for line in itertools.chain(sample, lines):
            yield Post(line.rstrip("\r\n"))


def other_format(lines: Sequence[str]) -> str:
    """Return what a text is in truth, by its first lines, with the remedy; "" for posts.

    >>> other_format(['{"text": "おはよう"}'])
    'each line is a JSON object; rename it to .jsonl'
    """
    if lines and all(map(_is_json_object, lines)):
        return _("each line is a JSON object; rename it to .jsonl")
    header = lines[0].split("\t") if len(lines) > 1 and len({line.count("\t") for line in lines}) == 1 else []
    if len(header) > 1 and any(cell.strip().casefold() in TEXT_NAMES for cell in header):
        return _("it is a table with tabs; rename it to .tsv")
    if sum(_CHAT_LINE.match(line) is not None for line in lines) >= max(_MIN_CHAT_LINES, len(lines) / 2):
        return _("it is a chat log with dates and names; save it as .csv with the columns date, author and text")
    return ""


def _is_json_object(line: str) -> bool:
    if not line.lstrip().startswith("{") or len(line) > _MAX_JSON_LINE:
        return False
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
