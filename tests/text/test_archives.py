"""Archives of services: X with its long posts, Mastodon, Bluesky, Meta's, Discord's and Slack's; hostile tar files."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import os
import random
import sys
import tarfile
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import pytest
from helpers import as_folder, as_zip, posts_of, read_files, refusal, save
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources import containers
from gluon_lstm.text.sources.reading import TextError

WHEN = "2021-02-03T04:05:06.000Z"
DATE = int(datetime(2021, 2, 3, 13, 5, 6, tzinfo=timezone.utc).timestamp())  # local time in Japan
EPOCH = DATE - 9 * 3600
PIECES = st.sampled_from(
    ['"', '\\"', "\\", ",", "\t", "\n", "</p>", "];", "😀", "猫", "@x ", "…", "https://t.co/a", "&gt;"]
)
POSTS = st.lists(
    st.lists(
        st.one_of(PIECES, st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=4)), min_size=1, max_size=6
    ).map(lambda pieces: "".join(pieces) or "空"),
    min_size=1,
    max_size=6,
)


def as_tar(path, members):
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as packed:
        for name, content in members.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


def in_every_form(folder, members):
    """Yield an archive as folder, zip and tar, and these with one folder more or with ./ before names."""
    yield as_folder(folder / "plain", members)
    yield as_zip(folder / "a.zip", members)
    yield as_tar(folder / "a.tar.gz", members)
    yield as_tar(folder / "a.tgz", {f"./{name}": content for name, content in members.items()})
    yield as_tar(folder / "a.tar", members)
    deeper = {f"account-2024/{name}": content for name, content in members.items()}
    yield as_folder(folder / "deeper", deeper)
    yield as_zip(folder / "deeper.zip", {**deeper, "__MACOSX/account-2024/data/._tweets.js": b"\0\5\x16\7"})
    yield as_tar(folder / "deeper.tar.gz", deeper)


def opened_inside(folder, act):
    """Return the names of the files in a folder that `act` opens, from audit events."""
    opened, is_watching = [], [True]
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if is_watching and event == "open" else None)
    act()
    is_watching.clear()
    return {os.path.relpath(name, folder) for name in opened if name.startswith(str(folder)) and os.path.isfile(name)}


# ---- X


def tweet(number, text, second=0, **more):
    created = f"Wed Feb 03 04:{second // 60:02}:{second % 60:02} +0000 2021"
    return {"tweet": {"id_str": str(number), "full_text": text, "created_at": created, **more}}


def note(number, text, second=0):
    created = f"2021-02-03T04:{second // 60:02}:{second % 60:02}.000Z"
    return {"noteTweet": {"noteTweetId": str(number), "createdAt": created, "core": {"text": text, "urls": []}}}


def script(kind, records, part=0):
    return f"window.YTD.{kind}.part{part} = " + json.dumps(records, ensure_ascii=False)


LONG = "川べりの道をずっと歩いて、橋の下で雨宿りをした。" * 8
LONGER = "古い本屋で見つけた地図は、色がすっかりあせていた。" * 8
URL = "https://t.co/AbCdEfGhIj"
X_FILES = {
    "data/tweets.js": script(
        "tweets", [tweet(3, LONG[:130] + f"… {URL}", 30), tweet(1, "短い", 10), tweet(4, "終", 40)]
    ),
    "data/note-tweet.js": script("note_tweet", [note(90, LONG, 30), note(91, LONGER, 35)]),
    "data/deleted-tweets.js": script("deleted_tweets", [tweet(2, "消した", 20)]),
    "data/community-tweet.js": script("community_tweet", [tweet(5, "集まりで", 50)]),
    "data/direct-messages.js": "never read", "data/account.js": "never read", "data/tweets_media/1.jpg": "never read",
    "data/note-tweets.js": "never read", "data/tweet-headers.js": "never read", "Your archive.html": "never read",
}  # fmt: skip
X_POSTS = ["短い", LONG, LONGER, "終"]


def test_long_posts_of_x_are_read_once_in_every_form(tmp_path):
    for path in in_every_form(tmp_path, X_FILES):
        assert posts_of(path) == X_POSTS, path
        assert posts_of(path, include="deleted,community") == ["短い", "消した", LONG, LONGER, "終", "集まりで"]
        assert posts_of(path, include="deleted") == ["短い", "消した", LONG, LONGER, "終"]


def test_only_files_of_posts_are_opened(tmp_path):
    folder = as_folder(tmp_path / "x", X_FILES)
    assert opened_inside(folder, lambda: posts_of(folder)) == {"data/tweets.js", "data/note-tweet.js"}
    wanted = {"data/tweets.js", "data/note-tweet.js", "data/deleted-tweets.js"}
    assert opened_inside(folder, lambda: posts_of(folder, include="deleted")) == wanted
    tweets = folder / "data" / "tweets.js"
    assert opened_inside(folder, lambda: posts_of(tweets)) == {"data/tweets.js", "data/note-tweet.js"}


def test_only_files_of_posts_are_extracted_from_a_tar(tmp_path, monkeypatch):
    extracted = []
    real = tarfile.TarFile.extractfile
    monkeypatch.setattr(
        tarfile.TarFile, "extractfile", lambda self, member: extracted.append(member.name) or real(self, member)
    )
    assert posts_of(as_tar(tmp_path / "a.tar.gz", X_FILES)) == X_POSTS
    assert set(extracted) == {"data/tweets.js", "data/note-tweet.js"}


def test_tweets_given_by_name_use_the_notes_beside_them(tmp_path, monkeypatch):
    folder = as_folder(tmp_path / "x", X_FILES)
    assert posts_of(folder / "data" / "tweets.js") == X_POSTS
    assert posts_of(folder / "data" / "deleted-tweets.js") == ["消した"]
    assert posts_of(folder / "data" / "note-tweet.js") == [LONG, LONGER]
    monkeypatch.chdir(folder / "data")
    assert posts_of("tweets.js") == X_POSTS
    assert "is not a file of posts" in refusal("account.js")


def test_notes_are_read_once_when_all_files_are_given_by_name(tmp_path):
    data = as_folder(tmp_path / "x", X_FILES) / "data"
    assert sorted(posts_of(data / "tweets.js", data / "note-tweet.js")) == sorted(X_POSTS)


def test_notes_are_read_once_when_parts_are_given_by_name(tmp_path):
    first = script("tweets", [tweet(1, LONG[:130] + f"… {URL}", 30)])
    second = script("tweets", [tweet(2, LONGER[:130] + f"… {URL}", 40)], part=1)
    notes = script("note_tweet", [note(90, LONG, 30), note(91, LONGER, 40)])
    members = {"data/tweets.js": first, "data/tweets-part1.js": second, "data/note-tweet.js": notes}
    data = as_folder(tmp_path / "x", members) / "data"
    assert posts_of(tmp_path / "x") == [LONG, LONGER]
    assert posts_of(data / "tweets.js", data / "tweets-part1.js") == [LONG, LONGER]


@pytest.mark.parametrize(
    ("cut", "full"),
    [
        (LONG[:120] + "…", LONG),
        (LONG[:120] + f"… {URL}", LONG),
        (LONG[:120] + f" … {URL} {URL}", LONG),
        (LONG[:120] + f" {URL}", LONG),
        ("&gt; 3 &lt; 5 &amp; " + LONG[:120] + f"… {URL}", "> 3 < 5 & " + LONG),
        ("@taro @hana_ko " + LONG[:120] + f"… {URL}", LONG),
        ("@taro " + LONG[:120] + f"… {URL}", "@taro " + LONG),
        ("段落\n\n" + LONG[:120] + f"… {URL}", "段落\n\n" + LONG),
        ("きょうは @hana と " + LONG[:120] + f"… {URL}", "きょうは @hana と " + LONG),
        ("@taro きょうは @hana と " + LONG[:120] + f"… {URL}", "きょうは @hana と " + LONG),
        (LONG[:120] + f" @hana… {URL}", LONG[:120] + " @hana " + LONG),
        (LONG[:120] + f" @ha… {URL}", LONG[:120] + " @hana " + LONG),
        ("AT&amp;amp;T " + LONG[:120] + f"… {URL}", "AT&amp;T " + LONG),
    ],
    ids=range(13),
)
def test_cut_post_is_found_by_its_beginning(tmp_path, cut, full):
    tweets = script("tweets", [tweet(1, cut, 30), tweet(2, "別の", 31)])
    for second in (28, 30, 33):
        notes = script("note_tweet", [note(90, full, second)])
        path = as_zip(tmp_path / "a.zip", {"data/tweets.js": tweets, "data/note-tweet.js": notes})
        assert posts_of(path) == [full, "別の"]


def test_notes_of_other_posts_do_not_replace_a_post(tmp_path):
    short, ellipsis = "川べりの道", "待って…"
    tweets = script("tweets", [tweet(1, short, 30), tweet(2, ellipsis, 30), tweet(3, LONG[:120] + f"… {URL}", 300)])
    notes = script("note_tweet", [note(90, LONG, 30), note(91, "待って…と言った。" + LONGER, 30)])
    path = as_zip(tmp_path / "a.zip", {"data/tweets.js": tweets, "data/note-tweet.js": notes})
    expected = [short, ellipsis, LONG, "待って…と言った。" + LONGER, LONG[:120] + f"… {URL}"]
    assert sorted(posts_of(path)) == sorted(expected)


@settings(deadline=None, max_examples=30)
@given(posts=POSTS, cuts=st.data())
def test_any_posts_and_notes_of_x_round_trip(posts, cuts):
    tweets, notes = [], []
    expected = []
    for number, post in enumerate(posts):
        kind = cuts.draw(st.sampled_from(["tweet", "cut", "note"]))
        text = post if kind == "tweet" else f"{number}番目の{LONG}{post}"
        expected.append(text)
        second = 20 * number
        if kind != "note":
            tweets.append(tweet(number, text if kind == "tweet" else text[:150] + f"… {URL}", second))
        if kind != "tweet":
            notes.append(note(900 + number, text, second))
    members = {
        "data/tweets.js": script("tweets", [*reversed(tweets), tweet(99, "最後", 20 * len(posts))]),
        "data/note-tweet.js": script("note_tweet", notes),
    }
    with tempfile.TemporaryDirectory() as folder:
        assert posts_of(as_zip(Path(folder) / "a.zip", members)) == [*expected, "最後"]


def test_archive_of_x_until_2018(tmp_path):
    rows = [
        '"tweet_id","timestamp","text"',
        '"2","2013-05-02 00:00:00 +0000","後"',
        '"1","2013-05-01 00:00:00 +0000","先"',
    ]
    table = "\n".join(rows) + "\n"
    members = {"README.txt": "never read", "tweets.csv": table, "data/js/tweets/2013_05.js": "never read"}
    assert posts_of(as_zip(tmp_path / "a.zip", members)) == ["先", "後"]
    assert posts_of(as_zip(tmp_path / "b.zip", {f"x/{name}": each for name, each in members.items()})) == ["先", "後"]


# ---- folders with other files


def test_archive_in_a_folder_beside_other_files(tmp_path):
    as_zip(tmp_path / "b-2024.zip", X_FILES)
    as_zip(tmp_path / "photos.zip", {"1.jpg": "never read"})
    save(tmp_path / "a.txt", "前\n")
    save(tmp_path / "c.txt", "後\n")
    save(tmp_path / "README.txt", "never read")
    notices = []
    assert posts_of(tmp_path, notice=notices.append) == ["前", *X_POSTS, "後"]
    assert f"{tmp_path}: ignored 2 files of other kinds" in notices


@pytest.mark.parametrize(
    "name", ["README.txt", "readme", "ReadMe.ja.txt", "LICENSE", "license.txt", "お読みください.txt"]
)
def test_texts_about_the_files_beside_them_are_no_posts(tmp_path, name):
    save(tmp_path / "a.txt", "雨\n")
    path = save(tmp_path / name, "説明\n")
    assert posts_of(tmp_path) == ["雨"]
    assert posts_of(path) == ["説明"]


def test_posts_whose_file_begins_with_readme_are_read(tmp_path):
    save(tmp_path / "readme_posts.txt", "雨\n")
    save(tmp_path / "licenses of cats.txt", "猫\n")
    assert sorted(posts_of(tmp_path)) == ["猫", "雨"]


# ---- Mastodon, Slack, Meta, Discord, Bluesky


def create(content, at="2021-02-03T04:05:06Z"):
    return {
        "type": "Create",
        "actor": "x",
        "published": at,
        "object": {"type": "Note", "content": content, "published": at},
    }


def slack(text, at, name="花"):
    return {"type": "message", "user": "U1", "ts": f"{at}.0001", "text": text, "user_profile": {"display_name": name}}


def mojibake(text):
    return text.encode("utf-8").decode("latin-1")


def facebook(text, at):
    return {"timestamp": at, "data": [{"post": mojibake(text)}]}


def instagram(text, at):
    return {"media": [{"uri": "x.jpg", "creation_timestamp": at, "title": mojibake(text)}]}


def discord(text, at):
    return {"ID": at, "Timestamp": datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
            "Contents": text, "Attachments": ""}  # fmt: skip


def bluesky(text, at):
    when = datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {"$type": "app.bsky.feed.post", "text": text, "createdAt": when}


def dump(value):
    return json.dumps(value)


SERVICES = {
    "Mastodon": (
        {
            "outbox.json": dump({"type": "OrderedCollection", "orderedItems": [
                create("<p>夜</p>", "2021-02-03T05:00:00Z"), create("<p>朝<br>だ</p>"),
                {"type": "Announce", "actor": "x", "published": WHEN, "object": "https://e.x/1"}]}),
            "actor.json": dump({"type": "Person", "summary": "<p>never</p>"}), "likes.json": "never read",
            "bookmarks.json": "never read", "media_attachments/files/1.png": "never read",
        },
        ["朝\nだ", "夜"],
    ),
    "Slack": (
        {
            "users.json": dump([{"name": "never"}]), "channels.json": dump([{"name": "雑談"}]),
            "雑談/2021-02-03.json": dump([slack("朝", EPOCH), slack("夜", EPOCH + 90)]),
            "random/2021-02-02.json": dump([slack("前日", EPOCH - 86400)]),
            "integration_logs.json": "never read", "雑談/canvas.html": "never read",
        },
        ["前日", "朝", "夜"],
    ),
    "Facebook": (
        {
            "your_facebook_activity/posts/your_posts__check_ins__photos_and_videos_1.json": dump(
                [facebook("夜😀", EPOCH + 9), facebook("朝", EPOCH)]),
            "your_facebook_activity/posts/your_posts_2.json": dump([facebook("昼", EPOCH + 5)]),
            "your_facebook_activity/posts/media/1.jpg": "never read",
            "your_facebook_activity/messages/inbox/a_1/message_1.json": "never read",
            "personal_information/profile_information/profile_information.json": "never read",
        },
        ["朝", "昼", "夜😀"],
    ),
    "Instagram": (
        {
            "your_instagram_activity/media/posts_1.json": dump([instagram("夜", EPOCH + 9), instagram("朝", EPOCH)]),
            "your_instagram_activity/threads/threads_and_replies.json": dump(
                {"text_post_app_text_posts": [instagram("昼", EPOCH + 5)]}),
            "your_instagram_activity/messages/inbox/a/message_1.json": "never read",
        },
        ["朝", "昼", "夜"],
    ),
    "Discord": (
        {
            "messages/c11/messages.json": dump([discord("夜", EPOCH + 9), discord("朝", EPOCH)]),
            "messages/c12/messages.json": dump([discord("昼", EPOCH + 5)]),
            "messages/c11/channel.json": "never read", "messages/index.json": "never read",
            "account/user.json": "never read",
        },
        ["朝", "昼", "夜"],
    ),
    "Discord until 2023": (
        {
            "Messages/c11/messages.csv": 'ID,Timestamp,Contents,Attachments\n'
            '2,2021-02-03 04:06:00.1+00:00,"夜,""だ""",\n'
            "1,2021-02-03 04:05:06.1+00:00,朝,\n",
            "Messages/c11/channel.json": "never read", "README.txt": "never read",
        },
        ["朝", '夜,"だ"'],
    ),
    "Bluesky": (
        {
            "app.bsky.feed.post/3kb.json": dump(bluesky("夜", EPOCH + 9)),
            "app.bsky.feed.post/3ka.json": dump(bluesky("朝", EPOCH)),
            "app.bsky.feed.like/3kc.json": "never read", "app.bsky.actor.profile/self.json": "never read",
        },
        ["朝", "夜"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_archives_of_services_in_every_form(tmp_path, service):
    members, expected = SERVICES[service]
    for path in in_every_form(tmp_path, members):
        posts, log = read_files(path)
        assert [post.text for post in posts] == expected, path
        assert all(post.date is not None for post in posts)
        assert dict(log.left_out) == ({"boosts": 1} if service == "Mastodon" else {})


@pytest.mark.parametrize("service", SERVICES)
def test_only_files_of_posts_of_services_are_opened(tmp_path, service):
    members, _ = SERVICES[service]
    folder = as_folder(tmp_path / "a", members)
    opened = opened_inside(folder, lambda: posts_of(folder))
    never = {name for name, content in members.items() if "never" in content}
    assert opened == members.keys() - never - {"channels.json"}


@pytest.mark.parametrize(
    ("service", "name"),
    [
        ("Slack", "random/2021-02-04.json"),
        ("Discord", "messages/c13/messages.json"),
        ("Facebook", "your_facebook_activity/posts/your_posts_3.json"),
        ("Instagram", "your_instagram_activity/media/posts_2.json"),
    ],
)
def test_file_without_posts_does_not_hide_the_others(tmp_path, service, name):
    members, expected = SERVICES[service]
    assert posts_of(as_zip(tmp_path / "a.zip", {**members, name: "[]"})) == expected


def test_facebook_posts_without_data_do_not_hide_the_others(tmp_path):
    members, expected = SERVICES["Facebook"]
    name = "your_facebook_activity/posts/your_posts_3.json"
    shared = dump([{"timestamp": EPOCH, "title": "写真を追加しました"}])
    assert posts_of(as_zip(tmp_path / "a.zip", {**members, name: shared})) == expected


def test_talks_of_several_writers_in_an_archive(tmp_path):
    members = {
        "users.json": "[]", "channels.json": "[]",
        "a/2021-02-03.json": dump([slack("朝", EPOCH), slack("うん", EPOCH + 1, "月")]),
        "b/2021-02-03.json": dump([slack("夜", EPOCH + 2)]),
    }  # fmt: skip
    path = as_zip(tmp_path / "a.zip", members)
    assert "several writers: 花 (2), 月 (1)" in refusal(path)
    assert posts_of(path, author="月") == ["うん"]
    assert posts_of(path, author="*") == ["朝", "うん", "夜"]


@settings(deadline=None, max_examples=25)
@given(posts=POSTS, service=st.sampled_from(["Slack", "Facebook", "Instagram", "Discord", "Bluesky"]))
def test_any_posts_of_services_round_trip(posts, service):
    write = {"Slack": slack, "Facebook": facebook, "Instagram": instagram, "Discord": discord, "Bluesky": bluesky}[
        service
    ]
    escaped = [post.replace("&", "&amp;").replace("<", "&lt;") for post in posts] if service == "Slack" else posts
    records = [write(post, EPOCH + number) for number, post in enumerate(escaped)]
    members = {
        "Slack": lambda: {"users.json": "[]", "channels.json": "[]", "a/2021-02-03.json": dump(records)},
        "Facebook": lambda: {"posts/your_posts_1.json": dump(records)},
        "Instagram": lambda: {"content/posts_1.json": dump(records)},
        "Discord": lambda: {"messages/c1/messages.json": dump(records)},
        "Bluesky": lambda: {
            f"app.bsky.feed.post/{len(records) - n}.json": dump(each) for n, each in enumerate(records)
        },
    }[service]()
    with tempfile.TemporaryDirectory() as folder:
        assert posts_of(as_zip(Path(folder) / "a.zip", members)) == posts
        assert posts_of(as_tar(Path(folder) / "a.tar.gz", members)) == posts


# ---- Bluesky repository


def varint(number):
    parts = []
    while number >= 128:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])


