"""Targets of fuzzing: guarantees that hold for any bytes in a model file, a text file or a command line.

Each of TARGETS has `seeds`, small valid inputs, and `check`, which raises for an input that violates a guarantee: an
invalid input is refused by the documented exception in one sentence, a valid one works. `fuzz.py` and
tests/scripts/test_fuzz.py search for such inputs.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import tarfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Protocol
from unittest.mock import patch

import numpy as np
from safetensors.numpy import save

from gluon_lstm import array_file
from gluon_lstm.cli.main import main, parser
from gluon_lstm.config import MAX_SIZES, ModelConfig
from gluon_lstm.model import Model, ModelError
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.scoring import score
from gluon_lstm.text.cleaning import _MAX_CHANGES, Cleaner, CleaningOptions, apply_until_stable
from gluon_lstm.text.cleaning_steps import POLICIES
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.sources import encodings, json_text
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.reading import Post, ReadingOptions, read_sources, read_text
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.user_dictionary import read_user_dictionary
from gluon_lstm.text.vocabulary import Vocabulary

MAX_SENTENCE_LENGTH = 1000  # characters, with the path
LETTERS = ["こ", "ん", "に", "ち", "は", "!", "\n", "👨‍👩‍👧", "a"]
ENTRIES = ("朝霧てまり,カスタム名詞,アサギリテマリ", "こん,名詞,コン")
POSTS = ["こんにちは!", "RT @name: 晴天なり https://example.com/x", "ﾃﾞｨｱ &amp; 改行\nを含む 👨‍👩‍👧 #タグ", "", "www"]
ENCODINGS = ("utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp_ext", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
OPTIONS = (
    ReadingOptions(),
    *(ReadingOptions(column=column, field=column) for column in ("all", "1", "2", "²", "text", "tweet.full_text", "")),
    *(ReadingOptions(encoding=encoding) for encoding in (*ENCODINGS, "utf-7", "idna", "unicode_escape", "hz")),
    ReadingOptions(author="*"),
    ReadingOptions(author="a"),
    ReadingOptions(author="*", include="community,deleted,warnings"),
    ReadingOptions(author="*", delimiter="semicolon"),
    ReadingOptions(author="*", date="date"),
    ReadingOptions(author="*", field="messages.content"),
)  # at most 128
Snippets = Sequence[tuple[str, bytes]]  # suffix of a file (.txt), and a part of its bytes


class Target(Protocol):
    seeds: list[bytes]

    def check(self, data: bytes) -> None: ...


@contextmanager
def allow_refusal(*kinds: type[Exception]) -> Iterator[None]:
    """Allow a refusal by an exception of these kinds with one sentence as message."""
    try:
        yield
    except kinds as error:
        message = str(error)
        assert message.strip() and "\n" not in message, f"not one sentence: {message[:2000]!r}"
        assert len(message) < MAX_SENTENCE_LENGTH, f"too long: {message[:2000]!r}"


# ---- models


def small_models() -> list[Model]:
    """Return models with different cells, layers, tokenizers and text settings."""
    char, raw = TextSettings("char"), TextSettings("char", raw=True)
    words = TextSettings("janome-chars", user_dictionary=ENTRIES)
    cases = [(char, "standard", 1), (raw, "peephole", 2), (char, "peephole-full", 1), (words, "rnn", 1)]
    models: list[Model] = []
    for settings, variant, layers in cases:
        config = ModelConfig(2, variant, layers)
        vocabulary = Vocabulary([*settings.special_tokens, *LETTERS], len(settings.special_tokens))
        rng = np.random.default_rng(len(models))
        shapes = config.shapes(len(vocabulary))
        arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        models.append(Model(config, Codec(settings, vocabulary), arrays, {"steps": 7, "val_bpc": 4.5}))
    return models


def same_model(one: Model, other: Model) -> bool:
    """Return whether two models have the same arrays, vocabulary and settings."""
    return json.dumps(one.file_metadata()) == json.dumps(other.file_metadata()) and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.config.shapes(len(one.vocabulary))
    )


_CHECKSUM = re.compile(rb'\\"checksum\\": \\"([0-9a-f]+)')


@lru_cache(maxsize=1)
def checksums_of_seeds() -> frozenset[bytes]:
    """Return the checksums in the files of `small_models`."""
    found: set[bytes] = set()
    with TemporaryDirectory() as folder:
        for model in small_models():
            model.save(Path(folder) / "model.safetensors")
            found.update(_CHECKSUM.findall((Path(folder) / "model.safetensors").read_bytes()))
    return frozenset(found)


class ModelFile:
    """A damaged model file is refused, or loads as the original model."""

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "model.safetensors"
        self.models, self.seeds = small_models(), []
        for model in self.models:
            model.save(self.path)
            self.seeds.append(self.path.read_bytes())

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        with allow_refusal(ModelError, OSError):
            loaded = Model.load(self.path)
            if set(_CHECKSUM.findall(data)) <= checksums_of_seeds():
                assert any(same_model(loaded, model) for model in self.models), "a damaged model was accepted"
            else:  # the search has found the checksum of other contents: it protects from damage, not from forgery
                check_usable(loaded, self.path)


class ModelMetadata:
    """A model file with arbitrary metadata and a valid checksum is refused, or loads as a usable model.

    An input is the metadata, one line of JSON, followed by bytes of weights.
    """

    MAX_WEIGHTS = 100_000

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "model.safetensors"
        self.seeds = []
        for model in small_models():
            metadata = json.dumps({"format": array_file.FORMAT, **model.file_metadata()}, ensure_ascii=False)
            weights = b"".join(array.tobytes() for array in model.arrays.values())
            self.seeds.append(metadata.encode() + b"\n" + weights)

    def check(self, data: bytes) -> None:
        line, _, weights = data.partition(b"\n")
        try:
            metadata = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(metadata, dict):
            return
        arrays = self._arrays(metadata, weights)
        metadata["checksum"] = array_file.checksum(json.loads(json.dumps({**metadata, "checksum": ""})), arrays)
        self.path.write_bytes(save(arrays, metadata={array_file.METADATA_KEY: json.dumps(metadata)}))
        with allow_refusal(ModelError, OSError):
            check_usable(Model.load(self.path), self.path)

    def _arrays(self, metadata: Mapping[str, Any], weights: bytes) -> dict[str, np.ndarray]:
        """Return arrays of the shapes that the metadata require, or none for invalid metadata."""
        try:
            shapes = ModelConfig(**metadata["config"]).shapes(len(metadata["vocabulary"]))
        except (KeyError, TypeError, ValueError):
            return {}
        if sum(map(math.prod, shapes.values())) > self.MAX_WEIGHTS:
            return {}
        numbers = np.frombuffer(weights[: len(weights) // 4 * 4] or bytes(4), np.float32)
        return {name: np.resize(numbers, shape) for name, shape in shapes.items()}


def check_usable(model: Model, path: Path) -> None:
    """Raise unless the model generates 20 characters, scores a text, and can be saved and loaded."""
    shapes = model.config.shapes(len(model.vocabulary))
    assert {name: array.shape for name, array in model.arrays.items()} == shapes
    generator = TextGenerator(model)
    try:
        text = "".join(generator.stream(generator.prefix("こん"), rng_for(1), length=20))
    except ValueError as error:
        assert len(model.vocabulary) == model.vocabulary.num_specials, f"nothing can be generated: {error}"
    else:
        assert len(text) > 20, f"generated {text!r}"
    ids = np.array(model.codec.encode("こんにちは!"), np.int32)
    assert math.isfinite(score(InferenceCell(model.arrays, model.config), model.codec, ids, 6).bpc)
    model.save(path)
    assert same_model(Model.load(path), model)


# ---- files of text


def posts_file(name: str, posts: Sequence[str]) -> str:
    """Return the content of a file with these posts in the format of the file name."""
    tweets = [
        {"tweet": {"full_text": post, "id_str": str(k), "created_at": TWEET_DATE}} for k, post in enumerate(posts)
    ]
    records = [{"id": k, "text": post, "user": {"name": "a"}} for k, post in enumerate(posts)]
    quoted = [post.replace('"', '""') for post in posts]
    return {
        "posts.txt": "\n".join(posts) + "\n",
        "posts.csv": "date,text\r\n" + "".join(f'2018-09-02,"{post}"\r\n' for post in quoted),
        "posts.tsv": "text\tdate\n" + "".join(f'"{post}"\t2018-09-02\n' for post in quoted),
        "posts.json": json.dumps({"statuses": records}, ensure_ascii=False),
        "posts.jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "tweets.js": "window.YTD.tweets.part0 = " + json.dumps(tweets, indent=1),
    }[name]


TWEET_DATE = "Sun Sep 02 12:00:00 +0000 2018"
DATE = "2018-09-02T12:00:00.000Z"
LONG = "長い" * 70  # a post that tweets.js has cut
LATIN_1 = "ねむい".encode().decode("latin-1")  # as in the files of Facebook and Instagram
_STATUS = {
    "id": "1", "created_at": DATE, "content": "<p>A &lt;3<br />B</p><p>#<span>タグ</span></p>",
    "account": {"acct": "a"}, "spoiler_text": "ねたばれ", "in_reply_to_id": None, "reblog": None,
}  # fmt: skip
_NOTE = {"type": "Note", "published": DATE, "content": "<p>はろー</p>", "summary": "注意"}
_BLUESKY = {"$type": "app.bsky.feed.post", "text": "あおぞら", "createdAt": DATE}
_FACEBOOK = [{"timestamp": 1535889600, "data": [{"update_timestamp": 1}, {"post": LATIN_1}], "title": "a"}]
_SLACK = [
    {"type": "message", "ts": "1535889600.000100", "user": "U1", "text": "<@U2|b> <https://example.com|例> &amp;"},
    {"type": "message", "subtype": "channel_join", "ts": "1535889601.0", "user": "U1", "text": "a"},
    {"type": "message", "ts": "1535889602.0", "user_profile": {"display_name": "a"}, "text": "<!here> はい"},
]
_DISCORD = {"id": "1", "type": "Default", "timestamp": DATE, "content": "やあ", "author": {"id": "2", "name": "a"}}
_ACTIVITIES = [
    {"type": "Create", "actor": "https://example.com/a", "published": DATE, "object": _NOTE},
    {"type": "Announce", "actor": "https://example.com/a", "object": "https://example.com/b"},
]
# lists and objects of posts as services and tools write them
JSON_VALUES: tuple[Any, ...] = (
    [_STATUS, {**_STATUS, "reblog": _STATUS}],
    {"@context": "", "type": "OrderedCollection", "orderedItems": _ACTIVITIES},
    [
        {"id": "1", "createdAt": DATE, "text": "みす", "cw": "注意", "user": {"username": "a"}, "visibility": "public"},
        {"id": "2", "createdAt": DATE, "text": None, "renoteId": "1", "user": {"username": "b"}},
    ],
    {"records": [{"uri": "at://a/b/c", "value": _BLUESKY}], "cursor": "c"},
    {"feed": [{"post": {"record": _BLUESKY, "author": {"handle": "a"}}}, {"post": {"record": _BLUESKY}, "reason": {}}]},
    _FACEBOOK,
    [{"media": [{"uri": "m.jpg", "creation_timestamp": 1535889600, "title": LATIN_1}]}],
    {"text_post_app_text_posts": [{"media": [{"creation_timestamp": 1535889600, "title": LATIN_1}]}]},
    {"guild": {"name": "g"}, "messages": [_DISCORD, {**_DISCORD, "type": "Call"}], "messageCount": 2},
    {
        "name": "c", "type": "personal_chat", "id": 1, "messages": [
            {"id": 1, "type": "message", "date": DATE[:19], "date_unixtime": "1535889600", "from": "a", "text": [
                "はい ", {"type": "link", "text": "https://example.com"}, "。"], "text_entities": []},
            {"id": 2, "type": "service", "date": DATE[:19], "actor": "a", "text": ""},
        ],
    },
    {"chats": {"list": [{"name": "c", "messages": [{"id": 1, "type": "message", "date": DATE[:19], "from": "a"}]}]}},
    _SLACK,
    [{"rawContent": LONG, "date": DATE, "user": {"username": "a"}, "quotedTweet": {"rawContent": "他"}}],
    {"data": [{"id": "1", "text": "切れた…", "note_tweet": {"text": LONG}, "created_at": DATE}], "includes": {}},
    [{"data": [{"text": "一"}], "meta": {}}, {"data": [{"text": "二"}], "meta": {"next_token": "n"}}],
    {"text": {"0": "縦", "1": "横"}, "date": {"0": DATE, "1": DATE}, "author": {"0": "a", "1": "b"}},
    {"0": {"text": "縦", "date": DATE}, "1": {"text": "横", "date": None}},
    {"columns": ["date", "text"], "index": [0, 1], "data": [[DATE, "縦"], [1535889600000, "横"]]},
    {"schema": {"fields": [{"name": "index", "type": "integer"}]}, "data": [{"index": 0, "text": "表", "date": DATE}]},
    [[DATE, "縦"], [DATE, "横"]],
    [{"text": math.nan, "n": math.inf}, {"text": "数", "n": -math.inf, "date": math.nan}],
    {"messages": [{"content": "役", "role": "user"}]},
    {"tweet": {"status": {"note": {"text": "奥"}}}},
)  # fmt: skip
TABLES = (
    "date\ttext\tauthor\r\n2018-09-02\tねむい\ta\r\n2018-09-03\t\tb\r\n",
    "date;text;author\n2018/9/2 12:00;ねむい;a\n2018/9/3 12:00;おきた;a\n",
    "sep=;\r\ntext;author\r\nねむい;a\r\n",
    '"sep=|"\r\ntext|date\r\nねむい|2018-09-02\r\n',
    'text,author\n彼は"はい"と,a\n"""はい""",a\n"い"い,a\n',
    'text,author\n"彼は\\"はい\\"と",a\n"C:\\dir\\\\",b\n',
    'id,text\n1,"二行\nの投稿, 続き"\n2,"閉じない\n3,次\n',
    "username,created_at,time,full_text\na,2018-09-02,12:00,ねむい\nb,2018-09-02,午後1:00,おきた\n",
    "ねむい;はい\nおきた;いいえ\n",
    "a;b,c\nd;e,f\n",
)
TALK = (
    "[LINE] 花子とのトーク履歴\n保存日時：2018/09/02 12:00\n\n2018/09/02(日)\n9:00\ta\t[写真]\n"
    '9:01\ta\t"ねむい\nとても"\n'
    '午後9:02\tb\tうん\n9:03\ta\t☎ 通話時間 1:02\n9:04\t\taが退会しました。\n2018/09/03(月)\n9:05\ta\t"引用\n'
)
ENGLISH_TALK = (
    "\ufeff[LINE] Chat history with a\nSaved on: 9/2/2018, 12:00\n\nSun, 9/2/2018\n9:00 AM\ta\tHi\n9:01 AM\ta unsent a"
    ' message.\n9:02 PM\tb\t"one\n""two"""\n'
)
TEXTS = {  # content of further files, by their names
    "posts.txt": (
        TALK, ENGLISH_TALK, r"{\rtf1\ansi ねむい}", "<!DOCTYPE html><html><body>ねむい</body></html>",
        '<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml">', "%PDF-1.7", "SQLite format 3\0",
    ),
    "posts.csv": TABLES,
    "posts.tsv": TABLES,
    "posts.json": tuple(json.dumps(value, ensure_ascii=False) for value in JSON_VALUES),
    "posts.jsonl": tuple(
        "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in (value if isinstance(value, list) else [value]))
        for value in JSON_VALUES
    ),
    "tweets.js": (
        "window.YTD.tweets.part0 = " + json.dumps([{"text": "一", "id_str": "2"}, {"tweet": {"id_str": "1"}}]),
    ),
}  # fmt: skip
_CUT = [{"tweet": {"full_text": f"{LONG[:139]}… https://t.co/a", "id_str": "9", "created_at": TWEET_DATE}}]
_NOTES = [
    {"noteTweet": {"noteTweetId": "8", "createdAt": DATE, "core": {"text": text}}} for text in (LONG, "単独の長文")
]
_X = {
    "data/tweets.js": "window.YTD.tweets.part0 = " + json.dumps(_CUT),
    "data/note-tweet.js": "window.YTD.note_tweet.part0 = " + json.dumps(_NOTES),
    "data/deleted-tweets.js": posts_file("tweets.js", ["消した"]).replace("tweets", "deleted_tweets", 1),
    "data/community-tweet.js": posts_file("tweets.js", ["仲間"]).replace("tweets", "community_tweet", 1),
    "data/direct-messages.js": "window.YTD",
}
_OUTBOX = json.dumps({"type": "OrderedCollection", "orderedItems": _ACTIVITIES}, ensure_ascii=False)
# archives of services: name -> content
ARCHIVES: tuple[dict[str, str], ...] = (
    _X,
    {f"twitter-2018/{name}": content for name, content in _X.items()},
    {"tweets.csv": "tweet_id,timestamp,text\n1,2018-09-02 12:00:00 +0000,ねむい\n", "data/js/tweets/2018_09.js": ""},
    {"outbox.json": _OUTBOX, "actor.json": "{}", "likes.json": "{}"},
    {"app.bsky.feed.post/3k.json": json.dumps(_BLUESKY), "app.bsky.feed.like/3l.json": "{}"},
    {"your_facebook_activity/posts/your_posts__check_ins_1.json": json.dumps(_FACEBOOK)},
    {"your_instagram_activity/media/posts_1.json": json.dumps(JSON_VALUES[6])},
    {
        "Messages/c1/messages.json": '[{"ID": 1, "Timestamp": "2018-09-02 12:00:00", "Contents": "やあ"}]',
        "Messages/c2/messages.csv": "ID,Timestamp,Contents,Attachments\n1,2018-09-02 12:00:00,やあ,\n",
    },
    {"users.json": "[]", "channels.json": "[]", "general/2018-09-02.json": json.dumps(_SLACK)},
)


