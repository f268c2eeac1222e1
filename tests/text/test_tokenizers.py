"""Tokenizers: round trips, words and faces, and tokenization in worker processes."""

from __future__ import annotations

import doctest
import itertools
import os
import signal
import subprocess
import sys
import time

import pytest
from helpers import ROOT, corpus_lines
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.text import parallel, tokenizers
from gluon_lstm.text.graphemes import graphemes
from gluon_lstm.text.janome import analyzer
from gluon_lstm.text.janome.atomic import restore_lost_text
from gluon_lstm.text.janome.lookup import _MAX_UNKNOWN_WORD
from gluon_lstm.text.parallel import tokenize_posts
from gluon_lstm.text.tokenizers import registry
from gluon_lstm.text.tokenizers.janome import JanomeTokenizer
from gluon_lstm.text.tokenizers.janome_chars import BOUNDARY
from gluon_lstm.text.tokenizers.registry import TOKENIZERS, make_tokenizer

NAMES = [*TOKENIZERS, "codepoint"]
JAPANESE = "今日は良い天気ですね。明日はどこへ行きましょうか！"


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request):
    return make_tokenizer(request.param)


@pytest.fixture(scope="module")
def janome():
    return make_tokenizer("janome")


@pytest.fixture(scope="module")
def janome_chars():
    return make_tokenizer("janome-chars")


# --- the choice of a tokenizer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [registry, analyzer])
def test_doctest_examples(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


@pytest.mark.parametrize("name", NAMES)
def test_tokenizer_has_its_name(name):
    assert make_tokenizer(name).name == name


def test_unknown_name_error_lists_valid_names():
    with pytest.raises(ValueError, match=r"'mecab'.*char, codepoint, janome, janome-chars"):
        make_tokenizer("mecab")


def test_a_new_module_of_the_package_is_a_tokenizer(tmp_path, monkeypatch):
    (tmp_path / "vowel.py").write_text(
        "from gluon_lstm.text.tokenizers.base import Tokenizer\nclass VowelTokenizer(Tokenizer):\n    name = 'vowel'\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(tokenizers, "__path__", [*tokenizers.__path__, str(tmp_path)])
    found = registry._find_tokenizers()
    sys.modules.pop("gluon_lstm.text.tokenizers.vowel")
    assert [*found] == [*NAMES[:1], "codepoint", *NAMES[1:3], "vowel"]


def test_import_loads_neither_janome_nor_mxnet():
    code = (
        "import sys, gluon_lstm.text.parallel as p; p.make_tokenizer('char');"
        "print([m for m in ('janome', 'mxnet', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- round trips ------------------------------------------------------------------------------------------------

NASTY = [
    "",
    " ",
    "\u3000\u3000行頭と行末　 ",
    "\n",
    "\n\n a\n",
    "一行目\r\n二行目\r三行目\n",
    "\x00\x01\x1c\x1d\x1e\x1f\x7f\x85\u2028\u2029\ufeff",
    "あ\x00い\x1cう\u200bえ\u00a0お",
    "か\u3099 \u3099\n\u3099\u3099ｶﾞﾊﾟ e\u0301",
    "\ud800あ\udfff\ud83d\ude00",
    "👨‍👩‍👧👨‍👩‍👧‍👦🇯🇵🇺🇸🇯1️⃣❤️👍🏽\u200d\ufe0f",
    "<word>" + BOUNDARY * 2 + "<unk><wo\u0301rd>",
    "http://)http://) https://a.b/?q=日本 @ ＠ # ＃ #1 #\u200d",
    "(((((^^))))) (^ ( ^^) (）（^)m(_ _)m o(^o^)o",
    "https://" + ")" * 3000,
    "ｗ" * 3000,
    "！？" * 1500,
    "長" * 3000,
    JAPANESE * 200,
]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text[:12]))
def test_nasty_texts_round_trip(tokenizer, text):
    tokens = tokenizer.tokenize(text)
    assert tokenizer.detokenize(tokens) == text
    assert "" not in tokens
    assert all(token == "\n" for token in tokens if "\n" in token)


any_text = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.text(st.characters(), max_size=3),  # lone surrogates too
        st.text("あかぁ゙゚ー漢字ｶﾞaｗ。！ \u3000\r\n()（^_´ω｀)#@:/1_‍️👩👧🇯", max_size=12),
        st.sampled_from(["\r\n", "https://t.co/a", "#タグ", "@name", "(´・ω・`)", "👨‍👩‍👧", "今日は", BOUNDARY]),
    ),
    max_size=6,
).map("".join)


@settings(max_examples=200, deadline=None)
@given(any_text)
def test_any_text_round_trips_by_characters(text):
    for name in ("char", "codepoint"):
        tokenizer = make_tokenizer(name)
        tokens = tokenizer.tokenize(text)
        assert tokenizer.detokenize(tokens) == text
        assert tokens.count("\n") == text.count("\n")


