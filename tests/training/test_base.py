"""Runs that start from a trained model: what is taken over, what is refused, and when the model `ja` is the default."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from helpers import POSTS, command_error, random_model

from gluon_lstm import model as model_module
from gluon_lstm.array_file import load
from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.model import BEST, LAST, Model
from gluon_lstm.sampling.evaluation import evaluate_posts
from gluon_lstm.text.scripts import is_japanese, script
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.training.base import FINE_TUNING, Base
from gluon_lstm.training.recipe import STANDARD

KANA = "あいうえおかきくけこ"
TINY = ["--steps", "2", "--batch-size", "2", "--seq-len", "4", "--no-cache"]


def base_model(settings=None, tokens=(*KANA, "漢", "字", "w", "🙂"), config=None):
    return random_model(settings or TextSettings("char"), tokens, config or ModelConfig(6), 3, 0.5)


@pytest.fixture(autouse=True)
def packaged(tmp_path, monkeypatch):
    """Directory of the package's models, with a small `ja`."""
    folder = tmp_path / "pretrained"
    folder.mkdir()
    monkeypatch.setattr(model_module, "PRETRAINED_FOLDER", folder)
    base_model().save(folder / "ja.safetensors", "int8")
    return folder


def text_file(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def kana(tmp_path):
    """Posts of hiragana alone."""
    rng = np.random.default_rng(1)
    posts = {"".join(rng.choice(list(KANA), 6)) for _ in range(60)}
    return text_file(tmp_path / "kana.txt", "\n".join(sorted(posts)) + "\n")


def trained(file, out, *arguments):
    assert main(["train", file, "--out", str(out), *TINY, *arguments]) == 0
    return Model.load(out / LAST)


def initial_weights(file, out, *arguments):
    """Return the model of a run before its first update, from its checkpoint at a rate that changes no float32."""
    return trained(file, out, "--learning-rate", "1e-30", *arguments)


# ---- what is taken over


def test_a_model_continued_on_its_own_text_without_a_rate_scores_the_same(kana, tmp_path):
    first = trained(kana, tmp_path / "first", "--from", "none", "--hidden", "5", "--variant", "peephole")
    again = initial_weights(kana, tmp_path / "again", "--from", str(tmp_path / "first" / LAST))
    assert again.vocabulary.tokens == first.vocabulary.tokens
    assert again.config == first.config
    assert all(np.array_equal(again.arrays[name], array) for name, array in first.arrays.items())
    posts = ["あいう", "かき", "漢字"]
    assert evaluate_posts(again, posts).bpc == evaluate_posts(first, posts).bpc


def test_the_run_says_what_is_taken_over(kana, tmp_path, capsys):
    found = initial_weights(kana, tmp_path / "run")
    assert "starts from ja" in capsys.readouterr().err
    base = Model.load(model_module.PRETRAINED_FOLDER / "ja.safetensors")
    for id, token in enumerate(found.vocabulary.tokens[2:], 2):
        assert np.array_equal(found.arrays["Wxf"][id], base.arrays["Wxf"][base.vocabulary.id(token)])
    assert found.metadata["recipe"]["from_"] == "ja"


@pytest.mark.parametrize("text", ["🍣🍺\n🍺🍣🍣\n🍣\n", "ㅋㅋㅋ\n안녕\nㅋ안\n"])
def test_texts_that_share_no_token_with_the_base(text, tmp_path):
    """Only the cell is taken over, and no token of the base can appear."""
    file = text_file(tmp_path / "text.txt", text)
    found = initial_weights(file, tmp_path / "run", "--from", "ja")
    assert set(found.vocabulary.tokens[2:]) <= set(text)
    base = Model.load(model_module.PRETRAINED_FOLDER / "ja.safetensors")
    assert np.array_equal(found.arrays["Whg"], base.arrays["Whg"])
    assert np.allclose(found.arrays["Wxo"][2:], base.arrays["Wxo"].mean(0))


def test_tokens_of_unused_scripts_never_enter_the_vocabulary(kana, tmp_path):
    tokens = initial_weights(kana, tmp_path / "run").vocabulary.tokens
    assert {script(token) for token in tokens[2:]} == {"HIRAGANA"}


@pytest.mark.parametrize("implementation", ["fast", "scratch"])
def test_output_weights_of_tokens_that_the_text_does_not_contain_stay(tmp_path, implementation):
    """The base knows five more kana than the text: they keep column and bias through training and a resume."""
    file = text_file(tmp_path / "text.txt", "あいうえお\nおえう\nいあ\n" * 20)
    arguments = ("--implementation", implementation, "--weight-decay", "0", "--dropout", "0", "--duplicates", "keep")
    found = trained(file, tmp_path / "run", *arguments)
    found = trained(file, tmp_path / "run", *arguments, "--steps", "9", "--resume")
    base = Model.load(model_module.PRETRAINED_FOLDER / "ja.safetensors")
    for token in KANA:
        id, base_id = found.vocabulary.id(token), base.vocabulary.id(token)
        same = np.array_equal(found.arrays["Why"][:, id], base.arrays["Why"][:, base_id])
        assert same == (found.arrays["by"][id] == base.arrays["by"][base_id]) == (token in "かきくけこ"), token


def test_a_base_needs_no_file_after_the_first_update(kana, tmp_path, packaged):
    """The model of a run has all it needs: the base may be removed."""
    trained(kana, tmp_path / "run")
    (packaged / "ja.safetensors").unlink()
    assert main(["generate", str(tmp_path / "run"), "--seed", "1"]) == 0
    assert main(["evaluate", str(tmp_path / "run"), kana]) == 0


def test_a_resumed_run_equals_an_uninterrupted_one(kana, tmp_path):
    trained(kana, tmp_path / "parts", "--steps", "2", "--schedule", "constant")
    whole = trained(kana, tmp_path / "again", "--steps", "4", "--schedule", "constant")
    parts = trained(kana, tmp_path / "parts", "--steps", "4", "--schedule", "constant", "--resume")
    assert all(np.array_equal(parts.arrays[name], array) for name, array in whole.arrays.items())


def test_a_run_cannot_be_resumed_from_another_base(kana, tmp_path, capsys):
    trained(kana, tmp_path / "run")
    capsys.readouterr()
    files = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    other = ["--from", "none", "--hidden", "6", "--resume"]
    assert main(["train", kana, "--out", str(tmp_path / "run"), *TINY, *other]) == 2
    assert "--from ja, not none" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == files


# ---- what is refused


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--hidden", "7"], ("--hidden 7", "ja has 6", "--from none")),
        (["--layers", "2"], ("--layers 2", "ja has 1")),
        (["--variant", "rnn"], ("--variant rnn", "ja has standard")),
        (["--init", "notes"], ("--init notes", "ja")),
        (["--tokenizer", "janome"], ("tokenizer char", "janome")),
        (["--raw"], ("--raw", "reads posts")),
    ],
)
def test_options_that_contradict_the_base_are_refused_before_anything_is_written(
    kana, tmp_path, capsys, arguments, words
):
    error = command_error(capsys, "train", kana, "--out", str(tmp_path / "run"), "--from", "ja", *arguments)
    assert all(word in error for word in words), error
    assert not (tmp_path / "run").exists()


