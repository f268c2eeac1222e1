"""Talks of LINE: date and message lines, quotation marks, skipped entries, errors."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources.base import Post
from gluon_lstm.text.sources.dates import read_date
from gluon_lstm.text.sources.encodings import MAX_POST_CHARACTERS, TextError, split_lines
from gluon_lstm.text.sources.line_talk import CALLS, EVENTS, MEDIA, is_line_talk, line_messages

HEAD = "[LINE] 花子とのトーク履歴\n保存日時：2024/01/05 12:00\n\n"
ENGLISH_HEAD = "\ufeff[LINE] Chat history with Hanako\nSaved on: 2024/01/05 12:00\n\n"


def read(text: str) -> tuple[list[Post], Counter[str]]:
    left_out: Counter[str] = Counter()
    return list(line_messages(split_lines([text], "talk.txt"), "talk.txt", left_out)), left_out


def message(text: str, moment: str, author: str) -> Post:
    return Post(text, read_date(moment), author)


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (HEAD, True),
        (ENGLISH_HEAD, True),
        (HEAD.replace("\n", "\r\n"), True),
        ("[LINE]グループのトーク履歴\n保存日時: 2024/01/05 12:00\n", True),
        ("\ufeff[LINE] Chat in Group name\r\nSaved on: 1/5/2024 12:00\r\n", True),
        ("[LINE] 花子とのトーク履歴\n2024/01/05(金)\n", False),
        ("[LINE] はじめました\n保存日時：2024/01/05 12:00\n", False),
        ("おはよう\n" + HEAD, False),
        ("", False),
    ],
)
def test_recognition(head, wanted):
    assert is_line_talk(head) is wanted


def test_japanese_talk():
    text = (
        HEAD + "2024/01/01(月)\n09:00\t花子\tあけましておめでとう\n"
        '09:01\t太郎\t"今年もよろしく\n\nまた会おう"\n09:02\t花子\t[スタンプ]\n09:03\t太郎\t[写真]\n'
        "09:04\t花子\t☎ 通話時間 0:12\n09:05\t太郎\t☎ 不在着信\n"
        "\n2024/01/02(火)\n午後9:00\t太郎 😀\tタブ\tも\n"
        "21:01\t\t花子が退会しました。\n21:02\t花子がグループに参加しました。\n"
        "21:03\t花子がアルバムを作成しました\n21:04\t\t花子がメッセージの送信を取り消しました\n"
        "21:05\t花子\t花子がアルバム「旅行」を作成しました\n21:06\t花子\tメッセージの送信を取り消しました\n"
        "21:07\t花子\t[写真] きれい\n21:08\t花子\t[アルバム] 旅行\n21:09\t花子\t☎ してね\n"
    )
    wanted = [
        message("あけましておめでとう", "2024-01-01 09:00", "花子"),
        message("今年もよろしく\n\nまた会おう", "2024-01-01 09:01", "太郎"),
        message("タブ\tも", "2024-01-02 21:00", "太郎 😀"),
        message("[写真] きれい", "2024-01-02 21:07", "花子"),
        message("☎ してね", "2024-01-02 21:09", "花子"),
    ]
    for each in (text, text.replace("\n", "\r\n"), text.rstrip("\n"), text + "\n\n"):
        assert read(each) == (wanted, Counter({MEDIA: 5, CALLS: 2, EVENTS: 4}))


def test_english_talk():
    text = (
        ENGLISH_HEAD + "Mon, 01/15/2024\n9:00 AM\tHanako Y\tGood morning\nPM 9:01\tTaro\t[Sticker]\n"
        "9:02 PM\tTaro\t☎ Missed call\n9:03 PM\tTaro\t☎ Call time 1:02:03\n9:04 PM\tTaro joined the group.\n"
        '9:05 PM\tTaro unsent a message.\n9:06 PM\tTaro created an album.\n12:00 AM\tTaro\t"Two\nlines"\n'
        "\nTue, 16/1/2024\n09:00\tTaro\t[Voice message]\n09:01\tTaro\tBye\n"
    )
    assert read(text) == (
        [
            message("Good morning", "2024-01-15 09:00", "Hanako Y"),
            message("Two\nlines", "2024-01-15 00:00", "Taro"),
            message("Bye", "2024-01-16 09:01", "Taro"),
        ],
        Counter({MEDIA: 3, CALLS: 2, EVENTS: 2}),
    )


@pytest.mark.parametrize(
    ("line", "day"),
    [
        ("2024/01/01(月)", "2024-01-01"),
        ("2024/1/1(Mon)", "2024-01-01"),
        ("2024.01.01 月曜日", "2024-01-01"),
        ("2024.01.01 Monday", "2024-01-01"),
        ("2024年1月1日月曜日", "2024-01-01"),
        ("2024年1月1日(月)", "2024-01-01"),
        ("Mon, 01/01/2024", "2024-01-01"),
        ("Wed, 01/05/2024", "2024-05-01"),  # the weekday decides
        ("Fri, 01/05/2024", "2024-01-05"),
        ("Sun, 01/05/2024", "2024-01-05"),  # neither: the month is first
    ],
)
def test_date_lines(line, day):
    assert read(f"{line}\n09:00\t花子\tあ\n")[0] == [message("あ", f"{day} 09:00", "花子")]


@pytest.mark.parametrize("time", ["09:00", "9:00", "午前9:00", "9:00 AM", "AM 9:00", "午前 9:00"])
def test_times(time):
    assert read(f"2024/01/01(月)\n{time}\t花子\tあ\n")[0] == [message("あ", "2024-01-01 09:00", "花子")]


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ('"あ\nい"', ["あ\nい"]),
        ('"あ\nい"\n09:01\t花子\tう', ["あ\nい", "う"]),
        ('"あ\nい"\n2024/01/02(火)\n09:01\t花子\tう', ["あ\nい", "う"]),
        ('"あ\nい"\n\n2024/01/02(火)\n09:01\t花子\tう', ["あ\nい", "う"]),
        ('"あ\nい"\n\n\n', ["あ\nい"]),
        ('"\nあ\n"', ["\nあ\n"]),
        ('"あ"\nい"\nう"', ['あ"\nい"\nう']),  # quotation marks inside are not doubled
        ('"あ""\nい""う"', ['あ"\nい"う']),  # they are
        ('"""あ""\nい"', ['"あ"\nい']),
        ('"あ\n09:01\t花子\tい"', ['"あ', 'い"']),  # a line that looks like a message after the first line
        ('"あ\nい\n09:01\t花子\tう"', ["あ\nい\n09:01\t花子\tう"]),
        ('"あ\nい"\n\nう"', ['あ\nい"\n\nう']),
        ('"あ\nい"\n2024/01/02\nう"', ['あ\nい"\n2024/01/02\nう']),  # not a date line: no weekday
        ('"あ', ['"あ']),
        ('"あ"\n09:01\t花子\t"', ['"あ"', '"']),
        ('"あ\n\n2024/01/02(火)\n', ['"あ']),
        ('あ"', ['あ"']),
        ("", [""]),
    ],
)
def test_quotation_marks(written, texts):
    assert [each.text for each in read(f"2024/01/01(月)\n09:00\t太郎\t{written}")[0]] == texts


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEAD + "09:00\t花子\tあ\n", "line 4: a message before the first date line"),
        (HEAD + "2024/01/01(月)\n09:00\t花子\tあ\nつづき\n", "line 6 is not a date line or a message"),
        (HEAD + "2024/01/01(月)\n09:00 花子 あ\n", "line 5 is not"),
        (HEAD + "2024/01/01(月)\n25:00\t花子\tあ\n", "line 5 is not"),
        (HEAD + "2024/13/01(月)\n", "line 4 is not"),
        ("2024/01/01(月)\n09:00\t花子\tあ\n" + HEAD, "line 3 is not"),
        ('2024/01/01(月)\n09:00\t花子\t"あ\nい\n', "line 2: a quotation mark is opened there and never closed"),
    ],
)
def test_errors_name_file_line_and_remedy(text, problem):
    with pytest.raises(TextError, match=re.escape(f"talk.txt: {problem}")) as caught:
        read(text)
    assert "; " in str(caught.value)


