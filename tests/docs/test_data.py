"""The files of data/ against data/README.md: the table, the shares and the commands of that page."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from helpers import POSTS, ROOT

from gluon_lstm.cli.main import parser
from gluon_lstm.text.sources.reading import ReadingOptions, read_sources

DATA = ROOT / "data"
README = (DATA / "README.md").read_text(encoding="utf-8")
MIXED = (DATA / "posts_mixed_ja.txt").read_text(encoding="utf-8").split("\n")[:-1]
WRITTEN = [json.loads(line) for line in (DATA / "posts_ja.jsonl").read_text(encoding="utf-8").splitlines()]
WRITERS = ["example_tome", "example_yoru", "sample_kogu", "sample_kyuko"]


def share(which) -> float:
    return float(np.mean([*which]))


def test_table_is_that_of_the_script(script):
    assert script("data_numbers").table() in README


def test_no_post_is_twice_in_the_new_files_or_in_the_old_one():
    old = set(POSTS.read_text(encoding="utf-8").splitlines())
    new = [*MIXED, *(post["text"] for post in WRITTEN)]
    assert len(set(new)) == len(new) and not old & set(new)


def test_mixed_posts_are_those_of_a_timeline():
    assert len(MIXED) == 1000 and all(post == post.strip() for post in MIXED)
    lengths = np.array([len(post) for post in MIXED])
    assert abs(share(lengths <= 10) - 1 / 3) < 0.04
    assert abs(share(post.startswith("@") for post in MIXED) - 1 / 5) < 0.03
    assert share(lengths >= 97) > 0.03 and lengths.max() <= 140
    assert not any(re.search("[０-９]", post) for post in MIXED)


def test_mixed_posts_have_25_hashtags_each_of_them_repeatedly():
    tags = Counter(tag for post in MIXED for tag in re.findall(r"#\w+", post))
    assert len(tags) == 25 and min(tags.values()) >= 3


@pytest.mark.parametrize("sign", ["w", "ww", "www", "wwww", "笑", "草", "！", "!"])
def test_mixed_posts_laugh_and_shout_in_many_ways(sign):
    letters = "wｗ笑草！!"
    assert sum(bool(re.search(f"(?<![A-Za-z{letters}]){sign}(?![A-Za-z{letters}])", post)) for post in MIXED) >= 3


def test_all_invented_accounts_are_recognizable():
    texts = [*MIXED, *(post["text"] for post in WRITTEN)]
    names = {name for text in texts for name in re.findall(r"@(\w*)", text)} | {post["author"] for post in WRITTEN}
    assert names and all(re.fullmatch("(example|sample|test)_[a-z]+", name) for name in names)


def test_four_writers_have_150_posts_each_over_a_year_in_order():
    assert Counter(post["author"] for post in WRITTEN) == dict.fromkeys(WRITERS, 150)
    dates = [datetime.fromisoformat(post["created_at"]) for post in WRITTEN]
    assert dates == sorted(dates)
    assert all(date.utcoffset() == timedelta(hours=9) for date in dates)
    for writer in WRITERS:
        own = [date for date, post in zip(dates, WRITTEN) if post["author"] == writer]
        assert own[-1] - own[0] > timedelta(days=360)
        assert {(date.year, date.month) for date in own} == {(2025 + (m < 4), m) for m in range(1, 13)}
        texts = [post["text"] for post in WRITTEN if post["author"] == writer]
        assert any("\n" in text for text in texts)


@pytest.mark.parametrize("writer", [*WRITERS, "*"])
def test_reader_leaves_out_no_post_of_a_writer(writer):
    read, left_out = [], 0
    for source in read_sources([DATA / "posts_ja.jsonl"], ReadingOptions(author=writer)):
        read += [(post.author, post.text, post.date) for post in source.posts]
        left_out += sum(source.log.left_out.values())
    japan = timezone(timedelta(hours=9))
    assert read == [
        (post["author"], post["text"], int(date.replace(tzinfo=timezone.utc).timestamp()))
        for post in WRITTEN
        for date in [datetime.fromisoformat(post["created_at"]).astimezone(japan)]
        if writer in ("*", post["author"])
    ]
    assert left_out == (0 if writer == "*" else 450)


def test_commands_of_the_page_are_valid():
    commands = re.findall(r"^gluon-lstm (.*)$", README, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        args = parser().parse_args(shlex.split(command))
        assert all((ROOT / path).exists() for path in args.files)