@settings(max_examples=150, deadline=None)
@given(text=any_text)
def test_any_text_round_trips_by_words(janome, janome_chars, text):
    words, characters = janome.tokenize(text), janome_chars.tokenize(text)
    assert janome.detokenize(words) == text
    assert janome_chars.detokenize(characters) == text
    # Words never begin inside a grapheme.
    assert [cluster for word in words for cluster in graphemes(word)] == graphemes(text)
    assert [token for token in characters if token != BOUNDARY] == graphemes(text)
    assert words.count("\n") == characters.count("\n") == text.count("\n")


CORPUS_FILES = ["open2ch_posts.txt", "twitter_benchmark_100.txt", "twitter_text_conformance_ja.txt"]
CORPUS_FILES += ["kaomoji_core.txt", "nasty/control_chars_blns.txt"]


@pytest.mark.parametrize("name", CORPUS_FILES)
def test_real_posts_round_trip(name):
    posts = corpus_lines(name)
    for kind in ("char", "codepoint"):
        tokenizer = make_tokenizer(kind)
        assert [tokenizer.detokenize(tokenizer.tokenize(post)) for post in posts] == posts
    # Janome takes 5 s for all open2ch posts, so every k-th post of a long file is tested. janome-chars contains the
    # words of janome, so it stands for both.
    some = posts[:: max(1, len(posts) // 1000)]
    back = make_tokenizer("janome-chars")
    assert [back.detokenize(tokens) for tokens in tokenize_posts(some, "janome-chars")] == some


# --- char ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("今日は", ["今", "日", "は"]),
        ("👨‍👩‍👧だ", ["👨‍👩‍👧", "だ"]),
        ("🇯🇵🇺🇸", ["🇯🇵", "🇺🇸"]),
        ("👍🏽❤️", ["👍🏽", "❤️"]),
        ("か\u3099き", ["か\u3099", "き"]),
        ("(´・ω・`)", list("(´・ω・`)")),
        ("a\nb", ["a", "\n", "b"]),
        ("a\r\nb", ["a", "\r", "\n", "b"]),
        ("　 x", ["　", " ", "x"]),
        ("", []),
    ],
)
def test_char(text, tokens):
    assert make_tokenizer("char").tokenize(text) == tokens


def test_codepoint_splits_graphemes():
    assert make_tokenizer("codepoint").tokenize("👨‍👩\r\n") == ["👨", "\u200d", "👩", "\r", "\n"]


def test_plain_characters_are_single_graphemes():
    """The fast path of `graphemes` is correct for every pair of its characters."""
    from gluon_lstm.text.graphemes import _find_graphemes, is_plain

    plain = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000 and is_plain(chr(point))]
    assert len(plain) > 21_000
    pairs = "".join(plain) + "".join(reversed(plain))
    assert _find_graphemes(pairs) == list(pairs)


# --- janome --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("今日は良い天気です", ["今日", "は", "良い", "天気", "です"]),
        ("すもももももももものうち", ["すもも", "も", "もも", "も", "もも", "の", "うち"]),
        ("　　行く ", ["　　", "行く", " "]),
        ("行く\n\n帰る\n", ["行く", "\n", "\n", "帰る", "\n"]),
        ("見た http://example.com/a?b=1。", ["見", "た", " ", "http://example.com/a?b=1", "。"]),
        ("http://example.comいま", ["http://example.com", "いま"]),
        ("(https://t.co/a).", ["(", "https://t.co/a", ")."]),
        ("@user_1の", ["@user_1", "の"]),
        ("あ＠user", ["あ", "＠user"]),
        ("猫 #猫好きと繋がりたい 犬", ["猫", " ", "#猫好きと繋がりたい", " ", "犬"]),
        ("＃ﾊｯｼｭﾀｸﾞ。", ["＃ﾊｯｼｭﾀｸﾞ", "。"]),
        ("😂😂👨‍👩‍👧猫", ["😂", "😂", "👨‍👩‍👧", "猫"]),
        ("1️⃣番", ["1️⃣", "番"]),
        ("犬(´・ω・`)猫", ["犬", "(´・ω・`)", "猫"]),
        ("＼(^o^)／", ["＼(^o^)／"]),
        ("m(_ _)m", ["m(_ _)m"]),
        ("(；ﾟДﾟ)", ["(；ﾟДﾟ)"]),
        ("(^^)ノート", ["(^^)", "ノート"]),
        ("が\u3099", ["が\u3099"]),
        ("", []),
    ],
)
def test_janome(janome, text, tokens):
    assert janome.tokenize(text) == tokens