def test_message_that_is_too_long():
    text = '2024/01/01(月)\n09:00\t花子\t"あ\n' + "い\n" * (MAX_POST_CHARACTERS // 2)
    with pytest.raises(TextError, match=r"talk\.txt: line 2: a message is longer than .*; a quotation mark may be"):
        read(text)


def test_memory_is_bounded_by_one_message():
    """Lines are read only when they are needed: at most one after a message."""
    taken = 0

    def lines():
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield "2024/01/01(月)\n" if number == 0 else f'09:00\t花子\t"{number}\n'

    for number, _ in enumerate(line_messages(lines(), "talk.txt", Counter()), 1):
        assert taken <= number + 2


AUTHORS = st.text(st.characters(blacklist_characters="\t\r\n"), min_size=1, max_size=8) | st.sampled_from(
    ["花子", "太郎 😀", '"', "09:00", "[写真]", "2024/01/01(月)"]
)
TEXTS = st.lists(
    st.sampled_from(
        ['"', '""', "\t", "\n", "\n\n", "09:00\t花子\tあ", "2024/01/01(月)", "\u2028", "😀", "☎", "[写真]", " "]
    )
    | st.text(st.characters(blacklist_characters="\r"), max_size=4),
    max_size=10,
).map("".join)
# The beginning of entries and date lines, and of some other lines.
BORDER = re.compile(r"\d|午|am|pm|(mon|tue|wed|thu|fri|sat|sun)|[月火水木金土日]", re.IGNORECASE)


def written(text: str, doubled: bool) -> str:
    """Return the text as LINE writes it: with quotation marks when it has several lines."""
    if "\n" not in text:
        return text
    return '"' + (text.replace('"', '""') if doubled else text) + '"'


def is_ambiguous(text: str, doubled: bool) -> bool:
    """Return whether the export does not tell where the message ends, or what its quotation marks were.

    - The first line, or another that ends with a quotation mark, is followed by a line that looks like an entry or a
      date line (also after blank lines): the message could end there.
    - Quotation marks are not doubled but all come in even numbers, as doubled ones do.
    """
    lines = written(text, doubled).split("\n")
    ends = [number for number, line in enumerate(lines[:-1]) if number == 0 or line.endswith('"')]
    runs = re.findall('"+', text)
    even = not doubled and "\n" in text and bool(runs) and all(len(run) % 2 == 0 for run in runs)
    return even or any(BORDER.match(next(filter(None, lines[end + 1 :]))) for end in ends)


def is_left_out(text: str) -> bool:
    return re.match(r"\[(写真|アルバム)\]$|☎", text) is not None


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(AUTHORS, TEXTS, st.integers(0, 3000)), max_size=6),
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
)
@example([("花子", '"', 0), ("太郎", '""\n"', 2000), ("花子", '\n"x"', 0)], True, "\n")
def test_talk_comes_back(entries, doubled, line_end):
    assume(not any(is_ambiguous(text, doubled) or is_left_out(text) for _, text, _ in entries))
    minutes, day = 0, None
    wanted, lines = [], [*HEAD.split("\n")[:2]]
    for author, text, wait in entries:
        minutes += wait
        today = date(2024, 1, 1) + timedelta(minutes // 1440)
        if today != day:
            lines += ["", f"{today:%Y/%m/%d}({'月火水木金土日'[today.weekday()]})"]
            day = today
        clock = f"{minutes // 60 % 24:02}:{minutes % 60:02}"
        lines.append(f"{clock}\t{author}\t{written(text, doubled)}")
        wanted.append(message(text, f"{today} {clock}", author))
    found, left_out = read("\n".join(lines).replace("\n", line_end) + line_end)
    assert found == wanted
    assert not left_out
