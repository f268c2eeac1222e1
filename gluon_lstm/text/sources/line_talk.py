r"""Text export of a LINE talk: lines with a date, and messages as time, name and text with tabs between.

A message of several lines is in quotation marks. Quotation marks inside are doubled or not, by the version of LINE.

>>> lines = ["2024/01/05(金)\n", "9:00\t花子\t[写真]\n", '9:01\t花子\t"ねむい\n', 'とても"\n', "9:02\t太郎\tうん\n"]
>>> left_out = Counter()
>>> [message.text for message in line_messages(lines, "talk.txt", left_out)], left_out
(['ねむい\nとても', 'うん'], Counter({'stickers and media': 1}))
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

from gluon_lstm.language import N_, _
from gluon_lstm.text.sources.base import FileFormat, Post, SourceLog, extension
from gluon_lstm.text.sources.dates import WEEKDAY, read_date
from gluon_lstm.text.sources.encodings import MAX_POST_CHARACTERS, TextError, split_lines
from gluon_lstm.text.sources.text_files import read_file

if TYPE_CHECKING:
    from gluon_lstm.text.sources.reading import ReadingOptions

# reasons of `left_out`
MEDIA = N_("stickers and media")
CALLS = N_("calls")
EVENTS = N_("joins and other events")

_TITLE = re.compile(r"\ufeff?\[LINE\] ?(?:.*のトーク履歴|Chat (?:history )?(?:with|in) .*)")
_SAVED = re.compile(r"(?:保存日時|Saved on) ?[:：].*")
_HEAD = re.compile(rf"{_TITLE.pattern}[\r\n]+{_SAVED.pattern}")
# year first, or weekday first and the year last
_DAY = re.compile(
    rf"\ufeff?(?P<numeric>\d{{4}}[/.年-]\d\d?[/.月-]\d\d?日?) ?[(（]?{WEEKDAY}[)）]?"
    rf"|\ufeff?(?P<weekday>{WEEKDAY})\.?, ?(?P<first>\d\d?)[/.](?P<second>\d\d?)[/.](?P<year>\d{{4}})",
    re.IGNORECASE,
)
_TIME = r"((?:(?:午前|午後|[AP]M) ?)?(?:[01]?\d|2[0-3]):[0-5]\d(?: ?[AP]M)?)"
_ENTRY = re.compile(rf"{_TIME}\t(?:([^\t]*)\t)?(.*)", re.IGNORECASE | re.DOTALL)  # time, name (None: an event), text

_TITLELESS_ENTRY = re.compile(rf"{_TIME}(?:\t[^\t]*\t| \S+ \S)", re.IGNORECASE)

_MEDIA_TEXT = re.compile(
    r"\[(?:スタンプ|写真|動画|ボイスメッセージ|位置情報|連絡先|ギフト|プレゼント|イベント|ミュージック|LINE Pay"
    r"|Sticker|Photo|Video|Voice message|Location|Contact|Gift|Event|Music)\]"
    # a title or the name of the file may follow
    r"|\[(?:アルバム|ノート|ファイル|投票|Album|Note|File|Poll)\](?: .*)?",
    re.IGNORECASE | re.DOTALL,
)
_CALL_TEXT = re.compile(
    r"☎\ufe0f? ?(?:(?:グループ|ビデオ|音声)?通話|不在着信|応答なし|キャンセル|chat\.message\."
    r"|(?:group |video |voice )?call|missed |no answer|cancell?ed|unanswered ).*",
    re.IGNORECASE | re.DOTALL,
)
# actions, after the name of who did them
_MEDIA_ACTION = re.compile(
    r"が(?:アルバム|ノート).{0,200}しました。?"
    r"| (?:created|deleted|added|changed|renamed) .{0,200}\b(?:album|note)s?\b.{0,200}",
    re.IGNORECASE | re.DOTALL,
)
_UNSENT_ACTION = re.compile(
    r"(?:(?:あなた)?が?メッセージの送信を取り消しました|(?:You)? ?unsent a message)[。.]?", re.IGNORECASE
)


class LineTalk(FileFormat):
    """Talk of LINE, recognized by the first lines of a text file."""

    def matches(self, path: str) -> bool:
        if extension(path) not in (".txt", ""):
            return False
        with suppress(OSError), open(path, "rb") as file:
            head = file.read(1024)
            codec = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
            return is_line_talk(head.decode(codec, "ignore"))
        return False

    def posts(self, path: str, options: ReadingOptions, log: SourceLog) -> Iterator[Post]:
        return line_messages(split_lines(read_file(path, options.encoding, log.notice), path), path, log.left_out)


def is_line_talk(head: str) -> bool:
    """Return whether a text that begins with `head` (at least its first two lines) is the export of a LINE talk.

    Without its title it is one that begins with a date line and an entry. A talk exported on a computer, with spaces
    between time, name and text, counts as well: reading it is refused.
    """
    if _HEAD.match(head):
        return True
    lines = [line for line in head.splitlines() if line.strip()][:2]
    return len(lines) == 2 and _day_of(lines[0]) is not None and _TITLELESS_ENTRY.match(lines[1]) is not None


def line_messages(lines: Iterable[str], path: str, left_out: Counter[str]) -> Iterator[Post]:
    """Yield the messages of a talk; `lines` have their line ends, and `path` is for errors.

    Adds to `left_out` the number of skipped entries by reason: MEDIA, CALLS, EVENTS. A text that begins with a
    quotation mark is read as one line when a date line or another entry follows; otherwise it ends at the next line
    that ends with a quotation mark and is followed by one of these, or by the end. Raises TextError with the line.
    """
    source = _Lines(lines)
    day = None
    while (line := source.read()) is not None:
        entry = _ENTRY.fullmatch(line)
        if not entry:
            new_day = _day_of(line)
            if new_day is None and line and not _is_header(line, source.number):
                raise TextError(
                    _(
                        "{path}: line {line} is not a date line or a message of a LINE talk; export the talk again with"
                        " LINE on a phone, or remove the line"
                    ).format(path=path, line=source.number)
                )
            day = new_day or day
            continue
        if day is None:
            raise TextError(
                _(
                    "{path}: line {line}: a message before the first date line; add a line such as 2024/01/01(月)"
                    " before it, or export the talk again"
                ).format(path=path, line=source.number)
            )
        time, author, text = entry.groups()
        if author and text.startswith('"') and not source.entry_ended():
            text = _unquoted(_quoted_text(text, source, path))
        reason = _reason_to_skip(author, text)
        if reason is None:
            yield Post(text, read_date(f"{day} {time}"), author)
        else:
            left_out[reason] += 1


class _Lines:
    """Lines without their line ends, with lookahead and the number of the current line."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.number = 0
        self._lines = iter(lines)
        self._ahead: deque[str] = deque()

    def read(self) -> str | None:
        """Return the next line, or None at the end."""
        line = self._peek(0)
        if line is not None:
            self._ahead.popleft()
            self.number += 1
        return line

    def entry_ended(self) -> bool:
        """Return whether an entry, a date line (after blank lines or not) or the end of the text follows."""
        blank = 0
        while (line := self._peek(blank)) == "" and blank < MAX_POST_CHARACTERS:
            blank += 1
        return line is None or _day_of(line) is not None or (blank == 0 and _ENTRY.fullmatch(line) is not None)

    def _peek(self, index: int) -> str | None:
        while len(self._ahead) <= index:
            line = next(self._lines, None)
            if line is None:
                return None
            self._ahead.append(line.rstrip("\r\n"))
        return self._ahead[index]


