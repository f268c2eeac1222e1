"""Corpus: ids of posts and raw text, the validation split, and the cache."""

from __future__ import annotations

import gc
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from helpers import corpus_file, posts_file, save
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text import corpus as corpus_module
from gluon_lstm.text import pipeline, token_stream
from gluon_lstm.text.cache import clear_cache, default_cache
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.cleaning_steps import POLICIES
from gluon_lstm.text.corpus import Corpus, prepare
from gluon_lstm.text.graphemes import graphemes
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.text.sources.files import fingerprint
from gluon_lstm.text.sources.reading import ReadingOptions, TextError

RAW = TextSettings(raw=True)
KEEP_ALL = CleaningOptions(**{name: "keep" for name in POLICIES}, max_repeats=0)
POSTS = [
    "おはよう！！！！！",
    "@taro ねむい https://t.co/abc",
    "",
    "ｶﾞﾝﾊﾞﾚ",
    "おはよう！！！！！",
    "かき\u3099👨\u200d👧ＡＢ",
    "猫 と 犬",
]


def texts_of(corpus: Corpus, ids: np.ndarray) -> list[str]:
    """Return the posts of ids, each of which must be followed by an end of post."""
    ends = np.flatnonzero(ids == corpus.codec.end_of_post)
    assert ends[-1] == len(ids) - 1
    starts = [0, *(ends[:-1] + 1)]
    return [corpus.codec.decode(ids[start:end]) for start, end in zip(starts, ends)]


def same(one: Corpus, other: Corpus) -> bool:
    return (
        np.array_equal(one.ids, other.ids)
        and one.codec.vocabulary.tokens == other.codec.vocabulary.tokens
        and one.codec.vocabulary.num_specials == other.codec.vocabulary.num_specials
        and one.codec.settings == other.codec.settings
        and all(
            getattr(one, name) == getattr(other, name)
            for name in ("split", "fingerprint", "posts", "characters", "validation_chars", "cleaning")
        )
    )


def entries(cache: Path) -> list[str]:
    return sorted(entry.name for entry in cache.iterdir())


@pytest.fixture
def reads_nothing(monkeypatch):
    """Return a function after whose call reading or tokenizing text fails."""

    def forbid():
        def fail(*_: object, **__: object) -> None:
            raise AssertionError("read again, in spite of the cache")

        for name in ("read_sources", "read_text", "tokenize_posts"):
            monkeypatch.setattr(pipeline, name, fail)

    return forbid


# ---- what the ids are


@pytest.mark.parametrize("tokenizer", ["char", "janome", "janome-chars"])
def test_ids_are_the_cleaned_posts(tmp_path, tokenizer):
    posts = corpus_file("open2ch_posts.txt").read_text(encoding="utf-8").split("\n")[::60]
    posts += corpus_file("twitter_benchmark_100.txt").read_text(encoding="utf-8").split("\n") + POSTS + posts[:5]
    corpus = prepare([posts_file(tmp_path, posts)], TextSettings(tokenizer), CorpusOptions(validation=0))
    cleaner = Cleaner()
    cleaned = list(cleaner.clean_posts(posts))
    assert texts_of(corpus, corpus.ids) == cleaned
    assert corpus.split == len(corpus.ids) and corpus.validation_chars == 0
    assert (corpus.posts, corpus.characters) == (len(cleaned), sum(map(len, cleaned)))
    assert corpus.cleaning == cleaner.counts


def decoded(post: str, known: set[str]) -> str:
    """Return a post as decoded with the tokens `known`: unknown graphemes are split, unknown code points are U+FFFD."""
    parts = (part for cluster in graphemes(post) for part in ([cluster] if cluster in known else cluster))
    return "".join(part if part in known else "\ufffd" for part in parts)


POST = st.text("あいabc漢 e\u0301👨\u200d👧<>\t😀", min_size=1, max_size=8).filter(str.strip)


