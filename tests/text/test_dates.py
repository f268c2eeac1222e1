"""Dates: parsing, conversion to Japanese time, and assignment to posts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources.dates import read_date
from gluon_lstm.text.sources.reading import Post, ReadingOptions, TextError, read_dated_posts, read_posts

JAPAN = timezone(timedelta(hours=9))
OFFSETS = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=OFFSETS).map(
    lambda moment: moment.replace(microsecond=0)
)


def on_the_clock(moment: datetime) -> int:
    """Return local time in Japan as if it were UTC."""
    return int(moment.astimezone(JAPAN).replace(tzinfo=timezone.utc).timestamp())


@settings(deadline=None)
@given(MOMENTS)
def test_date_with_offset_is_converted_to_japanese_time(moment):
    twitter = moment.strftime("%a %b %d %H:%M:%S %z %Y")
    for text in (moment.isoformat(), moment.isoformat(" "), format_datetime(moment), twitter):
        assert read_date(text) == on_the_clock(moment), text


@settings(deadline=None)
@given(MOMENTS)
def test_date_without_offset_is_japanese_time(moment):
    wanted = int(moment.replace(tzinfo=timezone.utc).timestamp())
    m = moment
    for text in (
        m.strftime("%Y-%m-%dT%H:%M:%S"),
        m.strftime("%Y/%m/%d %H:%M:%S.123"),
        f"{m.year}年{m.month}月{m.day}日 {m.hour}時{m.minute}分{m.second}秒",
        f"{m.year}/{m.month}/{m.day} {m.hour}:{m.minute}:{m.second}",
    ):
        assert read_date(text) == wanted, text
    assert read_date(m.strftime("%Y-%m-%d")) == wanted - wanted % 86400


@settings(deadline=None)
@given(st.text(max_size=30) | st.text("0123456789-/:T +Z年月日", max_size=25))
def test_any_text_is_a_date_or_none(text):
    date = read_date(text)
    assert date is None or isinstance(date, int)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "きのう",
        "2018-13-01",
        "2018-02-30",
        "0001-01-01",
        "1969-12-31",
        "2101-01-01",
        "2018-09-05 25:00",
        "0000-01-01",
        "99",
        "12:30",
    ],
)
def test_invalid_dates(text):
    assert read_date(text) is None


SEPTEMBER = int(datetime(2018, 9, 5, 22, 30, tzinfo=timezone.utc).timestamp())
POSTS = [("おはよう", "2018-09-05 22:30"), ("カンマ,と\n改行", ""), ("ねむい", "いつか")]
WANTED = [Post("おはよう", SEPTEMBER), Post("カンマ,と\n改行"), Post("ねむい")]


@pytest.mark.parametrize("name", ["date", "created_at", "日時"])
def test_dates_in_tables_and_records(tmp_path, name):
    rows = "".join(f'{date},"{text}"\n' for text, date in POSTS)
    (tmp_path / "a.csv").write_text(f"{name},text\n{rows}", encoding="utf-8")
    records = [{"text": text, name: date} for text, date in POSTS]
    (tmp_path / "a.json").write_text(json.dumps(records), encoding="utf-8")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    for kind in ("csv", "json", "jsonl"):
        assert list(read_dated_posts([tmp_path / f"a.{kind}"])) == WANTED
        assert list(read_posts([tmp_path / f"a.{kind}"])) == [text for text, _ in POSTS]


def test_dates_with_column_by_name_or_number(tmp_path):
    (tmp_path / "a.csv").write_text("date,x\n2018-09-05 22:30,犬\n", encoding="utf-8")
    for column in ("x", "2"):
        options = ReadingOptions(column=column)
        found = list(read_dated_posts([tmp_path / "a.csv"], options))
        assert found[-1] == (
            Post("犬", SEPTEMBER) if column == "x" else Post("犬")
        )  # by number: there may be no header
    with pytest.raises(TextError):
        list(read_dated_posts([tmp_path / "a.csv"]))


def test_archive_posts_are_sorted_by_date(tmp_path):
    tweets = [
        {"tweet": {"full_text": "あと", "created_at": "Wed Sep 05 14:00:00 +0000 2018", "id_str": "2"}},
        {"tweet": {"full_text": "まえ", "created_at": "Wed Sep 05 13:30:00 +0000 2018", "id_str": "1"}},
        {"tweet": {"full_text": "いつか", "created_at": "?", "id_str": "3"}},
    ]
    (tmp_path / "tweets.js").write_text("window.YTD.tweets.part0 = " + json.dumps(tweets), encoding="utf-8")
    found = list(read_dated_posts([tmp_path / "tweets.js"]))
    assert found == [Post("いつか"), Post("まえ", SEPTEMBER), Post("あと", SEPTEMBER + 1800)]