def car(records, codec=0x71):
    """Return a CARv1 file of records: a header, then blocks with a SHA-256 identifier, as in repositories."""
    cbor2 = pytest.importorskip("cbor2")
    cid = bytes([1, codec, 0x12, 32]) + bytes(32)
    header = cbor2.dumps({"version": 1, "roots": [cbor2.CBORTag(42, b"\0" + cid)]})
    blocks = [header, *(cid + cbor2.dumps(record) for record in records)]
    return b"".join(varint(len(block)) + block for block in blocks)


def test_repository_of_bluesky(tmp_path):
    cbor2 = pytest.importorskip("cbor2")
    node = {
        "l": None,
        "e": [{"k": b"app.bsky.feed.post/3k", "p": 0, "v": cbor2.CBORTag(42, b"\0" + bytes(36)), "t": None}],
    }
    commit = {
        "did": "did:plc:x",
        "rev": "3k",
        "sig": b"\1" * 64,
        "data": cbor2.CBORTag(42, b"\0" + bytes(36)),
        "version": 3,
    }
    like = {"$type": "app.bsky.feed.like", "createdAt": WHEN, "subject": {"uri": "at://x"}}
    profile = {"$type": "app.bsky.actor.profile", "displayName": "花", "description": "紹介"}
    records = [commit, node, bluesky("夜", EPOCH + 9), like, profile, bluesky("朝", EPOCH), [1, "x"], "雨"]
    path = save(tmp_path / "a.car", car(records))
    posts, log = read_files(path)
    assert [(post.text, post.date) for post in posts] == [("朝", DATE), ("夜", DATE + 9)]
    assert dict(log.left_out) == {"likes": 1, "other records": 1}
    assert posts_of(tmp_path) == ["朝", "夜"]  # also inside a folder