def test_options_that_agree_with_the_base_are_allowed(kana, tmp_path):
    assert initial_weights(kana, tmp_path / "run", "--from", "ja", "--hidden", "6", "--layers", "1").config.hidden == 6


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 100])
def test_a_base_that_is_no_model_is_refused(kana, tmp_path, capsys, content):
    (tmp_path / "bad").write_bytes(content)
    error = command_error(capsys, "train", kana, "--out", str(tmp_path / "run"), "--from", str(tmp_path / "bad"))
    assert "not a model" in error
    assert not (tmp_path / "run").exists()
    error = command_error(capsys, "train", kana, "--out", str(tmp_path / "run"), "--from", str(tmp_path / "absent"))
    assert "absent" in error


def test_notes_start_from_random_weights(kana, tmp_path):
    found = trained(kana, tmp_path / "run", "--recipe", "notes", "--hidden", "3")
    assert found.metadata["recipe"]["from_"] == "none"


# ---- the default


@pytest.mark.parametrize(
    "text, arguments, expected",
    [
        ("かきく。\nあい。\nうえお！\n", [], "ja"),
        ("かきく。\nあい。\nうえお！\n", ["--from", "none"], "none"),
        ("hello\nworld\nagain\n", [], "none"),
        ("你好。\n谢谢\n", [], "none"),
        ("안녕\n고마워\n", [], "none"),
        ("かきく。\nあい。\nうえお！\n", ["--raw"], "none"),
        ("かきく。\nあい。\nうえお！\n", ["--tokenizer", "janome-chars"], "none"),
        ("かきく。\nあい。\nうえお！\n", ["--hidden", "3"], "none"),
        ("かきく。\nあい。\nうえお！\n", ["--init", "standard"], "none"),
    ],
)
def test_the_default_is_ja_for_japanese_posts_as_characters(tmp_path, text, arguments, expected):
    found = trained(text_file(tmp_path / "text.txt", text), tmp_path / "run", *arguments)
    assert found.metadata["recipe"]["from_"] == expected
    assert found.config.hidden == (6 if expected == "ja" else 3 if "--hidden" in arguments else 256)


