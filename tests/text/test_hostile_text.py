"""Hostile input: read in bounded memory and linear time, or refused."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import json
import lzma
import os
import random
import resource
import struct
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
import regex
from helpers import REFUSAL_SECONDS, save

from gluon_lstm.report.analysis import AnalysisOptions, analyze
from gluon_lstm.text import cache, cleaning, corpus, parallel, token_stream
from gluon_lstm.text.cache import CacheError
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.corpus import prepare
from gluon_lstm.text.graphemes import graphemes
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.text.sources import archives
from gluon_lstm.text.sources.encodings import MAX_POST_CHARACTERS, TextError
from gluon_lstm.text.sources.reading import ReadingOptions, read_posts
from gluon_lstm.text.tokenizers.janome_chars import BOUNDARY
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.user_dictionary import MAX_DICTIONARY_CHARACTERS, read_user_dictionary

WATCHED = """
import resource, subprocess, sys
done = subprocess.run([sys.executable, *sys.argv[1:]], capture_output=True)
sys.stderr.buffer.write(done.stderr)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


PREPARE = """
import sys
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.corpus import prepare
prepare(sys.argv[1:], TextSettings())
"""


def command(*args: object) -> tuple[int, str, int]:
    """Return exit code, last line of standard error, and peak memory (MB) of a command."""
    return python("-m", "gluon_lstm", *args)


def python(*args: object) -> tuple[int, str, int]:
    done = subprocess.run([sys.executable, "-c", WATCHED, *map(str, args)], capture_output=True, check=True)
    stderr = done.stderr.decode("utf-8", "replace")
    assert "Traceback" not in stderr
    code, kilobytes = map(int, done.stdout.split())
    return (
        code,
        stderr.strip().split("\n")[-1],
        kilobytes // (1 << 20 if sys.platform == "darwin" else 1 << 10),
    )


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(TextError) as caught:
        list(read_posts([path], ReadingOptions(**options)))
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    return message


# ---- long posts


@pytest.mark.parametrize(
    ("name", "contents", "expected_message"),
    [
        ("a.txt", [b"abc\n", b"a" * 20_000_000], "a.txt: line 2 is longer than 1,048,576 characters"),
        ("a.csv", [b'text\n"', b"abc, abc\n" * 2_000_000], "a.csv: line 2: a row is longer than"),
        ("b.csv", [b"text,a\n", b'"\n",' * 5_000_000], "b.csv: line 2: a row is longer than"),
        ("c.csv", [b"text\n", b"a" * 20_000_000], "c.csv: line 2 is longer than"),
        ("a.jsonl", [b'{"text":"', b"a" * 20_000_000, b'"}'], "a.jsonl: line 1 is longer than"),
        ("a.json", [b'[{"', b"k" * 20_000_000, b'":"a"}]'], "a.json: line 1: a record is longer than"),
        ("b.json", [b"[{", b",".join(b'"%d":""' % n for n in range(1_000_000)), b"}]"], "a record is longer than"),
    ],
)
def test_endless_records_are_refused_in_bounded_memory(tmp_path, name, contents, expected_message):
    code, message, megabytes = command("clean", save(tmp_path / name, *contents))
    assert code == 2 and expected_message in message and megabytes < 100


def test_nested_field_names_take_bounded_memory(tmp_path):
    """{"AAA…": {"1": "", "2": "", …}}: the dotted names would repeat the long key for every string."""
    inside = b",".join(b'"%d":""' % n for n in range(50_000))
    path = save(tmp_path / "a.json", b'[{"', b"A" * 400_000, b'":{', inside, b'},"text":"abc"}]')
    assert command("clean", path)[0::2] < (1, 200)