@pytest.mark.parametrize("text", ["(笑)", "(1)", "（株）", "(...)", "(aとb)", "(´", "a@b.com", "#1", "犬#猫", "C#が"])
def test_lookalikes_of_faces_tags_and_mentions_go_to_janome(janome, text):
    assert janome.tokenize(text) == janome._dictionary_words(text)


def test_text_lost_by_janome_is_restored(monkeypatch, janome):
    class Careless:
        def tokenize(self, piece):
            return ["b", "たぬき", "d"]

    monkeypatch.setattr(janome, "_janome", Careless())
    assert janome.tokenize("abcde") == ["a", "b", "c", "d", "e"]
    assert restore_lost_text("ab", []) == ["ab"]


def test_run_of_one_character_takes_no_longer_than_other_text(janome):
    words = janome.tokenize("ｗ" * 2000)
    assert max(map(len, words)) <= _MAX_UNKNOWN_WORD + 1
    started = time.process_time()
    janome.tokenize(JAPANESE * 80)
    text_seconds = time.process_time() - started
    started = time.process_time()
    janome.tokenize("！" * 2000)  # without a limit: ten times the time of the other text, and quadratic
    assert time.process_time() - started < 5 * text_seconds + 0.5


def test_time_is_linear_in_length(janome):
    def seconds(text):
        started = time.process_time()
        janome.tokenize(text)
        return time.process_time() - started

    text = "これは句点のないとても長い文章であり" * 1500
    seconds(text[:500])
    assert seconds(text) < 20 * seconds(text[: len(text) // 8]) + 0.5  # 8 if linear, 64 if quadratic


def test_words_that_split_a_grapheme_are_merged():
    class Cutter(JanomeTokenizer):
        def __init__(self):
            pass

        def _dictionary_words(self, piece):
            return list(piece)

    assert Cutter().tokenize("か\u3099き \u3099") == ["か\u3099", "き", " \u3099"]


# --- janome-chars --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("今日は晴れ", ["今", "日", BOUNDARY, "は", BOUNDARY, "晴", "れ"]),
        ("天気", ["天", "気"]),
        ("天気\n天気", ["天", "気", "\n", "天", "気"]),
        (" 天気 は ", [" ", "天", "気", " ", "は", " "]),
        ("は👨‍👩‍👧は", ["は", BOUNDARY, "👨‍👩‍👧", BOUNDARY, "は"]),
        ("#猫 犬", ["#", "猫", " ", "犬"]),
        ("\n", ["\n"]),
        ("", []),
    ],
)
def test_janome_chars(janome_chars, text, tokens):
    assert janome_chars.tokenize(text) == tokens


def test_no_text_has_the_boundary_token(janome_chars):
    assert BOUNDARY not in janome_chars.tokenize(BOUNDARY)[:1]
    assert [token for token in janome_chars.tokenize(BOUNDARY) if token != BOUNDARY] == list("<word>")
    assert janome_chars.detokenize(janome_chars.tokenize(BOUNDARY)) == BOUNDARY


def test_detokenize_drops_boundaries_anywhere(janome_chars):
    assert janome_chars.detokenize([BOUNDARY, "晴", BOUNDARY, BOUNDARY, "れ", "\n", BOUNDARY]) == "晴れ\n"


# --- spelling ------------------------------------------------------------------------------------------------------


def test_split_unknown(tokenizer):
    if tokenizer.name == "codepoint":
        assert tokenizer.split_unknown("あ") == []
        return
    assert tokenizer.split_unknown("天気👨‍👩") == ["天", "気", "👨‍👩"]
    assert tokenizer.split_unknown("👨‍👩") == ["👨", "\u200d", "👩"]
    assert tokenizer.split_unknown("あ") == []
    assert tokenizer.split_unknown("") == []


def test_boundary_is_not_split(janome_chars):
    assert janome_chars.split_unknown(BOUNDARY) == []


# --- many processes ------------------------------------------------------------------------------------------------


@pytest.fixture
def workers(monkeypatch):
    """Workers started by tokenize_posts; they must have ended at the end of the test."""
    started: list = []
    start = parallel._start_workers

    def recording(name, count):
        started.extend(start(name, count))
        return started

    monkeypatch.setattr(parallel, "_start_workers", recording)
    monkeypatch.setattr(parallel, "MIN_CHARACTERS_FOR_PROCESSES", 2_000)
    monkeypatch.setattr(parallel, "CHUNK_CHARACTERS", 500)
    yield started
    assert all(worker.poll() is not None for worker in started)


def numbered_posts(count: int) -> list[str]:
    """Return distinct posts of very different lengths."""
    return [f"{number}番目の投稿\n" + JAPANESE * (number % 7 == 3) * (number % 40) for number in range(count)]


