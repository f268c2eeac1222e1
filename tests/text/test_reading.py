"""Files to posts: formats, encodings, archives, and errors with file, line and byte."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import random
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from helpers import CORPORA, as_folder, as_zip, posts_of, refusal, save
from helpers import POSTS as POSTS_JA
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources import base, encodings, files, json_text, registry
from gluon_lstm.text.sources.reading import ReadingOptions, TextError, read_posts, read_text

POSTS = ["吾輩は猫である。", "名前はまだ無い、どこで生れたか", "とんと見当がつかぬ ABC 123"]
needs_corpora = pytest.mark.skipif(not CORPORA.is_dir(), reason=f"the corpora are not in {CORPORA}")


def notices_of(path, **options):
    notices = []
    posts_of(path, notice=notices.append, **options)
    return notices


def as_csv(rows, delimiter=","):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


def as_archive(posts, kind="tweets", part=0):
    """Return the file of an archive, newest post first as in real archives, one second apart."""
    tweets = [
        {
            "id_str": str(10**17 + number),
            "created_at": f"Sun Aug 31 00:{number // 60:02}:{number % 60:02} +0000 2014",
            "full_text": post,
        }
        for number, post in enumerate(posts)
    ]
    return f"window.YTD.{kind}.part{part} = " + json.dumps([{"tweet": tweet} for tweet in reversed(tweets)])


# ---- plain text


def test_only_lf_crlf_and_cr_end_a_post(tmp_path):
    text = "a\r\nb\rc\n\nd\u2028e\x0bf\x85g\x0ch\x1ci\n\r\nlast"
    posts = ["a", "b", "c", "", "d\u2028e\x0bf\x85g\x0ch\x1ci", "", "last"]
    assert posts_of(save(tmp_path / "a.txt", text)) == posts
    assert posts_of(save(tmp_path / "no_extension", text)) == posts


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_block_size_changes_nothing(tmp_path, monkeypatch, size):
    content = "あ\r\nいう\r\rえ\nお\r\n".encode()
    path = save(tmp_path / "a.txt", content)
    table = save(tmp_path / "a.csv", 'id,text\r\n1,"あ\r\nい"\r\n2,"う,""え"""')
    nested = save(tmp_path / "a.json", '["\\ud83d\\ude00\\ud83d", "\\\\\\ud83dあ", "\\\\ud83d"]')
    broken = save(tmp_path / "b.txt", content + b"\xff\n")
    for module in (encodings, base):
        monkeypatch.setattr(module, "BLOCK_SIZE", size)
    assert posts_of(path) == ["あ", "いう", "", "え", "お"]
    assert "".join(read_text([path])) == "あ\nいう\n\nえ\nお\n"
    assert posts_of(table) == ["あ\r\nい", 'う,"え"']
    assert posts_of(nested) == ["😀\ufffd", "\\\ufffdあ", "\\ud83d"]
    assert f"line 6, byte {len(content)} " in refusal(broken, encoding="utf-8")


def test_too_long_line_is_refused_but_can_be_read_raw(tmp_path):
    length = encodings.MAX_POST_CHARACTERS + 1
    path = save(tmp_path / "long.txt", b"short\n" + b"a" * length)
    message = refusal(path)
    assert "long.txt: line 2 is longer than 1,048,576 characters" in message and "`raw`" in message
    chunks = list(read_text([path]))
    assert max(map(len, chunks)) <= 1 << 20
    assert "".join(chunks) == "short\n" + "a" * length
    assert posts_of(save(path, b"a" * (length - 1))) == ["a" * (length - 1)]


def test_read_text_normalizes_line_ends_and_removes_the_bom_only(tmp_path):
    one = save(tmp_path / "1.txt", codecs.BOM_UTF8 + "一\r\n\r二\u2028\ufeff \0".encode())
    two = save(tmp_path / "2.txt", "三\n")
    table = save(tmp_path / "3.csv", as_csv([["text"], ["四\r\n四"], ["五"]]))
    assert "".join(read_text([one])) == "一\n\n二\u2028\ufeff \0"
    assert "".join(read_text([table])) == "四\n四\n五"
    # The last line of a file ends before the next file.
    assert "".join(read_text([one, two, table, two])) == "一\n\n二\u2028\ufeff \0\n三\n四\n四\n五\n三\n"


