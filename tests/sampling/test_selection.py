"""Selected posts: those that fit, none twice, none of given files; an error after a bounded number of attempts."""

from __future__ import annotations

import json
from itertools import cycle, islice

import pytest
from helpers import END, bigram_model, command_error, posts_file, random_model, save
from hypothesis import given
from hypothesis import strategies as st

from gluon_lstm.cli.main import main
from gluon_lstm.sampling import generator
from gluon_lstm.sampling.language_model import LanguageModel
from gluon_lstm.sampling.options import SelectionOptions
from gluon_lstm.sampling.selection import MAX_REJECTED, Selection
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.weighted_length import weighted_length

# Posts of one letter, ten of them.
LETTERS = "アイウエオカキクケコ"
TEN = bigram_model(
    TextSettings(), LETTERS, {END: dict.fromkeys(LETTERS, 0.1), **{letter: {END: 1.0} for letter in LETTERS}}
)
# う in four of ten cases, else many あ, more than 140 in about a third of them.
LONG = bigram_model(
    TextSettings(cleaning=CleaningOptions(max_repeats=0)),
    ["あ", "う"],
    {END: {"あ": 0.6, "う": 0.4}, "あ": {"あ": 0.993, END: 0.007}, "う": {END: 1.0}},
)
VARIED = random_model(TextSettings(), list("あいうえお"), seed=3)


def first_accepted(texts: list[list[str]], posts: int, fit: bool, unique: bool) -> list[str]:
    """Return the posts that a reader would select from the texts with a pencil, in order."""
    found: list[str] = []
    for text in texts:
        of_text = 0
        for post in text:
            if of_text < posts and not (fit and weighted_length(post) > 280) and not (unique and post in found):
                found.append(post)
                of_text += 1
    return found


def posts_of_texts(lm: LanguageModel, count: int, seed: int, posts: int = 300) -> list[list[str]]:
    plain = lm.generate(posts=posts, count=count, seed=seed, temperature=1)
    return [plain[k * posts : (k + 1) * posts] for k in range(count)]


@pytest.mark.parametrize("fit, unique", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("count", [1, 3])
def test_selected_posts_are_those_of_the_same_seed_without_the_rejected_ones(count, fit, unique):
    lm = LanguageModel(LONG)
    selected = {"posts": 6, "count": count, "seed": 5, "temperature": 1, "fit_post": fit, "unique": unique}
    posts = lm.generate(**selected)
    assert posts == first_accepted(posts_of_texts(lm, count, 5), 6, fit, unique)
    assert posts != lm.generate(**{**selected, "fit_post": False, "unique": False})
    assert len(posts) == 6 * count
    if fit:
        assert max(map(weighted_length, posts)) <= 280
    if unique:
        assert len(set(posts)) == len(posts)


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_the_same_seed_gives_the_same_posts_with_any_number_of_cores(cores, monkeypatch):
    lm = LanguageModel(VARIED)
    arguments = {"posts": 3, "count": 10, "seed": 2, "unique": True, "fit_post": True}
    expected = lm.generate(**arguments)
    monkeypatch.setattr(generator, "available_cores", lambda: cores)
    assert lm.generate(**arguments) == "".join(lm.stream(**arguments)).split() == expected
    assert lm.generate(**{**arguments, "seed": 3}) != expected


def test_a_post_of_280_fits():
    selection = Selection(SelectionOptions(fit_post=True), CleaningOptions())
    assert [bool(selection.rejection(post)) for post in ("あ" * 140, "あ" * 139 + "ab", "あ" * 140 + "a")] == [0, 0, 1]


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=4), st.integers(1, 3))
def test_select_takes_the_first_posts_of_each_text_that_are_new(texts, posts):
    endless = [[f"{post}{turn}" for turn in range(12) for post in text] for text in texts]
    selection = Selection(SelectionOptions(unique=True), CleaningOptions())
    assert list(selection.select(list(map(iter, endless)), posts)) == first_accepted(endless, posts, False, True)


def test_a_search_without_end_stops_and_says_how_many_were_found():
    drawn = 0

    def counted():
        nonlocal drawn
        for post in cycle(["犬", "猫", "あ" * 141]):
            drawn += 1
            yield post

    selection = Selection(SelectionOptions(fit_post=True, unique=True), CleaningOptions())
    found = selection.select([counted()], 100)
    assert list(islice(found, 2)) == ["犬", "猫"] and drawn == 2
    with pytest.raises(ValueError, match=rf"^2 of 100 posts .* {MAX_REJECTED} .*67 longer than 280, 133 repeated"):
        next(found)
    assert drawn == 2 + MAX_REJECTED


def test_a_hundred_different_posts_of_a_model_that_knows_ten(tmp_path, capsys):
    TEN.save(tmp_path / "model")
    command = ["generate", str(tmp_path / "model"), "--unique", "--seed", "1", "--temperature", "1"]
    assert main([*command, "--posts", "100"]) == 2
    out, error = capsys.readouterr()
    assert sorted(out.split()) == list(LETTERS)
    assert "10 of 100 posts" in error and "--posts" in error and "--temperature" in error and error.count("\n") == 1
    assert main([*command, "--count", "10"]) == 0  # an empty line separates the texts
    assert sorted(capsys.readouterr().out.removesuffix("\n").split("\n\n")) == list(LETTERS)


