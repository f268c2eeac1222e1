"""Tables: delimiters, quotation marks by the rules of people's files, loose delimiters, dates."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from helpers import japan, posts_of, refusal, save
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources.reading import ReadingOptions, TextError, read_dated_posts

DELIMITERS = {"comma": ",", "tab": "\t", "semicolon": ";", "bar": "|"}
NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(['"', '""', '\\"', "\\", ",", "\t", ";", "|", "\n", "\r\n", "</p>", "😀", "猫", "sep=;", " "]),
        st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=5),
    ),
    max_size=8,
).map("".join)


def dates_of(path, **options):
    return [post.date for post in read_dated_posts([path], ReadingOptions(**options))]


def as_table(rows, delimiter=",", **how):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, **how).writerows(rows)
    return text.getvalue()


# ---- delimiters

ROWS = [["7", "朝ごはんは卵,パン"], ["8", "駅まで走った|疲れた;でも\t間に合った"], ["9", "夜は雨"]]
TEXTS = [text for _, text in ROWS]


@pytest.mark.parametrize("extension", ["csv", "tsv"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "cp932"])
def test_delimiter_is_found_in_the_header(tmp_path, extension, delimiter, codec):
    path = save(tmp_path / f"a.{extension}", as_table([["番号", "本文"], *ROWS], delimiter).encode(codec))
    notices = []
    assert posts_of(path, notice=notices.append) == TEXTS
    usual = {"csv": ",", "tsv": "\t"}[extension]
    found = [notice for notice in notices if "cells" in notice]
    assert found == ([] if delimiter == usual else [f"{path}: cells are separated by {NAMES[delimiter]}"])


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "cp932"])
def test_delimiter_without_a_header_is_the_one_that_all_rows_share(tmp_path, delimiter, codec):
    rows = [["7", "朝は卵とパン"], ["8", "駅まで走って、電車に"], ["9", "夜は雨"]]
    path = save(tmp_path / "a.csv", as_table(rows, delimiter).encode(codec))
    assert posts_of(path, column="2") == [text for _, text in rows]
    assert "1 '7', 2 '朝は卵とパン'" in refusal(path)


def test_delimiter_without_a_header_is_found_when_the_sample_ends_inside_a_cell(tmp_path):
    rows = [[str(number), f"一行目 {number}\n二行目", "x"] for number in range(600)]
    text = as_table([["0", "先頭", "x"], *rows], ";")  # line 1000 is the first half of a row
    assert posts_of(save(tmp_path / "a.csv", text), column="2") == ["先頭", *(row[1] for row in rows)]


def test_a_semicolon_in_each_post_does_not_make_a_column(tmp_path):
    path = save(tmp_path / "a.csv", "text\n雨;風\n雪;霜\n")
    assert posts_of(path) == ["雨;風", "雪;霜"]


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "sep=|", "sep=\t"])
def test_separator_line_names_the_delimiter_and_is_no_row(tmp_path, first, codec):
    delimiter = first.strip('"')[-1]
    for header in ([], [["番号", "本文"]]):
        text = f"{first}\r\n" + as_table([*header, *ROWS], delimiter)
        path = save(tmp_path / "a.csv", text.encode(codec))
        assert posts_of(path, column="2") == TEXTS
    assert posts_of(path) == TEXTS


def test_lines_are_counted_with_the_separator_line(tmp_path):
    path = save(tmp_path / "a.csv", "sep=;\nid;text\n1;雨\n2;風;雪\n")
    assert "line 4 has 3 cells and the first row 2" in refusal(path)


def test_delimiter_option_overrules_the_header_and_the_separator_line(tmp_path):
    for prefix in ("", "sep=,\n"):
        path = save(tmp_path / "a.csv", f"{prefix}text,x;text\n雨,1;雪\n風,2;霜\n")
        assert posts_of(path) == ["雨", "風"]
        for name in ("semicolon", ";"):
            assert posts_of(path, delimiter=name) == ["雪", "霜"]
    with pytest.raises(ValueError, match="comma, tab, semicolon, bar"):
        ReadingOptions(delimiter="::")


def test_two_possible_delimiters_are_refused_by_name(tmp_path):
    path = save(tmp_path / "a.csv", "雨;1|2\n風;3|4\n")
    message = refusal(path)
    assert "semicolons (';') or vertical bars ('|')" in message and "`delimiter`" in message
    assert posts_of(path, delimiter="semicolon", column="1") == ["雨", "風"]
    assert posts_of(path, delimiter="bar", column="1") == ["雨;1", "風;3"]


def test_usual_delimiter_of_the_extension_is_preferred(tmp_path):
    text = "雨,1;2\n風,3;4\n"
    assert posts_of(save(tmp_path / "a.csv", text), column="1") == ["雨", "風"]


@settings(deadline=None, max_examples=40)
@given(
    posts=st.lists(HOSTILE, min_size=1, max_size=6),
    delimiter=st.sampled_from(list(DELIMITERS)),
    extension=st.sampled_from(["csv", "tsv"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
)
@example(posts=["\ufdd1", "\ufdd1r\r\ufdd1m"], delimiter="comma", extension="csv", quoting=csv.QUOTE_MINIMAL, end="\n")
def test_any_posts_round_trip_with_any_delimiter(posts, delimiter, extension, quoting, end):
    rows = [[str(number), post, "終"] for number, post in enumerate(posts)]
    how = {"delimiter": DELIMITERS[delimiter], "quoting": quoting, "lineterminator": end}
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / f"a.{extension}", as_table([["id", "text", "x"], *rows], **how))
        assert posts_of(path, encoding="utf-8") == posts
        if end == "\n" and "\r" in posts[0]:
            return  # Python writes the CR as it is, and a first line that ends with CR tells the line ends of the file
        bare = save(Path(folder) / f"b.{extension}", as_table(rows, **how))
        assert posts_of(bare, encoding="utf-8", delimiter=delimiter, column="2") == posts
        if end == "\n" and any(post.endswith("\r") for post in posts):
            return  # Python writes the CR and its LF as they are: a line end
        single = save(Path(folder) / f"c.{extension}", as_table([["text"], *([post] for post in posts)], **how))
        assert posts_of(single, encoding="utf-8", delimiter=delimiter) == posts


def test_number_of_a_column_is_not_a_cell_of_the_first_row(tmp_path):
    path = save(tmp_path / "a.csv", "2,雨\n3,雪\n")
    assert posts_of(path, column="2") == ["雨", "雪"]


# ---- quotation marks


def test_opened_marks_of_a_tsv_are_text(tmp_path):
    rows = ["id\ttext", "1\t平凡", '2\t"雨だ', "3\t晴れ", '4\t"風だ', '5\t"雪"だね', "6\tくもり"]
    assert posts_of(save(tmp_path / "a.tsv", "\n".join(rows) + "\n")) == [
        "平凡", '"雨だ', "晴れ", '"風だ', '"雪"だね', "くもり",
    ]  # fmt: skip


def test_single_opened_mark_of_a_tsv_is_text(tmp_path):
    path = save(tmp_path / "a.tsv", 'id\ttext\n1\t平凡\n2\t"雨だ\n3\t晴れ\n4\t風\n')
    assert posts_of(path) == ["平凡", '"雨だ', "晴れ", "風"]


def test_marks_before_text_in_a_single_column_are_text(tmp_path):
    posts = ['"眠い"と妹', "犬", '"寒い"と父', '彼の"夢"は', '5"の画面']
    assert posts_of(save(tmp_path / "a.csv", "\n".join(["text", *posts, ""]))) == posts
    posts = ['"今日は雪', "駅", "港", '"遠い"って', "終わり"]
    assert posts_of(save(tmp_path / "a.csv", "\n".join(["text", *posts, ""]))) == posts


def test_whole_cells_in_marks_lose_them(tmp_path):
    path = save(tmp_path / "a.tsv", 'id\ttext\n1\t"晴れ"\n2\t"雪""だ"""\n3\t""\n')
    assert posts_of(path) == ["晴れ", '雪"だ"', ""]