@given(st.lists(POST, min_size=1, max_size=60), st.sampled_from([0.05, 0.0, 0.3, 0.9]))
@settings(max_examples=40, deadline=None)
def test_validation_set_is_the_last_posts(posts, validation):
    with tempfile.TemporaryDirectory() as folder:
        options = CorpusOptions(validation=validation)
        corpus = prepare([posts_file(Path(folder), posts)], TextSettings(cleaning=KEEP_ALL), options)
        percent = round(100 * validation)
        num_validation = 0 if len(posts) == 1 or not percent else max(1, len(posts) * percent // 100)
        train, validation = posts[: len(posts) - num_validation], posts[len(posts) - num_validation :]
        assert texts_of(corpus, corpus.train) == train
        known = {token for post in train for token in graphemes(post)}
        assert (texts_of(corpus, corpus.validation) if num_validation else []) == [
            decoded(post, known) for post in validation
        ]
        assert corpus.validation_chars == sum(len(post) + 1 for post in validation)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=90)


@given(TEXT, st.sampled_from(["\n", "\r\n", "\r"]))
@settings(max_examples=40, deadline=None)
def test_raw_text_round_trips(text, line_end):
    """Each code point is one id. Line ends become \\n and a byte order mark is removed."""
    text = text.replace("\r", "").replace("\n", line_end)
    plain = text.replace(line_end, "\n")
    plain = plain[plain.startswith("\ufeff") :]
    if not plain:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder) / "text.txt", text)
        reading = ReadingOptions(encoding="utf-8")
        everything = prepare([path], RAW, CorpusOptions(validation=0, reading=reading))
        assert everything.codec.decode(everything.ids) == plain
        split = prepare([path], RAW, CorpusOptions(reading=reading))
    num_validation = 0 if len(plain) == 1 else max(1, len(plain) * 5 // 100)
    assert (len(split.ids), len(split.validation), split.validation_chars) == (
        len(plain),
        num_validation,
        num_validation,
    )
    assert split.codec.decode(split.train) == plain[: len(plain) - num_validation]
    assert (split.posts, split.characters, split.cleaning) == (0, len(plain), {})


def test_raw_text_keeps_nul_and_control_characters(tmp_path):
    text = "ねこ\0\0いぬ\x1b[0m\u2028\u0085\x0b\t 　\ufeff​RT @a: &amp; https://t.co/x ！！！！！！\n\n\n"
    path = save(tmp_path / "a.txt", text)
    corpus = prepare([path], RAW, CorpusOptions(validation=0))
    assert corpus.codec.decode(corpus.ids) == text


@pytest.mark.parametrize("name", ["nasty/derived_nul_in_utf8.txt", "nasty/utf8_bom_neko.txt", "miyazawa_ginga.txt"])
def test_real_raw_texts_round_trip(name):
    path = corpus_file(name)
    corpus = prepare([path], RAW, CorpusOptions(validation=0))
    text = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    assert corpus.codec.decode(corpus.ids) == text


def test_several_files_are_concatenated(tmp_path):
    one, two = save(tmp_path / "1.txt", "いち\nに"), save(tmp_path / "2.txt", "に\nさん\n")
    posts = prepare([one, two], TextSettings(), CorpusOptions(validation=0))
    assert texts_of(posts, posts.ids) == ["いち", "に", "さん"]  # duplicates across files are dropped
    raw = prepare([one, two], RAW, CorpusOptions(validation=0))
    assert raw.codec.decode(raw.ids) == "いち\nに\nに\nさん\n"
    turned = prepare([two, one], RAW, CorpusOptions(validation=0))
    assert turned.codec.decode(turned.ids) == "に\nさん\nいち\nに"


@pytest.mark.parametrize("text_settings", [TextSettings(), TextSettings("janome-chars"), RAW])
def test_block_size_changes_nothing(tmp_path, monkeypatch, text_settings):
    path = posts_file(tmp_path, [f"今日は{n}日目" for n in range(50)])
    whole = prepare([path], text_settings)
    for size in (1, 7, 64):
        monkeypatch.setattr(token_stream, "BLOCK_TOKENS", size)
        assert same(prepare([path], text_settings), whole)


def test_error_when_no_post_is_left(tmp_path):
    path = posts_file(tmp_path, ["", "  ", "RT @taro: ねむい", "https://t.co/abc"])
    with pytest.raises(TextError, match="no post is left of the 4 posts read"):
        prepare([path], TextSettings())
    with pytest.raises(TextError, match="is empty"):
        prepare([save(tmp_path / "empty.txt", "")], RAW)


def test_error_for_posts_without_characters(tmp_path):
    path = posts_file(tmp_path, ["", "", ""])
    with pytest.raises(ValueError, match="character") as caught:
        prepare([path], TextSettings(cleaning=KEEP_ALL))
    assert "max_vocab" not in str(caught.value)  # it was not given


@pytest.mark.parametrize("values", [{"validation": 1}, {"validation": -0.1}, {"min_count": 0}, {"max_vocab": 2}])
def test_invalid_options_are_refused(tmp_path, values):
    with pytest.raises(ValueError, match=next(iter(values)).replace("_", ".")):
        prepare([posts_file(tmp_path, POSTS)], TextSettings(), CorpusOptions(**values))


# ---- the cache


@pytest.mark.parametrize("text_settings", [TextSettings(), TextSettings("janome"), RAW], ids=["char", "janome", "raw"])
def test_second_call_uses_the_cache(tmp_path, reads_nothing, text_settings):
    path, options = posts_file(tmp_path, POSTS), CorpusOptions(cache=tmp_path / "cache")
    first = prepare([path], text_settings, options)
    uncached = prepare([path], text_settings)
    reads_nothing()
    second = prepare([path], text_settings, options)
    assert same(first, second) and same(first, uncached)


def test_cache_key_depends_on_content_not_name(tmp_path, reads_nothing):
    path, options = posts_file(tmp_path, POSTS), CorpusOptions(cache=tmp_path / "cache")
    first = prepare([path], TextSettings(), options)
    changed = prepare([posts_file(tmp_path, ["猫", *POSTS[1:]])], TextSettings(), options)
    assert texts_of(changed, changed.ids)[0] == "猫" and changed.fingerprint != first.fingerprint
    (tmp_path / "elsewhere").mkdir()
    renamed = posts_file(tmp_path / "elsewhere", POSTS).rename(tmp_path / "other.txt")
    os.utime(renamed, (1, 1))
    reads_nothing()
    assert same(prepare([renamed], TextSettings(), options), first)


def test_content_change_with_same_size_and_date_is_detected(tmp_path):
    options = CorpusOptions(cache=tmp_path / "cache", validation=0)
    path = posts_file(tmp_path, ["犬", "猫"])
    before = path.stat()
    prepare([path], TextSettings(), options)
    posts_file(tmp_path, ["犬", "鳥"])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    corpus = prepare([path], TextSettings(), options)
    assert texts_of(corpus, corpus.ids) == ["犬", "鳥"]


def test_every_relevant_setting_is_in_the_cache_key(tmp_path):
    path, cache = posts_file(tmp_path, POSTS), tmp_path / "cache"
    cleaned = [
        TextSettings(),
        TextSettings(cleaning=CleaningOptions(max_repeats=2)),
        TextSettings(cleaning=CleaningOptions(urls="keep")),
        TextSettings("janome-chars"),
        RAW,
    ]
    kinds = [{}, {"min_count": 2}, {"max_vocab": 6}, {"validation": 0}, {"validation": 0.5}]
    expected = [prepare([path], cleaned[0], CorpusOptions(**options)) for options in kinds]
    expected += [prepare([path], text_settings) for text_settings in cleaned[1:]]
    for _ in range(2):  # built, then read
        found = [prepare([path], cleaned[0], CorpusOptions(cache=cache, **options)) for options in kinds]
        found += [prepare([path], text_settings, CorpusOptions(cache=cache)) for text_settings in cleaned[1:]]
        assert all(map(same, found, expected))


def test_column_is_in_the_cache_key(tmp_path):
    path, cache = save(tmp_path / "a.csv", "text,body\n犬,猫\n"), tmp_path / "cache"
    for column, post in (("text", "犬"), ("body", "猫"), ("1", "犬")):
        options = CorpusOptions(cache=cache, reading=ReadingOptions(column=column))
        corpus = prepare([path], TextSettings(), options)
        assert texts_of(corpus, corpus.ids) == [post]


def test_other_min_count_reuses_cached_tokens(tmp_path, reads_nothing):
    path, cache = posts_file(tmp_path, POSTS), tmp_path / "cache"
    expected = prepare([path], TextSettings("janome"), CorpusOptions(min_count=1))
    prepare([path], TextSettings("janome"), CorpusOptions(cache=cache))
    reads_nothing()
    assert same(prepare([path], TextSettings("janome"), CorpusOptions(cache=cache, min_count=1)), expected)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4])


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, empty, Path.unlink])
@pytest.mark.parametrize("name", ["array", "metadata.json"])
@pytest.mark.parametrize("stages", [["ids-"], ["tokens-"], ["ids-", "tokens-"]])
def test_damaged_entry_is_rebuilt(tmp_path, damage, name, stages):
    path, options = posts_file(tmp_path, POSTS), CorpusOptions(cache=tmp_path / "cache")
    first = prepare([path], TextSettings(), options)
    expected = Corpus(np.array(first.ids), first.split, first.codec, *list(vars(first).values())[3:])
    for stage in stages:
        damage(next((tmp_path / "cache").glob(f"{stage}*")) / name)
    assert same(prepare([path], TextSettings(), options), expected)
    other = CorpusOptions(cache=tmp_path / "cache", min_count=2)  # built from the tokens
    assert same(prepare([path], TextSettings(), other), prepare([path], TextSettings(), CorpusOptions(min_count=2)))