def test_blobs_in_a_repository_are_not_decoded(tmp_path):
    blob = bytes([1, 0x55, 0x12, 32]) + bytes(32) + b"\xff\xd8 not CBOR"
    assert posts_of(save(tmp_path / "a.car", car([bluesky("朝", EPOCH)]), varint(len(blob)), blob)) == ["朝"]


def test_damaged_repositories_are_refused(tmp_path):
    whole = car([bluesky("朝", EPOCH), bluesky("夜", EPOCH)])
    path = tmp_path / "a.car"
    for end in range(1, len(whole)):
        path.write_bytes(whole[:end])
        try:
            assert posts_of(path) == ["朝"]  # cut between two blocks
        except TextError as error:
            assert str(error).startswith(str(path))
    assert "a.car is empty" in refusal(save(path, b""))
    assert "is not a Bluesky repository" in refusal(save(path, "これは投稿です。" * 9))
    assert "a block of" in refusal(save(path, whole, varint(1 << 40)))
    assert "an invalid length" in refusal(save(path, whole, b"\xff" * 12))
    bad = bytes([1, 0x71, 0x12, 32]) + bytes(32) + b"\x64abc"
    assert "is damaged" in refusal(save(path, whole, varint(len(bad)), bad))
    for content in (b"\x9b\x7f" + b"\xff" * 7, b"\x81" * 100_000, b"\xd8\x1d\x00", b"\x7b\xff" + b"\xff" * 7):
        block = bytes([1, 0x71, 0x12, 32]) + bytes(32) + content
        assert "is damaged" in refusal(save(path, whole, varint(len(block)), block))