def test_cell_of_several_lines_is_one_post(tmp_path):
    path = save(tmp_path / "a.csv", 'id,text,x\n1,"一\n二,\n\n""三""",x\n2,四,x\n')
    assert posts_of(path) == ['一\n二,\n\n"三"', "四"]


def test_backslash_escaped_marks_are_marks(tmp_path):
    rows = ["id,text", r'1,"母は \"またね\" と"', r'2,"C:\dir と D:\x"', r'3,"\"雪\""', r'4,"空の \\ 印"', "5,終わり"]
    path = save(tmp_path / "a.csv", "\n".join(rows) + "\n")
    assert posts_of(path) == ['母は "またね" と', r"C:\dir と D:\x", '"雪"', r"空の \ 印", "終わり"]


def test_backslash_escaped_mark_at_the_end_of_a_cell(tmp_path):
    for rest in ("2,次\n3,終わり\n", '2,"次"\n3,"終わり"\n'):
        path = save(tmp_path / "a.csv", r'1,"彼女の \"夢\""' + "\n" + rest)
        assert posts_of(path, column="2") == ['彼女の "夢"', "次", "終わり"]
        path = save(tmp_path / "a.csv", r'1,"画面は 5\""' + "\n" + rest)
        assert posts_of(path, column="2") == ['画面は 5"', "次", "終わり"]


