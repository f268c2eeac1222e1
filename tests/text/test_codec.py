"""Codec: text and settings survive a round trip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

import pytest
from helpers import corpus_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text import codec as codec_module
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.cleaning_steps import POLICIES
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

KINDS = [TextSettings("char"), TextSettings("janome"), TextSettings("janome-chars"), TextSettings(raw=True)]
NAMES = ["char", "janome", "janome-chars", "raw"]
POSTS = st.text(
    st.one_of(
        st.sampled_from("あいうんワー漢字犬 　\n\t<>word/@#😀👨\u200d👧❤\ufe0f\u3099゛ﾞe\u0301(´・ω・`)wｗ"),
        st.characters(),  # lone surrogates too
    ),
    max_size=30,
)


@pytest.fixture(autouse=True, scope="module")
def one_dictionary():
    """Load the dictionary of Janome once for all tests; loading takes longer than the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_module, "make_tokenizer", cache(codec_module.make_tokenizer))
        yield


def codec_of(text_settings: TextSettings, texts: Sequence[str], words_of: Sequence[str] = ()) -> Codec:
    """Return a codec with every code point of `texts` and every token of `words_of`."""
    blank = Codec(text_settings, Vocabulary(text_settings.special_tokens, len(text_settings.special_tokens)))
    known = {token for text in words_of for token in blank.tokenizer.tokenize(text)} - {"<word>"}
    known.update(*texts, *words_of)
    tokens = [*text_settings.special_tokens, *sorted(known)]
    return Codec(text_settings, Vocabulary(tokens, len(text_settings.special_tokens)))


@pytest.mark.parametrize("text_settings", KINDS, ids=NAMES)
def test_real_posts_round_trip(text_settings):
    posts = corpus_lines("open2ch_posts.txt")[::50]
    codec = codec_of(text_settings, posts, words_of=posts[::2])
    assert len(posts) > 300
    for post in posts:
        ids = codec.encode(post)
        assert codec.decode(ids) == post
        assert codec.vocabulary.unknown not in ids and codec.end_of_post not in ids


@pytest.mark.parametrize("text_settings", KINDS, ids=NAMES)
@given(text=POSTS, other=POSTS)
@settings(max_examples=40, deadline=None)
def test_text_of_known_characters_round_trips(text_settings, text, other):
    codec = codec_of(text_settings, [text], words_of=[other, text[::2]])
    assert codec.decode(codec.encode(text)) == text


@pytest.mark.parametrize("text_settings", KINDS, ids=NAMES)
@given(text=POSTS, known=st.sets(st.sampled_from("あいう犬😀\n"), min_size=1))
@settings(max_examples=30, deadline=None)
def test_unknown_code_points_decode_to_replacement_characters(text_settings, text, known):
    codec = codec_of(text_settings, sorted(known))
    shown = "".join(character if character in known else "\N{REPLACEMENT CHARACTER}" for character in text)
    assert codec.decode(codec.encode(text)) == shown


def test_special_tokens_decode():
    codec = codec_of(TextSettings("janome-chars"), ["犬"])
    assert [codec.decode_id(id) for id in range(4)] == ["\N{REPLACEMENT CHARACTER}", "\n", "", "犬"]
    raw = codec_of(TextSettings(raw=True), ["犬"])
    assert [raw.decode_id(id) for id in range(2)] == ["\N{REPLACEMENT CHARACTER}", "犬"]
    assert raw.end_of_post is None and raw.boundary is None


CLEANING = st.builds(
    CleaningOptions,
    max_repeats=st.integers(0, 9),
    **{name: st.sampled_from(sorted(allowed)) for name, allowed in POLICIES.items()},
)


@given(CLEANING, st.sampled_from([("char", True), ("char", False), ("janome", False), ("janome-chars", False)]))
def test_settings_survive_json(cleaning, kind):
    before = TextSettings(*kind, cleaning)
    after = TextSettings.from_json(json.loads(json.dumps(before.to_json())))
    assert after == before


@pytest.mark.parametrize(
    "change",
    [
        {"tokenizer": "mecab"},
        {"tokenizer": "janome", "raw": True},
        {"cleaning": {"max_repeats": -1}},
        {"cleaning": {"urls": "eat"}},
        {"cleaning": {"nosuch": "keep"}},
        {"cleaning": None},
        {"nosuch": 1},
    ],
)
def test_invalid_settings_are_refused(change):
    with pytest.raises((ValueError, TypeError)):
        TextSettings.from_json({**TextSettings().to_json(), **change})