def zip_file(files: Mapping[str, str | bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """Return a zip with these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def tar_file(files: Mapping[str, str], mode: str) -> bytes:
    """Return a tar with these files; `mode` is that of tarfile.open."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return file.getvalue()


def twitter_archive(script: str, method: int) -> bytes:
    """Return a Twitter archive (zip) with the given tweets.js."""
    return zip_file({"data/tweets.js": script, "data/direct-messages.js": "window.YTD"}, method)


def cbor(value: Any) -> bytes:
    """Return a small string, list, object or number below 24 as CBOR."""
    if isinstance(value, int):
        return bytes([value])
    if isinstance(value, str):
        return bytes([0x78, len(value.encode())]) + value.encode()
    if isinstance(value, dict):
        return bytes([0xA0 + len(value)]) + b"".join(cbor(key) + cbor(inner) for key, inner in value.items())
    return bytes([0x80 + len(value)]) + b"".join(map(cbor, value))


def car_file(records: Sequence[Any]) -> bytes:
    """Return a repository of Bluesky (CARv1) with these records."""
    cid = b"\x01\x71\x12\x20" + bytes(32)
    blocks = [cbor({"version": 1, "roots": []}), *(cid + cbor(record) for record in records)]
    # lengths as LEB128
    return b"".join((bytes([len(b)]) if len(b) < 128 else bytes([len(b) & 127 | 128, len(b) >> 7])) + b for b in blocks)


def seed_files(name: str) -> list[bytes]:
    """Return small valid files with the extension of `name`."""
    if name.endswith(".zip"):
        script = posts_file("tweets.js", POSTS)
        methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        return [*(twitter_archive(script, method) for method in methods), *map(zip_file, ARCHIVES)]
    if ".tar" in name:
        mode = "w:gz" if name.endswith(".gz") else "w"
        return [tar_file(files, mode) for files in ARCHIVES]
    if name.endswith(".car"):
        like = {"$type": "app.bsky.feed.like", "createdAt": DATE}
        return [car_file([_BLUESKY, like, {"e": [], "l": 1}]), car_file([{**_BLUESKY, "post": {"record": _BLUESKY}}])]
    text = posts_file(name, POSTS)
    return [*(text.encode(encoding, "ignore") for encoding in ENCODINGS), *(each.encode() for each in TEXTS[name])]


class TextFile:
    """Any file is read or refused, always in the same way, and the posts read can be cleaned.

    The first byte of an input selects the options, the others are the file. Its highest bit selects tiny limits, with
    which a file may be refused that is otherwise read.
    """

    TINY = 128

    def __init__(self, name: str, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / name
        # The first block of tweets.js must hold its first line.
        self.block_size = 7 if name.startswith("posts.") else encodings.BLOCK_SIZE
        files = seed_files(name)
        all_writers = next(k for k, options in enumerate(OPTIONS) if options.author == "*" and options.include)
        self.seeds = [bytes([k]) + file for file in files for k in (0, all_writers, self.TINY + all_writers)]
        self.seeds += [bytes([k]) + files[0] for k in range(len(OPTIONS))]
        self.seeds += [b"\0" + part for ending, part in snippets if ending == self.path.suffix]

    def check(self, data: bytes) -> None:
        first = data[0] if data else 0
        options = OPTIONS[first % self.TINY % len(OPTIONS)]
        self.write(data[1:])
        if first >= self.TINY:
            with patch.object(encodings, "BLOCK_SIZE", 7), patch.object(json_text, "MAX_POST_CHARACTERS", 200):
                self._read(options)
            return
        posts = self._read(options)
        with patch.object(encodings, "BLOCK_SIZE", self.block_size):
            assert self._read(options) == posts, "other posts when read again"
        for post in Cleaner().clean_posts(post.text for post in posts or []):
            assert post and post.encode("utf-8")
        with allow_refusal(TextError, OSError):
            assert "\r" not in "".join(read_text([self.path], options))

    def write(self, content: bytes) -> None:
        """Write the file of an input."""
        self.path.write_bytes(content)

    def _read(self, options: ReadingOptions) -> list[Post] | None:
        """Return the posts of the file, None when it is refused."""
        posts: list[Post] = []
        notices: list[str] = []
        refused = True
        with allow_refusal(TextError, OSError):
            for log, found in read_sources([self.path], options, notices.append):
                posts.extend(found)
                assert all(count >= 0 for count in log.left_out.values()), log.left_out
            refused = False
        assert not any("\n" in notice for notice in notices), notices
        for post in posts:
            assert isinstance(post.text, str) and isinstance(post.author, (str, type(None))), post
            assert post.date is None or 0 <= post.date < MAX_DATE, post
        return None if refused else posts


MAX_DATE = 131 * 366 * 86400  # after the year 2100


class PackedFiles(TextFile):
    """Any files in an archive are read or refused, as TextFile.

    An input is the byte of the options, and the files: a line with the name, the content, and a NUL.
    """

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path, self.block_size = folder / "archive.zip", encodings.BLOCK_SIZE
        self.seeds = []
        for files in ARCHIVES:
            content = b"\0".join(f"{name}\n{text}".encode() for name, text in files.items())
            self.seeds += [bytes([k]) + content for k, options in enumerate(OPTIONS) if not options.encoding]
            self.seeds.append(bytes([self.TINY]) + content)

    def write(self, content: bytes) -> None:
        parts = [part.partition(b"\n") for part in content.split(b"\0")]
        self.path.write_bytes(zip_file({name.decode("utf-8", "replace"): text for name, _, text in parts}))


# ---- cleaning


class Cleaning:
    """Cleaning any text by any policies is fast, and cleaning its result changes nothing.

    An input is a byte for each field of CleaningOptions, and the text.
    """

    FIELDS = (*POLICIES, "max_repeats")
    MAX_CHARACTERS, MAX_SECONDS = 10_000, 1.0

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        texts = [
            *POSTS,
            "@taro_yamada おはよーーーーー！！！！！ｗｗｗｗｗ https://t.co/abcｗｗｗ", "RT @hanako: 他人 QT @b: c",
            "〒123-4567 電話03(1234)5678、０９０－１２３４－５６７８ +81 90 1234 5678",
            "a@example.comへ www.日本語.jp/ﾊﾟ", "👏🏻👏🏻👏🏻👏🏻 🇯🇵🇯🇵 #タグ#b ＃ｃ \u200d\ufe0f",
            "&amp;amp;lt; &#65286;#65286; &#x110000;", "か\u3099 ﾊﾟ ＧＯ～", "\ufdd0\ufdd1",
        ]  # fmt: skip
        choices = [bytes([k]) * len(self.FIELDS) for k in range(3)]
        self.seeds = [head + text.encode() for text in texts for head in choices]
        self.seeds += [choices[0] + part for ending, part in snippets if ending == ".txt"]

    def check(self, data: bytes) -> None:
        head, text = data[: len(self.FIELDS)], data[len(self.FIELDS) :].decode("utf-8", "replace")
        numbers = dict(zip(self.FIELDS, [*head, *bytes(len(self.FIELDS))]))
        chosen = {name: [*policies][numbers[name] % len(policies)] for name, policies in POLICIES.items()}
        options = CleaningOptions(**chosen, max_repeats=numbers["max_repeats"] % 5)  # type: ignore[arg-type]
        text = text[: self.MAX_CHARACTERS]
        self._check_idempotent(text, options)
        start = time.process_time()
        Cleaner(options).clean(text * (self.MAX_CHARACTERS // max(len(text), 1)))
        seconds = time.process_time() - start
        assert seconds < self.MAX_SECONDS, f"{self.MAX_CHARACTERS} characters took {seconds:.1f} seconds"

    def _check_idempotent(self, text: str, options: CleaningOptions) -> None:
        clean = Cleaner(options).clean(text)
        changes: list[str] = []
        apply_until_stable(text, options.steps(), lambda name, before, after: changes.append(name))
        if clean is not None and len(changes) <= _MAX_CHANGES:
            again = Cleaner(options).clean(clean)
            assert again == clean, f"cleaned twice: {clean!r}, then {again!r}"


class UserDictionary:
    """Any dictionary is refused, or a text is tokenized with it without loss."""

    TEXT = "朝霧てまりとこんにちは"

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "words.csv"
        long = "\n".join(f"{word},1288,1288,-4569,名詞,固有名詞,人名,*,*,*,{word},ア,ア" for word in ("てまり", "ん"))
        self.seeds = [text.encode(encoding) for text in ("\n".join(ENTRIES), long) for encoding in ENCODINGS]
        self.seeds += [part for ending, part in snippets if ending == ".csv"]

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        with allow_refusal(TextError, OSError):
            entries = read_user_dictionary(self.path)
            with allow_refusal(ValueError):
                TextSettings("janome", user_dictionary=entries)
                tokenizer = make_tokenizer("janome", entries)
                assert tokenizer.detokenize(tokenizer.tokenize(self.TEXT)) == self.TEXT


# ---- the command line

MAX_SNIPPETS = 5  # each seed runs a whole command
# option -> maximum value that is fast; larger values are run only beyond the maximum allowed value
MAX_CHEAP = {"length": 200, "posts": 2, "count": 3, "sample_length": 100, "steps": 2, "hidden": 16, "layers": 3}


class Command:
    """Any command line ends with exit code 0, or with 2 and one sentence.

    An input is the arguments after the command, one a line, an empty line, and the content of the files named.
    """

    FILES = (
        "posts.txt", "posts.csv", "posts.tsv", "posts.json", "posts.jsonl", "tweets.js", "archive.zip", "words.csv",
        "damaged.safetensors",
    )  # fmt: skip

    def __init__(
        self, name: str, lines: Sequence[str], folder: Path, snippets: Snippets = (), needs: Sequence[str] = ()
    ) -> None:
        """`lines`: command lines of the seeds. `needs`: options without which a command line is skipped."""
        self.name, self.needs, self.folder = name, needs, folder / "work"
        self.parser = parser()
        small_models()[0].save(folder / "model.safetensors")
        self.model = (folder / "model.safetensors").read_bytes()
        contents = self._contents()
        self.seeds = []
        for line in lines:
            named = [contents[name] for name in self.FILES if name in line] or [b""]
            self.seeds.append(as_input(line, named[0]))
        first = next((line for line in lines if "posts.txt" in line), None)
        texts = [part for ending, part in snippets if ending == ".txt"]
        self.seeds += [as_input(first, part) for part in texts[:MAX_SNIPPETS] if first]

    def _contents(self) -> dict[str, bytes]:
        """Return valid content for each file."""
        return {
            **{name: posts_file(name, POSTS * 4).encode() for name in self.FILES[:6]},
            "archive.zip": twitter_archive(posts_file("tweets.js", POSTS), zipfile.ZIP_DEFLATED),
            "words.csv": "\n".join(ENTRIES).encode(),
            "damaged.safetensors": self.model,
        }

    def check(self, data: bytes) -> None:
        head, _, content = data.partition(b"\n\n")
        given = [os.fsdecode(argument.replace(b"\0", b"")) for argument in head.split(b"\n")]
        if any("/" in argument or "\\" in argument or ".." in argument for argument in given):
            return  # no file outside of the working directory may be written or deleted
        argv = [self.name, *given]
        if not self._is_cheap(argv):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "model.safetensors").write_bytes(self.model)
        for name in self.FILES:
            if any(name in argument for argument in given):
                (self.folder / name).write_bytes(content)
        with working_directory(self.folder):
            code, output = run_command(argv)
        assert code in (0, 2), f"exit code {code}: {output}"
        assert "Traceback (most recent" not in output, output
        if code == 2:
            errors = [line for line in output.split("\n") if line.startswith("gluon-lstm")]
            assert len(errors) == 1 and output.endswith(errors[0] + "\n"), f"not one sentence: {output!r}"

    def _is_cheap(self, argv: Sequence[str]) -> bool:
        """Return whether the command is fast; invalid options are."""
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                args = self.parser.parse_args(argv)
        except SystemExit:
            return True
        values = {name: getattr(args, name, None) for name in MAX_CHEAP}
        given = {name: value for name, value in values.items() if value is not None}
        return set(self.needs) <= set(given) and not any(
            maximum < given.get(name, 0) <= MAX_SIZES.get(name, math.inf) for name, maximum in MAX_CHEAP.items()
        )


def as_input(line: str, content: bytes) -> bytes:
    """Return the input of a command line and the content of its files."""
    return "\n".join(line.split()).encode() + b"\n\n" + content


@contextmanager
def working_directory(folder: Path) -> Iterator[None]:
    """Change the current directory and the cache directory to `folder`."""
    before, cache = os.getcwd(), os.environ.get("XDG_CACHE_HOME")
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder)
    try:
        yield
    finally:
        os.chdir(before)
        if cache is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = cache


def run_command(argv: Sequence[str]) -> tuple[Any, str]:
    """Return the exit code of a command and its output on stderr."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, newline="\n", write_through=True)
        for errors in ("strict", "backslashreplace")
    )
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code: Any = main(argv)
        except SystemExit as ended:
            code = ended.code
    return code, err.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]


# ---- targets by name

READING = ["--encoding cp932", "--encoding utf-7", "--column 2", "--column all", "--field tweet.full_text"]
GENERATE = [
    "model.safetensors",
    "model.safetensors --prefix こん --length 5 --seed 1",
    "model.safetensors --posts 2 --count 3 --temperature 0.5 --top-k 3 --top-p 0.9 --repetition-penalty 1.2",
    "model.safetensors --temperature 1e999 --top-p nan --seed 99999999999999999999 --prefix \ufeff",
    "model.safetensors --temperature 0 --repetition-penalty inf --length 20",
    "model.safetensors --posts 3 --fit-post --unique --format jsonl --not-in posts.txt posts.csv --column 2",
    "damaged.safetensors --length 3",
]
EVALUATE = [f"model.safetensors {name}" for name in Command.FILES[:7]] + [
    "model.safetensors posts.txt --json",
    *(f"model.safetensors posts.csv {options}" for options in READING),
    "damaged.safetensors posts.txt",
]
CLEAN = [
    *Command.FILES[:7],
    "posts.txt --out a.jsonl --entities keep --control-chars keep --urls keep --retweets strip --mentions remove",
    "posts.txt --out a.txt --hashtags remove --emoji remove --width keep --blanks keep --max-repeats 0",
    *(f"posts.json {options}" for options in READING),
    *(f"posts.{kind} --author * --date date" for kind in ("csv", "json")),
    "posts.csv --delimiter semicolon --author a",
    "archive.zip --include community,deleted,warnings",
    ". --max-repeats 1 --duplicates keep",
]
CACHE = ["clear", "clear --cache .", "clear --cache model.safetensors"]
TRAIN = [
    f"posts.txt --out a --steps 1 --hidden 4 {options}"
    for options in (
        "", "--raw", "--recipe notes", "--implementation scratch --variant peephole-full",
        "--variant rnn --layers 2 --no-cache",
        "--batch-size 2 --seq-len 3 --learning-rate 0.1 --schedule halving --optimizer sgd --clip 0 --layout notebook",
        "--validation 0.5 --dropout 0.5 --input-dropout 0.5 --recurrent-dropout 0.9 --warmup 1 --patience 0",
        "--sample-every 1 --sample-length 5 --temperature 2 --prefix こん --min-count 2 --max-vocab 5 --seed 3",
        "--resume --checkpoint-minutes 0.001 --input-lr-scale 2 --output-lr-scale 1 --weight-decay 0.1 --rollbacks 1",
        "--ctx gpu:9 --init notes --encoding cp932 --retweets keep --max-repeats 0 --minutes 1 --epochs 1",
    )
]  # fmt: skip
TRAIN += ["words.csv --column 1 --out a --steps 1 --hidden 4 --tokenizer janome-chars --user-dictionary words.csv"]

TARGETS: dict[str, Callable[[Path, Snippets], Target]] = {
    "model": ModelFile,
    "model-metadata": ModelMetadata,
    **{name: partial(TextFile, name) for name in (*Command.FILES[:7], "archive.tar", "archive.tar.gz", "posts.car")},
    "archive-files": PackedFiles,
    "cleaning": Cleaning,
    "user-dictionary": UserDictionary,
    "generate": partial(Command, "generate", GENERATE),
    "evaluate": partial(Command, "evaluate", EVALUATE),
    "clean": partial(Command, "clean", CLEAN),
    "cache": partial(Command, "cache", CACHE),
    "train": partial(Command, "train", TRAIN, needs=("steps", "hidden")),
}