def test_doubled_marks_after_a_backslash_are_one_mark(tmp_path):
    posts = ['\\"', '顔 \\"o\\" 文字', "\\", 'a\\,"b"', '""\\']
    path = save(tmp_path / "a.csv", as_table([["id", "text"], *([str(n), post] for n, post in enumerate(posts))]))
    assert posts_of(path) == posts


@settings(deadline=None, max_examples=40)
@given(posts=st.lists(st.text('"ab猫,\t\n😀 ', max_size=8), min_size=1, max_size=6))
def test_posts_with_escaped_marks_round_trip(posts):
    # A file that escapes marks is known by its first mark between text.
    rows = ['0,"彼は\\"はい\\"と"', *(f'{n},"{post}"' for n, post in enumerate(p.replace('"', '\\"') for p in posts))]
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "a.csv", "\n".join(["id,text", *rows, ""]))
        assert posts_of(path, encoding="utf-8") == ['彼は"はい"と', *posts]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["", '"']), st.text("ab猫,😀\\'", min_size=1, max_size=6)), min_size=1))
def test_posts_that_open_a_mark_round_trip_in_an_unquoted_tsv(pairs):
    posts = [mark + text for mark, text in pairs]
    with tempfile.TemporaryDirectory() as folder:
        text = "".join(f"{number}\t{post}\n" for number, post in enumerate(posts))
        assert posts_of(save(Path(folder) / "a.tsv", "id\ttext\n" + text), encoding="utf-8") == posts


def test_never_closed_mark_of_a_truncated_file_is_refused_by_line(tmp_path):
    path = save(tmp_path / "a.csv", 'id,text,x\n1,"雨",a\n2,"風が\n強い",a\n3,"雪が降っ\nて、と')
    assert "line 5: a quotation mark is opened there and never closed" in refusal(path)
    path = save(tmp_path / "a.csv", 'text\n"雨"\n"雪が降っ\nて寒い')
    assert "line 3: a quotation mark is opened there and never closed" in refusal(path)


def test_truncation_in_the_last_line_of_a_quoted_table_is_refused(tmp_path):
    path = save(tmp_path / "a.csv", '"id","text"\n"1","雨"\n"2","雪が降っ')
    assert "line 3: a quotation mark is opened there and never closed" in refusal(path)


def test_literal_marks_beside_cells_that_swallow_rows_are_refused(tmp_path):
    rows = ["id\ttext", '1\t"雨"だ', '2\t"風', "3\t雪", "4\t霜", '5\t雷"', "6\t虹"]
    message = refusal(save(tmp_path / "a.tsv", "\n".join(rows) + "\n"))
    assert "line 3: " in message and "in line 2 a mark is text" in message
    # whichever is first
    rows = ["id\ttext", '2\t"風', "3\t雪", "4\t霜", '5\t雷"', "6\t虹", '7\t"雨"だ']
    message = refusal(save(tmp_path / "a.tsv", "\n".join(rows) + "\n"))
    assert "line 2: " in message and "in line 7 a mark is text" in message


def test_literal_marks_beside_a_cell_that_swallows_one_row_are_refused(tmp_path):
    rows = ["id\ttext", '1\t"雨"だ', '2\t"風', '3\t雪"', "4\t霜"]
    message = refusal(save(tmp_path / "a.tsv", "\n".join(rows) + "\n"))
    assert "line 3: " in message and "in line 2 a mark is text" in message


