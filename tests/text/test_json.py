"""JSON: wrappers, tables of pandas, records of any size, and the option `field`."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
import tempfile
from pathlib import Path

import pytest
from helpers import dated, japan, posts_of, refusal, save
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources import encodings, json_text
from gluon_lstm.text.sources.reading import TextError

HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(['"', '\\"', "\\", "\\ud83d", ",", "\t", "\n", "\r\n", "</p>", "😀", "猫", "[", "}", ":"]),
        st.text(st.characters(blacklist_categories=("Cs",)), max_size=4),
    ),
    max_size=6,
).map("".join)


def written(path, value, **how):
    return save(path, json.dumps(value, **how))


# ---- wrappers


@pytest.mark.parametrize("key", ["data", "statuses", "items", "orderedItems", "results", "notes", "posts", "records"])
def test_pages_of_an_api_in_one_file_or_one_a_line(tmp_path, key):
    pages = [
        {key: [{"id": f"{page}{number}", "text": f"頁{page}の{number}"} for number in range(3)], "meta": {"text": "次"}}
        for page in range(3)
    ]
    expected = [f"頁{page}の{number}" for page in range(3) for number in range(3)]
    lines = "".join(json.dumps(page, ensure_ascii=False) + "\n" for page in pages)
    assert posts_of(save(tmp_path / "a.jsonl", lines)) == expected
    assert posts_of(written(tmp_path / "a.json", pages)) == expected
    assert posts_of(written(tmp_path / "b.json", [pages[:1], pages[1:]])) == expected
    assert posts_of(written(tmp_path / "c.json", {"results": pages})) == expected
    assert posts_of(written(tmp_path / "d.json", pages[0])) == expected[:3]


def test_lists_in_lists_are_pages(tmp_path):
    pages = [[{"text": "雨"}, {"text": "風"}], [{"text": "雪"}], [[{"text": "霜"}]]]
    assert posts_of(written(tmp_path / "a.json", pages)) == ["雨", "風", "雪", "霜"]
    assert posts_of(save(tmp_path / "a.jsonl", "\n".join(map(json.dumps, pages)))) == ["雨", "風", "雪", "霜"]


def test_empty_pages_are_read_over(tmp_path):
    page = {"data": [{"text": "雨"}]}
    empty = {"data": [], "meta": {"result_count": 0}}
    assert posts_of(written(tmp_path / "a.json", [page, empty, page])) == ["雨", "雨"]
    lines = "\n".join(map(json.dumps, [empty, page, [], page]))
    assert posts_of(save(tmp_path / "a.jsonl", lines)) == ["雨", "雨"]
    assert posts_of(written(tmp_path / "b.json", [page["data"], [], page["data"]])) == ["雨", "雨"]


@pytest.mark.parametrize("key", ["timestamp", "created_at", "content", "text"])
def test_export_with_a_date_or_a_title_beside_its_posts(tmp_path, key):
    export = {key: "2024-01-02", "posts": [{"text": "雨"}, {"text": "風"}]}
    assert posts_of(written(tmp_path / "a.json", export)) == ["雨", "風"]


def test_posts_of_other_keys_are_not_read(tmp_path):
    page = {"data": [{"text": "雨"}], "includes": {"tweets": [{"text": "他人"}], "users": [{"description": "紹介"}]}}
    assert posts_of(written(tmp_path / "a.json", page)) == ["雨"]


def test_date_is_that_of_the_record(tmp_path):
    records = [
        {"text": "雨", "createdAt": "2021-02-03T04:05:06Z", "いつ": "2020-01-02"},
        {"text": "風", "timestamp": 1612325106, "いつ": "2020-01-03"},
        {"text": "雪", "date": "2021-02-03", "time": "04:05"},
        {"text": "霜", "created_at": "きのう"},
    ]
    path = written(tmp_path / "a.json", {"data": records})
    assert dated(path) == [
        ("雨", japan(2021, 2, 3, 13, 5, 6)), ("風", japan(2021, 2, 3, 13, 5, 6)), ("雪", japan(2021, 2, 3, 4, 5)),
        ("霜", None),
    ]  # fmt: skip
    assert [date for _, date in dated(path, date="いつ")] == [japan(2020, 1, 2), japan(2020, 1, 3), None, None]
    assert dated(path, field="text", date="いつ") == dated(path, date="いつ")
    assert dated(path, field="data.text") == dated(path)


# ---- tables of pandas


def as_pandas(orient, names, rows):
    """Return the text that pandas' `to_json` writes of a table."""
    value = {
        "split": lambda: {"columns": names, "index": list(range(len(rows))), "data": rows},
        "records": lambda: [dict(zip(names, row)) for row in rows],
        "index": lambda: {str(number): dict(zip(names, row)) for number, row in enumerate(rows)},
        "columns": lambda: {
            name: {str(number): row[at] for number, row in enumerate(rows)} for at, name in enumerate(names)
        },
        "table": lambda: {
            "schema": {
                "fields": [{"name": "index", "type": "integer"}, *({"name": name, "type": "string"} for name in names)],
                "primaryKey": ["index"],
                "pandas_version": "1.4.0",
            },
            "data": [{"index": number, **dict(zip(names, row))} for number, row in enumerate(rows)],
        },
        "values": lambda: rows,
    }[orient]()
    return json.dumps(value, separators=(",", ":"))


