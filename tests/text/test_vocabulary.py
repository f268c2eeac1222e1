"""Vocabulary: its tokens, their order, and the splitting of unknown tokens."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers import corpus_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text import codec as codec_module
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.corpus import prepare
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.text.tokenizers.janome_chars import BOUNDARY
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.vocabulary import END_OF_POST, UNKNOWN, Vocabulary

SPECIALS = [UNKNOWN, END_OF_POST]
COUNTS = st.dictionaries(st.text("abあい漢😀", min_size=1, max_size=2), st.integers(1, 5), min_size=1, max_size=12)


@pytest.fixture(autouse=True, scope="module")
def one_dictionary():
    """Load the dictionary of Janome once for all tests; loading takes longer than the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_module, "make_tokenizer", cache(codec_module.make_tokenizer))
        yield


def sample(posts: int) -> list[str]:
    """Return real posts spread over the file."""
    lines = corpus_lines("open2ch_posts.txt")
    return lines[:: len(lines) // posts]


def prepared(folder: Path, posts: list[str], tokenizer: str = "char", **options):
    (folder / "posts.txt").write_bytes(("\n".join(posts) + "\n").encode())
    return prepare([folder / "posts.txt"], TextSettings(tokenizer), CorpusOptions(**options))


def in_order(counts: dict[str, int]) -> list[str]:
    """Return the tokens by descending count, ties by code points."""
    ordered = []
    for count in range(max(counts.values()), 0, -1):
        ordered += sorted((token for token in counts if counts[token] == count), key=lambda t: [ord(c) for c in t])
    return ordered


@given(COUNTS, st.randoms(use_true_random=False))
def test_order_depends_only_on_counts_and_code_points(counts, random):
    items = list(counts.items())
    random.shuffle(items)
    vocabulary = Vocabulary.from_counts(dict(items), SPECIALS)
    assert vocabulary.tokens == SPECIALS + in_order(counts)
    assert [vocabulary.id(token) for token in vocabulary.tokens[2:]] == list(range(2, len(vocabulary)))


@given(COUNTS, st.integers(1, 6), st.integers(3, 16))
def test_min_count_and_max_vocab(counts, min_count, max_vocab):
    kept = [token for token in in_order(counts) if counts[token] >= min_count]
    assert Vocabulary.from_counts(counts, SPECIALS, min_count).tokens == SPECIALS + kept
    assert Vocabulary.from_counts(counts, SPECIALS, min_count, max_vocab).tokens == SPECIALS + kept[: max_vocab - 2]


@given(COUNTS, st.integers(1, 6), st.one_of(st.none(), st.integers(3, 16)))
def test_characters_are_kept_whatever_their_count_before_words(counts, min_count, max_vocab):
    characters: dict[str, int] = {}
    for word, n in counts.items():
        for character in word:
            characters[character] = characters.get(character, 0) + n
    vocabulary = Vocabulary.from_counts(counts, SPECIALS, min_count, max_vocab, characters)
    room = len(counts) + len(characters) if max_vocab is None else max_vocab - 2
    first = in_order(characters)[:room]
    rest = {word: n for word, n in counts.items() if n >= min_count and word not in first}
    words = in_order(rest)[: room - len(first)] if rest else []
    assert set(vocabulary.tokens[2:]) == {*first, *words}
    either = {**rest, **{character: characters[character] for character in first}}
    assert vocabulary.tokens[2:] == [token for token in in_order(either) if token in {*first, *words}]


def test_vocabulary_is_the_same_in_every_process(tmp_path):
    (tmp_path / "posts.txt").write_text("犬と猫\n猫と鳥\n犬😀🐱🐶\nabc\n", encoding="utf-8")
    code = (
        "import json, sys\n"
        "from gluon_lstm.text.codec import TextSettings\n"
        "from gluon_lstm.text.corpus import prepare\n"
        "print(json.dumps(prepare(sys.argv[1:], TextSettings()).codec.vocabulary.tokens))\n"
    )
    said = set()
    for hash_seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", code, str(tmp_path / "posts.txt")]
        said.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(said) == 1


@pytest.mark.parametrize("tokenizer", ["char", "janome", "janome-chars"])
def test_text_that_spells_a_special_token_is_plain_text(tmp_path, tokenizer):
    posts = ["<post>", "<unk>犬<post>", "a<word>b<word>", "<word>", "犬"]
    corpus = prepared(tmp_path, posts, tokenizer, validation=0)
    ends = np.count_nonzero(corpus.ids == corpus.codec.end_of_post)
    assert ends == len(posts)
    assert corpus.codec.vocabulary.unknown not in corpus.ids
    assert corpus.codec.decode(corpus.ids) == "".join(post + "\n" for post in posts)


def test_token_may_be_spelled_like_a_special_token():
    vocabulary = Vocabulary([UNKNOWN, END_OF_POST, "犬", END_OF_POST, UNKNOWN], 2)
    assert (vocabulary.special_id(END_OF_POST), vocabulary.id(END_OF_POST)) == (1, 3)
    assert (vocabulary.unknown, vocabulary.id(UNKNOWN)) == (0, 4)
    codec = Codec(TextSettings("janome"), vocabulary)
    assert [codec.decode_id(id) for id in (1, 3)] == ["\n", "<post>"]
    assert codec.ids("<post>") == [3]
    without = Vocabulary([UNKNOWN, END_OF_POST, "犬"], 2)
    assert without.id(END_OF_POST) is None and END_OF_POST not in without


def test_tokens_of_the_validation_set_are_not_in_the_vocabulary(tmp_path):
    posts = [f"犬{n}" for n in range(40)] + ["鳥", "猫犬猫"]  # 2 of 42 are the validation set
    corpus = prepared(tmp_path, posts)
    vocabulary = corpus.codec.vocabulary
    assert "鳥" not in vocabulary and "猫" not in vocabulary
    dog, end, unknown = vocabulary.id("犬"), corpus.codec.end_of_post, vocabulary.unknown
    assert corpus.validation.tolist() == [unknown, end, unknown, dog, unknown, end]
    assert unknown not in corpus.train


def test_vocabulary_of_real_posts_is_of_the_training_set(tmp_path):
    posts = list(dict.fromkeys(filter(str.strip, sample(600))))
    corpus = prepared(tmp_path, posts)
    cleaned = corpus.codec.decode(corpus.train).split("\n")
    seen = {}
    for character in (token for post in cleaned for token in make_tokenizer("char").tokenize(post)):
        seen[character] = seen.get(character, 0) + 1
    assert corpus.codec.vocabulary.tokens == SPECIALS + in_order(seen)


def test_rare_words_are_split_so_training_has_no_unknown(tmp_path):
    posts = sample(300)
    corpus = prepared(tmp_path, posts, "janome")
    vocabulary, tokenizer = corpus.codec.vocabulary, make_tokenizer("janome")
    assert vocabulary.unknown not in corpus.train
    text = corpus.codec.decode(corpus.train)
    counts: dict[str, int] = {}
    for post in text.removesuffix("\n").split("\n"):
        for word in tokenizer.tokenize(post):
            counts[word] = counts.get(word, 0) + 1
    rare = [word for word, n in counts.items() if n == 1 and len(make_tokenizer("char").tokenize(word)) > 1]
    assert rare and not any(word in vocabulary for word in rare)
    assert all(corpus.codec.decode(corpus.codec.ids(word)) == word for word in rare)
    frequent = [word for word, n in counts.items() if n > 1]
    assert frequent and all(word in vocabulary for word in frequent)


@given(st.text("ab\n<>犬猫か\u3099👨\u200d👧e\u0301🇯🇵", max_size=12), st.sets(st.sampled_from("ab犬か\u3099👨👧e🇯")))
@settings(max_examples=40, deadline=None)
def test_unknown_code_point_is_one_unknown_token(text, known):
    """Unknown words and graphemes are split into code points, each exactly once."""
    for name in ("char", "janome", "janome-chars"):
        text_settings = TextSettings(name)
        tokens = [*text_settings.special_tokens, *sorted(known)]
        codec = Codec(text_settings, Vocabulary(tokens, len(text_settings.special_tokens)))
        ids = [id for id in codec.encode(text) if id != codec.boundary]
        assert ids == [tokens.index(character) if character in known else 0 for character in text]


def test_known_grapheme_is_one_token_and_unknown_is_split():
    tokens = [*SPECIALS, "か\u3099", "👨\u200d👩\u200d👧", "👨", "\u200d", "👧"]
    codec = Codec(TextSettings(), Vocabulary(tokens, 2))
    assert codec.encode("か\u3099") == [2]
    assert codec.encode("👨\u200d👩\u200d👧") == [3]
    assert codec.encode("👨\u200d👧") == [4, 5, 6]
    assert codec.encode("👨\u200d👩") == [4, 5, 0]
    assert codec.encode("き\u3099") == [0, 0]


def test_word_boundary_is_one_special_token(tmp_path):
    corpus = prepared(tmp_path, ["今日は晴れ", "今日は雨"], "janome-chars", validation=0)
    vocabulary = corpus.codec.vocabulary
    assert vocabulary.tokens[:3] == [*SPECIALS, BOUNDARY] and BOUNDARY not in vocabulary
    assert np.count_nonzero(corpus.ids == corpus.codec.boundary) == 4  # 今日|は|晴れ and 今日|は|雨


@pytest.mark.parametrize(
    ("tokens", "specials"),
    [
        ([UNKNOWN, "犬", "犬"], 1),
        ([UNKNOWN, UNKNOWN, "犬"], 2),
        (["犬", "猫"], 1),
        ([UNKNOWN, "犬"], 0),
        ([UNKNOWN, "犬"], -1),
        ([UNKNOWN], 5),
        ([], 1),
    ],
)
def test_invalid_vocabulary_is_refused(tokens, specials):
    with pytest.raises(ValueError, match="vocabulary"):
        Vocabulary(tokens, specials)


def test_too_small_max_vocab_is_refused():
    with pytest.raises(ValueError, match=r"`max_vocab` 2 .* at least 3"):
        Vocabulary.from_counts({"犬": 3}, SPECIALS, max_vocab=2)
