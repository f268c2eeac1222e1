"""Posts as the services and the tools that collect them write them."""

from __future__ import annotations

import csv
import html
import io
import json
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import pytest
from helpers import left_out, posts_of, read_files, refusal, save
from hypothesis import given, settings
from hypothesis import strategies as st

PIECES = st.sampled_from(
    [
        '"',
        '\\"',
        "\\",
        ",",
        "\t",
        "\n",
        "</p>",
        "<b>",
        "&amp;",
        "&",
        "@x",
        "<@U1>",
        "😀",
        "猫",
        "é",
        "[写真]",
        "|",
        " a",
    ]
)
HOSTILE = st.lists(
    st.one_of(PIECES, st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=4)), min_size=1, max_size=6
).map("".join)
POSTS = st.lists(HOSTILE.filter(bool), min_size=1, max_size=6)
WHEN = "2021-02-03T04:05:06.000Z"
X_WHEN = "Wed Feb 03 04:05:06 +0000 2021"
DATE = int(datetime(2021, 2, 3, 13, 5, 6, tzinfo=timezone.utc).timestamp())  # local time in Japan
EPOCH = DATE - 9 * 3600


def whole(path, **options):
    """Return (text, date, author) of each post."""
    return [(post.text, post.date, post.author) for post in read_files(path, **options)[0]]


def written(path, value, **how):
    return save(path, json.dumps(value, **how))


