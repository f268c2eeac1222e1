"""Dates of posts, parsed from the formats found in files.

A date is the number of seconds from 1970 to the local time in Japan. A date with a UTC offset or the name of a zone is
converted; a date without one is assumed to be in Japanese time.

>>> from datetime import datetime, timezone
>>> dates = ["Sun Aug 31 00:29:15 +0000 2014", "2014-08-31T00:29:15Z", "Aug 31, 2014 9:29 AM", "2014年8月31日 9時29分"]
>>> [f"{datetime.fromtimestamp(read_date(date), timezone.utc):%m-%d %H:%M}" for date in dates]
['08-31 09:29', '08-31 09:29', '08-31 09:29', '08-31 09:29']
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

# names of date columns and fields, casefolded, in order of preference: names whose dates usually have a zone are first
DATE_FIELDS = (
    "created_at", "createdat", "published", "published_at", "publishedat", "timestamp_ms", "date_unixtime",
    "creation_timestamp", "created_utc", "ts", "posted_at", "postedat", "created", "pubdate", "datetime", "timestamp",
    "date", "time", "投稿日時", "作成日時", "日時", "投稿日", "作成日", "日付",
)  # fmt: skip
TIME_FIELDS = ("time", "時刻")  # names of a time of day in a field of its own
JAPAN_OFFSET = 9 * 3600  # seconds ahead of UTC; there is no daylight saving time
MAX_YEAR = 2100  # last year accepted (the first is 1970)
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_END = (date(MAX_YEAR + 1, 1, 1).toordinal() - _EPOCH_DAY) * 86400
_MAX_LENGTH = 100  # maximum characters of a date, a bound on the time of parsing

_ZONES = {  # hours ahead of UTC: the names of RFC 2822, and Japan's (Windows writes them out)
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "ast": -4, "adt": -3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7,
    "mdt": -6, "pst": -8, "pdt": -7, "jst": 9, "日本標準時": 9, "東京 (標準時)": 9, "tokyo standard time": 9,
}  # fmt: skip
_DAY_0 = date(1970, 1, 1).toordinal()
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH_NAMES = {name.capitalize(): number for number, name in enumerate(_MONTHS, 1)}
WEEKDAY = r"(?:[月火水木金土日](?:曜日?)?|(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?)"
_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_AM_PM = r"[ap]\.?m\b\.?"
_TIME = re.compile(
    rf"(?:(?<=\d)T|\bat\s)?(?:(?P<before>午前|午後|{_AM_PM})\s?)?"
    r"(?<![\d:.+-])(?P<hour>[0-2]?\d)(?::(?P<minute>[0-5]?\d)(?::(?P<second>[0-5]?\d)(?:[.,]\d+)?)?(?![\d:])"
    r"|時(?:(?P<分>[0-5]?\d)分(?:(?P<秒>[0-5]?\d)秒)?)?)"
    rf"(?:\s?(?P<after>{_AM_PM}))?"
    r"(?:\s?(?P<zone>(?:(?:UTC|GMT)\s?)?(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d))?(?!\d)"
    rf"|(?:{'|'.join(map(re.escape, sorted(_ZONES, key=len, reverse=True)))})(?!\w))(?:\s\([^()]*\))?)?",
    re.IGNORECASE,
)
_NUMERIC_DAY = re.compile(
    rf"(\d{{4}})\s?[-/.年]\s?([01]?\d)\s?[-/.月]\s?([0-3]?\d)\s?日?(?:\s?[(（]{WEEKDAY}[)）]|,?\s?{WEEKDAY})?",
    re.IGNORECASE,
)
_ENGLISH_DAY = re.compile(
    rf"(?:{WEEKDAY}\.?,?\s)?(?:(?P<month>{_MONTH})\s(?P<day>[0-3]?\d)(?:st|nd|rd|th)?"
    rf"|(?P<day_first>[0-3]?\d)(?:st|nd|rd|th)?[\s-](?P<month_last>{_MONTH}))(?:,\s?|[\s-])(?P<year>\d{{4}})",
    re.IGNORECASE,
)
# the two formats of nearly all files, read fast
_SIMPLE = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(Z)?"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) (\d\d) (\d\d):(\d\d):(\d\d) \+0000 (\d{4})"
)
_EPOCH = re.compile(r"([1-9]\d{9}|[1-9]\d{12})(?:\.\d*)?")


def read_date(value: Any) -> int | None:
    """Return the date that the whole value denotes; None when it is invalid or outside 1970–2100.

    A number, or a string of digits, is a Unix time from 2001-09-09 on: 10 digits are seconds, 13 milliseconds, and a
    fraction may follow. Any other number or value is not a date.
    """
    if isinstance(value, dict):  # MongoDB's export
        value = value.get("$date", value.get("$numberLong"))
        value = value.get("$numberLong") if isinstance(value, dict) else value
    if isinstance(value, str):
        simple = _SIMPLE.fullmatch(value)
        if simple:
            return _from_simple(simple)
        text = value.strip() if len(value) <= _MAX_LENGTH else ""
        epoch = _EPOCH.fullmatch(text)
        seconds = _from_epoch(int(epoch[1])) if epoch else _from_text(text)
    else:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        seconds = _from_epoch(value) if is_number else None
    return seconds if seconds is not None and 0 <= seconds < _END else None


def date_of(values: Mapping[str, Any], names: Sequence[str] = DATE_FIELDS) -> int | None:
    """Return the date in a row or record: of the first name whose value can be read; None when there is none.

    The caller passes `values` with casefolded keys; `names` may be in any case. A date without a time of day is joined
    with the field `time` or `時刻`.
    """
    time = next((values[name] for name in TIME_FIELDS if values.get(name)), None)
    for name in names:
        value = values.get(name.casefold())
        if not isinstance(value, (str, int, float, dict)):
            continue
        # The joined text is not a date when the value has a time of day itself.
        joined = read_date(f"{value} {time}") if isinstance(time, str) and isinstance(value, str) else None
        found = read_date(value) if joined is None else joined
        if found is not None:
            return found
    return None


def _from_simple(found: re.Match[str]) -> int | None:
    year, month, day, hour, minute, second, is_utc, name, *twitter = found.groups()
    if name:
        if name not in _MONTH_NAMES:
            return None
        day, hour, minute, second, year = twitter
        month, is_utc = _MONTH_NAMES[name], True
    hours, minutes, seconds = int(hour), int(minute), int(second)
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _DAY_0
    except ValueError:
        return None
    if hours > 23 or minutes > 59 or seconds > 59 or not 0 <= days < _END // 86400:
        return None
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + (JAPAN_OFFSET if is_utc else 0)


def _from_epoch(number: float) -> int | None:
    if 10**9 <= number < 10**10:
        return int(number) + JAPAN_OFFSET
    if 10**12 <= number < 10**13:
        return int(number) // 1000 + JAPAN_OFFSET
    return None


def _from_text(text: str) -> int | None:
    text = " ".join(text.split())
    time = _TIME.search(text)
    if not time:
        return _day(text)
    day = _day(f"{text[: time.start()].rstrip()} {text[time.end() :].lstrip()}".strip(" ,·・–-"))
    hour = int(time["hour"])
    marker = time["before"] or time["after"]
    if day is None or hour > (12 if marker else 23):
        return None
    if marker:
        hour = hour % 12 + (12 if marker == "午後" or marker[0] in "pP" else 0)
    seconds = hour * 3600 + int(time["minute"] or time["分"] or 0) * 60 + int(time["second"] or time["秒"] or 0)
    return day + seconds - (_utc_offset(time) if time["zone"] else JAPAN_OFFSET) + JAPAN_OFFSET


def _utc_offset(time: re.Match[str]) -> int:
    if not time["sign"]:
        return _ZONES.get(time["zone"].casefold(), 0) * 3600
    offset = int(time["hours"]) * 3600 + int(time["minutes"] or 0) * 60
    return -offset if time["sign"] == "-" else offset


def _day(text: str) -> int | None:
    numeric = _NUMERIC_DAY.fullmatch(text)
    english = None if numeric else _ENGLISH_DAY.fullmatch(text)
    if numeric:
        year, month, day = map(int, numeric.groups())
    elif english:
        name = english["month"] or english["month_last"]
        year, month = int(english["year"]), _MONTHS.index(name[:3].casefold()) + 1
        day = int(english["day"] or english["day_first"])
    else:
        return None
    try:
        return (date(year, month, day).toordinal() - _EPOCH_DAY) * 86400
    except ValueError:
        return None