ORIENTS = ["split", "records", "index", "columns", "table", "values"]


@pytest.mark.parametrize("orient", ORIENTS)
def test_every_orient_of_pandas_with_a_column_named_text(tmp_path, orient):
    rows = [[1, "雨", None], [2, "風", 2.5], [3, "雪", None]]
    path = save(tmp_path / "a.json", as_pandas(orient, ["id", "text", "score"], rows))
    if orient == "values":
        assert "set `field`" in refusal(path) or "with `field`, such as 2 ('雨')" in refusal(path)
        assert posts_of(path, field="2") == ["雨", "風", "雪"]
    else:
        assert posts_of(path) == ["雨", "風", "雪"]
        assert posts_of(path, field="text") == ["雨", "風", "雪"]


@pytest.mark.parametrize("orient", [orient for orient in ORIENTS if orient != "values"])
def test_every_orient_of_pandas_with_a_column_of_another_name(tmp_path, orient):
    path = save(tmp_path / "a.json", as_pandas(orient, ["番号", "つぶやき"], [[1, "雨の日"], [2, "風の日"]]))
    assert "つぶやき ('雨の日')" in refusal(path)
    assert posts_of(path, field="つぶやき") == ["雨の日", "風の日"]


@pytest.mark.parametrize("orient", [orient for orient in ORIENTS if orient != "values"])
def test_dates_in_every_orient_of_pandas(tmp_path, orient):
    rows = [["雨", 1612325106000], ["風", 1612325107000]]
    path = save(tmp_path / "a.json", as_pandas(orient, ["text", "created_at"], rows))
    assert dated(path) == [("雨", japan(2021, 2, 3, 13, 5, 6)), ("風", japan(2021, 2, 3, 13, 5, 7))]


def test_rows_of_another_width_than_the_columns_are_refused(tmp_path):
    path = save(tmp_path / "a.json", '{"columns":["id","text"],\n"data":[[1,"雨"],[2]]}')
    assert "a row has not the 2 cells of `columns`" in refusal(path)


@settings(deadline=None, max_examples=40)
@given(
    posts=st.lists(HOSTILE, min_size=1, max_size=6),
    orient=st.sampled_from(ORIENTS),
    sizes=st.tuples(st.integers(1, 40), st.sampled_from([30, 200, 1 << 20])),
)
def test_any_posts_round_trip_in_every_orient_of_pandas(posts, orient, sizes):
    text = as_pandas(orient, ["id", "text"], [[number, post] for number, post in enumerate(posts)])
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = save(Path(folder) / "a.json", text)
        if not (orient == "values" and sizes[1] < 1 << 20):  # rows, too, would be large lists
            longest = max(len(json.dumps(post)) for post in posts) + 50
            patch.setattr(json_text, "MAX_POST_CHARACTERS", max(sizes[1], longest))
        patch.setattr(encodings, "BLOCK_SIZE", sizes[0])
        assert posts_of(path, field="2" if orient == "values" else None) == posts