def test_repository_without_the_library_names_the_way_out(tmp_path, monkeypatch):
    real = importlib.import_module

    def without_cbor2(name, *rest):
        if name == "cbor2":
            raise ImportError(name)
        return real(name, *rest)

    path = save(tmp_path / "a.car", car([bluesky("朝", EPOCH)]))
    monkeypatch.setattr(importlib, "import_module", without_cbor2)
    message = refusal(path)
    assert "cbor2" in message and "[bluesky]" in message and "app.bsky.feed.post" in message


@settings(deadline=None, max_examples=25)
@given(posts=POSTS)
def test_any_posts_of_a_repository_round_trip(posts):
    with tempfile.TemporaryDirectory() as folder:
        content = car([bluesky(post, EPOCH + number) for number, post in enumerate(posts)])
        assert posts_of(save(Path(folder) / "a.car", content)) == posts


# ---- hostile and damaged files


def header(name, size=0, kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(content):
    return content + b"\0" * (-len(content) % 512)


TWEETS = script("tweets", [tweet(1, "朝")]).encode()
END = b"\0" * 1024


@pytest.mark.parametrize("extension", ["tar", "tar.gz"])
@pytest.mark.parametrize(
    "content",
    [
        header("data/tweets.js", 1 << 40) + padded(TWEETS) + END,
        header("data/tweets.js", len(TWEETS) + 5000) + padded(TWEETS),
        header("data/tweets.js", len(TWEETS) + 5000) + padded(TWEETS) + END * 9,
        header("data/photo.jpg", 1 << 60) + header("data/tweets.js", len(TWEETS)) + padded(TWEETS) + END,
        header("././@LongLink", 1 << 40, tarfile.GNUTYPE_LONGNAME) + padded(b"data/tweets.js\0") + END,
        header("x", 1 << 40, tarfile.XHDTYPE) + padded(b"20 path=data/tweets.js\n") + END,
        header("data/tweets.js", 0, tarfile.SYMTYPE, "/etc/passwd") + END,
        header("data/tweets.js", 0, tarfile.LNKTYPE, "secret.js") + END,
        header("data/tweets.js", 0, tarfile.DIRTYPE) + END,
        header("data/tweets.js", 0, tarfile.FIFOTYPE) + END,
        header("data/tweets.js", 0, tarfile.CHRTYPE) + END,
        header("../data/tweets.js", len(TWEETS)) + padded(TWEETS) + END,
        header("../../data/tweets.js", len(TWEETS)) + padded(TWEETS) + END,
        b"hello",
        b"",
        END,
        bytes(range(256)) * 8,
    ],
    ids=range(17),
)
def test_hostile_tar_files_are_refused(tmp_path, extension, content):
    path = save(tmp_path / f"a.{extension}", content if extension == "tar" else gzip.compress(content))
    assert refusal(path).startswith(str(path))
    assert [each.name for each in tmp_path.iterdir()] == [path.name]  # nothing is extracted


def test_many_long_names_in_a_tar_take_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "_MAX_DIRECTORY_BYTES", 1 << 20)
    name = b"a" * 900_000 + b"\0"
    entry = header("././@LongLink", len(name), tarfile.GNUTYPE_LONGNAME) + padded(name) + header("x")
    content = entry * 60 + header("data/tweets.js", len(TWEETS)) + padded(TWEETS) + END  # 60 times the limit
    path = save(tmp_path / "a.tar.gz", gzip.compress(content))
    assert "lists more files than an archive has" in refusal(path)


