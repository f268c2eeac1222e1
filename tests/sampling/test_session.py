"""Writing session and its conversation: candidates, choices, edits, undo, temperature, saving, reproducibility."""

from __future__ import annotations

import doctest
import os
from collections import Counter
from functools import cache

import pytest
from helpers import BOUNDARY, END, bigram_model, chain_model, random_model
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.config import ModelConfig
from gluon_lstm.sampling import chat as chat_module
from gluon_lstm.sampling.chat import HELP, Chat, parse
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.language_model import LanguageModel
from gluon_lstm.sampling.options import SamplingOptions, SessionOptions
from gluon_lstm.sampling.session import PICKED, WritingSession
from gluon_lstm.text import codec as codec_module
from gluon_lstm.text.settings import TextSettings

CHAR, JANOME, CHARS_OF_WORDS = TextSettings(), TextSettings("janome"), TextSettings("janome-chars")
RAW = TextSettings(raw=True)
UNSCALED = SamplingOptions(temperature=1)
MODEL = random_model(CHAR, [*"あいうえおABC今日は", "\n"], ModelConfig(6), seed=2)
# 今日 is followed by は (0.5), も (0.3) or the end of the post (0.2).
KNOWN = bigram_model(
    CHAR, ["今", "日", "は", "も"],
    {END: {"今": 1}, "今": {"日": 1}, "日": {"は": 0.5, "も": 0.3, END: 0.2}, "は": {END: 1}, "も": {END: 1}},
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def one_dictionary():
    """Load the dictionary of Janome once for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_module, "make_tokenizer", cache(codec_module.make_tokenizer))
        yield


def session(model=MODEL, sampling=UNSCALED, **options) -> WritingSession:
    return WritingSession(model, SessionOptions(**{"seed": 1, **options}), sampling)


def texts(of: WritingSession) -> list[str]:
    return [candidate.text for candidate in of.candidates]


# ---- continuations


@pytest.mark.parametrize("beginning", ["", "あ", "今日は"])
def test_continuations_are_those_of_generate(beginning):
    writing = session(continuations=6)
    writing.write(beginning)
    writing.propose()
    posts = LanguageModel(MODEL).generate(beginning, count=6, seed=1, temperature=1)
    assert texts(writing) == list(dict.fromkeys(post[len(beginning) :] for post in posts))
    first = texts(writing)
    writing.propose()
    assert texts(writing) != first and writing.text == beginning


def test_equal_continuations_are_offered_once():
    writing = session(sampling=SamplingOptions(temperature=0))
    writing.propose()
    assert len(writing.candidates) == 1
    writing = session(KNOWN, continuations=100)
    writing.write("今日")
    writing.propose()
    assert sorted(texts(writing)) == ["は", "も"]  # never empty


def test_the_text_stays_as_it_was_typed():
    """The model reads ABC今日は; names, links and full-width letters of the text are the writer's own."""
    typed = "@taro ＡＢＣ https://example.com/a 今日は"
    writing = session()
    writing.write(typed)
    writing.propose()
    for number, candidate in enumerate(writing.candidates, 1):
        writing.choose(number)
        assert writing.text == typed + candidate.text and candidate.text
        writing.undo()


@pytest.mark.parametrize("length", [1, 3])
def test_length_bounds_a_continuation(length):
    for model in (chain_model(CHAR, [END, *"あいうえお", END]), chain_model(RAW, ["お", *"あいうえお"])):
        writing = session(model, length=length)
        writing.write("あ")
        writing.propose()
        assert texts(writing) == ["いうえお"[:length]]


def test_a_continuation_of_raw_text_has_60_characters():
    writing = session(chain_model(RAW, ["お", *"あいうえお"]))
    writing.write("あ")
    writing.propose()
    assert texts(writing) == ["いうえおあ" * 12]


# ---- picker


def picked(model, text: str, **options) -> dict[str | None, float]:
    generator = TextGenerator(model, SamplingOptions(temperature=1, **options))
    return generator.next_texts(generator.prefix(text))


def test_picker_offers_the_likeliest_tokens_with_their_probabilities():
    writing = session(KNOWN, picker=True)
    writing.write("今日")
    writing.propose()
    assert [(c.text, round(c.probability, 6), c.ends) for c in writing.candidates[:3]] == [
        ("は", 0.5, False), ("も", 0.3, False), ("", 0.2, True),
    ]  # fmt: skip
    assert writing.choose(1).text == "は" and writing.text == "今日は" and not writing.candidates
    writing.undo()
    assert writing.choose(3).ends and writing.text == "今日"
    writing = session(random_model(CHAR, list(map(chr, range(0x3042, 0x3082))), seed=1), picker=True)
    writing.propose()
    probabilities = [candidate.probability for candidate in writing.candidates]
    assert len(probabilities) == PICKED and probabilities == sorted(probabilities, reverse=True)


def test_picker_never_offers_an_empty_post_or_unknown_characters():
    assert picked(KNOWN, "").keys() == {"今", "日", "は", "も"}
    assert picked(KNOWN, "今").keys() == {"今", "日", "は", "も", None}


def test_picker_uses_the_sampling_options():
    assert picked(KNOWN, "今日", top_k=1) == {"は": 1}
    assert picked(KNOWN, "今日", top_p=0.7).keys() == {"は", "も"}


def test_a_word_boundary_is_not_offered_but_what_follows_it():
    model = bigram_model(
        CHARS_OF_WORDS, ["猫", "が", "は", "好"],
        {END: {"猫": 1}, "猫": {"好": 0.25, BOUNDARY: 0.75}, BOUNDARY: {"が": 0.3, "は": 0.2, END: 0.5}},
    )  # fmt: skip
    found = picked(model, "猫")
    assert {text: round(p, 6) for text, p in found.items() if p > 1e-6} == {"が": 0.45, "は": 0.3, "好": 0.25}


def test_the_end_of_a_text_may_be_a_word_or_the_beginning_of_one():
    """今 is the word 今 in half of the posts, followed by は or the end, else the beginning of 今日."""
    model = bigram_model(
        JANOME, ["今", "今日", "は"], {END: {"今": 0.5, "今日": 0.5}, "今": {"は": 0.6, END: 0.4}}
    )  # fmt: skip
    found = picked(model, "今")
    likely = {text: round(p, 6) for text, p in found.items() if p > 1e-6}
    assert likely == {"は": 0.3, None: 0.2, "日": 0.5}


@pytest.mark.parametrize(
    "settings_, tokens, prefix",
    [
        (CHAR, list("こんにちは今日"), "こん"),
        (JANOME, ["こん", "にち", "は", "こんに", "こんにち", "こんにちは", "ちは"], "こんにち"),
        (CHARS_OF_WORDS, list("今日は晴れ"), "今日は"),
    ],
)
def test_picker_has_the_distribution_of_generation(settings_, tokens, prefix):
    """The first two characters of 3,000 generated texts, from both: no share differs by five standard deviations."""
    generator = TextGenerator(random_model(settings_, tokens, ModelConfig(5), seed=4, scale=2), UNSCALED)
    found = generator.next_texts(generator.prefix(prefix))
    assert sum(found.values()) == pytest.approx(1)
    without_end = {text: p / (1 - found.get(None, 0)) for text, p in found.items() if text is not None}
    starts = Counter(
        text[len(prefix) :][: max(map(len, without_end))]
        for text in generator.generate_batch(generator.prefix(prefix), [rng_for(1, k) for k in range(3000)], length=9)
    )
    for text, p in without_end.items():
        if all(other == text or not other.startswith(text) for other in without_end):  # else texts are ambiguous
            share = sum(count for start, count in starts.items() if start.startswith(text)) / 3000
            assert abs(share - p) < 5 * (p * (1 - p) / 3000) ** 0.5 + 1e-3


# ---- changes and undo


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.text("あい今 A/1\n", max_size=4), st.integers(0, 6), st.sampled_from(["propose", "undo"])),
        max_size=12,
    )
)
def test_undo_restores_every_earlier_text(actions):
    """Against a list of the texts: whatever is written, chosen and undone."""
    writing, history = session(continuations=3), [""]
    for action in actions:
        if action == "propose":
            writing.propose()
        elif action == "undo":
            if len(history) > 1:
                history.pop()
                writing.undo()
            else:
                with pytest.raises(ValueError, match="undo"):
                    writing.undo()
        elif isinstance(action, str):
            writing.write(action)
            history.append(action)
        elif 1 <= action <= len(writing.candidates):
            history.append(history[-1] + writing.candidates[action - 1].text)
            writing.choose(action)
        else:
            with pytest.raises(ValueError, match=f"no continuation {action}"):
                writing.choose(action)
        assert writing.text == history[-1]


