"""Dates of posts, parsed from the formats found in files.

A date is the number of seconds from 1970 to the local time in Japan. A date with a UTC offset is converted; a date
without one is assumed to be in Japanese time.

>>> from datetime import datetime, timezone
>>> dates = ["Sun Aug 31 00:29:15 +0000 2014", "2014-08-31T00:29:15Z", "2014/08/31 09:29:15", "2014年8月31日 9時29分"]
>>> [f"{datetime.fromtimestamp(read_date(date), timezone.utc):%m-%d %H:%M}" for date in dates]
['08-31 09:29', '08-31 09:29', '08-31 09:29', '08-31 09:29']
"""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime
from email.utils import mktime_tz, parsedate_tz

# names of date columns and fields, in order of preference
DATE_FIELDS = ("created_at", "date", "datetime", "timestamp", "time", "日時", "投稿日時", "日付")
JAPAN_OFFSET = 9 * 3600  # seconds ahead of UTC; there is no daylight saving time
MAX_YEAR = 2100  # last year accepted (the first is 1970)

_ISO = re.compile(
    r"(\d{4})[-/.年]([01]?\d)[-/.月]([0-3]?\d)日?"
    r"(?:[T\s]*([0-2]?\d)[:時]([0-5]?\d)(?:[:分]([0-5]?\d)(?:[.,]\d+)?秒?|分?))?"
    r"\s*(Z|UTC|([+-])(\d\d):?(\d\d))?"
)


def read_date(text: str) -> int | None:
    """Return the date that the whole text denotes; None when it is invalid or outside 1970–2100."""
    seconds = _seconds(text)
    return seconds if seconds is not None and 0 <= seconds < timegm((MAX_YEAR + 1, 1, 1, 0, 0, 0)) else None


def _seconds(text: str) -> int | None:
    found = _ISO.fullmatch(text.strip())
    if not found:
        parts = parsedate_tz(text)
        try:
            if not parts or not 1 <= parts[0] <= 9999:
                return None
            return mktime_tz(parts) + (JAPAN_OFFSET if parts[9] is not None else 0)
        except (ValueError, OverflowError):
            return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    zone, sign, hours, minutes = found.groups()[6:]
    try:
        seconds = timegm(datetime(year, month, day, hour, minute, second).timetuple())
    except ValueError:
        return None
    if zone is None:
        return seconds
    offset = (int(hours) * 60 + int(minutes)) * 60 if sign else 0
    return seconds - (-offset if sign == "-" else offset) + JAPAN_OFFSET
