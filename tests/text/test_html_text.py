"""HTML of posts: text as a reader sees it, any input, linear time."""

from __future__ import annotations

import html
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources.html_text import html_to_text

URL_PARTS = (
    '<a href="https://example.com/abc/def" rel="nofollow"><span class="invisible">https://</span>'
    '<span class="ellipsis">example.com/abc</span><span class="invisible">/def</span></a>'
)
HASHTAG = '<a href="https://example.social/tags/%E6%9C%9D" class="mention hashtag" rel="tag">#<span>朝</span></a>'
MENTION = '<span class="h-card"><a href="https://example.social/@hanako" class="u-url">@<span>hanako</span></a></span>'


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("おはよう", "おはよう"),
        ("<p>さむい<br />ね &lt;3</p>", "さむい\nね <3"),
        (f"<p>{MENTION} おはよう {HASHTAG}</p><p>二段落目</p>", "@hanako おはよう #朝\n二段落目"),
        (f"<p>みて {URL_PARTS}</p>", "みて https://example.com/abc/def"),
        ('<a href="https://example.com">ここ</a>', "ここ"),
        ("A<br>B<br/>C<br><br>D", "A\nB\nC\n\nD"),
        ("<br><p>A<br></p><p>B</p><br>", "A\nB"),
        ("<div>A<div>B</div></div>C", "A\nB\nC"),
        ("<ul><li>A</li><li>B</li></ul><ol><li>C</ol>D", "A\nB\nC\nD"),
        ("<p>A</p>\n\n<p>B\n  C</p>\n", "A\nB C"),
        ("A<br />\nB", "A\nB"),
        ("A\n<b>B</b>\nC", "A B C"),
        ("<pre><code>\nA\n  B\r\n</code></pre>C", "A\n  B\nC"),
        ("<p> A  B </p>", " A  B "),
        ("&amp;lt; &quot;&#39;&#x1f600;&nbsp;|", "&lt; \"'😀\xa0|"),
        ("A<script>let a = '<p>';</script>B<style>p {}</style>C<!-- D -->E", "ABCE"),
        ('A<img alt=":blobcat:" src="x">B<img class="emoji" alt="😀"/>C', "A:blobcat:B😀C"),
        ('A<img alt="海の写真" src="x">B<img>C', "ABC"),
        ("<!DOCTYPE html>A<?xml ?>B<![CDATA[ C ]]>D<![x[ E", "ABD"),
        ("A < B <3 </3 C", "A < B <3 </3 C"),
        ("A</p></div></b>B", "A\nB"),
        ("A <b", "A <b"),
        ('A<a href="x>B</a>C', "ABC"),
        ("A<!-- B <p>C</p>", "A"),
        ("A<script>B <p>C</p>", "A"),
        ("A&#12354;&#x3044", "Aあい"),
        pytest.param("A&#" + "1" * 10_000 + ";B", "A\ufffdB", id="long reference"),
        ("A&am", "A&am"),
    ],
)
def test_text_by_hand(source, text):
    assert html_to_text(source) == text


def as_mastodon_writes(paragraphs: list[str]) -> str:
    """Return the HTML of a post: escaped, with <p> and <br />."""
    return "".join(f"<p>{html.escape(paragraph)}</p>".replace("\n", "<br />") for paragraph in paragraphs)


LINES = st.lists(
    st.sampled_from(["<", ">", "&", '"', "'", "</p>", "<br />", "<!--", "&lt;", "&#1", " ", "😀", "が", "あ", "#朝"])
    | st.text(st.characters(blacklist_characters="\r\n"), min_size=1, max_size=5),
    min_size=1,
    max_size=8,
).map("".join)
PARAGRAPHS = st.lists(LINES, min_size=1, max_size=4).map("\n".join)


@settings(deadline=None)
@given(st.lists(PARAGRAPHS, max_size=4))
@example(["a&", "lt;<", "&"])
def test_posts_as_mastodon_writes_them_come_back(paragraphs):
    assert html_to_text(as_mastodon_writes(paragraphs)) == "\n".join(paragraphs)


HTML_PARTS = [
    *(
        "<p>",
        "</p>",
        "<br",
        "<a ",
        "<a href=",
        "<!",
        "<![",
        "<!--",
        "-->",
        "<?",
        "</",
        "<script>",
        "</script>",
        "<pre>",
    ),
    *("=", "'", '"', "/", ">", "<", "&", "&#", "&lt", "x", " ", "\n", "\0", "]]>", "[", "<textarea>"),
]


@settings(deadline=None)
@given(st.lists(st.sampled_from(HTML_PARTS) | st.text(max_size=3)).map("".join))
def test_any_html_gives_text(source):
    text = html_to_text(source)
    assert text == text.strip("\n")


HOSTILE_PARTS = [
    *(
        "<",
        "<a ",
        "<a b='",
        '<a b="x>',
        "<!--",
        "<!",
        "<?",
        "</",
        "</a",
        "<![",
        "&",
        "&#",
        "&#1",
        "<script>",
        "<script ",
    ),
    *("<a =", "<a/", " \n", "]]>", "a&", "<p>"),
]


@pytest.mark.parametrize("part", HOSTILE_PARTS)
def test_time_is_linear(part):
    for end in ("", "'>"):
        source = part * (500_000 // len(part)) + end
        start = time.process_time()
        html_to_text(source)
        assert time.process_time() - start < 10  # quadratic time would be minutes