def test_undo_offers_the_earlier_candidates_again():
    writing = session()
    writing.propose()
    before = writing.candidates
    writing.choose(1)
    assert writing.candidates == []
    writing.undo()
    assert writing.candidates == before and writing.text == ""


def test_temperature_changes_the_next_candidates_only():
    writing = session()
    writing.propose()
    before = writing.candidates
    writing.temperature = 0
    assert writing.candidates == before and writing.temperature == 0
    writing.propose()
    assert len(writing.candidates) == 1
    for invalid in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`temperature`"):
            writing.temperature = invalid
    assert writing.temperature == 0


# ---- files


def test_a_saved_text_is_whole_and_an_existing_file_is_kept(tmp_path, monkeypatch):
    path, writing = tmp_path / "post.txt", session()
    with pytest.raises(ValueError, match="empty"):
        writing.save(path)
    writing.write("今日は\n晴れ")
    writing.save(path)
    assert path.read_bytes() == "今日は\n晴れ\n".encode()
    writing.write("雨\ud83d")
    with pytest.raises(FileExistsError):
        writing.save(path)
    assert path.read_bytes() == "今日は\n晴れ\n".encode()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            writing.save(path, overwrite=True)
    assert path.read_bytes() == "今日は\n晴れ\n".encode() and os.listdir(tmp_path) == ["post.txt"]
    writing.save(path, overwrite=True)
    assert path.read_bytes() == "雨?\n".encode()
    with pytest.raises(IsADirectoryError):
        writing.save(tmp_path)