@pytest.mark.parametrize(
    "post",
    ["&" + "AMP;" * 100_000, "&" + "#65286;" * 60_000, "ht" * 20_000 + "tp://t.co/a " * 20_000, "🇯" * 300_000],
    ids=["chain", "wide chain", "links", "flags"],
)
def test_tokenizing_time_is_not_quadratic_in_post_length(post):
    """Posts that take from a minute to hours in quadratic time."""
    begun = time.process_time()
    cleaned = Cleaner().clean(post)
    assert make_tokenizer("char").detokenize(graphemes(cleaned)) == cleaned
    make_tokenizer("janome")._dictionary_words  # noqa: B018 -- loads Janome before the time is measured
    assert time.process_time() - begun < 10


def test_cleaning_stops_after_a_maximum_of_changes(monkeypatch):
    post = "&" + "#65286;" * 50
    folding = CleaningOptions(width="fold")
    assert Cleaner(folding).clean(post) not in (post, "&", None)
    monkeypatch.setattr(cleaning, "_MAX_CHANGES", 1000)
    assert Cleaner(folding).clean(post) == "&"


def test_flags_match_unicode_clusters():
    letters = ["🇯", "🇵", "\u0600", "\u200d", "\u0301", "\u0903", "\ufe0f", "👨", "🏽", "a", "か", "\u3099", "\r", "\n"]
    dice = random.Random(1)
    for _ in range(20_000):
        text = "".join(dice.choices(letters, k=dice.randrange(1, 12)))
        assert graphemes(text) == regex.findall(r"\r|\X", text)


def test_huge_post_is_tokenized_in_bounded_memory(tmp_path):
    text = ("吾輩は猫である🇯🇵" * MAX_POST_CHARACTERS)[: MAX_POST_CHARACTERS - 1]
    code, _, megabytes = python("-c", PREPARE, save(tmp_path / "a.txt", text.encode(), b"\nabc\n"))
    assert code == 0 and megabytes < 300


def test_few_huge_posts_are_in_flight(monkeypatch):
    """The tokens of a post take a hundred times the memory of its text."""
    monkeypatch.setattr(parallel, "MAX_CHARACTERS_IN_FLIGHT", 15_000)
    monkeypatch.setattr(parallel, "MIN_CHARACTERS_FOR_PROCESSES", 1)
    read = 0

    def posts():
        nonlocal read
        for _ in range(5):
            read += 1
            yield "猫" * 10_000

    for done, tokens in enumerate(parallel.tokenize_posts(posts(), "janome", processes=2), 1):
        assert "".join(tokens) == "猫" * 10_000 and read <= done + 2


def test_split_graphemes_are_merged():
    tokenizer = make_tokenizer("janome-chars")
    for text in ("か\u3099き\u3099" * 50, "e\u0301" * 20 + "です", "🇯🇵🇯" * 9, "a" + "\u0301" * 200):
        assert [token for token in tokenizer.tokenize(text) if token != BOUNDARY] == graphemes(text)


# ---- tokens without end


def test_too_many_distinct_tokens_are_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "a.txt", "".join(f"{chr(0x4E00 + n)}\n" for n in range(300)).encode())
    monkeypatch.setattr(token_stream, "MAX_DISTINCT_TOKENS", 200)
    with pytest.raises(TextError, match="more than 200 different tokens"):
        prepare([path], TextSettings())
    with pytest.raises(TextError, match="more than 200 different tokens"):
        analyze([path], AnalysisOptions())
    monkeypatch.setattr(token_stream, "MAX_DISTINCT_TOKENS", 1000)
    monkeypatch.setattr(token_stream, "MAX_TOKEN_CHARACTERS", 100)
    with pytest.raises(TextError, match="of 101 characters"):
        prepare([path], TextSettings())


def test_vocabulary_has_a_default_maximum(tmp_path, monkeypatch):
    path = save(tmp_path / "a.txt", "".join(f"{chr(0x4E00 + n)}\n" for n in range(300)).encode())
    monkeypatch.setattr(corpus, "DEFAULT_MAX_VOCAB", 100)
    notices: list[str] = []
    assert len(prepare([path], TextSettings(), notice=notices.append).codec.vocabulary) == 100
    assert "the 100 most frequent" in notices[0] and "`max_vocab`" in notices[0]
    assert len(prepare([path], TextSettings(), CorpusOptions(max_vocab=200)).codec.vocabulary) == 200


