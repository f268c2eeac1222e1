"""Dates: parsing, conversion to Japanese time, and assignment to posts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources.dates import DATE_FIELDS, date_of, read_date
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
@given(MOMENTS)
def test_date_in_english_and_with_am_and_pm(moment):
    wanted = int(moment.replace(tzinfo=timezone.utc).timestamp())
    m, day = moment, wanted - wanted % 86400
    marker = "午後" if m.hour >= 12 else "午前"
    for text in (
        m.strftime("%b %d, %Y %I:%M:%S %p"),
        m.strftime("%I:%M:%S %p · %B %d, %Y"),
        m.strftime("%A, %B %d, %Y at %I:%M:%S\u202f%p"),
        m.strftime("%d %b %Y, %H:%M:%S"),
        m.strftime("%Y-%m-%d %I:%M:%S %p"),
        m.strftime("%a %b %d %H:%M:%S JST %Y"),
        m.strftime("%a %b %d %Y %H:%M:%S GMT+0900 (日本標準時)"),
        m.strftime("%Y-%m-%d %H:%M:%S JST"),
        m.strftime("%Y-%m-%d %H:%M:%S 東京 (標準時)"),
        f"{m.year}/{m.month:02}/{m.day:02} {marker}{m.hour % 12}:{m:%M:%S}",
        f"{m.year}年{m.month}月{m.day}日({'月火水木金土日'[m.weekday()]}) {m:%H:%M:%S}",
    ):
        assert read_date(text) == wanted, text
    for text in (m.strftime("%d %b %Y"), m.strftime("%B %d, %Y"), f"{m.year}.{m.month}.{m.day} {m:%A}"):
        assert read_date(text) == day, text


@settings(deadline=None)
@given(MOMENTS.filter(lambda moment: moment.timestamp() >= 10**9), st.integers(0, 999))
def test_unix_times(moment, thousandths):
    wanted, seconds = on_the_clock(moment), int(moment.timestamp())
    milliseconds = seconds * 1000 + thousandths
    fractions = (seconds + thousandths / 1000, f"{seconds}.{thousandths:03}100", f"{seconds}.0")
    for value in (seconds, str(seconds), milliseconds, str(milliseconds), float(milliseconds), *fractions):
        assert read_date(value) == wanted, value


@settings(deadline=None)
@given(st.integers() | st.floats() | st.booleans())
def test_any_number_is_a_date_or_none(number):
    date = read_date(number)
    assert date is None or (isinstance(date, int) and not isinstance(number, bool) and number >= 10**9)


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
        "2020",
        "20200501",
        "0123456789",
        "999999999",
        "99999999999",
        "4133980800",
        "2020-05-01 12:00:00 XYZ",
        "2020-05-01 13:00 PM",
        "Feb 30, 2024",
        "Mai 3, 2024",
        "2020-05-01 12:00:00 12:00:00",
        pytest.param("1" * 100_000, id="long"),
        True,
        False,
        0,
        5,
        2020,
        pytest.param(10**400, id="large"),
        float("nan"),
        float("inf"),
    ],
)
def test_invalid_dates(text):
    assert read_date(text) is None


@pytest.mark.parametrize(
    ("text", "japanese"),
    [
        ("2020-05-01 12:00:00 JST", "2020-05-01 12:00:00"),
        ("2020-05-01 12:00:00 UTC", "2020-05-01 21:00:00"),
        ("2020-05-01 12:00:00 gmt", "2020-05-01 21:00:00"),
        ("2020-05-01 12:00:00 EST", "2020-05-02 02:00:00"),
        ("2020-05-01 12:00:00 Tokyo Standard Time", "2020-05-01 12:00:00"),
        ("2020-05-01 12:00:00+09", "2020-05-01 12:00:00"),
        ("2020-05-01T12:00-0130", "2020-05-01 22:30:00"),
        ("Fri, 01 May 2020 12:00:00 JST", "2020-05-01 12:00:00"),
        ("Fri, 01 May 2020 12:00:00", "2020-05-01 12:00:00"),  # no zone: Japanese time
        ("Fri, 01 May 2020 12:00:00 +0000 (UTC)", "2020-05-01 21:00:00"),
        ("Mar 9, 2024 1:14 PM", "2024-03-09 13:14:00"),
        ("March 9th, 2024 12:05 a.m.", "2024-03-09 00:05:00"),
        ("9 Mar 2024", "2024-03-09 00:00:00"),
        ("9:29 AM - 31 Aug 2014", "2014-08-31 09:29:00"),
        ("2024/01/05 午後1:05", "2024-01-05 13:05:00"),
        ("2024/01/05 午後0時5分", "2024-01-05 12:05:00"),
        ("午前9:05 · 2024年1月5日", "2024-01-05 09:05:00"),
        ("2024-01-05 1:05 PM", "2024-01-05 13:05:00"),
        ("2024年1月5日(金) 13:05", "2024-01-05 13:05:00"),
        ("2024年1月5日金曜日13時", "2024-01-05 13:00:00"),
        ("2024/1/5(Fri)", "2024-01-05 00:00:00"),
        (1700000000, "2023-11-15 07:13:20"),
        ("1700000000000", "2023-11-15 07:13:20"),
        ("1700000000.000100", "2023-11-15 07:13:20"),
    ],
)
def test_dates_by_hand(text, japanese):
    assert read_date(text) == int(datetime.fromisoformat(japanese + "+00:00").timestamp())


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"created_at": "2020-05-01 12:00:00 UTC", "date": "2020-05-03"}, "2020-05-01 21:00"),
        ({"created_at": "きのう", "date": "2020-05-03"}, "2020-05-03"),
        ({"created_at": None, "createdat": "", "date": "2020-05-03"}, "2020-05-03"),
        ({"created_at": ["2020-05-01"], "ts": {"x": 1}, "date": "2020-05-03"}, "2020-05-03"),
        ({"date": "2020-05-01", "time": "12:00:00"}, "2020-05-01 12:00:00"),
        ({"日付": "2020/05/01", "時刻": "午後1:05"}, "2020-05-01 13:05"),
        ({"date": "2020-05-01 11:00", "time": "12:00:00"}, "2020-05-01 11:00"),
        ({"date": "2020-05-01", "time": "朝"}, "2020-05-01"),
        ({"date": "2020-05-01", "time": 12}, "2020-05-01"),
        ({"date": "x", "time": "2020-05-01 12:00:00"}, "2020-05-01 12:00:00"),
        ({"created_at": 1700000000, "date": "2020-05-01", "time": "12:00:00"}, "1700000000"),
        ({"date": "2024-01-05T00:00:00", "date_unixtime": "1700000000"}, "1700000000"),
        ({"created": True, "id": "1700000000"}, ""),
        ({}, ""),
    ],
)
def test_date_of(values, wanted):
    assert date_of(values) == read_date(wanted)


@pytest.mark.parametrize("text", ["ſep 3 2024 1:00 EſT", "2020-05-01 1:00 Tokyo Standard Tıme", "Frİ, 3 May 2024"])
def test_letters_that_are_equal_without_case_do_not_raise(text):
    read_date(text)


def test_date_of_given_names():
    values = {"date": "2020-05-01", "書いた日": "2020-05-02", "postedon": "2020-05-03"}
    assert date_of(values, ["書いた日"]) == read_date("2020-05-02")
    assert date_of(values, ["x", "postedOn"]) == read_date("2020-05-03")
    assert date_of(values, ["x"]) is None


def test_date_fields_are_casefolded_and_different():
    assert list(DATE_FIELDS) == list(dict.fromkeys(name.casefold() for name in DATE_FIELDS))


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