# ---- conversation


LINES = ["今日は", "2", "", "/t 1.5", "", "1", "/undo", "/edit あい", "", "/begin 12", "/b /x", "/help"]


def answers(lines, **options) -> list[list[str]]:
    chat = Chat(session(**options))
    return [chat.answer(line) for line in lines]


@pytest.mark.parametrize("picker", [False, True])
def test_the_same_seed_and_lines_give_the_same_answers(picker):
    assert answers(LINES, picker=picker) == answers(LINES, picker=picker)
    assert (answers(LINES, picker=picker, seed=2) == answers(LINES, picker=picker)) == picker  # nothing is drawn


def test_docstring_examples():
    assert doctest.testmod(chat_module).failed == 0 and doctest.testmod(chat_module).attempted > 0


def test_a_conversation():
    chat = Chat(session(KNOWN, continuations=50))
    assert sorted(line[5:] for line in chat.answer("今日")) == ["は", "も"]
    assert chat.answer("１") in (["今日は  (6/280)"], ["今日も  (6/280)"])  # full-width, as an input method types it
    assert chat.answer("/u")[0] == "今日  (4/280)" and len(chat.session.candidates) == 2
    assert chat.answer("/edit 今") == ["今  (2/280)"]
    assert chat.answer("/temperature 0") == ["temperature 0"]
    assert chat.answer("  ") == ["  1  日は"]
    assert chat.answer("/temperature") == ["temperature 0"]
    assert len(chat.answer("/help")) == len(HELP) and not chat.finished
    assert chat.answer("/q") == [] and chat.finished


def test_picker_continues_by_itself_until_the_end():
    chat = Chat(session(KNOWN, picker=True))
    assert chat.answer("今日")[:3] == ["  1   50.0%  は", "  2   30.0%  も", "  3   20.0%  (end of the post)"]
    assert chat.answer("2")[:2] == ["今日も  (6/280)", "  1  100.0%  (end of the post)"]
    assert chat.answer("1") == ["今日も  (6/280)"]


def test_newlines_of_candidates_are_visible():
    model = chain_model(CHAR, [END, "あ", "\n", "い", END])
    assert Chat(session(model)).answer("") == ["  1  あ\n     い"]
    assert Chat(session(model, picker=True)).answer("あ")[0] == "  1  100.0%  ⏎"


@pytest.mark.parametrize(
    "line, named",
    [
        ("9", "no continuation 9"),
        ("/nosuch", "/nosuch"),
        ("/", "/:"),
        ("/undo", "undo"),
        ("/edit", "/edit"),
        ("/save", "/save"),
        ("/save post.txt", "empty"),
        ("/temperature hot", "/temperature hot"),
        ("/temperature -1", "/temperature -1"),
    ],
)
def test_invalid_lines_are_named_and_change_nothing(line, named):
    chat = Chat(session())
    with pytest.raises(ValueError, match=f"^.*{named}") as caught:
        chat.answer(line)
    assert "\n" not in str(caught.value)
    assert (chat.session.text, chat.session.candidates, chat.session.temperature) == ("", [], 1)


@given(st.text(max_size=12))
def test_every_line_is_a_command_or_refused_in_one_sentence(line):
    try:
        command, argument = parse(line)
    except ValueError as error:
        assert line.startswith("/") and "/help" in str(error)
    else:
        assert hasattr(Chat, f"_{command}") and argument in line
