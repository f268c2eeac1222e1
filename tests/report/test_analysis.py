"""Analysis: words match the tokenizer, posts round trip, and the cache."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.report import analysis as module
from gluon_lstm.report.analysis import Analysis, AnalysisOptions, analyze
from gluon_lstm.text import pipeline
from gluon_lstm.text.cache import clear_cache
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.janome.analyzer import Analyzer, Word
from gluon_lstm.text.sources.reading import TextError
from gluon_lstm.text.tokenizers.janome import JanomeTokenizer

POSTS = [
    "今日は楽しかったです(^^)",
    "@taro 猫\n犬 😀",
    "#タグ https://t.co/abc 眠い",
    "今日は楽しかったです(^^)",
    "  ",
    "🐈‍⬛",
]


@pytest.fixture(scope="module")
def janome():
    return JanomeTokenizer()


@pytest.fixture(scope="module")
def analyzer():
    return Analyzer()


def posts_file(folder):
    (folder / "posts.csv").write_text(
        "date,text\n" + "".join(f'2018-09-{5 + k:02} 22:30,"{post}"\n' for k, post in enumerate(POSTS)),
        encoding="utf-8",
    )
    return folder / "posts.csv"


def same(one: Analysis, other: Analysis) -> bool:
    arrays = ("stream", "dates")
    return all(np.array_equal(getattr(one, a), getattr(other, a), equal_nan=a == "dates") for a in arrays) and (
        (one.words, one.characters, one.cleaning) == (other.words, other.characters, other.cleaning)
    )


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(
        st.text(max_size=8)
        | st.text("あがー漢字ｶﾞaｗ。！ \u3000\r\n()（^_´ω｀)#@:/1_👩👧🇯", max_size=12)
        | st.sampled_from(["楽しかった", "#タグ", "@name", "(´・ω・`)", "https://t.co/a", "\ud800", "形態素解析器"]),
        max_size=6,
    ).map("".join)
)
def test_surfaces_are_the_tokens(janome, analyzer, text):
    assert [word.surface for word in analyzer.words(text)] == janome.tokenize(text)


def test_parts_of_speech_and_base_forms(analyzer):
    assert analyzer.words("楽しかった😀 @a #猫(^^)\n") == [
        Word("楽しかっ", "形容詞,自立,*,*", "楽しい"),
        Word("た", "助動詞,*,*,*", "た"),
        Word("😀", "絵文字", "😀"),
        Word(" ", "空白", " "),
        Word("@a", "メンション", "@a"),
        Word(" ", "空白", " "),
        Word("#猫", "ハッシュタグ", "#猫"),
        Word("(^^)", "顔文字", "(^^)"),
        Word("\n", "空白", "\n"),
    ]


def test_compound_nouns_are_one_word():
    words = Analyzer(compound_nouns=True).words("形態素解析器を使う")
    assert words[0] == Word("形態素解析器", "名詞,複合,*,*", "形態素解析器")
    assert "".join(word.surface for word in words) == "形態素解析器を使う"


@pytest.mark.parametrize("processes", [1, 2])
def test_posts_round_trip_with_dates(tmp_path, processes):
    analysis = analyze([posts_file(tmp_path)], AnalysisOptions(processes=processes))
    wanted = list(Cleaner().clean_posts(POSTS))
    assert [analysis.text(k) for k in range(len(analysis))] == wanted
    assert analysis.lengths.tolist() == [len(post) for post in wanted]
    assert analysis.characters == sum(map(len, wanted))
    assert [str(date) for date in analysis.dates] == [f"2018-09-{day:02}T22:30:00" for day in (5, 6, 7, 10)]


def test_second_call_reads_nothing(tmp_path, monkeypatch):
    path, options = posts_file(tmp_path), AnalysisOptions(cache=tmp_path / "cache")
    first = analyze([path], options)
    monkeypatch.setattr(module, "analyze_posts", None)
    monkeypatch.setattr(pipeline, "read_sources", None)
    assert same(analyze([path], options), first)
    assert clear_cache(tmp_path / "cache") > 0
    with pytest.raises(TypeError):
        analyze([path], options)


def test_every_relevant_option_is_in_the_cache_key(tmp_path):
    path, cache = posts_file(tmp_path), tmp_path / "cache"
    choices = [
        {},
        {"compound_nouns": True},
        {"net_words": False},
        {"user_dictionary": ("楽しかったです,カスタム名詞,タノシカッタデス",)},
        {"cleaning": CleaningOptions(mentions="keep")},
    ]
    found = [analyze([path], AnalysisOptions(cache=cache, **choice)) for choice in choices]
    assert len({tuple(analysis.words) for analysis in found}) >= 3
    assert len(list(cache.iterdir())) == len(choices)
    for choice, analysis in zip(choices, found):
        assert same(analyze([path], AnalysisOptions(**choice)), analysis)


def test_error_when_no_post_is_left(tmp_path):
    (tmp_path / "a.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(TextError, match="no post is left of the 2"):
        analyze([tmp_path / "a.txt"], AnalysisOptions(cache=tmp_path / "cache"))
    assert list((tmp_path / "cache").iterdir()) == []