def test_mark_alone_does_not_swallow_the_row_before_it(tmp_path):
    rows = ["id\ttext", '1\t"雨"だ', '2\t"風', '3\t"', "4\t霜"]
    path = save(tmp_path / "a.tsv", "\n".join(rows) + "\n")
    try:
        assert posts_of(path) == ['"雨"だ', '"風', '"', "霜"]
    except TextError as error:
        assert "line 3" in str(error)


# ---- loose delimiters


def test_loose_comma_is_refused_by_line(tmp_path):
    with_header = save(tmp_path / "a.csv", "id,text\n1,雨\n2,風は,強い\n3,雪\n")
    assert "line 3 has 3 cells and the first row 2" in refusal(with_header)
    without = save(tmp_path / "b.csv", "1,雨\n2,風は,強い\n3,雪\n")
    for column in ("1", "2"):
        assert "line 2 has 3 cells and the first row 2" in refusal(without, column=column)
    assert "quotation marks" in refusal(without, column="2")


def test_missing_cell_without_a_header_is_refused_by_line(tmp_path):
    path = save(tmp_path / "a.csv", "1,雨\n2\n3,雪\n")
    assert "line 2 has 1 cells and the first row 2" in refusal(path, column="2")


def test_lines_of_errors_count_lines_of_quoted_cells(tmp_path):
    path = save(tmp_path / "a.csv", 'id,text\n1,"雨\n\n雪"\n\n2,風は,強い\n')
    assert "line 6 has 3 cells" in refusal(path)


def test_empty_cells_after_the_last_column_are_ignored(tmp_path):
    assert posts_of(save(tmp_path / "a.csv", "id,text\n1,雨,,\n2,雪,\n")) == ["雨", "雪"]


# ---- dates


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("created_at", "2021-02-03T04:05:06Z", japan(2021, 2, 3, 13, 5, 6)),
        ("Created_At", "2021-02-03 04:05:06", japan(2021, 2, 3, 4, 5, 6)),
        ("created_at", "2021-02-03 04:05:06 +0000", japan(2021, 2, 3, 13, 5, 6)),
        ("date,time", "2021-02-03,04:05:06", japan(2021, 2, 3, 4, 5, 6)),
        ("time,date", "04:05,2021/2/3", japan(2021, 2, 3, 4, 5)),
        ("日付,時刻", "2021年2月3日,4時5分", japan(2021, 2, 3, 4, 5)),
        ("日付", "2021年2月3日", japan(2021, 2, 3)),
        ("timestamp", "1612325106", japan(2021, 2, 3, 13, 5, 6)),
        ("timestamp_ms", "1612325106000", japan(2021, 2, 3, 13, 5, 6)),
        ("date,created_at", "2021-02-04,Wed Feb 03 04:05:06 +0000 2021", japan(2021, 2, 3, 13, 5, 6)),
        ("created_at", "きのう", None),
        ("created_at", "", None),
    ],
)
def test_dates_are_found_by_the_names_of_columns(tmp_path, header, cells, expected):
    path = save(tmp_path / "a.csv", f"id,{header},text\n1,{cells},雨\n")
    assert dates_of(path) == [expected]


def test_date_option_names_or_numbers_a_column(tmp_path):
    path = save(tmp_path / "a.csv", "created_at,text,いつ\n2021-02-03,雨,2020-01-02 03:04\n")
    assert dates_of(path) == [japan(2021, 2, 3)]
    assert dates_of(path, date="いつ") == dates_of(path, date="3") == [japan(2020, 1, 2, 3, 4)]
    assert "there is no column 'どこ'" in refusal(path, date="どこ") and "correct `date`" in refusal(path, date="どこ")
    assert "there is no column '4'" in refusal(path, date="4")
    bare = save(tmp_path / "b.csv", "雨,2020-01-02\n雪,2020-01-03\n")
    assert dates_of(bare, column="1") == [None, None]
    assert dates_of(bare, column="1", date="2") == [japan(2020, 1, 2), japan(2020, 1, 3)]


def test_date_option_is_joined_with_the_time_of_day(tmp_path):
    path = save(tmp_path / "a.csv", "date,time,text\n2021-02-03,04:05:06,雨\n")
    assert dates_of(path) == dates_of(path, date="date") == [japan(2021, 2, 3, 4, 5, 6)]
