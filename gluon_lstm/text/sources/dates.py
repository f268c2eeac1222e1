"""When a post was written, from the ways dates are written in files.

A date is the seconds since 1970 that the clock shows in Japan, as the posts are Japanese: a date with an offset is
moved there, one without is taken as it stands.

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

# of columns and fields
DATE_NAMES = ("created_at", "date", "datetime", "timestamp", "time", "日時", "投稿日時", "日付")
JAPAN = 9 * 3600  # seconds before UTC; there is no summer time
LAST_YEAR = 2100  # with 1970 the years that a post can be of; any other is a slip or means nothing

_ISO = re.compile(
    r"(\d{4})[-/.年]([01]?\d)[-/.月]([0-3]?\d)日?"
    r"(?:[T\s]*([0-2]?\d)[:時]([0-5]?\d)(?:[:分]([0-5]?\d)(?:[.,]\d+)?秒?|分?))?"
    r"\s*(Z|UTC|([+-])(\d\d):?(\d\d))?"
)


def read_date(text: str) -> int | None:
    """The date in a text that holds nothing else; None when it cannot be read, or is no date of a post."""
    seconds = _seconds(text)
    return seconds if seconds is not None and 0 <= seconds < timegm((LAST_YEAR + 1, 1, 1, 0, 0, 0)) else None


def _seconds(text: str) -> int | None:
    found = _ISO.fullmatch(text.strip())
    if not found:
        parts = parsedate_tz(text)
        try:
            if not parts or not 1 <= parts[0] <= 9999:
                return None
            return mktime_tz(parts) + (JAPAN if parts[9] is not None else 0)
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
    return seconds - (-offset if sign == "-" else offset) + JAPAN