def test_user_dictionary_size_is_limited(tmp_path):
    path = save(
        tmp_path / "a.csv", "朝霧てまり,カスタム名詞,アサギリテマリ\n".encode() * (MAX_DICTIONARY_CHARACTERS // 20)
    )
    with pytest.raises(TextError, match=r"line \d+: the dictionary is longer than"):
        read_user_dictionary(path)


# ---- archives

TWEETS = b'window.YTD.tweets.part0 = [{"tweet":{"id_str":"1","full_text":"abc"}}]'


def zip_of(path: Path, members: list[tuple[bytes, int, int, int]], content: bytes = TWEETS, entries: int = 0) -> Path:
    """Return a zip in which all members have the same data; (name, packed size, unpacked size, flags), 0: true size."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = pack.compress(content) + pack.flush()
    check = zlib.crc32(content)
    head, directory = b"", b""
    for name, packed, unpacked, flags in members:
        sizes = (check, packed or len(data), unpacked or len(content))
        if not head:
            head = struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, 8, 0, 0, *sizes, len(name), 0) + name + data
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, flags, 8, 0, 0, *sizes, len(name), *[0] * 6) + name
    name = b"x" * 8
    more = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, 0, 0, len(name), *[0] * 6) + name
    count, size = min(len(members) + entries, 65535), len(directory) + entries * len(more)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, len(head), 0)
    return save(path, head, directory, more * entries, end)


def test_zip_builder_makes_readable_zips(tmp_path):
    assert list(read_posts([zip_of(tmp_path / "a.zip", [(b"data/tweets.js", 0, 0, 0)])])) == ["abc"]


@pytest.mark.parametrize(
    ("members", "expected_message"),
    [
        ([(b"data/tweets.js", 0, 10, 0)], "is damaged"),
        ([(b"data/tweets.js", 0, 0, 1)], "is encrypted"),
        ([(b"data/tweets.js", 0, 0, 0x20)], "is damaged, or compressed in an unsupported way"),
        ([(b"data/tweets.js", 0, 0, 0x40)], "is damaged, or compressed in an unsupported way"),
        ([(b"data/tweets.js", 0, 0, 0x800), (b"\xff", 0, 0, 0x800)], "is damaged, or compressed in an unsupported way"),
        ([(b"../data/tweets.js", 0, 0, 0), (b"data/../data/tweets.js", 0, 0, 0)], "is not an X archive"),
        ([(b"data/tweets.js", 1 << 30, 1 << 29, 0)], "would be extracted from"),
        ([(b"data/tweets-part%d.js" % n, 1 << 20, 1 << 20, 0) for n in range(9)], "would be extracted from"),
        ([(b"data/tweets-part%d.js" % n, 1 << 31, 1 << 31, 0) for n in range(3)], "would be extracted from"),
    ],
)
def test_zips_with_false_headers_are_refused(tmp_path, members, expected_message):
    assert expected_message in refusal(zip_of(tmp_path / "a.zip", members))


def test_zip_with_damaged_or_huge_directory_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", [(b"data/tweets.js", 0, 0, 0)])
    whole = path.read_bytes()
    assert "is damaged" in refusal(save(path, whole.replace(b"PK\1\2", b"PK\1\3")))
    assert "is damaged" in refusal(save(path, whole[:40] + whole[60:]))
    zip_of(path, [(b"data/tweets.js", 0, 0, 0)], entries=1_000_000)
    code, message, megabytes = command("clean", path)
    assert code == 2 and "lists more files than an archive has" in message and megabytes < 100


def test_full_disk_while_sorting_posts_is_reported(tmp_path, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise archives.sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(archives.sqlite3, "connect", full)
    assert "TMPDIR" in refusal(zip_of(tmp_path / "a.zip", [(b"data/tweets.js", 0, 0, 0)]))


# ---- bytes that are no text

JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたか。\n".encode()


@pytest.mark.parametrize(
    ("content", "expected_message"),
    [
        (b"\xff\xfea\0\x00\xd8b\0", "line 1, byte 4"),
        (b"\xff\xfe\0\0a\0\0\0\0\0\x11\0", "line 1, byte 8"),
        (JAPANESE + b"\xed\xa0\x80\xed\xb0\x80", "line 2, byte 73 "),
        (JAPANESE + b"\xc0\xaf", "line 2, byte 73 "),
        (b"abc\n" + b"\x1b$B" * 100_000 + b"\x1b", "ISO-2022-JP"),
        (b"\0" * 1_000_000, "looks like a binary file"),
    ],
)
def test_invalid_bytes_are_reported_by_position(tmp_path, content, expected_message):
    assert expected_message in refusal(save(tmp_path / "a.txt", content))


# ---- folders


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_in_folders_and_archives_are_skipped(tmp_path):
    save(tmp_path / "a.txt", b"abc")
    os.mkfifo(tmp_path / "pipe.txt")
    os.symlink("loop.txt", tmp_path / "loop.txt")
    os.symlink("..", tmp_path / "up")
    assert list(read_posts([tmp_path])) == ["abc"]
    (tmp_path / "twitter" / "data").mkdir(parents=True)
    save(tmp_path / "twitter" / "data" / "tweets.js", TWEETS)
    os.mkfifo(tmp_path / "twitter" / "data" / "tweets-part1.js")
    assert list(read_posts([tmp_path / "twitter"])) == ["abc"]


@pytest.mark.parametrize("name", ["x.txt", "tweets.js"])
def test_folders_deeper_than_the_recursion_limit_are_read(tmp_path, monkeypatch, name):
    content = {"x.txt": b"abc", "tweets.js": TWEETS}[name]
    save(tmp_path / name, content)
    monkeypatch.chdir(tmp_path)
    depth = sys.getrecursionlimit() + 50
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    try:
        os.chdir(tmp_path)
        assert list(read_posts(["."])) == ["abc"]
    finally:  # pytest cannot remove folders this deep
        for _ in range(depth):
            os.chdir("d")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")


@pytest.mark.skipif(sys.platform != "linux", reason="a name has to be text here")
def test_file_names_may_be_invalid_utf_8(tmp_path):
    save(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")), b"abc\nab\n")
    assert command("clean", tmp_path)[0] == 0


# ---- the cache


def entry_of(folder: Path, kind: str) -> Path:
    return next(folder.glob(f"{kind}-*"))


def closed_again(entry: Path) -> None:
    """Update the digest of a changed entry."""
    (entry / "digest").write_text(cache._digest(entry), encoding="ascii")


def changed_metadata(**values: object):
    def change(entry: Path) -> None:
        stored = cache.metadata(entry)
        (entry / "metadata.json").write_text(json.dumps({**stored, **values}), encoding="utf-8")
        closed_again(entry)

    return change


def changed_array(content: bytes):
    def change(entry: Path) -> None:
        (entry / "array").write_bytes(content)
        closed_again(entry)

    return change


def changed_text(text: str):
    def change(entry: Path) -> None:
        (entry / "metadata.json").write_text(text, encoding="utf-8")
        closed_again(entry)

    return change


def linked(entry: Path) -> None:
    moved = entry.with_name("elsewhere")
    entry.rename(moved)
    entry.symlink_to(moved)


def device(entry: Path) -> None:
    (entry / "array").unlink()
    (entry / "array").symlink_to("/dev/zero")


def pipe(entry: Path) -> None:
    (entry / "metadata.json").unlink()
    os.mkfifo(entry / "metadata.json")


def a_file(entry: Path) -> None:
    for file in entry.iterdir():
        file.unlink()
    entry.rmdir()
    entry.write_text("a file")


NOWHERE = struct.pack("<3I", 0, 1, 5_000)
DAMAGES = [
    changed_array(NOWHERE), changed_array(struct.pack("<i", -1)), changed_array(b""), changed_array(b"abc"),
    changed_text("{}"), changed_text("[]"), changed_text("[" * 100_000), changed_text("3"),
    changed_metadata(cleaning=3), changed_metadata(characters=-1), changed_metadata(characters="many"),
    linked, device, pipe, a_file,
]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="no pipes and devices there")
@pytest.mark.parametrize("kind", ["ids", "tokens", "words"])
def test_hostile_cache_entry_is_rebuilt(tmp_path, kind):
    path = save(tmp_path / "a.txt", "猫だ\n犬だ\n鳥だ\n".encode())

    def made() -> list[int]:
        if kind == "words":
            return analyze([path], AnalysisOptions(cache=tmp_path / "cache")).stream.tolist()
        return prepare([path], TextSettings(), CorpusOptions(cache=tmp_path / "cache")).ids.tolist()

    expected = made()
    more = {
        "ids": [
            changed_metadata(split=10**9),
            changed_metadata(vocabulary=["<unk>"]),
            changed_metadata(num_specials="x"),
        ],
        "tokens": [changed_metadata(tokens=[1, 2]), changed_metadata(tokens=[]), changed_metadata(posts=None)],
        "words": [
            changed_metadata(words=[["a", 1, "b"]] * 9),
            changed_metadata(words=[[]]),
            changed_metadata(dates=[1]),
        ],
    }[kind]
    for damage in (*DAMAGES, *more):
        damage(entry_of(tmp_path / "cache", kind))
        if kind == "tokens":
            cache._remove_entry(entry_of(tmp_path / "cache", "ids"))
        assert made() == expected
        for left in (tmp_path / "cache" / "elsewhere",):
            cache._remove_entry(left)


def test_too_large_metadata_is_not_read(tmp_path, monkeypatch):
    path, options = save(tmp_path / "a.txt", b"abc\nab\n"), CorpusOptions(cache=tmp_path / "cache")
    prepare([path], TextSettings(), options)
    changed_text(" " * 100_000 + (entry_of(tmp_path / "cache", "ids") / "metadata.json").read_text())(
        entry_of(tmp_path / "cache", "ids")
    )
    monkeypatch.setattr(cache, "MAX_METADATA_BYTES", 100_000)
    prepare([path], TextSettings(), options)
    assert (entry_of(tmp_path / "cache", "ids") / "metadata.json").stat().st_size < 100_000


def test_unwritable_cache_is_reported(tmp_path, monkeypatch):
    path = save(tmp_path / "a.txt", b"abc\nab\n")
    with pytest.raises(CacheError, match=r"a.txt cannot store tokens and ids .* `cache`"):
        prepare([path], TextSettings(), CorpusOptions(cache=path))

    def refused(*_: object, **__: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(cache.tempfile, "mkdtemp", refused)
    with pytest.raises(CacheError, match=r"cache cannot store tokens and ids .Permission denied.; .* `cache`"):
        prepare([path], TextSettings(), CorpusOptions(cache=tmp_path / "cache"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of file sizes")
def test_full_disk_of_cache_is_reported(tmp_path):
    path = save(tmp_path / "a.txt", b"".join(b"post %d\n" % n for n in range(30_000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(CacheError, match="cache cannot store tokens and ids"):
            prepare([path], TextSettings(), CorpusOptions(cache=tmp_path / "cache"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "cache").iterdir()) == []


# ---- findings of the fuzzer


def zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_lone_surrogates_in_ids_and_writers_of_archives(tmp_path):
    (tmp_path / "tweets.js").write_text(r'window.YTD.tweets.part0 = [{"text":"a","id_str":"\ud800"}]')
    assert list(read_posts([tmp_path / "tweets.js"])) == ["a"]
    (tmp_path / "a.zip").write_bytes(zipped({"outbox.json": r'[{"text":"a","author":"\ud800"}]'}))
    assert list(read_posts([tmp_path / "a.zip"])) == ["a"]


def test_cyclic_car_is_refused_or_read(tmp_path):
    record = b"\xd8\x1c\xa2\x65$type\x61x\x64post\xa1\x66record\xd8\x1d\x00"
    block = b"\x01\x71\x12\x20" + bytes(32) + record
    head = b"\xa2\x67version\x01\x65roots\x80"
    (tmp_path / "a.car").write_bytes(bytes([len(head)]) + head + bytes([len(block)]) + block)
    with pytest.raises(TextError):
        list(read_posts([tmp_path / "a.car"]))


@pytest.mark.parametrize("mark", ["\\", '"', "\r"])  # the last two on Python 3.13
def test_separator_line_with_a_bad_delimiter(tmp_path, mark):
    content = f'sep={mark}\ntext{mark}b\n"\\"a"{mark}c\n'
    (tmp_path / "a.csv").write_bytes(content.encode())
    with contextlib.suppress(TextError):
        list(read_posts([tmp_path / "a.csv"]))


@pytest.mark.parametrize("folder", ["a\nb", "a" * 5000])
def test_names_in_an_archive_in_messages(tmp_path, folder):
    notices = []
    for content in ("[", '[{"type": "Note", "content": "a"}]'):
        (tmp_path / "a.zip").write_bytes(zipped({f"{folder}/outbox.json": content}))
        try:
            list(read_posts([tmp_path / "a.zip"], notice=notices.append))
        except TextError as error:
            notices.append(str(error))
    assert all("\n" not in notice and len(notice) < 1000 for notice in notices)


def test_many_long_names_of_writers(tmp_path):
    lines = (json.dumps({"text": "a", "author": f"{k:02}" + "x" * 60}) for k in range(25))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(TextError) as caught:
        list(read_posts([tmp_path / "a.jsonl"]))
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("unit", ["．a", "．aRT", "．090\u200b.com"])
def test_cleaning_of_full_width_dots_is_fast(unit):
    start = time.process_time()
    Cleaner().clean(unit * (20_000 // len(unit)) + "/")
    assert time.process_time() - start < 1


def test_as_many_notes_as_cut_posts_of_one_second_are_matched_quickly(tmp_path):
    when = {"created_at": "Sat Mar 09 13:14:15 +0000 2024"}
    tweets = [{"tweet": {"id_str": str(k), "full_text": "雨" * 130 + "…", **when}} for k in range(2000)]
    note = {"createdAt": "2024-03-09T13:14:15.000Z", "core": {"text": "雨" * 300}}
    files = {
        "data/tweets.js": f"window.YTD.tweets.part0 = {json.dumps(tweets)}",
        "data/note-tweet.js": f"window.YTD.note_tweet.part0 = {json.dumps([{'noteTweet': note}] * 2000)}",
    }
    (tmp_path / "a.zip").write_bytes(zipped({**files, "data/photo.jpg": random.Random(1).randbytes(1 << 20)}))
    start = time.process_time()
    assert list(read_posts([tmp_path / "a.zip"])) == ["雨" * 300] * 2000
    assert time.process_time() - start < REFUSAL_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        '{"z":1,' + ",".join(f'"c{k}":{{"0":"{"x" * 150}"}}' for k in range(20_000)) + "}",
        '{"data":' * 480 + "[" + '"aaaaaaaaaa",' * 150_000 + '"b"]' + "}" * 480,
    ],
)
def test_large_json_of_many_keys_or_levels_is_refused_quickly(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    start = time.process_time()
    refusal(tmp_path / "a.json")
    assert time.process_time() - start < REFUSAL_SECONDS


def test_any_delimiter_of_a_separator_line_is_taken_literally(tmp_path):
    (tmp_path / "a.csv").write_text('sep=]\ntext]b\n"a\\"b"]c\n"d\\e"]f\n')
    assert list(read_posts([tmp_path / "a.csv"])) == ['a"b', "d\\e"]


@pytest.mark.parametrize("inner", [lzma.compress, bz2.compress, gzip.compress])
def test_tar_that_is_compressed_in_another_way_than_its_name_says_is_refused(tmp_path, inner):
    (tmp_path / "a.tar").write_bytes(inner(b"x" * 2000)[:60])
    assert "is damaged" in refusal(tmp_path / "a.tar")