def test_hostile_names_are_shown_on_one_line(tmp_path):
    members = {"data/tweets.js": TWEETS, "a\nb" * 200 + ".js": b"x"}
    notices = []
    assert posts_of(as_tar(tmp_path / "a.tar.gz", members), notice=notices.append) == ["朝"]
    assert all("\n" not in notice and len(notice) < 1000 for notice in notices)


def test_bomb_in_a_tar_is_refused(tmp_path):
    path = as_tar(tmp_path / "a.tar.gz", {"data/tweets.js": TWEETS[:-1] + b" " * 5_000_000 + b"]"})
    assert "would be extracted from" in refusal(path)


@pytest.mark.parametrize("pack", [as_tar, as_zip])
def test_damaged_archives_are_refused(tmp_path, pack):
    rows = [tweet(number, random.Random(number).randbytes(40).hex(), number) for number in range(40)]
    name = "a.zip" if pack is as_zip else "a.tar.gz"
    path = pack(tmp_path / name, {"data/tweets.js": script("tweets", rows)})
    whole = path.read_bytes()
    expected = posts_of(path)
    for at in range(10, len(whole) - 9, 97):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        for content in (bytes(damaged), whole[:at]):
            path.write_bytes(content)
            try:
                assert posts_of(path) == expected  # a byte of no meaning
            except TextError as error:
                assert str(error).startswith(str(path))
    path.write_bytes(whole[: len(whole) // 2])
    refusal(path)


def test_truncated_tar_without_compression_is_refused(tmp_path):
    path = as_tar(tmp_path / "a.tar", {"data/tweets.js": script("tweets", [tweet(1, "朝" * 2000)])})
    whole = path.read_bytes()
    for end in (100, 512, 700, 5000):
        path.write_bytes(whole[:end])
        refusal(path)


def test_unknown_archives_are_refused_with_the_way_out(tmp_path):
    for path in (as_zip(tmp_path / "a.zip", {"notes.txt": "x"}), as_tar(tmp_path / "a.tar.gz", {"notes.txt": "x"})):
        message = refusal(path)
        assert "data/tweets.js" in message and "outbox.json" in message
