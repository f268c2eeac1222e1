"""The page of `gluon-lstm report` in a browser: everything inside its card, on a phone and on a wide screen."""

from __future__ import annotations

from itertools import islice

import pytest
from helpers import POSTS

from gluon_lstm.report.from_files import report

OUTSIDE = """Array.from(document.querySelectorAll("img, table, p, h3"), (inner) => [inner, inner.closest(".card")])
    .filter(([inner, card]) => card && inner.getBoundingClientRect().right > card.getBoundingClientRect().right)
    .map(([inner]) => inner.outerHTML.slice(0, 80))"""

SCROLLING = """Array.from(document.querySelectorAll("*"))
    .filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "visible").length"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with POSTS.open(encoding="utf-8") as posts:
        (folder / "posts.txt").write_text("".join(islice(posts, 200)), encoding="utf-8")
    report([folder / "posts.txt"], folder / "out", no_cache=True)
    return folder / "out" / "report.html"


@pytest.mark.parametrize("width, scheme", [(390, "light"), (390, "dark"), (1440, "light"), (1440, "dark")])
def test_nothing_is_cut_off_or_scrolls_sideways(width, scheme, opened, written):
    with opened(written, viewport={"width": width, "height": 900}, color_scheme=scheme) as page:
        assert page.locator("img").count() == 3
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(SCROLLING) == 0
        assert page.evaluate(OUTSIDE) == []
