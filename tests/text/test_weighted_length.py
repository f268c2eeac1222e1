"""Weighted length against the conformance rules of twitter-text, and against the four ranges of its configuration."""

from __future__ import annotations

import doctest
import unicodedata

import pytest
from helpers import corpus_lines
from hypothesis import given
from hypothesis import strategies as st

from gluon_lstm.text import weighted_length as module
from gluon_lstm.text.weighted_length import weighted_length

CONFORMANCE = "twitter_text_conformance_ja.txt"
RANGES = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))  # of weight 1, as the configuration has them
JOINING = "\u200c\u200d\u20e3\ufe0e\ufe0f"
JOINING_CODES = (*range(0x1F1E6, 0x1F200), *range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080))
PLAIN = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[".", *JOINING, *map(chr, JOINING_CODES)]),
    max_size=30,
)
FAMILY = "👨\u200d👩\u200d👧\u200d👦"


def sum_of_code_points(text: str) -> int:
    return sum(
        1 if any(first <= ord(character) <= last for first, last in RANGES) else 2
        for character in unicodedata.normalize("NFC", text)
    )


def test_docstring_examples():
    assert doctest.testmod(module).failed == 0 and doctest.testmod(module).attempted > 0


@given(PLAIN)
def test_text_without_links_and_sequences_is_the_sum_of_its_code_points(text):
    assert weighted_length(text) == sum_of_code_points(text)


@given(st.text(max_size=20), st.text(max_size=20))
def test_lines_count_apart(first, second):
    """Nothing joins over a newline: neither a link nor an emoji nor a combining mark."""
    assert weighted_length(f"{first}\n{second}") == weighted_length(first) + 1 + weighted_length(second)


@pytest.mark.parametrize(
    "text, length",
    [
        ("", 0),
        ("This is a test.", 15),
        ("저찀쯿쿿", 8),
        ("A\u0301B", 2),  # composed first
        ("か\u3099", 2),
        ("A\ufb2c", 4),  # composition takes U+FB2C apart
        (f"H🐱☺{FAMILY}", 7),
        ("😷👾😡🔥💩", 10),
        ("🙋🏽👨\u200d🎤", 4),
        (FAMILY * 140, 280),
        ("1\u20e3", 2),
        ("1\ufe0f\u20e3", 2),
        ("🇯🇵🇯", 4),  # a flag, and half of one
        ("❤\ufe0f❤\ufe0e", 2 + 4),  # the second is text
        ("©©\ufe0f", 1 + 2),
        ("🐱🏽", 4),  # a cat has no skin tones
        ("👨\u200d", 3),  # joined to nothing
        ("👨\u3099\u3099", 6),
        ("Unicode 10.0 emoji: 🤪; 🧕; 🧕🏾; 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 34),
        ("ABC\u202a\uffffABC\ufffe", 12),
    ],
)  # fmt: skip
def test_characters_and_emoji(text, length):
    assert weighted_length(text) == length


@pytest.mark.parametrize(
    "text, links",
    [
        ("Hi http://test.co", ["http://test.co"]),
        ("https://www.twitter.com/aloha " * 10, ["https://www.twitter.com/aloha"] * 10),
        ("test.com と ELPAÍS.com", ["test.com", "ELPAÍS.com"]),
        ("foo.co.jp www.foo.co.uk foo.jp foo.baz foo.comm", ["foo.co.jp", "www.foo.co.uk", "foo.jp"]),
        ("今日はamazon.comで買った。", ["amazon.com"]),
        ("http://en.wikipedia.org/wiki/Primer_(film)。", ["http://en.wikipedia.org/wiki/Primer_(film)"]),
        ("http://example.com/path/!!!!!", ["http://example.com/path/"]),
        ("http://t.co/pbY2NfTZ's", ["http://t.co/pbY2NfTZ"]),
        ("http://t.co/" + "a" * 41, []),
        ("http://domain.com-that-you-should-have-put-a-space-after", []),
        ("taro.yamada@example.com #test.com @test.com $test.com", []),
        ("http://no-tld http://twitter_underscore.com http://-twitter.com http://twitter.c_o_m", []),
        ("http://sub_domain-dash.twitter.com", ["http://sub_domain-dash.twitter.com"]),
        ("long.test.tar.bz2 node.js 3.14", []),
        ("a" * 64 + ".com", []),
        (f"http://{'あ' * 53}.com", ["http://" + "あ" * 53 + ".com"]),
        (f"http://{'あいうえおかきくけこ' * 5}あいう.com", []),  # Punycode: longer than 63 bytes
    ],
)
def test_links_count_23(text, links):
    assert_links_count_23(text, links)


def assert_links_count_23(text, links):
    rest = text
    for link in sorted(links, key=len, reverse=True):
        assert link in rest
        rest = rest.replace(link, "", 1)
    assert weighted_length(text) == 23 * len(links) + sum_of_code_points(rest)


# Expected results of the conformance file, by the line numbers of its Japanese texts.
LENGTHS = {90: 280, 91: 280, 92: 320, 93: 320, 94: 323, 95: 7, 96: 10, 97: 4, 98: 112, 99: 358, 100: 264, 101: 280,
           102: 34, 103: 29}  # fmt: skip
LINKS = {
    49: ["http://example.com"],
    52: ["http://ああ.com"],
    53: ["http://あ-あ.com"],
    54: ["http://example.com"],
    55: ["example.com/path/index.html", "example.com/path"],
    56: ["twitter.com", "example.com", "t.co/abcde", "twitter.com", "example2.com", "twitter.com/abcde"],
    57: ["http://twitter.com/", "example.com", "http://t.co/abcde", "twitter.com", "example2.com",
         "http://twitter.com/abcde"],
    58: ["http://exampleこれは日本語です.com/path/index.html"],
    59: ["twitter.jp", "it.so", "foo.jp", "it.so", "foo.jp"],
    60: [],
    61: ["example.com", "twitter.みんな"],
    62: ["http://google.com"],
    63: ["http://foobar.みんな/", "http://foobar.中国/", "http://foobar.پاکستان/"],
}  # fmt: skip


@pytest.mark.parametrize("line", LENGTHS)
def test_conformance_lengths(line):
    assert weighted_length(corpus_lines(CONFORMANCE)[line - 1]) == LENGTHS[line]


@pytest.mark.parametrize("line", LINKS)
def test_conformance_links(line):
    assert_links_count_23(corpus_lines(CONFORMANCE)[line - 1], LINKS[line])