def test_a_package_without_the_model_says_so_and_trains_from_nothing(kana, tmp_path, capsys, packaged):
    (packaged / "ja.safetensors").unlink()
    assert trained(kana, tmp_path / "run", "--hidden", "3").metadata["recipe"]["from_"] == "none"
    assert re.search("random weights: ja: this installation lacks", capsys.readouterr().err)
    assert "this installation lacks" in command_error(
        capsys, "train", kana, "--out", str(tmp_path / "other"), "--from", "ja"
    )


def test_a_file_called_ja_is_reached_by_its_path(kana, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    base_model(config=ModelConfig(4)).save("ja")
    assert initial_weights(kana, tmp_path / "one", "--from", "./ja").config.hidden == 4
    assert initial_weights(kana, tmp_path / "two", "--from", "ja").config.hidden == 6


def test_real_posts_are_japanese():
    counts = dict.fromkeys(POSTS.read_text(encoding="utf-8"), 1)
    assert is_japanese(counts)


def test_history_of_earlier_runs_can_be_continued(kana, tmp_path, capsys):
    """A run of a version without `--from` started from random weights."""
    out = tmp_path / "run"
    trained(kana, out, "--from", "none", "--hidden", "3")
    state = out / "state.safetensors"
    metadata, arrays = load(state)
    del metadata["run_config"]["options"]["from_"]
    from gluon_lstm import array_file

    array_file.save(state, {k: v for k, v in metadata.items() if k not in ("format", "checksum")}, arrays)
    trained(kana, out, "--from", "none", "--hidden", "3", "--steps", "3", "--resume")
    assert json.loads((out / "history.jsonl").read_text().splitlines()[-1])["step"] == 3
    assert (out / BEST).exists()


def test_the_boundary_of_words_is_no_text(tmp_path, kana):
    """Its spelling, <word>, brings no Latin letter of a base into a vocabulary."""
    settings = TextSettings("janome-chars")
    base_model(settings, [*KANA, "a", "b"]).save(tmp_path / "base.safetensors")
    arguments = ("--tokenizer", "janome-chars", "--from", str(tmp_path / "base.safetensors"))
    tokens = initial_weights(kana, tmp_path / "run", *arguments).vocabulary.tokens
    assert {script(token) for token in tokens[3:]} == {"HIRAGANA"}


@pytest.mark.parametrize(
    "given, epochs",
    [
        ({}, FINE_TUNING["epochs"]),
        ({"minutes": 2.0}, FINE_TUNING["epochs"]),
        ({"steps": 9}, None),
        ({"epochs": 50}, 50),
        ({"steps": 9, "epochs": 50}, 50),
    ],
)
def test_minutes_leave_the_number_of_epochs_as_a_limit(given, epochs):
    """A model that knows the language overfits a small text long before two minutes are over."""
    recipe = Base("ja", base_model()).recipe(STANDARD, given)
    assert (recipe.epochs, recipe.minutes, recipe.steps) == (epochs, given.get("minutes"), given.get("steps"))
    assert (recipe.hidden, recipe.from_) == (6, "ja")


def test_given_options_win_over_those_of_fine_tuning():
    recipe = Base("ja", base_model()).recipe(STANDARD, {"learning_rate": 0.5, "dropout": 0.0, "patience": 0})
    assert (recipe.learning_rate, recipe.dropout, recipe.patience) == (0.5, 0.0, None)
