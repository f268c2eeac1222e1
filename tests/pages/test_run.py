"""The page of a run: advice that follows from the curve, the places of its points, and the page in a browser."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lstm.pages.advice import advise
from gluon_lstm.pages.curve import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, curve
from gluon_lstm.pages.page import labels
from gluon_lstm.pages.run import COMPLETE, TRAINING, RunView, write
from gluon_lstm.training.history import Record
from gluon_lstm.training.run_view import first_and_newest

EVIL = '</p><script>alert("犬")</script>\u202e & \u2028'


def records(*validations: float, rolled_back_to: int | None = None) -> list[dict]:
    """Records with these validations (bits per character), 10 s apart; the training loss falls throughout."""
    found = [
        Record(10 * n, 0, 10.0 * n, 100 * n, moving_loss=4.0 - 0.1 * n, val_loss=bpc, val_bpc=bpc)
        for n, bpc in enumerate(validations, start=1)
    ]
    return [asdict(record) for record in [*found[:-1], replace(found[-1], rolled_back_to=rolled_back_to)]]


def kinds(
    *validations: float, ended: bool = True, tokens: int = 10**6, bigram: float = 6.0, base: str = "none", **more
):
    return [found.kind for found in advise(records(*validations, **more), ended, tokens, 10**6, bigram, base)]


def test_advice_names_what_the_curve_shows():
    converged = (5.5, 5.2, 5.1, 5.05, 5.031, 5.03, 5.029, 5.028, 5.027, 5.026)
    falling = (5.9, 5.8, 5.7, 5.6, 5.5, 5.4, 5.3, 5.2, 5.1, 5.0)
    rising = (5.9, 5.5, 5.2, 5.1, 5.15, 5.2, 5.3, 5.4, 5.5, 5.6)
    assert kinds(*converged) == []
    assert kinds(*falling) == ["not_converged"]
    assert kinds(*falling, ended=False) == []  # a run under way may still fall
    assert kinds(*rising) == kinds(*rising, ended=False) == ["overfitting"]
    assert kinds(*rising, tokens=9_999) == ["overfitting", "little_text", "begin_from_ja"]
    assert kinds(*rising, tokens=9_999, base="ja") == ["overfitting", "little_text"]
    assert kinds(*converged, bigram=5.0) == ["worse_than_bigram"]
    assert kinds(*falling, rolled_back_to=5) == ["diverged", "not_converged"]
    assert kinds(5.0) == []


def test_advice_gives_the_numbers_of_the_curve():
    (found,) = advise(records(5.9, 5.1, 5.3), False, 10**6, 10**6, 6.0, "none")
    assert found.values == {"seconds": 20.0, "best": 5.1, "last": 5.3}
    (found,) = advise(records(6.0, 5.8, 5.6, 5.4, 5.2), True, 10**6, 10**6, 6.0, "none")
    assert found.values == {"gained": pytest.approx(0.2), "seconds": 100.0}


@given(st.lists(st.tuples(st.floats(0, 1e4), st.floats(-5, 50)), min_size=1, max_size=30))
def test_points_lie_inside_the_picture_and_keep_their_order(points):
    drawn = curve({"a": sorted(points)}, {"level": 3.0, "far": 1e6})
    xs, ys = zip(*drawn["lines"]["a"])
    assert all(LEFT <= x <= WIDTH - RIGHT for x in xs) and list(xs) == sorted(xs)
    assert all(TOP <= y <= HEIGHT - BOTTOM for y in ys)
    high = [y for _, y in sorted(points)]
    assert ys[high.index(max(high))] == min(ys)  # upwards is more
    assert "far" not in drawn["levels"]


def test_ticks_stand_where_their_numbers_are():
    drawn = curve({"a": [(0, 4.0), (60, 8.0)]}, {})
    assert [(tick.text, tick.at) for tick in drawn["y_ticks"]][::4] == [("4", HEIGHT - BOTTOM), ("8", TOP)]
    assert [tick.text for tick in drawn["x_ticks"]] == ["0", "20", "40", "60"]
    assert drawn["x_ticks"][-1].at == WIDTH - RIGHT


def test_first_and_newest_sample_are_read_from_the_log(tmp_path):
    log = tmp_path / "samples.txt"
    assert first_and_newest(log) == []
    log.write_text("== step 1, epoch 0, loss 5.0000\nあ\nい\n\n", encoding="utf-8")
    assert first_and_newest(log) == [("step 1, epoch 0, loss 5.0000", "あ\nい")]
    with log.open("a", encoding="utf-8") as file:
        file.write("== step 2, epoch 0, loss 4.0000\nう\n\n== step 3, epoch 0, loss 3.0000\n a == b\n\n")
    assert [text for _, text in first_and_newest(log)] == ["あ\nい", " a == b"]


def test_both_languages_have_the_same_labels():
    for page in ("bot", "run"):
        english, japanese = labels(page)["en"], labels(page)["ja"]
        assert list(english) == list(japanese)
        for name, text in english.items():
            values, japanese_values = ({field for _, field, *_ in Formatter().parse(t)} for t in (text, japanese[name]))
            assert values - {None} == japanese_values - {None}, name


@pytest.mark.parametrize("width, scheme", [(390, "dark"), (1440, "light")])
def test_page_in_a_browser(width, scheme, opened, tmp_path):
    samples, settings = [("step 1", EVIL * 20)], {"from_": EVIL}
    view = RunView(EVIL, COMPLETE, records(5.9, 5.1, 5.3), {"bigram": 6.0}, 1.4, samples, settings, 900, 10**6)
    write(view, tmp_path / "index.html")
    size = {"width": width, "height": 800}
    with opened(tmp_path / "index.html", viewport=size, color_scheme=scheme, locale="ja-JP") as page:
        shown = page.inner_text("main:visible")
        for part in ("5.100 ビット", "過学習", "--from ja", EVIL.split("\u202e")[0]):
            assert part in shown
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        assert "Overfitting since 20 s" in page.inner_text("main:visible")


@pytest.mark.parametrize(
    ("language", "locale", "shown"),
    [("ja", "en-US", "ja"), ("en", "ja-JP", "en"), (None, "ja-JP", "ja"), (None, "de-DE", "en")],
)
def test_page_begins_in_its_language_else_in_that_of_the_browser(language, locale, shown, opened, tmp_path):
    write(RunView("run", COMPLETE, records(5.9), {}, 1.4, [], {}, 900, 10**6), tmp_path / "index.html", language)
    with opened(tmp_path / "index.html", locale=locale) as page:
        assert page.evaluate("document.documentElement.lang") == shown
        assert page.get_attribute("main:visible", "lang") == shown
        page.click("main:visible .language")
        chosen = page.get_attribute("main:visible", "lang")
        assert chosen != shown and page.evaluate("location.hash") == f"#{chosen}"  # which survives the next reload


def test_page_reloads_itself_until_the_run_ends(opened, tmp_path):
    view = RunView("run", TRAINING, records(5.9), {}, 1.4, [], {}, 900, 10**6, seconds_left=300)
    for status, expected in ((TRAINING, 1), (COMPLETE, 0)):
        write(replace(view, status=status), tmp_path / "index.html")
        with opened(tmp_path / "index.html", locale="en-US") as page:
            assert page.locator("meta[http-equiv=refresh]").count() == expected
            assert ("about 5.0 minutes left" in page.inner_text("main:visible")) == (status == TRAINING)


def test_training_writes_the_page(tmp_path):
    """Its numbers are those of history.jsonl."""
    from gluon_lstm.training.from_files import train

    posts = tmp_path / "posts.txt"
    posts.write_text("".join(f"今日は{k}の日です\n" for k in range(300)), encoding="utf-8")
    train([posts], tmp_path / "run", from_="none", hidden=16, batch_size=4, steps=60, no_cache=True)
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    best = min(json.loads(line)["val_bpc"] or 99 for line in lines)
    page = (tmp_path / "run" / "index.html").read_text(encoding="utf-8")
    assert f"{best:.3f} bits per character" in page and "refresh" not in page