def test_posts_of_a_file_are_not_written_after_the_cleaning_of_the_model(tmp_path):
    """The file has them as they were typed: with a name, a link, full-width letters and repetitions."""
    words = ["@ おはよう！！！", "ABC", "www", "ねむい"]
    model = bigram_model(
        TextSettings("janome"), words, {END: dict.fromkeys(words, 0.25)} | {w: {END: 1} for w in words}
    )
    lm, typed = (
        LanguageModel(model),
        ["@taro おはよう！！！！！！", "ＡＢＣ https://t.co/abc", "ｗｗｗｗｗｗ", "RT @a: ねむい"],
    )
    path = posts_file(tmp_path, typed)
    assert lm.generate(not_in=[path], seed=1) == ["ねむい"]
    with pytest.raises(ValueError, match="1 of 2 posts"):
        lm.generate(posts=2, not_in=[path], seed=1)
    assert sorted(lm.generate(posts=4, unique=True, seed=1)) == sorted(words)


def test_reading_options_apply_to_the_files(tmp_path, capsys):
    TEN.save(tmp_path / "model")
    table = tmp_path / "posts.csv"
    table.write_text("id,said\n1,ア\n2,イ\n3,ウ\n", encoding="utf-8")
    command = ["generate", str(tmp_path / "model"), "--posts", "7", "--seed", "1", "--not-in", str(table)]
    assert main([*command, "--column", "said"]) == 0
    assert sorted(capsys.readouterr().out.split()) == list("エオカキクケコ")
    assert str(table) in command_error(capsys, *command)


def test_output_of_earlier_runs_is_never_repeated(tmp_path, capsys):
    """Each run appends its record to the file that it reads; in the first run the file is empty."""
    TEN.save(tmp_path / "model")
    posted = save(tmp_path / "posted.jsonl")
    command = ["generate", str(tmp_path / "model"), "--not-in", str(posted), "--format", "jsonl"]
    for _ in LETTERS:
        assert main(command) == 0
        with open(posted, "a", encoding="utf-8") as file:
            file.write(capsys.readouterr().out)
    assert sorted(json.loads(line)["text"] for line in posted.read_text("utf-8").splitlines()) == list(LETTERS)
    assert "0 of 1 posts" in command_error(capsys, *command)


@pytest.mark.parametrize(
    "arguments, field",
    [
        ({"fit_post": True, "length": 5}, "`length` 5"),
        ({"unique": True, "length": 5}, "`length` 5"),
        ({"not_in": "posts.txt"}, "`not_in`"),
        ({"not_in": ["none.txt"]}, r"none\.txt"),
    ],
)
def test_invalid_arguments_are_refused_by_the_call(arguments, field):
    lm = LanguageModel(TEN)
    for method in (lm.generate, lm.stream, lm.records):
        with pytest.raises((ValueError, OSError), match=field):
            method(**arguments)


def test_raw_text_has_no_posts_to_select():
    with pytest.raises(ValueError, match=r"`posts`.*raw"):
        LanguageModel(random_model(TextSettings(raw=True), ["あ"])).generate(unique=True)


# ---- records


@pytest.mark.parametrize(
    "arguments",
    [
        {"posts": 3, "count": 2, "seed": 4, "unique": True, "fit_post": True},
        {"length": 7, "prefix": "あ", "top_k": 2},
        {"posts": 4, "temperature": 1.5},
    ],
)
def test_a_record_generates_its_text_again(arguments):
    lm = LanguageModel(VARIED, path="model")
    records = json.loads(json.dumps(list(lm.records(**arguments))))
    for number, record in enumerate(records, 1):
        shown = {name: record.pop(name) for name in ("text", "number", "weighted_length", "gluon_lstm", "model")}
        assert shown["number"] == number and shown["model"] == "model"
        assert shown["weighted_length"] == weighted_length(shown["text"])
        assert record.pop("reading") == {}
        assert lm.generate(**record)[number - 1] == shown["text"]


def test_jsonl_is_one_object_a_line(tmp_path, capsys):
    random_model(TextSettings(), ["あ", "\n", "\ud83d", "\u2028", '"'], seed=1).save(tmp_path / "model")
    command = ["generate", str(tmp_path / "model"), "--posts", "40", "--seed", "1", "--temperature", "2", "--unique"]
    assert main([*command, "--format", "jsonl"]) == 0
    lines = capsys.readouterr().out.removesuffix("\n").split("\n")
    records = list(map(json.loads, lines))
    lm = LanguageModel.load(tmp_path / "model")
    assert records == list(lm.records(posts=40, seed=1, temperature=2, unique=True))
    assert any("\n" in record["text"] for record in records) and any("\ud83d" in record["text"] for record in records)
    assert any('"あ' in line for line in lines)