@pytest.mark.parametrize("name", ["array", "metadata.json"])
@pytest.mark.parametrize("stage", ["ids-", "tokens-"])
def test_entry_with_flipped_bits_is_rebuilt(tmp_path, name, stage):
    """A power cut or a failing disk can change bytes without changing the length."""
    path, options = posts_file(tmp_path, POSTS), CorpusOptions(cache=tmp_path / "cache")
    expected = prepare([path], TextSettings())
    prepare([path], TextSettings(), options)
    file = next((tmp_path / "cache").glob(f"{stage}*")) / name
    good = file.read_bytes()
    changed = [good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :] for at in range(0, len(good), 11)]
    for content in (bytes(len(good)), *changed):
        for ids_entry in (tmp_path / "cache").glob("ids-*") if stage == "tokens-" else ():
            shutil.rmtree(ids_entry)
        file.write_bytes(content)
        assert same(prepare([path], TextSettings(), options), expected)


@pytest.mark.parametrize("where", ["tokenized_text", "_write_ids", "commit"])
def test_interrupt_leaves_no_entry(tmp_path, monkeypatch, where):
    path, options = posts_file(tmp_path, POSTS), CorpusOptions(cache=tmp_path / "cache")

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(corpus_module, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare([path], TextSettings(), options)
    left = entries(tmp_path / "cache")
    assert all(name.startswith("tokens-") for name in left) and len(left) == (where == "_write_ids")
    assert same(prepare([path], TextSettings(), options), prepare([path], TextSettings()))


def test_killed_process_leaves_no_entry(tmp_path):
    path, cache = posts_file(tmp_path, POSTS), tmp_path / "cache"
    code = (
        "import os, sys\n"
        "from contextlib import contextmanager\n"
        "from pathlib import Path\n"
        "from gluon_lstm.text.codec import TextSettings\n"
        "from gluon_lstm.text.corpus import CorpusOptions, prepare\n"
        "@contextmanager\n"
        "def progress(label, total, unit):\n"
        "    yield lambda n, total=None: os._exit(9)\n"
        "prepare([sys.argv[1]], TextSettings(), CorpusOptions(cache=Path(sys.argv[2])), progress=progress)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path), str(cache)], check=False).returncode == 9
    assert entries(cache) and not [name for name in entries(cache) if name.startswith(("tokens-", "ids-"))]
    assert same(prepare([path], TextSettings(), CorpusOptions(cache=cache)), prepare([path], TextSettings()))
    clear_cache(cache)
    assert entries(cache) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no permission bits")
def test_cache_is_private_and_does_not_contain_posts(tmp_path):
    old = os.umask(0o022)
    try:
        prepare([posts_file(tmp_path, POSTS)], TextSettings(), CorpusOptions(cache=tmp_path / "deep" / "cache"))
    finally:
        os.umask(old)
    cache = tmp_path / "deep" / "cache"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700
    for entry in cache.iterdir():
        assert stat.S_IMODE(entry.stat().st_mode) == 0o700
        assert "cleaned.jsonl" not in entries(entry)  # the posts themselves are removed


def test_clear_cache_removes_entries_only(tmp_path):
    cache = tmp_path / "cache"
    prepare([posts_file(tmp_path, POSTS)], TextSettings(), CorpusOptions(cache=cache))
    size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    (cache / "mine").mkdir()
    save(cache / "mine" / "array", "犬")
    save(cache / "notes.txt", "猫")
    assert clear_cache(cache) == size
    assert entries(cache) == ["mine", "notes.txt"] and entries(cache / "mine") == ["array"]
    assert clear_cache(cache) == 0 and clear_cache(tmp_path / "nowhere") == 0


def test_clear_cache_keeps_files_with_similar_names(tmp_path):
    """The cache folder may contain other files whose names begin with the same letters."""
    (tmp_path / "tokens-of-love").mkdir()
    save(tmp_path / "tokens-of-love" / "letter.txt", "すき")
    save(tmp_path / "ids-2024.csv", "1,2")
    clear_cache(tmp_path)
    assert entries(tmp_path) == ["ids-2024.csv", "tokens-of-love"]
    assert entries(tmp_path / "tokens-of-love") == ["letter.txt"]


def test_without_cache_temporary_files_are_removed(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    corpus = prepare([posts_file(tmp_path, POSTS)], TextSettings())
    assert texts_of(corpus, corpus.train)[0] == "おはよう！！！"
    assert entries(temporary)
    del corpus
    gc.collect()
    assert entries(temporary) == []
    with pytest.raises(TextError):
        prepare([posts_file(tmp_path, ["", ""])], TextSettings())
    gc.collect()
    assert entries(temporary) == []


def test_default_cache_is_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "gluon-lstm"
    for unset in (lambda: monkeypatch.setenv("XDG_CACHE_HOME", ""), lambda: monkeypatch.delenv("XDG_CACHE_HOME")):
        unset()
        assert default_cache() == Path.home() / ".cache" / "gluon-lstm"


def test_fingerprint_is_that_of_earlier_versions_unless_later_options_are_given(tmp_path):
    path = save(tmp_path / "a.txt", "今日は晴れ\n")
    plain = fingerprint([path], ReadingOptions())
    assert plain == "e5f9128fecb8deab7d5b06b20495f78f"
    later = [{"delimiter": "tab"}, {"date": "date"}, {"author": "*"}, {"include": "warnings"}]
    assert len({plain, *(fingerprint([path], ReadingOptions(**each)) for each in later)}) == 5