# ---- numbers, marks, and sizes


def test_nan_and_infinity_are_values(tmp_path):
    text = '[{"text":"雨","score":NaN},{"score":-Infinity,"text":"風"},{"text":"雪","score":Infinity}]'
    assert posts_of(save(tmp_path / "a.json", text)) == ["雨", "風", "雪"]
    assert posts_of(save(tmp_path / "a.jsonl", text[1:-1].replace("},", "}\n"))) == ["雨", "風", "雪"]
    assert posts_of(save(tmp_path / "b.json", '{"took": NaN, "data": ' + text + "}")) == ["雨", "風", "雪"]


def test_numbers_of_any_length_are_values(tmp_path):
    text = '[{"text":"雨","id":' + "9" * 5000 + '},{"text":"風","id":-1.5e+3}]'
    assert posts_of(save(tmp_path / "a.json", text)) == ["雨", "風"]


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32", "cp932", "euc_jp"])
def test_encodings_and_byte_order_marks(tmp_path, codec):
    record = {"text": "雨のあとは、きっと晴れる"}
    text = json.dumps([record], ensure_ascii=False)
    assert posts_of(save(tmp_path / "a.json", text.encode(codec))) == [record["text"]]
    assert posts_of(save(tmp_path / "a.jsonl", text[1:-1].encode(codec))) == [record["text"]]


@pytest.mark.parametrize("size", range(1, 13))
def test_numbers_may_be_cut_by_a_block_anywhere(tmp_path, monkeypatch, size):
    monkeypatch.setattr(json_text, "MAX_POST_CHARACTERS", 60)  # the object is larger, and read lazily
    monkeypatch.setattr(encodings, "BLOCK_SIZE", size)
    for length in range(24):
        before = f'{{"a": "{"x" * 40}", "b": "{"y" * length}", '
        path = save(
            tmp_path / "a.json", before + '"took": 12.5e-1, "n": -10, "x": -Infinity, "data": [{"text": "rain"}]}'
        )
        assert posts_of(path, encoding="utf-8") == ["rain"]


LEAVES = st.one_of(
    st.fixed_dictionaries({"text": HOSTILE.map(lambda text: text[:8])}),
    st.fixed_dictionaries({"id": st.integers(), "text": st.sampled_from(["雨", "😀", "", '"]}'])}),
)
KEYS = st.sampled_from(["data", "statuses", "items", "results", "messages", "feed"])
OTHERS = st.dictionaries(
    st.sampled_from(["meta", "next", "count", "cursor"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.just("x]"), st.just([1, [2]]), st.just({"a": {}})
    ),
    max_size=2,
)
WRAPPED = st.recursive(
    st.lists(LEAVES, min_size=1, max_size=4),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3),
        st.builds(lambda before, key, value, after: {**before, key: value, **after}, OTHERS, KEYS, inner, OTHERS),
    ),
    max_leaves=8,
)


def leaves(value):
    if isinstance(value, list):
        return [text for item in value for text in leaves(item)]
    if "text" in value:
        return [value["text"]]
    return [
        text for key, inner in value.items() if key not in ("meta", "next", "count", "cursor") for text in leaves(inner)
    ]


@settings(deadline=None, max_examples=50)
@given(
    value=WRAPPED,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    block=st.integers(1, 60),
    limit=st.sampled_from([150, 250, 600]),
)
def test_large_values_give_the_same_posts_as_values_in_memory(value, ascii_only, indent, block, limit):
    expected = leaves(value)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = written(Path(folder) / "a.json", value, ensure_ascii=ascii_only, indent=indent)
        assert posts_of(path, encoding="utf-8") == expected
        assert posts_of(path, encoding="utf-8", field="text") == expected
        patch.setattr(json_text, "MAX_POST_CHARACTERS", limit)
        patch.setattr(encodings, "BLOCK_SIZE", block)
        assert posts_of(path, encoding="utf-8") == expected
        assert posts_of(path, encoding="utf-8", field="text") == expected


def test_a_record_larger_than_a_block_is_read(tmp_path, monkeypatch):
    post = "雨\n" * 200
    monkeypatch.setattr(encodings, "BLOCK_SIZE", 7)
    assert posts_of(written(tmp_path / "a.json", [{"x": "y" * 900, "text": post}, {"text": "風"}])) == [post, "風"]
    lines = json.dumps({"text": post}) + "\n" + json.dumps({"text": "風"})
    assert posts_of(save(tmp_path / "a.jsonl", lines)) == [post, "風"]


def test_large_object_without_posts_is_refused_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr(json_text, "MAX_POST_CHARACTERS", 100)
    monkeypatch.setattr(encodings, "BLOCK_SIZE", 16)
    path = save(tmp_path / "a.json", '[{"text": "雨"},\n{"text": "風", "x": [' + '"y", ' * 100 + '"z"]}]')
    assert "line 2: a record is longer than 100 characters" in refusal(path)


@pytest.mark.parametrize("field", [None, "text"])
@pytest.mark.parametrize("opening", ["[", '{"data":'])
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("depth", [100, 700, 2000])
def test_deep_nesting_is_refused(tmp_path, monkeypatch, field, opening, large, depth):
    if large:
        monkeypatch.setattr(json_text, "MAX_POST_CHARACTERS", 100)
        monkeypatch.setattr(encodings, "BLOCK_SIZE", 16)
    text = opening * depth + '[{"text":"雨"}]' + {"[": "]"}.get(opening, "}") * depth
    with contextlib.suppress(TextError):  # a refusal is fine, a RecursionError is not
        assert posts_of(save(tmp_path / "a.json", text), field=field) == ["雨"]


@settings(deadline=None, max_examples=50)
@given(posts=st.lists(HOSTILE, min_size=1, max_size=6), ascii_only=st.booleans(), indent=st.sampled_from([None, 0, 2]))
def test_any_posts_round_trip_in_any_wrapper(posts, ascii_only, indent):
    records = [{"id": number, "text": post} for number, post in enumerate(posts)]
    shapes = [
        records,
        {"data": records},
        [{"items": records}],
        {"tweets": [{"tweet": record} for record in records]},
        posts,
    ]
    with tempfile.TemporaryDirectory() as folder:
        for shape in shapes:
            path = written(Path(folder) / "a.json", shape, ensure_ascii=ascii_only, indent=indent)
            assert posts_of(path, encoding="utf-8") == posts
        for lines in (records, posts, [{"data": [record]} for record in records]):
            text = "".join(json.dumps(each, ensure_ascii=ascii_only) + "\n" for each in lines)
            assert posts_of(save(Path(folder) / "a.jsonl", text), encoding="utf-8") == posts


# ---- `field`

TALK = {
    "messages": [
        {"content": "雨", "by": {"name": "花"}, "parts": ["前", "後"]},
        {"content": "風", "by": {"name": "月"}},
    ]
}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("messages.content", ["雨", "風"]),
        ("content", ["雨", "風"]),
        ("messages.by.name", ["花", "月"]),
        ("by.name", ["花", "月"]),
        ("messages.parts", ["前", "後"]),
        ("parts", ["前", "後"]),
    ],
)
def test_field_is_a_path_from_the_top_or_from_a_record(tmp_path, monkeypatch, field, expected):
    path = written(tmp_path / "a.json", TALK)
    lines = save(tmp_path / "a.jsonl", json.dumps(TALK) + "\n" + json.dumps(TALK))
    assert posts_of(path, field=field) == expected
    assert posts_of(lines, field=field) == expected * 2
    monkeypatch.setattr(json_text, "MAX_POST_CHARACTERS", 90)
    monkeypatch.setattr(encodings, "BLOCK_SIZE", 16)
    assert posts_of(path, field=field) == expected


def test_field_at_the_top_of_pages(tmp_path):
    pages = [{"data": {"text": "雨"}}, {"data": {"text": "風"}}]
    path = save(tmp_path / "a.jsonl", "\n".join(map(json.dumps, pages)))
    for field in (None, "text", "data.text"):
        assert posts_of(path, field=field) == ["雨", "風"]
    assert "no object has a text named data.txt" in refusal(path, field="data.txt")


def test_field_is_a_number_in_lists_of_plain_values(tmp_path):
    rows = [[1, "雨", None], [2, "風", "x"], [3, None, "y"]]
    path = written(tmp_path / "a.json", rows)
    lines = save(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))
    for each in (path, lines, written(tmp_path / "b.json", {"data": rows})):
        assert posts_of(each, field="2") == ["雨", "風"]
        assert posts_of(each, field="3") == ["x", "y"]
        assert "`field`, such as 2 ('雨')" in refusal(each)
    notices = []
    posts_of(path, notice=notices.append, field="2")
    assert notices == [f"{path}: skipped 1 objects without a text named 2"]


def test_field_may_have_a_dot_in_its_name(tmp_path):
    records = [{"id": 1, "data.comment": "雨の日"}, {"id": 2, "data.comment": "風の日"}]  # of json_normalize
    path = written(tmp_path / "a.json", records)
    assert "data.comment ('雨の日')" in refusal(path)
    assert posts_of(path, field="data.comment") == ["雨の日", "風の日"]


def suggestions(message):
    """Return the (name, example) that an error suggests for `field`."""
    return re.findall(r"(?:such as |\), )(.*?) \('(.*?)'(?=\))", message.partition("set `field`")[2])


def test_suggested_fields_are_whole_names_once_each_likeliest_first(tmp_path):
    record = {
        "id_str": "1234567890123456789",
        "media": [{"url": "https://example.com/a.png", "alt": "港の写真"}, {"url": "https://example.com/b.png"}],
        "user": {"name": "花子", "profile": {"body": "x"}},
        "つぶやき": "きょうは港まで歩いた",
    }
    message = refusal(written(tmp_path / "a.json", [record, record]))
    assert suggestions(message) == [
        ("user.profile.body", "x"),
        ("つぶやき", "きょうは港まで歩いた"),
        ("media.alt", "港の写真"),
        ("user.name", "花子"),
        ("media.url", "https://example.com/"),
    ]


@settings(deadline=None, max_examples=40)
@given(
    st.recursive(
        st.dictionaries(st.sampled_from(["a", "b", "言", "id"]), st.text("xy雨", min_size=1, max_size=3), min_size=1),
        lambda inner: st.one_of(
            st.dictionaries(st.sampled_from(["c", "d"]), inner, min_size=1, max_size=2),
            st.dictionaries(st.sampled_from(["e", "f"]), st.lists(inner, min_size=1, max_size=2), min_size=1),
        ),
        max_leaves=5,
    )
)
def test_every_suggested_field_gives_its_example(record):
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder) / "a.json", [record])
        found = suggestions(refusal(path))
        assert found and len({name for name, _ in found}) == len(found)
        for name, example in found:
            assert posts_of(path, field=name)[0] == example


def test_suggestions_have_no_line_ends(tmp_path):
    message = refusal(written(tmp_path / "a.json", [{"a\nb": "雨\n風"}]))
    assert "a b ('雨 風')" in message and "\n" not in message


def test_byte_order_mark_alone_is_empty(tmp_path):
    assert "is empty" in refusal(save(tmp_path / "a.json", codecs.BOM_UTF8))
