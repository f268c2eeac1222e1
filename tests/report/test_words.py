"""Word counts by base form and part of speech: as in the notes, and against an independent count."""

from __future__ import annotations

import doctest
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.report import words
from gluon_lstm.report.analysis import NET_WORDS, Analysis, AnalysisOptions, analyze
from gluon_lstm.report.words import (
    ALL_WORDS,
    CONTENT_WORDS,
    NOTES_SELECTION,
    Selection,
    WordClass,
    WordTable,
    word_tables,
)
from gluon_lstm.sampling import memorization
from gluon_lstm.text.janome.analyzer import Analyzer, Word
from gluon_lstm.text.token_stream import END
from gluon_lstm.text.user_dictionary import read_user_dictionary

# Lines of the summary in the notes of 2018/09/05, without the spaces between words.
NOTES = [
    "ドキドキを買いた〜(･ᴗ･)こういう機会ないとなかなか踏み出せないので楽しかった！！！",
    "みんな頑張って走ったね",
    "高知城ロケ行かせていただきた！ぜひ見てください！",
    "だから皆さん来てくださいね‼︎",
    "最近インスタの写真はどこで撮ったの誰に撮ってもらったの❓って実は、、、自分で家で撮りた",
]
BY_HAND = {
    "adjectives": {"ない": 1, "楽しい": 1},
    "nouns": {
        **dict.fromkeys(["ドキドキ", "機会", "みんな", "高知", "城", "ロケ", "皆さん", "最近", "インスタ"], 1),
        **dict.fromkeys(["写真", "どこ", "誰", "自分", "家"], 1),
    },
    "verbs": {
        **{"撮る": 3, "くださる": 2, "買う": 1, "踏み出せる": 1, "頑張る": 1, "走る": 1, "行く": 1, "せる": 1},
        **{"いただく": 1, "見る": 1, "来る": 1, "もらう": 1},
    },
}


# Words of BY_HAND that are counted with --like-notes only; 城 is the suffix of 高知城
EMPTY = {"ない", "どこ", "誰", "城", "くださる", "せる", "いただく", "もらう"}
NET_POSTS = [
    "推しが尊い",
    "推しを推す。推して、推します",
    "それな",
    "草生える",
    "庭の草を抜く",
    "ワイはググった",
    "エモかったしエモい",
    "バズってる",
    "ぴえん",
    "しんどくてもてぇてぇ",
    "りょ",
    "沼にはまる限界オタク",
]


def analysed(folder, posts: list[str], **options) -> Analysis:
    (folder / "posts.jsonl").write_text("".join(json.dumps({"text": post}) + "\n" for post in posts), encoding="utf-8")
    return analyze([folder / "posts.jsonl"], AnalysisOptions(processes=1, **options))


def counted(table: WordTable) -> dict[str, int]:
    return {row.word: row.count for row in table.rows()}


def made_of(posts: list[list[Word]]) -> Analysis:
    """Return an analysis of given words."""
    numbers: dict[Word, int] = {}
    stream = [n for post in posts for n in (*(numbers.setdefault(w, len(numbers) + 1) for w in post), END)]
    undated = np.full(len(posts), np.datetime64("NaT", "s"))
    return Analysis(np.array(stream, np.uint32), list(numbers), undated, 0, {})


def test_lines_of_the_notes_against_tables_by_hand(tmp_path):
    found = word_tables(analysed(tmp_path, NOTES, net_words=False), Selection.read(NOTES_SELECTION))
    for name, wanted in BY_HAND.items():
        assert {word: n for word, n in counted(found[name]).items() if word not in ("の", "〜")} == wanted, name
    assert counted(found["verbs"]).keys() <= counted(found[ALL_WORDS]).keys()
    assert list(counted(found["verbs"]))[:2] == ["撮る", "くださる"]
    assert list(counted(found["emoji"])) == ["‼︎", "❓"]


def test_dependent_nouns_count_as_in_the_notes():
    """こと, ん and よう are nouns in the notes; numbers and punctuation are not words."""
    posts = [[Word("こと", "名詞,非自立,一般,*", "こと"), Word("ん", "名詞,非自立,一般,*", "ん")]] * 2
    posts += [[Word("よう", "名詞,非自立,助動詞語幹,*", "よう"), Word("19", "名詞,数,*,*", "19")]]
    posts += [[Word("三", "名詞,数,*,*", "三"), Word("!", "名詞,サ変接続,*,*", "!"), Word("ー", "名詞,一般,*,*", "ー")]]
    found = word_tables(made_of(posts), Selection.read(NOTES_SELECTION))
    assert counted(found["nouns"]) == {"こと": 2, "ん": 2, "よう": 1}
    assert [(row.word, row.posts, row.share) for row in found["nouns"].rows(1)] == [("こと", 2, 0.5)]
    assert counted(found[CONTENT_WORDS]) == {}


def test_words_that_say_nothing_alone_are_not_counted(tmp_path):
    found = word_tables(analysed(tmp_path, NOTES), Selection.read())
    for name, by_hand in BY_HAND.items():
        wanted = {word: n for word, n in by_hand.items() if word not in EMPTY}
        assert {word: n for word, n in counted(found[name]).items() if word != "〜"} == wanted, name
    posts = ["花子さんのことを話していることができるようにされている", "新しくないものはここにある"]
    found = word_tables(analysed(tmp_path, posts), Selection.read())
    assert counted(found[ALL_WORDS]) == {"花子": 1, "話す": 1, "新しい": 1}


