"""Memorization against brute force, and models that copy one post."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers import END, chain_model
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.model import ModelError
from gluon_lstm.sampling.memorization import NGRAM_SIZES, longest_overlap, memorization, n_gram_shares
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.sources.reading import ReadingOptions, TextError

TEXT = st.text("ab犬\n", max_size=14)


@settings(max_examples=200, deadline=None)
@given(text=TEXT, corpus=TEXT)
def test_longest_overlap_against_brute_force(text, corpus):
    parts = [(a, b) for a in range(len(text)) for b in range(a + 1, len(text) + 1) if text[a:b] in corpus]
    longest = max((b - a for a, b in parts), default=0)
    start, length = longest_overlap(text, corpus)
    assert length == longest and text[start : start + length] in corpus
    assert not parts or start == min(a for a, b in parts if b - a == longest)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(TEXT, max_size=4), corpus=st.lists(TEXT, max_size=4))
def test_n_gram_shares_against_brute_force(texts, corpus):
    shares = n_gram_shares(texts, corpus)
    for n in NGRAM_SIZES:
        grams = [text[k : k + n] for text in texts for k in range(len(text) - n + 1)]
        assert (n in shares) == bool(grams)
        if grams:
            assert shares[n] == pytest.approx(sum(any(g in post for post in corpus) for g in grams) / len(grams))


def parrot(path: Path, post: str, raw: bool = False) -> Path:
    """Save a model that always generates `post`: its characters are all different, and each leads to the next."""
    chain_model(TextSettings(raw=raw), [*post, post[0]] if raw else [END, *post, END]).save(path)
    return path


POST = "今日は楽しかった!"
REAL = ["おはようございます", POST, "猫と犬", "雨が降った"] * 10


def posts_file(folder: Path, posts: list[str]) -> Path:
    (folder / "posts.txt").write_text("".join(f"{post}{k}\n" for k, post in enumerate(posts)), encoding="utf-8")
    return folder / "posts.txt"


def test_copies_are_detected(tmp_path):
    model, posts = parrot(tmp_path / "parrot.safetensors", POST), posts_file(tmp_path, REAL)
    found = memorization(model, [posts], ReadingOptions(), 6, 1)
    assert [sample.text for sample in found.samples] == [POST] * 6
    assert found.copies == 6 and all((s.start, s.length) == (0, len(POST)) for s in found.samples)
    assert found.validation_posts == 2
    assert found.sample_shares == dict.fromkeys(NGRAM_SIZES, 1)
    assert found.validation_shares[3] < 1


def test_validation_posts_are_not_in_the_training_text(tmp_path):
    """The model copies the last post only, which is in the validation set."""
    model = parrot(tmp_path / "parrot.safetensors", POST)
    posts = posts_file(tmp_path, ["ねこ"] * 30 + [POST])
    found = memorization(model, [posts], ReadingOptions(), 2, 1)
    assert found.copies == 0 and found.sample_shares[3] == 0


def test_raw_model(tmp_path):
    model = parrot(tmp_path / "parrot.safetensors", "あいうえお\n", raw=True)
    (tmp_path / "a.txt").write_text("あいうえお\n" * 200, encoding="utf-8")
    found = memorization(model, [tmp_path / "a.txt"], ReadingOptions(), 2, 1)
    assert all(len(sample.text) == 140 and sample.is_copy for sample in found.samples)
    assert found.validation_shares[8] == 1


def test_invalid_text_or_model(tmp_path):
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    with pytest.raises(TextError, match="nothing is left"):
        memorization(parrot(tmp_path / "p.safetensors", POST), [tmp_path / "empty.txt"], ReadingOptions(), 1, 1)
    with pytest.raises(ModelError):
        memorization(tmp_path / "empty.txt", [tmp_path / "empty.txt"], ReadingOptions(), 1, 1)