# ---- encodings


@pytest.mark.parametrize(
    ("codec", "mark", "label"),
    [
        ("utf-8", b"", None),
        ("utf-8", codecs.BOM_UTF8, "UTF-8 with a byte order mark"),
        ("cp932", b"", "CP932 (Shift_JIS)"),
        ("euc_jp", b"", "EUC-JP"),
        ("iso2022_jp", b"", "ISO-2022-JP"),
        ("utf-16-le", codecs.BOM_UTF16_LE, "UTF-16 LE with a byte order mark"),
        ("utf-16-be", codecs.BOM_UTF16_BE, "UTF-16 BE with a byte order mark"),
        ("utf-32-le", codecs.BOM_UTF32_LE, "UTF-32 LE with a byte order mark"),
        ("utf-16-le", b"", "UTF-16 LE"),
        ("utf-16-be", b"", "UTF-16 BE"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_encoding_is_detected_and_reported(tmp_path, codec, mark, label, line_end):
    path = save(tmp_path / "neko.txt", mark + line_end.join(POSTS).encode(codec))
    notices = []
    assert posts_of(path, notice=notices.append) == POSTS
    assert notices == ([f"{path}: read as {label}"] if label else [])
    if not mark:
        assert posts_of(path, encoding=codec) == POSTS


def test_late_japanese_text_decides_the_encoding(tmp_path):
    ascii_part = "x" * 99 + "\n"
    for codec in ("cp932", "euc_jp", "iso2022_jp"):
        path = save(tmp_path / f"{codec}.txt", (ascii_part * 5000 + "こんにちは、世界").encode(codec))
        assert posts_of(path)[-1] == "こんにちは、世界"


def test_escapes_alone_are_not_iso_2022_jp_and_nuls_are_not_utf_16(tmp_path):
    assert posts_of(save(tmp_path / "a.txt", "\x1b[31mred\x1b(B\n")) == ["\x1b[31mred\x1b(B"]
    assert posts_of(save(tmp_path / "b.txt", "猫\0だ\n\0\n")) == ["猫\0だ", "\0"]
    assert posts_of(save(tmp_path / "c.txt", "a cat\0 and\n")) == ["a cat\0 and"]
    assert posts_of(save(tmp_path / "d.txt", "a cat and\n".encode("utf-16-le"))) == ["a cat and"]


def test_invalid_utf_8_is_not_detected_as_another_encoding(tmp_path):
    good = "日本語の文章です。\r\nこれは二行目\r\n".encode()
    path = save(tmp_path / "a.txt", good + "猫".encode()[:2])
    assert f"a.txt: line 3, byte {len(good)} (the first byte is 0) is not valid UTF-8" in refusal(path)
    assert "`encoding`" in refusal(path)
    path = save(tmp_path / "b.txt", good * 20000 + b"\xe3" + good)
    assert f"line 40001, byte {len(good) * 20000} " in refusal(path)
    path = save(tmp_path / "c.txt", good.decode().encode("cp932") + b"\x81\n" + good.decode().encode("cp932"))
    assert "line 3, byte 34 (the first byte is 0) is not valid CP932" in refusal(path)


def test_given_encoding_is_used(tmp_path):
    path = save(tmp_path / "a.txt", "猫\nｶﾞ\n犬".encode("cp932"))
    assert posts_of(path, encoding="Shift-JIS") == ["猫", "ｶﾞ", "犬"]
    assert "line 1, byte 0 (the first byte is 0) is not valid utf8" in refusal(path, encoding="utf8")
    assert "line 2, byte 4 " in refusal(save(path, b"ab\r\n\xff"), encoding="euc_jp")
    assert "`encoding`" in refusal(path, encoding="utf-16")  # which requires a byte order mark
    for unknown in ("utf-9", "hex", "a\0b", ""):
        assert "is not a text encoding" in refusal(path, encoding=unknown)


@pytest.mark.parametrize(
    "content",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\x1f\x8b\x08abc",
        b"SQLite format 3\0",
        b"PK\x03\x04",
        b"\0" * 100,
        random.Random(1).randbytes(5000),
    ],
)
def test_binary_files_are_refused(tmp_path, content):
    assert "a.txt looks like a binary file" in refusal(save(tmp_path / "a.txt", content))


@pytest.mark.parametrize("content", [b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.json", "a.jsonl"])
def test_empty_files_are_refused(tmp_path, content, name):
    assert f"{name} is empty" in refusal(save(tmp_path / name, content))


# ---- which files


def test_missing_files_are_refused_at_the_call(tmp_path):
    assert "nowhere.txt: there is no such file" in refusal(tmp_path / "nowhere.txt")
    assert "standard input" in refusal("-")
    assert "pipe or a device" in refusal(os.devnull)
    with pytest.raises(TextError):  # at the call, before the first file is read
        read_posts([save(tmp_path / "a.txt", "a"), tmp_path / "nowhere.txt"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert "pipe or a device" in refusal(tmp_path / "a.txt")


def test_single_path_is_one_file(tmp_path):
    path = save(tmp_path / "a.txt", "猫")
    assert list(read_posts(str(path))) == list(read_posts(path)) == ["猫"]


def test_folders_are_sorted_and_files_keep_their_order(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    save(tmp_path / "c.jsonl", '"3"\n')
    save(tmp_path / "a.TXT", "1")
    save(tmp_path / "b" / "z.csv", "text\n2\n")
    for name in (".hidden.txt", ".git/a.txt", "picture.png", "b/notes.md"):
        save(tmp_path / name, "never read")
    notices = []
    assert posts_of(tmp_path, notice=notices.append) == ["1", "2", "3"]
    assert notices == [f"{tmp_path}: ignored 2 files of other kinds"]
    assert list(read_posts([tmp_path / "c.jsonl", tmp_path / "b", tmp_path / "a.TXT"])) == ["3", "2", "1"]
    (tmp_path / "empty").mkdir()
    assert "empty contains no file of these kinds" in refusal(tmp_path / "empty")


def test_a_format_is_added_by_one_line_of_the_registry(tmp_path, monkeypatch):
    class Upside(base.FileFormat):
        extensions = (".up",)

        def posts(self, path, options, log):
            yield from map(base.Post, reversed(Path(path).read_text(encoding="utf-8").split()))

    monkeypatch.setattr(registry, "FORMATS", (Upside(), *registry.FORMATS))
    path = save(tmp_path / "a.up", "1 2 3")
    assert posts_of(path) == ["3", "2", "1"]
    assert "".join(read_text([path])) == "3\n2\n1"
    assert files.fingerprint([path], ReadingOptions()) != files.fingerprint([POSTS_JA], ReadingOptions())


# ---- tables


def test_column_by_default_name_number_and_all(tmp_path):
    path = save(tmp_path / "a.csv", as_csv([["id", "Full_Text", "note"], ["1", "猫\n犬", "n"], ["2", "", ""], ["3"]]))
    assert posts_of(path) == posts_of(path, column="FULL_TEXT") == posts_of(path, column="2") == ["猫\n犬", ""]
    assert posts_of(path, column="note") == ["n", ""]
    assert posts_of(path, column="all") == ["1", "猫\n犬", "n", "2", "3"]
    assert notices_of(path) == [f"{path}: skipped 1 rows without the column of posts"]
    for wrong in ("猫", "0", "-1"):
        assert f"there is no column '{wrong}'" in refusal(path, column=wrong)
    assert "no row has a column 4" in refusal(path, column="4")
    path = save(tmp_path / "b.tsv", "本文\ttext\n本\tte\n")
    assert posts_of(path) == ["te"]  # the list of names is in order of preference


def test_ambiguous_table_is_refused(tmp_path):
    path = save(tmp_path / "a.csv", "猫,犬\n鳥,魚\n")
    message = refusal(path)
    assert "1 '猫', 2 '犬'" in message and "`column`" in message
    assert posts_of(path, column="2") == ["犬", "魚"]  # no header: the first row is data
    assert posts_of(path, column="猫") == ["鳥"]
    assert posts_of(save(path, "猫\n鳥\n")) == ["猫", "鳥"]


def test_posts_cut_by_a_stray_delimiter_or_quotation_mark_are_refused(tmp_path):
    assert "line 3 has 2 cells and the first row 1" in refusal(save(tmp_path / "a.csv", "text\n猫\nそれ,これ\n"))
    assert "line 2 has 2 cells" in refusal(save(tmp_path / "a.csv", "猫\nそれ,これ\n"))
    assert "line 2: a quotation mark is opened" in refusal(save(tmp_path / "a.csv", 'text\n"猫\n犬\n鳥\n'))
    path = save(tmp_path / "b.csv", b'text\n"' + (b"a" * 999_999 + b"\n") * 17)
    limit = csv.field_size_limit()
    assert "line 2: a row is longer than 1,048,576 characters; a quotation mark may be left open" in refusal(path)
    assert csv.field_size_limit() == limit


def test_long_cell_is_read_and_csv_field_size_limit_is_restored(tmp_path):
    limit = csv.field_size_limit()
    post = "猫" * (limit + 1)
    posts = read_posts([save(tmp_path / "a.csv", f"text\n{post}\n犬\n")])
    assert next(posts) == post
    assert csv.field_size_limit() == limit


def test_table_with_nuls(tmp_path):
    expected = "a\0b" if sys.version_info >= (3, 11) else "ab"
    assert posts_of(save(tmp_path / "a.csv", "text\na\0b\n")) == [expected]


def test_line_ends_of_tables(tmp_path):
    for end in ("\n", "\r\n", "\r"):
        path = save(tmp_path / "a.csv", end.join(["text,id", '"a\nb\r\nc",1', "", "d,2"]))
        assert posts_of(path) == ["a\nb\r\nc", "d"]


# ---- JSON


def test_shapes_and_fields_of_json(tmp_path):
    records = [
        {"text": "短", "full_text": "長", "user": {"name": "猫", "text": "他"}, "n": 1},
        "文字列",
        {"text": "二"},
    ]
    expected = ["長", "文字列", "二"]
    for shape in (records, {"meta": {"text": "x", "l": [[]]}, "statuses": records, "z": "y"}, {"data": records}):
        assert posts_of(save(tmp_path / "a.json", json.dumps(shape))) == expected
        assert posts_of(save(tmp_path / "a.json", json.dumps(shape, indent=1, ensure_ascii=False))) == expected
    path = save(tmp_path / "a.jsonl", "\r\n\n".join(map(json.dumps, records)) + "\n \n")
    assert posts_of(path) == expected
    assert posts_of(path, field="user.name") == ["猫", "文字列"]
    assert notices_of(path, field="user.name") == [f"{path}: skipped 1 objects without a text named user.name"]
    path = save(tmp_path / "b.jsonl", '{"a": "x", "n": 3, "u": {"b": "y"}}\n')
    assert "`field`, such as a ('x'), u.b ('y')" in refusal(path)
    assert "no object has a text named n;" in refusal(path, field="n")


def test_lone_surrogate_becomes_the_replacement_character(tmp_path):
    escaped = r'"\ud83d" "\ude00" "\ud83d\u3042" "\uD83D\uDE00" "\\ud83d" "\\\ud83dn\n" "\ud83d\ud83d\ude00"'
    expected = ["\ufffd", "\ufffd", "\ufffdあ", "😀", "\\ud83d", "\\\ufffdn\n", "\ufffd😀"]
    strings = escaped.split(" ")
    assert posts_of(save(tmp_path / "a.json", f"[{', '.join(strings)}]")) == expected
    assert posts_of(save(tmp_path / "a.jsonl", "\n".join(strings))) == expected


@pytest.mark.parametrize(
    ("name", "content", "expected_message"),
    [
        ("a.json", '[\n{"text": "a"},\n{"text": }\n]', "line 3: this is not JSON"),
        ("a.json", '["a"', "line 1: this is not JSON"),
        ("a.json", '{"text": "a"}\n{"text": "b"}\n', "line 2: this is not JSON (a second value follows the first"),
        ("a.json", '["a",\n7]', "line 2: a number instead of a post"),
        ("a.json", "[[]]", "line 1: a list instead of a post"),
        ("a.json", '{"text": "a"}', "contains no posts"),
        ("a.json", "3", "contains no posts"),
        ("a.json", '["a",\n' + "[" * 100_000, "line 1: lists and objects are nested too deep"),
        ("a.json", '["a",\n{"b":' + "[" * 100_000, "lists and objects are nested too deep"),
        ("a.json", '["' + "a" * 2_000_000, "line 1: a record is longer than 1,000,000 characters"),
        ("a.json", '["a",\n{"text": "' + "あ" * 2_000_000, "line 2: a record is longer than 1,000,000 characters"),
        ("a.jsonl", '"a"\r"b"\r\n\n{"text": "c"\n', "line 4: this is not JSON"),
        ("a.jsonl", '"a"\n["b"]\n', "line 2: a list instead of a post"),
        ("a.jsonl", '"a" "b"\n', "line 1: this is not JSON"),
        ("a.jsonl", "\n\n", "contains no posts"),
    ],
    ids=range(15),
)
def test_invalid_json_is_reported_by_line(tmp_path, monkeypatch, name, content, expected_message):
    monkeypatch.setattr(json_text, "MAX_POST_CHARACTERS", 1_000_000)  # a smaller limit saves time
    message = refusal(save(tmp_path / name, content))
    assert expected_message in message and message.startswith(str(tmp_path / name)) and "\n" not in message


# ---- Twitter archives

TRAPS = [
    "data/direct-messages.js", "data/account.js", "data/deleted-tweets.js", "data/tweetdeck.js",
    "data/tweet-headers.js", "data/tweets-media/1.jpg", "data/tweets_media/tweets.js", "data/tweets.js.bak",
    "data/note-tweets.js", "data/tweets-partial.js", "assets/data/tweets.js", "tweets.txt", "Your archive.html",
]  # fmt: skip


def watched_opens():
    """Return a growing list of the files opened by this process, from audit events."""
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    return opened


def test_only_tweet_files_of_an_archive_are_opened(tmp_path, monkeypatch):
    files = {name: "not to be opened" for name in TRAPS}
    files["data/tweets.js"] = as_archive(["三", "四"])
    files["data/tweets-part1.js"] = as_archive(["一", "二"], part=1).replace("2014", "2013")
    expected = ["一", "二", "三", "四"]
    expected_notice = f"read data/tweets-part1.js, data/tweets.js; ignored {len(TRAPS)} other files"

    folder = as_folder(tmp_path / "archive", files)
    notices = []
    opened = watched_opens()
    assert posts_of(folder, notice=notices.append) == expected
    assert expected_notice in notices[0]
    inside = {os.path.relpath(name, folder) for name in opened if name.startswith(str(folder)) and os.path.isfile(name)}
    assert inside == {"data/tweets.js", "data/tweets-part1.js"}

    packed = as_zip(tmp_path / "archive.zip", files)
    members = []
    real_open = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda self, member, *rest: members.append(member.filename) or real_open(self, member)
    )
    notices = []
    assert posts_of(packed, notice=notices.append) == expected
    assert expected_notice in notices[0]
    assert set(members) == {"data/tweets.js", "data/tweets-part1.js"}
    assert "only tweets.js or tweet.js is read" in refusal(folder / "data" / "account.js")


def test_archive_order_is_by_date_then_id(tmp_path):
    def tweet(number, date, text):
        return {"id_str": number, "created_at": date, "text": text}

    noon = "Wed Dec 31 12:00:00 +0000 2014"
    tweets = [
        tweet("1000", noon, "five"),
        tweet("999", noon, "four"),
        tweet("1", "Thu Jan 01 00:00:00 +0000 2015", "six"),
        tweet("2000", "Wed Dec 31 20:59:59 +0900 2014", "three"),
        tweet("3000", "Sun Feb 02 00:00:00 +0000 2014", "two"),
        {"id_str": "4", "text": "one\0🐈\ufffd"},
        {"id_str": "5", "created_at": noon},
    ]
    content = "window.YTD.tweet.part0 = " + json.dumps(tweets)
    expected = ["one\0🐈\ufffd", "two", "three", "four", "five", "six"]
    old = as_folder(tmp_path / "old", {"tweet.js": content, "account.js": "trap"})
    notices = []
    assert posts_of(old, notice=notices.append) == expected
    assert "1 posts have no valid date" in notices[1] and "skipped 1 posts without text" in notices[2]
    assert posts_of(old / "tweet.js") == expected
    assert posts_of(as_zip(tmp_path / "old.zip", {"tweet.js": content})) == expected


def test_archive_inside_a_folder(tmp_path):
    as_folder(tmp_path / "twitter", {"data/tweets.js": as_archive(["猫"]), "data/trap.txt": "trap"})
    save(tmp_path / "z.txt", "犬")
    assert posts_of(tmp_path) == ["猫", "犬"]


def test_lone_surrogates_of_an_archive_are_replaced(tmp_path):
    assert posts_of(save(tmp_path / "tweets.js", as_archive(["a\ud83d", "b"]))) == ["a\ufffd", "b"]


def test_damaged_and_foreign_archives_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    message = refusal(as_zip(path, {"notes.txt": "a"}))
    assert "is not an X archive" in message and "data/tweets.js" in message
    assert "is not a zip file" in refusal(save(path, "hello"))
    bomb = as_zip(path, {"data/tweets.js": "window.YTD.tweets.part0 = [" + " " * 5_000_000})
    assert "would be extracted from" in refusal(bomb)
    whole = bytearray(as_zip(path, {"data/tweets.js": as_archive(POSTS)}).read_bytes())
    at = whole.index(b"PK\x01\x02")
    encrypted = bytearray(whole)
    encrypted[at + 8] |= 1
    assert "is encrypted" in refusal(save(path, bytes(encrypted)))
    whole[60] ^= 0xFF
    assert "data/tweets.js is damaged" in refusal(save(path, bytes(whole)))
    message = refusal(save(tmp_path / "tweets.js", "var x = [];"))
    assert "line 1 does not begin with window.YTD.tweets.part0" in message
    assert "line 2: this is not JSON" in refusal(save(tmp_path / "tweets.js", "window.YTD.tweets.part0 = [\n{]"))
    assert "contains no posts" in refusal(save(tmp_path / "tweets.js", "window.YTD.tweets.part0 = [ ]"))
    assert "tweets.js is empty" in refusal(save(tmp_path / "tweets.js", codecs.BOM_UTF8))
    assert "byte 28 " in refusal(save(tmp_path / "tweets.js", b'window.YTD.tweets.part0 = ["\xff"]'))


# ---- any posts, any format, any encoding

KANA = st.characters(min_codepoint=0x3041, max_codepoint=0x3093)
ANYTHING = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\r\n\0\ufeff"), max_size=20)
FORMATS = {
    "a.txt": lambda posts: "".join(post + "\n" for post in posts),
    "b.txt": lambda posts: "\r\n".join([*posts, ""]),
    "a.csv": lambda posts: as_csv([["id", "text"], *([str(n), post] for n, post in enumerate(posts))]),
    "b.csv": lambda posts: as_csv([["text"], *([post] for post in posts)]),
    "a.tsv": lambda posts: as_csv([["id", "text"], *([str(n), post] for n, post in enumerate(posts))], "\t"),
    "a.json": lambda posts: json.dumps([{"text": post} for post in posts], ensure_ascii=False),
    "b.json": lambda posts: json.dumps({"statuses": posts}),
    "a.jsonl": lambda posts: "\n".join(json.dumps({"text": post}, ensure_ascii=False) for post in posts),
    "b.jsonl": lambda posts: "".join(json.dumps(post) + "\r\n" for post in posts),
    "tweets.js": as_archive,
}


@pytest.mark.parametrize("name", FORMATS)
@settings(deadline=None, max_examples=25)
@given(posts=st.lists(ANYTHING, min_size=1, max_size=8), mark=st.booleans())
def test_any_posts_round_trip_in_any_format(name, posts, mark):
    with tempfile.TemporaryDirectory() as folder:
        content = FORMATS[name](posts).encode("utf-8")
        path = save(Path(folder) / name, codecs.BOM_UTF8 * mark + content)
        assert posts_of(path, encoding="utf-8") == posts


@pytest.mark.parametrize("codec", ["utf-8", "cp932", "euc_jp", "iso2022_jp", "utf-16", "utf-16-le", "utf-16-be"])
@settings(deadline=None, max_examples=30)
@given(posts=st.lists(st.text(KANA, min_size=4, max_size=30), min_size=1, max_size=8), data=st.data())
def test_any_kana_is_detected_in_any_encoding(codec, posts, data):
    name = data.draw(st.sampled_from([name for name in FORMATS if name != "tweets.js"]))
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / name, FORMATS[name](posts).encode(codec))
        assert posts_of(path) == posts


# ---- real files


@needs_corpora
@pytest.mark.parametrize(
    ("name", "codec", "count", "first"),
    [
        ("open2ch_posts.txt", "utf-8", 18431, "怪我の度合いやなぁ"),
        ("kaomoji_core.txt", "utf-8", 10842, "(◕‿◕)"),
        ("soseki_3works.txt", "utf-8", 4397, "一"),
        ("miyazawa_ginga.txt", "utf-8", 479, "一、午后の授業"),
        ("twitter_benchmark_100.txt", "utf-8", 100, None),
        ("twitter_text_conformance_ja.txt", "utf-8", 103, "@usernameの"),
        ("soseki_neko_aozora_sjis_crlf.txt", "cp932", 2376, "吾輩は猫である"),
        ("nasty/control_chars_blns.txt", "utf-8", 742, "#\tReserved Strings"),
        ("nasty/derived_cr_only_open2ch2000.txt", "utf-8", 2000, "怪我の度合いやなぁ"),
        ("nasty/derived_crlf_open2ch2000.txt", "utf-8", 2000, "怪我の度合いやなぁ"),
        ("nasty/derived_nul_in_utf8.txt", "utf-8", 2000, "怪我の\0度合いやなぁ"),
        ("nasty/derived_one_line_neko.txt", "utf-8", 1, None),
        ("nasty/iso2022jp_ude.txt", "iso2022_jp", 39, "=" * 72),
        ("nasty/utf16le_nuls_Localizable.strings.txt", "utf-16", 244, "/* name of this language */"),
        ("nasty/utf8_bom_neko.txt", "utf-8-sig", 2374, "吾輩は猫である"),
    ],
)
def test_real_text_is_decoded_as_python_does(name, codec, count, first):
    text = (CORPORA / name).read_bytes().decode(codec).replace("\r\n", "\n").replace("\r", "\n")
    expected = text.split("\n")[: -1 if text.endswith("\n") else None]
    posts = posts_of(CORPORA / name)
    assert len(posts) == count and posts == expected
    assert posts[0] == first or first is None
    assert "".join(read_text([CORPORA / name])) == text


@needs_corpora
def test_same_tweets_from_csv_and_json():
    table = posts_of(CORPORA / "twitter_benchmark_100.csv")
    with open(CORPORA / "twitter_benchmark.json", encoding="utf-8") as file:
        expected = [status["text"] for status in json.load(file)["statuses"]]
    assert len(expected) == 100 and expected[0].startswith("@aym0566x \n\n名前:前田あゆみ")
    assert posts_of(CORPORA / "twitter_benchmark.json") == expected == table


@needs_corpora
def test_real_tables_without_a_header():
    path = CORPORA / "open2ch_dialogues.tsv"
    assert "1 '怪我の度合いやなぁ', 2 " in refusal(path)
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert posts_of(path, column="1") == [row[0] for row in rows]
    assert posts_of(path, column="3") == [row[2] for row in rows if len(row) > 2]
    assert posts_of(path, column="all") == [cell for row in rows for cell in row if cell]
    path = CORPORA / "nasty" / "sjis_crlf_halfkana_13TOKYO.csv"
    assert "4 'ﾄｳｷｮｳﾄ'" in refusal(path) and "7 '東京都'" in refusal(path)
    with open(path, encoding="cp932", newline="") as file:
        towns = [row[8] for row in csv.reader(file)]
    assert len(towns) == 4087 and posts_of(path, column="9") == towns


@needs_corpora
def test_real_truncated_text_is_refused_with_its_position():
    path = CORPORA / "nasty" / "derived_truncated_utf8.txt"
    assert f"{path}: line 1583, byte 100000 (the first byte is 0) is not valid UTF-8" in refusal(path)