@pytest.mark.parametrize("name", ["janome", "janome-chars"])
def test_workers_return_the_tokens_of_one_process_in_order(workers, name):
    posts = numbered_posts(150)
    progress: list[int] = []
    expected = [make_tokenizer(name).tokenize(post) for post in posts[:3]]
    parallel_tokens = list(tokenize_posts(posts, name, processes=2, progress=progress.append))
    assert len(workers) == 2
    assert parallel_tokens[:3] == expected
    assert parallel_tokens == list(tokenize_posts(posts, name, processes=1))
    assert sum(progress) == sum(map(len, posts)) and len(progress) > 10


@pytest.mark.parametrize(
    ("name", "posts", "processes"),
    [("janome", ["短い"], None), ("janome", [], None), ("char", ["長い" * 5000], 4), ("janome", ["長い" * 2000], 1)],
)
def test_small_inputs_start_no_worker(workers, name, posts, processes):
    progress: list[int] = []
    found = list(tokenize_posts(iter(posts), name, processes, progress.append))
    assert found == [make_tokenizer(name).tokenize(post) for post in posts]
    assert sum(progress) == sum(map(len, posts))
    assert workers == []


def test_without_workers_the_work_is_done_inline(monkeypatch, workers):
    def refuse(*args, **kwargs):
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(parallel.subprocess, "Popen", refuse)
    posts = numbered_posts(100)
    assert ["".join(tokens) for tokens in tokenize_posts(posts, "janome", processes=2)] == posts
    assert workers == []


def test_lone_surrogates_survive_the_pipes(workers):
    posts = ["\ud83d\ude00猫" * 10] * 200
    assert ["".join(tokens) for tokens in tokenize_posts(posts, "janome", processes=2)] == posts
    assert workers


def test_invalid_settings_are_refused_at_the_call():
    with pytest.raises(ValueError, match="mecab"):
        tokenize_posts(["猫"], "mecab")
    with pytest.raises(ValueError, match="`processes` 0"):
        tokenize_posts(["猫"], "char", processes=0)


def test_worker_error_is_raised_with_its_traceback(workers):
    posts = [*numbered_posts(200), ["not", "a str"], *numbered_posts(200)]
    with pytest.raises(RuntimeError, match=r"(?s)a tokenizer process failed.*Traceback.*TypeError"):
        list(tokenize_posts(posts, "janome", processes=2))  # type: ignore[arg-type]
    assert len(workers) == 2


def test_killed_worker_is_an_error(workers):
    tokens = tokenize_posts(itertools.cycle(numbered_posts(40)), "janome", processes=2)
    next(tokens)
    workers[1].kill()
    with pytest.raises(RuntimeError, match="ended before its work"):
        for _ in tokens:
            pass


def test_closing_the_generator_ends_the_workers(workers):
    tokens = tokenize_posts(itertools.cycle(numbered_posts(40)), "janome", processes=2)
    next(tokens)
    assert [worker.poll() for worker in workers] == [None, None]
    started = time.monotonic()
    tokens.close()
    assert time.monotonic() - started < 5
    assert all(worker.poll() is not None for worker in workers)


def test_consumer_error_ends_the_workers(workers):
    def consume():
        for number, _ in enumerate(tokenize_posts(numbered_posts(400), "janome", processes=2)):
            if number == 20:
                raise KeyError("the consumer's own")

    with pytest.raises(KeyError):
        consume()
    deadline = time.monotonic() + 10
    while any(worker.poll() is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.parametrize("post", ["終わりのない投稿です。", ""])
def test_infinite_posts_are_read_only_as_far_as_needed(workers, post):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield post

    tokens = tokenize_posts(endless(), "janome", processes=2) if post else tokenize_posts(endless(), "char")
    for _ in range(100):
        assert "".join(next(tokens)) == post
    posts_a_chunk = parallel.CHUNK_CHARACTERS // (len(post) + 1) + 1
    first_chunks = parallel.MIN_CHARACTERS_FOR_PROCESSES // parallel.CHUNK_CHARACTERS + 1
    assert read <= 100 + posts_a_chunk * (first_chunks + 2 * parallel.CHUNKS_PER_PROCESS + 2)
    tokens.close()


SCRIPT = """
import itertools, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
from gluon_lstm.text.parallel import tokenize_posts
for number, tokens in enumerate(tokenize_posts(itertools.repeat({text!r}), "janome", processes=2)):
    if number == 1500:
        print("working", flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals to a group of processes are POSIX")
@pytest.mark.parametrize("how", ["Ctrl-C", "kill"])
def test_stopped_script_leaves_no_worker_and_no_output(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(text=JAPANESE), encoding="utf-8")  # no __main__ guard, on purpose
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None and process.stdout.readline() == "working\n"
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # to the process group, as a terminal does
    else:
        process.kill()
    # The workers inherit standard error, so it is closed only when all have ended.
    _, errors = process.communicate(timeout=20)
    assert errors.count("Traceback") == (1 if how == "Ctrl-C" else 0), errors