def _quoted_text(first: str, source: _Lines, path: str) -> str:
    """Return the text with its quotation marks, from its first line on."""
    start, length = source.number, len(first)
    text = [first]
    while True:
        line = source.read()
        if line is None:
            raise TextError(
                _(
                    "{path}: line {line}: a quotation mark is opened there and never closed; close it, or export the"
                    " talk again"
                ).format(path=path, line=start)
            )
        text.append(line)
        length += len(line) + 1
        if length > MAX_POST_CHARACTERS:
            raise TextError(
                _(
                    "{path}: line {line}: a message is longer than {maximum:,} characters; a quotation mark may be left"
                    " open there"
                ).format(path=path, line=start, maximum=MAX_POST_CHARACTERS)
            )
        if line.endswith('"') and source.entry_ended():
            return "\n".join(text)


def _unquoted(text: str) -> str:
    inside = text[1:-1]
    doubled = all(len(run) % 2 == 0 for run in re.findall('"+', inside))
    return inside.replace('""', '"') if doubled else inside


def _is_header(line: str, number: int) -> bool:
    return number <= 2 and bool(_TITLE.fullmatch(line) or _SAVED.fullmatch(line))


def _day_of(line: str) -> str | None:
    """Return the day of a date line in a form for read_date; None for any other line."""
    found = _DAY.fullmatch(line)
    if not found:
        return None
    if found["numeric"]:
        return found["numeric"] if read_date(found["numeric"]) is not None else None
    first, second, year = int(found["first"]), int(found["second"]), int(found["year"])
    weekday = _weekday_number(found["weekday"])
    valid = []
    for month, day in ((first, second), (second, first)):  # the weekday decides; else the month is first
        try:
            valid.append(date(year, month, day))
        except ValueError:
            continue
    valid.sort(key=lambda each: each.weekday() != weekday)
    return valid[0].isoformat() if valid else None


def _weekday_number(name: str) -> int:
    return max("月火水木金土日".find(name[0]), "mon tue wed thu fri sat sun".find(name[:3].casefold()) // 4)


def _reason_to_skip(author: str | None, text: str) -> str | None:
    if not author:
        return CALLS if text.startswith("☎") else MEDIA if _MEDIA_ACTION.search(text) else EVENTS
    if text[:1] in ("[", "☎"):
        return MEDIA if _MEDIA_TEXT.fullmatch(text) else CALLS if _CALL_TEXT.fullmatch(text) else None
    action = text[len(author) :] if text.startswith(author) else text
    if action is not text and _MEDIA_ACTION.fullmatch(action):
        return MEDIA
    return EVENTS if _UNSENT_ACTION.fullmatch(action) else None
