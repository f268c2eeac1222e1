"""Plots: words without glyphs are left out, sizes, settings of matplotlib."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

from gluon_lstm.report import _dependencies, plots
from gluon_lstm.report.cooccurrence import Pair
from gluon_lstm.report.words import WordCount

PNG = b"\x89PNG\r\n\x1a\n"
TITLES = {"posts_by_day": "日ごとの投稿数", "posts_by_hour": "時刻ごとの投稿数", "nouns": "名詞"}
DRAWABLE = ["犬", "楽しい", "ｶﾞ", "①", "(´・ω・`)", "$100$", "&lt;b&gt;", "髙﨑", "AKB48", "〜"]
UNDRAWABLE = ["😀", "🐈‍⬛", "👨‍👩‍👧", "犬😀", "\ue000", "❤️"]


@pytest.fixture(autouse=True)
def missing_glyph_is_an_error():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*[Gg]lyph")
        yield


def rows(words: list[str]) -> list[WordCount]:
    return [WordCount(word, 50 - k, 40 - k, 0.5) for k, word in enumerate(words)]


def pairs(words: list[str]) -> list[Pair]:
    return [Pair(one, other, 9, 0.5) for one, other in zip(words, words[1:])]


def size(png: bytes) -> tuple[int, int]:
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        image.load()
        return image.size


def test_font_covers_japanese():
    kana = "".join(map(chr, [*range(0x3041, 0x3097), *range(0x30A1, 0x30FB)]))
    level_1 = bytes([lead for row in range(16, 48) for cell in range(1, 95) for lead in (row + 0xA0, cell + 0xA0)])
    assert plots.can_draw(kana + level_1.decode("euc_jp", errors="ignore"))  # JIS X 0208 level 1
    assert not any(map(plots.can_draw, UNDRAWABLE)) and all(map(plots.can_draw, DRAWABLE))


def test_words_without_glyphs_are_left_out_of_all_plots():
    mixed = [word for pair in zip(DRAWABLE, UNDRAWABLE) for word in pair]
    only = [row for row in rows(mixed) if row.word in DRAWABLE]
    assert plots.word_cloud(rows(mixed)) == plots.word_cloud(only)
    assert plots.bars({"nouns": rows(mixed)}, TITLES) == plots.bars({"nouns": only}, TITLES)
    counts = dict.fromkeys([*DRAWABLE, *UNDRAWABLE], 5)
    assert plots.network(pairs(DRAWABLE) + pairs(UNDRAWABLE), counts) == plots.network(pairs(DRAWABLE), counts)


def test_no_plot_without_data():
    assert plots.word_cloud([]) is None and plots.word_cloud(rows(UNDRAWABLE)) is None
    assert plots.bars({"nouns": rows(UNDRAWABLE), "verbs": []}, TITLES) is None
    assert plots.network([], {}) is None and plots.network(pairs(UNDRAWABLE), dict.fromkeys(UNDRAWABLE, 1)) is None
    assert plots.activity(np.full(3, np.datetime64("NaT", "s")), TITLES) is None


def test_sizes_of_plots():
    dates = np.array(["2018-09-05T22:30:00", "2018-09-05T07:00:00", "2018-11-30T00:00:00"], "datetime64[s]")
    assert size(plots.word_cloud(rows(DRAWABLE), 400, 300)) == (400, 300)
    by_hour, by_day = (plots.activity(d, TITLES) for d in (dates, dates.astype("datetime64[D]").astype(dates.dtype)))
    assert size(by_hour)[1] > size(by_day)[1]  # without hours the dates fill one panel only
    one, four = (plots.bars({str(k): rows(DRAWABLE) for k in range(n)}, TITLES) for n in (1, 4))
    assert size(four)[0] == 3 * size(one)[0]
    assert plots.activity(dates[:1], TITLES).startswith(PNG)
    assert size(plots.activity(np.array(["1970-01-01", "2100-12-31"], "datetime64[s]"), TITLES)) == size(by_day)


def test_labels_of_a_network_do_not_overlap():
    rng = np.random.default_rng(1)
    places = plots._separate_labels(rng.uniform(0, 3, (12, 2)))
    between = (places[:, None] - places[None, :]) / (0.75, 0.45)
    assert (np.sqrt((between**2).sum(axis=2)) + np.eye(12)).min() > 0.9


def test_network_layout_does_not_depend_on_the_hash_seed():
    import networkx as nx

    words = [f"{k}{letter}" for k in range(8) for letter in "dbac"]
    graph = nx.Graph((words[4 * k + i], words[4 * k + i + 1]) for k in range(8) for i in range(3))
    assert list(plots._layout(graph)) == words  # in order of insertion, not of a set


def test_matplotlib_settings_are_restored():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.bars({"nouns": rows(DRAWABLE)}, TITLES)
    assert dict(matplotlib.rcParams) == before


def test_missing_libraries_are_named_with_a_pip_command(monkeypatch):
    monkeypatch.setattr(_dependencies, "find_spec", lambda name: None if name in ("wordcloud", "jinja2") else object())
    with pytest.raises(ImportError, match=r"needs wordcloud, jinja2, .* pip install scikit-learn networkx"):
        _dependencies.check_libraries()