def as_lines(path, values):
    return save(path, "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values))


def written_posts(write, posts, name="a.json", **options):
    """Return the posts that are read of the file that `write` makes of posts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        content = write(posts)
        return posts_of(save(path, content if isinstance(content, str) else json.dumps(content)), **options)


# ---- X

LONG = "坂の上の店まで歩いて、パンを二つ買った。" * 10


def test_whole_text_of_a_cut_post(tmp_path):
    cut = LONG[:120] + "… https://t.co/AAAAAAAAAA"
    statuses = [
        {"text": "短い", "truncated": False, "created_at": X_WHEN},
        {"text": cut, "truncated": True, "extended_tweet": {"full_text": LONG + "延"}, "created_at": X_WHEN},
        {"full_text": cut, "note_tweet": {"text": LONG + "記"}, "created_at": X_WHEN},
        {"id": "1", "text": cut, "note_tweet": {"text": LONG + "二"}, "created_at": WHEN},
        {
            "legacy": {"full_text": cut, "created_at": X_WHEN},
            "note_tweet": {"is_expandable": True, "note_tweet_results": {"result": {"id": "x", "text": LONG + "頁"}}},
        },
        {"tweet": {"legacy": {"full_text": "頁の短い", "created_at": X_WHEN}}, "__typename": "x"},
    ]
    expected = ["短い", LONG + "延", LONG + "記", LONG + "二", LONG + "頁", "頁の短い"]
    assert [each[:2] for each in whole(as_lines(tmp_path / "a.jsonl", statuses))] == [(text, DATE) for text in expected]


@pytest.mark.parametrize("kind", ["quoted_status", "quoted_tweet", "quotedTweet"])
def test_quoted_texts_of_others_are_not_read(tmp_path, kind):
    other = {
        "text": "他人の", "full_text": "他人の言葉", "rawContent": "他人の言葉",
        "extended_tweet": {"full_text": "他人の長い言葉"},
        "note_tweet": {"text": "他人の記"}, "user": {"screen_name": "other"},
    }  # fmt: skip
    for own in ({"text": "自分"}, {"full_text": "自分"}, {"rawContent": "自分", "content": "自分"}):
        record = {kind: other, **own, "user": {"screen_name": "me"}}
        for value in ([record], [{"tweet": record}], {"data": [record]}):
            assert whole(written(tmp_path / "a.json", value)) == [("自分", None, "me")]
    legacy = {"legacy": {"full_text": "自分"}, "quoted_status_result": {"result": {"legacy": {"full_text": "他人"}}}}
    assert posts_of(written(tmp_path / "a.json", [legacy])) == ["自分"]


def test_snscrape(tmp_path):
    records = [
        {"_type": "snscrape.modules.twitter.Tweet", "url": "https://x", "date": "2021-02-03T04:05:06+00:00",
         "rawContent": "新しい版", "renderedContent": "別の形", "content": "新しい版", "media": [{"_type": "Photo"}],
         "user": {"_type": "User", "username": "hanako", "displayname": "花", "rawDescription": "紹介"},
         "quotedTweet": {"rawContent": "他人", "user": {"username": "taro"}}},
        {"date": "2021-02-03T04:05:06+00:00", "content": "古い版", "renderedContent": "別の形",
         "user": {"username": "hanako", "description": "紹介"}, "quotedTweet": None, "media": None},
    ]  # fmt: skip
    path = as_lines(tmp_path / "a.jsonl", records)
    assert whole(path) == [("新しい版", DATE, "hanako"), ("古い版", DATE, "hanako")]


def test_api_version_2_of_x(tmp_path):
    page = {
        "data": [
            {"id": "1", "author_id": "9", "text": "一", "created_at": WHEN, "edit_history_tweet_ids": ["1"]},
            {"id": "2", "author_id": "9", "text": "二", "created_at": WHEN, "entities": {"urls": [{"title": "x"}]}},
        ],
        "includes": {"tweets": [{"text": "他人"}], "users": [{"name": "花", "username": "hanako"}]},
        "meta": {"result_count": 2},
    }
    for path in (written(tmp_path / "a.json", page), as_lines(tmp_path / "a.jsonl", [page])):
        assert [each[:2] for each in whole(path)] == [("一", DATE), ("二", DATE)]


def test_twint(tmp_path):
    record = {"id": 1, "created_at": "2021-02-03 13:05:06 JST", "date": "2021-02-03", "time": "13:05:06",
              "username": "hanako", "name": "花", "tweet": "本文", "quote_url": "", "reply_to": []}  # fmt: skip
    assert whole(as_lines(tmp_path / "a.jsonl", [record])) == [("本文", DATE, "hanako")]
    table = "created_at,date,time,username,name,tweet\n2021-02-03 13:05:06 JST,2021-02-03,13:05:06,hanako,花,本文\n"
    assert whole(save(tmp_path / "a.csv", table)) == [("本文", DATE, "hanako")]


@settings(deadline=None, max_examples=25)
@given(posts=POSTS, shape=st.integers(0, 4))
def test_any_posts_of_x_round_trip(posts, shape):
    write = [
        lambda post: {"text": post[:3], "extended_tweet": {"full_text": post}, "quoted_status": {"full_text": "他"}},
        lambda post: {"full_text": post, "created_at": X_WHEN},
        lambda post: {"tweet": {"full_text": post[:3], "note_tweet": {"text": post}}},
        lambda post: {"rawContent": post, "content": post, "user": {"username": "x"}},
        lambda post: {"legacy": {"full_text": post}, "core": {"name": "x"}},
    ][shape]
    assert written_posts(lambda posts: list(map(write, posts)), posts) == posts


# ---- Mastodon, Misskey, Bluesky


def status(content, acct="hanako", **more):
    return {"id": "1", "created_at": WHEN, "in_reply_to_id": None, "spoiler_text": "", "content": content,
            "reblog": None, "account": {"username": acct, "acct": acct, "note": "<p>紹介</p>"}, **more}  # fmt: skip


def test_statuses_of_mastodon(tmp_path):
    statuses = [
        status("<p>雪 &lt;3<br />寒い</p><p>二段落</p>"),
        status("", reblog=status("<p>他人</p>", "taro")),
        status("<p>結末は夢</p>", spoiler_text="映画の話"),
        status('<p><a href="https://e.x/@t" class="u-url mention">@<span>taro</span></a> うん</p>'),
    ]
    path = written(tmp_path / "a.json", statuses)
    assert whole(path) == [
        ("雪 <3\n寒い\n二段落", DATE, "hanako"), ("結末は夢", DATE, "hanako"), ("@taro うん", DATE, "hanako"),
    ]  # fmt: skip
    assert left_out(path) == {"boosts": 1}
    assert posts_of(path, include="warnings")[1] == "映画の話\n結末は夢"


def outbox(*contents):
    return {
        "@context": ["https://www.w3.org/ns/activitystreams", {"text": "x"}], "id": "outbox.json",
        "type": "OrderedCollection", "totalItems": len(contents), "orderedItems": list(contents),
    }  # fmt: skip


def create(content, **more):
    note = {"type": "Note", "content": content, "published": WHEN, "summary": None, "attributedTo": "https://e.x/u/h"}
    return {"type": "Create", "actor": "https://e.x/u/h", "published": WHEN, "object": {**note, **more}}


def test_outbox_of_mastodon(tmp_path):
    boost = {"type": "Announce", "actor": "https://e.x/u/h", "published": WHEN, "object": "https://e.x/1"}
    like = {"type": "Like", "actor": "https://e.x/u/h", "object": "https://e.x/1"}
    path = written(
        tmp_path / "a.json",
        outbox(create("<p>はつ雪</p>"), boost, create("<p>夢だった</p>", summary="結末"), boost, like,
               create("<p>どっち?</p>", type="Question")),
    )  # fmt: skip
    assert [each[:2] for each in whole(path)] == [("はつ雪", DATE), ("夢だった", DATE), ("どっち?", DATE)]
    assert left_out(path) == {"boosts": 2, "other activities": 1}
    assert posts_of(path, include="warnings") == ["はつ雪", "結末\n夢だった", "どっち?"]


def as_html(post):
    """Return the HTML that Mastodon makes of a post."""
    return "<p>" + html.escape(post, quote=True).replace("\n", "<br />") + "</p>"


@settings(deadline=None, max_examples=40)
@given(posts=POSTS, in_outbox=st.booleans())
def test_any_posts_of_mastodon_round_trip(posts, in_outbox):
    posts = [post.strip("\n") or "x" for post in posts]
    write = (lambda posts: outbox(*map(create, map(as_html, posts)))) if in_outbox else (
        lambda posts: [status(as_html(post)) for post in posts]
    )  # fmt: skip
    assert written_posts(write, posts) == posts


def test_notes_of_misskey(tmp_path):
    def note(text, **more):
        user = {"username": "hanako", "name": "花", "host": None}
        return {"id": "a", "createdAt": WHEN, "text": text, "cw": None, "visibility": "public", "user": user,
                "renoteId": None, "fileIds": [], **more}  # fmt: skip

    other = note("他人", user={"username": "taro"})
    notes = [
        note("朝"), note(None, renoteId="z", renote=other), note("引用して", renoteId="z", renote=other),
        note(None, fileIds=["f"]), note("夢", cw="結末"),
    ]  # fmt: skip
    path = written(tmp_path / "a.json", notes)
    assert whole(path) == [("朝", DATE, "hanako"), ("引用して", DATE, "hanako"), ("夢", DATE, "hanako")]
    assert left_out(path) == {"renotes": 1, "posts without text": 1}
    assert posts_of(path, include="warnings, community")[2] == "結末\n夢"


def bluesky(text, **more):
    return {"$type": "app.bsky.feed.post", "text": text, "langs": ["ja"], "createdAt": WHEN, **more}


def test_records_of_bluesky(tmp_path):
    like = {"$type": "app.bsky.feed.like", "subject": {"uri": "at://x"}, "createdAt": WHEN}
    records = [
        bluesky("朝"),
        like,
        bluesky("夜", reply={"parent": {"uri": "x"}}),
        {**like, "$type": "app.bsky.graph.follow"},
    ]
    lines = as_lines(tmp_path / "a.jsonl", records)
    listed = {"cursor": "x", "records": [{"uri": "at://1", "cid": "b", "value": record} for record in records]}
    for path in (lines, written(tmp_path / "a.json", records), written(tmp_path / "b.json", listed)):
        assert whole(path) == [("朝", DATE, None), ("夜", DATE, None)]
        assert left_out(path) == {"likes": 1, "follows": 1}


def test_feed_of_the_api_of_bluesky(tmp_path):
    def item(text, handle="hana.example", **more):
        author = {"did": "did:plc:x", "handle": handle, "displayName": "花"}
        return {"post": {"uri": "at://x", "author": author, "record": bluesky(text), "likeCount": 1}, **more}

    repost = {"reason": {"$type": "app.bsky.feed.defs#reasonRepost", "by": {"handle": "hana.example"}}}
    parent = {"reply": {"parent": {"author": {"handle": "x"}, "record": bluesky("他人の親")}}}
    feed = {"feed": [item("朝"), item("他人", "taro.example", **repost), item("返事", **parent)], "cursor": "x"}
    for path in (written(tmp_path / "a.json", feed), as_lines(tmp_path / "a.jsonl", [feed])):
        assert whole(path) == [("朝", DATE, "hana.example"), ("返事", DATE, "hana.example")]
        assert left_out(path) == {"reposts": 1}


def test_single_record_of_bluesky_is_a_post(tmp_path):
    assert whole(written(tmp_path / "3kabc.json", bluesky("朝"))) == [("朝", DATE, None)]


@settings(deadline=None, max_examples=25)
@given(posts=POSTS, shape=st.integers(0, 3))
def test_any_posts_of_misskey_and_bluesky_round_trip(posts, shape):
    write = [
        lambda posts: [{"text": post, "cw": None, "visibility": "home", "createdAt": WHEN} for post in posts],
        lambda posts: [bluesky(post) for post in posts],
        lambda posts: {"records": [{"uri": "at://x", "value": bluesky(post)} for post in posts]},
        lambda posts: {"feed": [{"post": {"author": {"handle": "h"}, "record": bluesky(post)}} for post in posts]},
    ][shape]
    assert written_posts(write, posts) == posts


# ---- Facebook, Instagram, Threads


def mojibake(text):
    return text.encode("utf-8").decode("latin-1")


def facebook(post):
    return {
        "timestamp": EPOCH,
        "attachments": [],
        "data": [{"update_timestamp": 1}, {"post": mojibake(post)}],
        "title": "x",
    }


def instagram(post):
    return {"media": [{"uri": "a.jpg", "creation_timestamp": EPOCH, "title": mojibake(post)}]}


def test_texts_of_meta_are_mended(tmp_path):
    texts = ["雪だるま😀", "café à Paris", "plain", "Ã©"]
    nothing = {"timestamp": EPOCH, "data": []}
    path = written(tmp_path / "a.json", [*map(facebook, texts), nothing])
    assert whole(path) == [(text, DATE, None) for text in texts]
    assert left_out(path) == {"posts without text": 1}
    album = {
        "media": [{"creation_timestamp": EPOCH, "title": ""}] * 2,
        "title": mojibake("題"),
        "creation_timestamp": EPOCH,
    }
    path = written(tmp_path / "b.json", [*map(instagram, texts), album])
    assert whole(path) == [(text, DATE, None) for text in [*texts, "題"]]
    path = written(tmp_path / "c.json", {"text_post_app_text_posts": [*map(instagram, texts)]})
    assert whole(path) == [(text, DATE, None) for text in texts]


def test_ordinary_latin_1_is_not_mended(tmp_path):
    texts = ["café", "Ã©", "naïve ¿qué?", "ÃƒÂ©", "ã\x81", "å¥½"]
    for value in (texts, [{"text": text} for text in texts], {"data": [{"full_text": text} for text in texts]}):
        notices = []
        assert posts_of(written(tmp_path / "a.json", value), notice=notices.append) == texts
        assert notices == []


def test_japanese_written_as_latin_1_is_mended_in_any_list(tmp_path):
    path = written(tmp_path / "a.json", [{"text": mojibake("ねこがいる")}, {"text": "いぬ"}])
    notices = []
    assert posts_of(path, notice=notices.append) == ["ねこがいる", "いぬ"]
    assert notices == [f"{path}: 1 texts were UTF-8 written as Latin-1; mended"]


@settings(deadline=None, max_examples=40)
@given(posts=POSTS, write=st.sampled_from([facebook, instagram]))
def test_any_posts_of_meta_round_trip(posts, write):
    assert written_posts(lambda posts: list(map(write, posts)), posts) == posts


# ---- talks


def discord(text, name="花", **more):
    author = {"id": "1", "name": name, "discriminator": "0", "nickname": f"{name}ちゃん", "isBot": False}
    return {"id": "1", "type": "Default", "timestamp": "2021-02-03T13:05:06.123+09:00", "content": text,
            "author": author, "mentions": [{"name": "x"}], "attachments": [], **more}  # fmt: skip


def discord_file(messages):
    return {"guild": {"id": "0", "name": "部屋"}, "channel": {"id": "1", "name": "雑談", "topic": None},
            "dateRange": {"after": None, "before": None}, "exportedAt": WHEN, "messages": messages,
            "messageCount": len(messages)}  # fmt: skip


def telegram(text, name="花", **more):
    return {"id": 1, "type": "message", "date": "2021-02-03T13:05:06", "date_unixtime": str(EPOCH), "from": name,
            "from_id": "user1", "text": text, "text_entities": [], **more}  # fmt: skip


def telegram_file(messages, name="花"):
    return {"name": name, "type": "personal_chat", "id": 7, "messages": messages}


def slack(text, name="花", **more):
    return {"type": "message", "user": "U1", "ts": f"{EPOCH}.000200", "text": text,
            "user_profile": {"real_name": "x", "display_name": name, "name": "y"}, **more}  # fmt: skip


TALKS = {
    "discord": (discord, discord_file),
    "telegram": (telegram, telegram_file),
    "slack": (slack, lambda messages: messages),
}


@pytest.mark.parametrize("kind", TALKS)
def test_writers_of_talks_are_refused_chosen_or_all_read(tmp_path, kind):
    message, wrap = TALKS[kind]
    pairs = [("おはよう", "花"), ("うん", "月"), ("またね", "花")]
    path = written(tmp_path / "a.json", wrap([message(text, name) for text, name in pairs]), ensure_ascii=False)
    error = refusal(path)
    assert "several writers: 花 (2), 月 (1)" in error and "`author`" in error
    assert whole(path, author="花") == [("おはよう", DATE, "花"), ("またね", DATE, "花")]
    assert left_out(path, author="花") == {"posts of other writers": 1}
    assert posts_of(path, author="*") == ["おはよう", "うん", "またね"]
    assert "no writer '星'; it has 花 (2), 月 (1)" in refusal(path, author="星")
    alone = written(tmp_path / "b.json", wrap([message("おはよう")]))
    assert posts_of(alone) == ["おはよう"]


def test_system_messages_and_empty_ones_are_left_out(tmp_path):
    path = written(
        tmp_path / "a.json",
        discord_file([discord("参加", "月", type="GuildMemberJoin"), discord("返事", type="Reply"), discord("")]),
    )
    assert posts_of(path) == ["返事"]
    assert left_out(path) == {"system messages": 1, "messages without text": 1}
    service = {
        "id": 2,
        "type": "service",
        "date": "2021-02-03T13:05:06",
        "actor": "月",
        "action": "phone_call",
        "text": "",
    }
    path = written(
        tmp_path / "b.json",
        telegram_file([service, telegram("転送", forwarded_from="月"), telegram("", photo="x"), telegram("本文")]),
    )
    assert posts_of(path) == ["本文"]
    assert left_out(path) == {"system messages": 1, "forwarded messages": 1, "messages without text": 1}
    path = written(
        tmp_path / "c.json", [slack("入室", "月", subtype="channel_join"), slack("本文", subtype="file_share")]
    )
    assert posts_of(path) == ["本文"]
    assert left_out(path) == {"system messages": 1}


def test_pieces_of_a_telegram_text_are_one_post(tmp_path):
    text = ["見て ", {"type": "link", "text": "https://e.x"}, " と ", {"type": "bold", "text": "これ"}, ""]
    assert posts_of(written(tmp_path / "a.json", telegram_file([telegram(text)]))) == ["見て https://e.x と これ"]


def test_whole_account_of_telegram(tmp_path):
    chats = [telegram_file([telegram("一"), telegram("二", "月")], "月"), telegram_file([telegram("三")], "星")]
    account = {
        "about": "x", "personal_information": {"first_name": "花", "bio": "x"},
        "contacts": {"about": "x", "list": [{"first_name": "月", "date": "2021-02-03T13:05:06"}]},
        "frequent_contacts": {"about": "x", "list": [{"id": 1, "name": "月"}]},
        "chats": {"about": "x", "list": chats}, "left_chats": {"about": "x", "list": []},
    }  # fmt: skip
    path = written(tmp_path / "result.json", account)
    assert whole(path, author="花") == [("一", DATE, "花"), ("三", DATE, "花")]
    assert "several writers: 花 (2), 月 (1)" in refusal(path)


def test_marks_of_slack_are_as_a_reader_sees_them(tmp_path):
    text = "<@U9|月> と <#C1|雑談> <https://e.x?a=1&amp;b=2> <https://e.x|ここ> <!here> 1 &lt; 2 &amp;lt; <@U9>"
    expected = "@月 と #雑談 https://e.x?a=1&b=2 ここ @here 1 < 2 &lt; @U9"
    assert posts_of(written(tmp_path / "a.json", [slack(text)])) == [expected]


def discord_table(messages):
    text = io.StringIO(newline="")
    rows = [["1", name, "2021-02-03T13:05:06.1230000+09:00", post, "", "👍 (1)"] for post, name in messages]
    header = ["AuthorID", "Author", "Date", "Content", "Attachments", "Reactions"]
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([header, *rows])
    return text.getvalue()


def test_table_of_discord_chat_exporter(tmp_path):
    path = save(tmp_path / "a.csv", discord_table([("朝", "花"), ("うん", "月"), ('"夜",\n', "花")]))
    assert "several writers: 花 (2), 月 (1)" in refusal(path)
    assert whole(path, author="花") == [("朝", DATE, "花"), ('"夜",\n', DATE, "花")]
    assert posts_of(path, author="*") == ["朝", "うん", '"夜",\n']


@settings(deadline=None, max_examples=40)
@given(posts=POSTS, kind=st.sampled_from([*TALKS, "table"]))
def test_any_messages_round_trip(posts, kind):
    if kind == "table":
        assert written_posts(lambda posts: discord_table([(post, "花") for post in posts]), posts, "a.csv") == posts
        return
    message, wrap = TALKS[kind]
    escape = {
        "slack": lambda post: post.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "telegram": lambda post: [post[:2], {"type": "bold", "text": post[2:]}],
    }.get(kind, str)
    assert written_posts(lambda posts: wrap([message(escape(post)) for post in posts]), posts) == posts


# ---- what public files have besides


def test_retweets_marked_by_a_key_are_left_out_and_those_marked_in_the_text_are_for_cleaning(tmp_path):
    marked = [
        {"full_text": "他人の", "retweeted_status": {"full_text": "他人の"}},
        {"rawContent": "他人の", "retweetedTweet": {"rawContent": "他人の"}},
        {"full_text": "他人の", "referenced_tweets": [{"type": "retweeted", "id": "1"}]},
        {"full_text": "RT @a: 他人の", "retweeted_status": {"full_text": "他人の"}},
        {"full_text": "返事", "referenced_tweets": [{"type": "replied_to", "id": "1"}]},
    ]
    path = written(tmp_path / "a.json", marked)
    assert posts_of(path) == ["RT @a: 他人の", "返事"]
    assert left_out(path) == {"retweets": 3}


@pytest.mark.parametrize("key", ["user", "from", "sender_name", "creator", "author_id", "投稿者", "送信者"])
def test_writers_of_many_names_are_found_in_json_and_tables(tmp_path, key):
    pairs = [("花", "朝"), ("月", "うん")]
    path = written(tmp_path / "a.json", [{key: name, "text": text} for name, text in pairs])
    table = save(tmp_path / "a.csv", f"{key},text\n" + "".join(f"{name},{text}\n" for name, text in pairs))
    for file in (path, table):
        assert "several writers: 花 (1), 月 (1)" in refusal(file)
        assert posts_of(file, author="花") == ["朝"]


def test_writer_and_date_outside_the_object_of_the_text(tmp_path):
    records = [
        {"user": "花", "created_at": WHEN, "message": {"text": "朝"}},
        {"user": "月", "message": {"text": "うん"}},
    ]
    path = written(tmp_path / "a.json", records)
    assert whole(path, author="*") == [("朝", DATE, "花"), ("うん", None, "月")]
    assert "花 (1), 月 (1)" in refusal(path)
    assert posts_of(path, field="message.text", author="花") == ["朝"]
    found = {"posts": [{"author": {"handle": name}, "record": bluesky(name)} for name in ("a.example", "b.example")]}
    assert "a.example (1), b.example (1)" in refusal(written(tmp_path / "b.json", found))


def test_records_with_a_time_and_attachments_are_not_facebook_posts(tmp_path):
    signal = [{"timestamp": 1612325106000, "body": "雨", "attachments": []}]
    assert posts_of(written(tmp_path / "a.json", signal)) == ["雨"]
    page = {"timestamp": WHEN, "data": [{"text": "雨"}, {"text": "風"}]}
    assert posts_of(written(tmp_path / "b.json", page)) == ["雨", "風"]


def test_objects_by_key_are_a_list(tmp_path):
    firebase = {"-Ma": {"text": "雨", "n": 1}, "-Mb": {"text": "風"}}
    assert posts_of(written(tmp_path / "a.json", firebase)) == ["雨", "風"]
    assert posts_of(written(tmp_path / "b.json", {"posts": firebase})) == ["雨", "風"]
    assert posts_of(written(tmp_path / "c.json", {"0": "雨", "1": "風"})) == ["雨", "風"]
    assert posts_of(written(tmp_path / "d.json", {"text": {"a": "雨", "b": "風"}, "n": {"a": 1, "b": 2}})) == [
        "雨",
        "風",
    ]


def test_an_empty_text_does_not_hide_another(tmp_path):
    assert posts_of(written(tmp_path / "a.json", [{"text": "", "content": "雨"}, {"text": ""}])) == ["雨", ""]


def test_cut_text_gives_way_to_the_whole_one_in_a_table(tmp_path):
    assert posts_of(save(tmp_path / "a.csv", "text,full_text\n雨の…,雨の日\n")) == ["雨の日"]


def test_shown_parts_of_links_of_bluesky_are_whole_addresses(tmp_path):
    text = "読んだ example.com/a... ね"
    start = len("読んだ ".encode())
    link = {"$type": "app.bsky.richtext.facet#link", "uri": "https://example.com/abc"}
    facets = [{"index": {"byteStart": start, "byteEnd": start + len("example.com/a...")}, "features": [link]}]
    path = written(tmp_path / "a.json", [bluesky(text, facets=facets), bluesky("雨", facets=[{"index": 1}, None])])
    assert posts_of(path) == ["読んだ https://example.com/abc ね", "雨"]


def test_pinned_posts_of_bluesky_are_read_and_other_type_names_are_no_records(tmp_path):
    pinned = {"post": {"author": {"handle": "a"}, "record": bluesky("雨")}, "reason": {"$type": "x.y.z#reasonPin"}}
    path = written(tmp_path / "a.json", {"feed": [pinned]})
    assert posts_of(path) == ["雨"] and left_out(path) == {}
    assert posts_of(written(tmp_path / "b.json", [{"$type": "App.Post, App", "text": "風"}])) == ["風"]


def test_messages_forwarded_from_a_deleted_account_and_by_bots_are_left_out(tmp_path):
    base = {"id": 1, "type": "message", "date": "2021-02-03T13:05:06", "from": "花", "text_entities": []}
    messages = [
        {**base, "text": "雨", "forwarded_from": None},
        {**base, "text": "風", "via_bot": "@b"},
        {**base, "text": "雪"},
    ]
    path = written(tmp_path / "a.json", {"messages": messages})
    assert posts_of(path) == ["雪"] and left_out(path) == {"forwarded messages": 1, "messages of bots": 1}


def test_marks_of_discords_own_data_are_as_a_reader_sees_them(tmp_path):
    text = "<@12> おはよう <:kusa:34> <a:wave:5> <#6> <@&7><t:1700000000:R>。 1 <2> 3"
    path = written(tmp_path / "a.json", [{"ID": 1, "Timestamp": "2021-02-03 13:05:06", "Contents": text}])
    assert posts_of(path) == ["@ おはよう :kusa: :wave: # @。 1 <2> 3"]


def test_mojibake_is_mended_with_a_field_and_with_kanji_alone(tmp_path):
    path = written(
        tmp_path / "a.json", [{"value": mojibake("東京駅")}, {"value": mojibake("ねむい")}, {"value": "café"}]
    )
    assert posts_of(path, field="value") == ["東京駅", "ねむい", "café"]


def test_quotation_link_of_mastodon_is_hidden(tmp_path):
    content = '<p class="quote-inline">RE: <a href="https://a.example/1">https://a.example/1</a></p><p>感想</p>'
    span = '<p>感想<span class="quote-inline"><br><br>RE: <span>a</span> b</span>だ</p>'
    statuses = [{"content": each, "reblog": None, "created_at": WHEN} for each in (content, span)]
    assert posts_of(written(tmp_path / "a.json", statuses)) == ["感想", "感想だ"]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ('{"text": "雨"}\n{"text": "風"}\n', "rename it to .jsonl"),
        ("id\ttext\n1\t雨\n", "rename it to .tsv"),
        ("".join(f"[2024/01/0{day} 9:00:00] 花: 雨\n" for day in (1, 2, 3)), "chat log"),
        ("".join(f"1/{day}/24, 9:00 PM - 花: 雨\n" for day in (1, 2, 3)), "chat log"),
    ],
)
def test_text_that_is_something_else_is_refused(tmp_path, text, remedy):
    assert remedy in refusal(save(tmp_path / "a.txt", text))


def test_posts_that_look_a_little_like_something_else_are_read(tmp_path):
    posts = ["{笑}", "9:00 に起きた: ねむい", "a\tb", "2024/01/01 9:00 今日: 雨", '{"text": 1}']
    assert posts_of(save(tmp_path / "a.txt", "\n".join(posts) + "\n")) == posts


def test_line_talk_without_its_title_is_recognized_and_that_of_a_computer_refused(tmp_path):
    path = save(
        tmp_path / "a.txt",
        "2024/01/05(金)\n9:00\t花\tおはよう\n9:01\t花\t☎ グループ通話が開始されました。\n9:02\t花\t[ギフト]\n",
    )
    assert posts_of(path) == ["おはよう"] and left_out(path) == {"calls": 1, "stickers and media": 1}
    path = save(tmp_path / "b.txt", "2024.01.05 金曜日\n09:00 花子 おはよう\n")
    assert "export the talk again with LINE on a phone" in refusal(path)