def test_words_of_the_net_in_the_tables(tmp_path):
    found = word_tables(analysed(tmp_path, NET_POSTS), Selection.read())
    assert counted(found["nouns"]) == {
        **{"推し": 2, "草": 2, "庭": 1, "ワイ": 1, "ぴえん": 1, "沼": 1, "限界オタク": 1},
    }
    assert counted(found["verbs"]) == {"推す": 3, "生える": 1, "抜く": 1, "ググる": 1, "バズる": 1, "はまる": 1}
    assert counted(found["adjectives"]) == {"エモい": 2, "尊い": 1, "しんどい": 1, "てぇてぇ": 1}
    assert counted(found["interjections"]) == {"それな": 1, "りょ": 1}


def test_every_word_of_the_net_is_known_alone():
    entries = read_user_dictionary(NET_WORDS)
    analyzer = Analyzer(entries)
    for _, _, _, _, part, kind, *_, base_form, _, _ in (entry.split(",") for entry in entries):
        (word,) = analyzer.words(base_form)
        assert word.base_form == base_form and word.part_of_speech.startswith(f"{part},{kind}"), base_form


@pytest.mark.parametrize(
    "text",
    [
        *["ハワイでワインを飲む", "ワイヤーとワイパー", "動画をリプレイする", "それなのに、それなら行く"],
        *["庭の草を抜く", "草野球のあと草津温泉", "沼津の沼地", "旅行の了解をとる"],
        *["推し量って推し進める", "候補に推します", "それなんだよ"],
    ],
)
def test_words_of_the_net_change_no_other_words(text):
    assert Analyzer(read_user_dictionary(NET_WORDS)).words(text) == Analyzer().words(text)


def test_user_dictionary_is_added_to_the_words_of_the_net(tmp_path):
    names = ("朝霧てまり,カスタム名詞,アサギリテマリ",)
    found = word_tables(analysed(tmp_path, ["推しは朝霧てまり"], user_dictionary=names), Selection.read())
    assert counted(found["nouns"]) == {"推し": 1, "朝霧てまり": 1}


KINDS = [
    "名詞,一般,*,*",
    "名詞,非自立,一般,*",
    "動詞,自立,*,*",
    "形容詞,自立,*,*",
    "助詞,格助詞,一般,*",
    "絵文字",
    "名詞,数,*,*",
]
WORDS = st.builds(
    Word, st.sampled_from("あい犬"), st.sampled_from(KINDS), st.sampled_from(["犬", "猫", "走る", "1", "!"])
)


@settings(max_examples=60, deadline=None)
@given(posts=st.lists(st.lists(WORDS, max_size=6), min_size=1, max_size=8), stop=st.sampled_from(["犬", "x"]))
def test_tables_against_an_independent_count(posts, stop):
    parts = {"a": ["名詞"], "b": ["動詞,自立", "形容詞"]}
    light = WordClass(("名詞,非自立",), frozenset(["走る"]))
    found = word_tables(made_of(posts), Selection(parts, WordClass(("名詞,数",), frozenset([stop])), light))

    def wanted(take) -> tuple[Counter, Counter]:
        kept = [[w.base_form for w in post if take(w)] for post in posts]
        return Counter(w for post in kept for w in post), Counter(w for post in kept for w in set(post))

    def written(word: Word) -> bool:
        return word.base_form not in ("1", "!", stop) and not word.part_of_speech.startswith("名詞,数")

    takes = {
        "a": lambda w: written(w) and w.part_of_speech.startswith("名詞"),
        "b": lambda w: written(w) and w.part_of_speech.startswith(("動詞", "形容詞")),
        "emoji": lambda w: w.part_of_speech == "絵文字" and w.base_form != stop,
    }
    takes[ALL_WORDS] = lambda w: takes["a"](w) or takes["b"](w)
    takes[CONTENT_WORDS] = lambda w: takes[ALL_WORDS](w) and w.base_form != "走る" and "非自立" not in w.part_of_speech
    for name, take in takes.items():
        counts, in_posts = wanted(take)
        rows = found[name].rows()
        assert {row.word: row.count for row in rows} == counts
        assert {row.word: row.posts for row in rows} == in_posts
        assert [row.share for row in rows] == [in_posts[row.word] / len(posts) for row in rows]
        assert [row.count for row in rows] == sorted(counts.values(), reverse=True)


def test_ties_are_in_order_of_occurrence():
    posts = [[Word(w, "名詞,一般,*,*", w) for w in "乙甲丙甲丙"]]
    assert [row.word for row in word_tables(made_of(posts), Selection.read())["nouns"].rows()] == ["甲", "丙", "乙"]


def test_table_of_some_posts():
    posts = [[Word(w, "名詞,一般,*,*", w)] for w in "犬猫犬鳥"]
    table = word_tables(made_of(posts), Selection.read())["nouns"].select_posts(np.array([0, 1]))
    assert [(row.word, row.count, row.share) for row in table.rows()] == [("犬", 1, 0.5), ("猫", 1, 0.5)]


def test_custom_selection(tmp_path):
    path, stops = tmp_path / "w.json", tmp_path / "stop.txt"
    path.write_text(
        '\ufeff{"parts_of_speech": {"names": ["名詞,固有名詞"]}, "stop": {"words": ["東京"]}}', encoding="utf-8"
    )
    stops.write_text("大阪\n\n", encoding="utf-8")
    found = word_tables(analysed(tmp_path, ["東京と大阪と京都の犬"]), Selection.read(path, stops))
    assert counted(found["names"]) == counted(found[ALL_WORDS]) == {"京都": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"parts_of_speech": {"a": "名詞"}}',
        '{"parts_of_speech": {}}',
        '{"parts_of_speech": {"words": ["名詞"]}}',
    ],
)
def test_invalid_selection(tmp_path, text):
    (tmp_path / "w.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"w\.json: "):
        Selection.read(tmp_path / "w.json")


@pytest.mark.parametrize("module", [words, memorization])
def test_docstring_examples(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed
