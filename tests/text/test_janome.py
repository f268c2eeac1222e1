"""Janome: the words are those of `janome.tokenizer.Tokenizer`, ties included."""

from __future__ import annotations

import random

import pytest
import regex
from helpers import corpus_lines
from hypothesis import given, settings
from hypothesis import strategies as st
from janome.tokenfilter import CompoundNounFilter
from janome.tokenizer import Tokenizer

from gluon_lstm.text.janome import atomic, lattice
from gluon_lstm.text.janome.analyzer import Analyzer, Word
from gluon_lstm.text.janome.lattice import Janome
from gluon_lstm.text.janome.lookup import _MAX_UNKNOWN_WORD, SystemWords

SIMPLE = [
    "猫,カスタム名詞,ネコ",
    "のだ,カスタム名詞,ノダ",
    "東京タワー,カスタム名詞,トウキョウタワー",
    "ｗｗ,記号,ワラ",
]
IPADIC = [
    "猫,1285,1285,5000,名詞,一般,*,*,*,*,ねこ,ネコ,ネコ",
    "猫,1285,1285,5000,名詞,固有名詞,*,*,*,*,ネコ,ネコ,ネコ",
    "吾輩は,1288,13,-3000,名詞,固有名詞,一般,*,*,*,吾輩は,ワガハイハ,ワガハイハ",
    "の,368,368,4816,助詞,連体化,*,*,*,*,乃,ノ,ノ",
    "あ" * 51 + ",1288,1288,-30000,名詞,固有名詞,一般,*,*,*,*,ア,ア",  # longer than any look-up
]


@pytest.fixture(scope="module")
def theirs():
    return Tokenizer(max_unknown_length=_MAX_UNKNOWN_WORD)


@pytest.fixture(scope="module")
def ours():
    return Janome()


def assert_same_words(ours, theirs, text):
    expected = [(token.surface, token.part_of_speech, token.base_form) for token in theirs.tokenize(text)]
    assert ours.analyze(text) == expected
    assert ours.tokenize(text) == [surface for surface, _, _ in expected]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("open2ch_posts.txt", 700),
        ("soseki_3works.txt", 100),
        ("miyazawa_ginga.txt", 60),
        ("twitter_benchmark_100.txt", 60),
        ("nasty/control_chars_blns.txt", 200),
    ],
)
def test_real_text(ours, theirs, name, lines):
    every = corpus_lines(name)
    for line in every[:: -(-len(every) // lines)]:
        assert_same_words(ours, theirs, line)


ALPHABETS = [
    "あいかがきしたてとなにのはもやらりるれをんっゃー",
    "今日本人生東京大学行見言一二三十百千万〇々",
    "アカサタナハマンッーｱｶﾞﾊﾟ",
    "abcXYZａｂＺéñαβжШ0123０１２Ⅳ①",
    "、。,.！？!?「」()（）…・〜～％&\"'-_=+　 \t\n\r",
    "猫吾輩はのだ",
    "㍻♡★→█㌔𠮷𩸽😂🇯🇵️‍\x00\x1c\xa0゙",
]
any_text = st.lists(
    st.one_of(
        *(st.text(alphabet, max_size=12) for alphabet in ALPHABETS),
        st.text(max_size=4),
        st.builds(str.__mul__, st.text("".join(ALPHABETS), min_size=1, max_size=2), st.integers(1, 90)),
        st.sampled_from(["すもももももももものうち", "東京タワー", "にわにはにわにわとりがいる", "吾輩は猫である"]),
    ),
    max_size=8,
).map("".join)


@settings(max_examples=250, deadline=None)
@given(text=any_text)
def test_any_text(ours, theirs, text):
    assert_same_words(ours, theirs, text)


@pytest.mark.parametrize("ending", ["", "。", ",", "\n\n", "\r\n\r\n", "\n"])
@pytest.mark.parametrize("length", [499, 500, 501, 1023, 1024, 1025, 2600])
def test_chunks_of_long_text(ours, theirs, length, ending):
    letters = random.Random(length)
    sentences = [
        "今日は良い天気ですね",
        "ﾊﾟソコンをつかう" * 6,
        "東京特許許可局" * 9,
        "ｗ" * 40,
        "すもももももももものうち",
    ]
    text = ""
    while len(text) < length:
        text += letters.choice(sentences) + ending * (letters.random() < 0.4)
    assert_same_words(ours, theirs, text[:length])


@pytest.mark.parametrize(
    ("lines", "format"), [(SIMPLE, "simpledic"), (IPADIC, "ipadic"), (IPADIC[::-1], "ipadic")], ids=["3", "13", "13r"]
)
def test_user_dictionary(tmp_path, lines, format):
    path = tmp_path / "words.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    theirs = Tokenizer(str(path), udic_type=format, max_unknown_length=_MAX_UNKNOWN_WORD)
    ours = Janome(lines)

    @settings(max_examples=60, deadline=None)
    @given(text=any_text)
    def check(text):
        assert_same_words(ours, theirs, text)

    check()
    for text in ["吾輩は猫である", "猫の猫", "東京タワーのだのだ", "あ" * 60, "草ｗｗｗ", "猫"]:
        assert_same_words(ours, theirs, text)


def test_unknown_words_have_the_categories_of_janome(ours, theirs):
    """The patterns of the categories match the same characters, tried at both sides of each limit of a range."""
    dictionary = theirs.sys_dic
    limits = {ord(limit) for each in dictionary.char_ranges for limit in (each["from"], each["to"])}
    for point in sorted({limit + k for limit in limits for k in (-1, 0, 1)} | {0x10FFFF}):
        categories = dictionary.get_char_categories(chr(point))
        expected = {*categories, *(name for names in categories.values() for name in names)}
        found = {name for name in dictionary.unknowns if ours._unknown._category(name)[1](chr(point)).end()}
        assert found == expected, hex(point)


def test_a_cleared_cache_changes_no_word(monkeypatch, theirs):
    monkeypatch.setattr(SystemWords, "_MAX_PREFIXES", 20)
    monkeypatch.setattr(lattice, "_dictionary", lattice._dictionary.__wrapped__)  # with a cache of its own
    ours = Janome()
    for _ in range(2):
        assert_same_words(ours, theirs, "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。")
    assert ours._system._num_prefixes <= 20


def test_compound_nouns_are_those_of_janome(theirs):
    analyzer = Analyzer(compound_nouns=True)
    for text in ["東京特許許可局の形態素解析器", "今日は良い天気だ", "名詞", "猫がネコネコ動画株式会社"]:
        joined = CompoundNounFilter().apply(theirs.tokenize(text))
        assert analyzer.words(text) == [Word(word.surface, word.part_of_speech, word.base_form) for word in joined]


def test_no_atomic_token_begins_with_the_characters_that_are_skipped():
    patterns = [regex.compile(pattern) for pattern in atomic._ATOMIC_PATTERNS]
    skipped = regex.findall(f"[{atomic._NEVER_FIRST}]", "".join(map(chr, range(0xD800))))
    assert len(skipped) > 20_000
    for character in skipped:
        assert not any(pattern.match(f"{character}(^^){character}") for pattern in patterns)
