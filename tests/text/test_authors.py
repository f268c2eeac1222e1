"""Selection of one writer in files with several."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from helpers import posts_of, refusal, save
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources import authors
from gluon_lstm.text.sources.reading import ReadingOptions, read_sources

PAIRS = [("花", "朝"), ("月", "うん"), ("花", "夜"), ("星", "雨"), ("花", "昼"), ("月", "霧")]


def read(paths, notice=lambda message: None, **options):
    """Return the posts of all sources, and the logs."""
    posts, logs = [], []
    for source in read_sources(paths, ReadingOptions(**options), notice):
        posts += [post.text for post in source.posts]
        logs.append(source.log)
    return posts, logs


def as_table(pairs, header=("author", "text")):
    text = io.StringIO(newline="")
    csv.writer(text).writerows([header, *pairs])
    return text.getvalue()


def as_records(pairs, key="author"):
    return json.dumps([{key: author, "text": text} for author, text in pairs])


@pytest.mark.parametrize("name", ["author", "Author", "username", "screen_name", "name", " Username "])
def test_columns_of_writers(tmp_path, name):
    path = save(tmp_path / "a.csv", as_table(PAIRS, (name, "text")))
    assert "several writers: 花 (3), 月 (2), 星 (1)" in refusal(path)
    assert posts_of(path, author="花") == ["朝", "夜", "昼"]
    assert posts_of(path, author="*") == [text for _, text in PAIRS]


@pytest.mark.parametrize(
    ("inside", "key"),
    [
        *((None, key) for key in ("author", "username", "screen_name", "name")),
        *((inside, key) for inside in ("user", "account", "author") for key in ("username", "screen_name", "name")),
    ],
)
def test_fields_of_writers(tmp_path, inside, key):
    records = [
        {inside: {key: author}, "text": text} if inside else {key: author, "text": text} for author, text in PAIRS
    ]
    path = save(tmp_path / "a.json", json.dumps(records))
    assert "several writers: 花 (3), 月 (2), 星 (1)" in refusal(path)
    assert posts_of(path, author="月") == ["うん", "霧"]


def test_one_writer_needs_no_choice(tmp_path):
    pairs = [("花", "朝"), (" 花 ", "夜")]
    for path in (save(tmp_path / "a.csv", as_table(pairs)), save(tmp_path / "a.json", as_records(pairs))):
        assert posts_of(path) == posts_of(path, author="花") == ["朝", "夜"]


def test_other_writers_are_counted(tmp_path):
    path = save(tmp_path / "a.csv", as_table(PAIRS))
    _, (log,) = read([path], author="花")
    assert dict(log.left_out) == {"posts of other writers": 3}
    _, (log,) = read([path], author="*")
    assert dict(log.left_out) == {}


def test_writer_who_is_not_there_is_refused_with_the_names(tmp_path):
    path = save(tmp_path / "a.csv", as_table(PAIRS))
    message = refusal(path, author="花子")
    assert "has no writer '花子'; it has 花 (3), 月 (2), 星 (1)" in message and "`author`" in message


def test_author_of_files_without_names_is_refused(tmp_path):
    path = save(tmp_path / "a.json", '["雨"]')
    text = save(tmp_path / "a.txt", "風\n")
    assert "no file names the writers" in refusal(path, author="花")
    assert "no file names the writers" in refusal(text, path, author="花")
    assert posts_of(path, author="*") == ["雨"]
    named = save(tmp_path / "b.csv", as_table(PAIRS))
    assert posts_of(text, named, author="星") == ["風", "雨"]


def test_posts_without_a_name_are_read_with_any_author(tmp_path):
    records = [{"text": "無名"}, {"author": "花", "text": "朝"}, {"author": "月", "text": "うん"}]
    path = save(tmp_path / "a.json", json.dumps(records))
    assert posts_of(path, author="花") == ["無名", "朝"]


def test_one_writer_may_be_left_out(tmp_path):
    records = [{"author": author, "text": text} for author, text in [*PAIRS, (" 花 ", "雪")]] + [{"text": "無名"}]
    path = save(tmp_path / "a.json", json.dumps(records))
    text = save(tmp_path / "a.txt", "花\n")
    posts, (log, _) = read([path, text], author="*", except_author="花")
    assert posts == ["うん", "雨", "霧", "無名", "花"]
    assert dict(log.left_out) == {"posts of the report's writer": 4}


def test_file_of_the_writer_left_out_alone_is_refused(tmp_path):
    path = save(tmp_path / "a.csv", as_table([("花", "朝"), ("花", "夜")]))
    assert "posts of '花' alone" in refusal(path, author="*", except_author="花")


def test_empty_cell_names_no_writer(tmp_path):
    path = save(tmp_path / "a.csv", as_table([("花", "朝"), ("", "無名"), ("花", "夜")]))
    assert posts_of(path) == ["朝", "無名", "夜"]


def test_each_file_may_have_its_own_writer(tmp_path):
    one, two = save(tmp_path / "a.csv", as_table([("花", "朝")])), save(tmp_path / "b.csv", as_table([("月", "夜")]))
    assert posts_of(one, two) == ["朝", "夜"]


def test_search_result_is_read_whole(tmp_path):
    records = [{"user": {"screen_name": author}, "full_text": text} for author, text in PAIRS]
    path = save(tmp_path / "a.json", json.dumps({"statuses": records, "search_metadata": {"count": 6}}))
    notices = []
    assert posts_of(path, notice=notices.append) == [text for _, text in PAIRS]
    assert notices == [f"{path}: a search result; the posts of all its 3 writers are read"]
    assert posts_of(path, author="月") == ["うん", "霧"]


def test_names_are_shown_most_frequent_first_and_not_all(tmp_path):
    pairs = [(f"人{number:02}", "x") for number in range(30)] + [("人29", "y")] * 2
    message = refusal(save(tmp_path / "a.csv", as_table(pairs)))
    assert "several writers: 人29 (3), 人00 (1), " in message and "and 10 more" in message
    message = refusal(save(tmp_path / "a.csv", as_table([("長" * 99, "x"), ("改\n行", "y")])))
    assert "長" * 25 + " (1), 改 行 (1)" in message and "\n" not in message


def test_writer_is_found_among_more_names_than_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(authors, "_MAX_AUTHORS", 2)
    path = save(tmp_path / "a.csv", as_table(PAIRS))
    assert posts_of(path, author="花") == ["朝", "夜", "昼"]
    assert posts_of(path, author="星") == ["雨"]


def test_chosen_column_or_field_is_of_all_writers_unless_one_is_named(tmp_path):
    table = save(tmp_path / "a.csv", as_table(PAIRS))
    records = save(tmp_path / "a.json", as_records(PAIRS))
    assert posts_of(table, column="text") == posts_of(records, field="text") == [text for _, text in PAIRS]
    assert posts_of(table, column="text", author="月") == posts_of(records, field="text", author="月") == ["うん", "霧"]
    assert posts_of(table, column="2", author="月") == ["うん", "霧"]


@settings(deadline=None, max_examples=50)
@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(["花", "月", "a,b", 'c"d', "e\\"]), st.text('ab猫",\\\n', max_size=4)), min_size=1
    ),
    is_table=st.booleans(),
)
def test_writers_split_a_file_into_their_posts(pairs, is_table):
    with tempfile.TemporaryDirectory() as folder:
        name, write = ("a.csv", as_table) if is_table else ("a.json", as_records)
        path = save(Path(folder) / name, write(pairs))
        counts = Counter(author for author, _ in pairs)
        for author in counts:
            assert posts_of(path, author=author) == [text for each, text in pairs if each == author]
        assert posts_of(path, author="*") == [text for _, text in pairs]
        if len(counts) == 1:
            assert posts_of(path) == [text for _, text in pairs]
        else:
            message = refusal(path)
            assert all(f"{author} ({count})" in message for author, count in counts.items())
