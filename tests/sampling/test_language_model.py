"""LanguageModel: the same texts and scores as the commands, arguments, errors."""

from __future__ import annotations

import doctest
import inspect
import json
from dataclasses import fields

import numpy as np
import pytest
from helpers import bigram_model, random_model

from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.model import BEST, Model, ModelError
from gluon_lstm.sampling import language_model
from gluon_lstm.sampling.language_model import LanguageModel
from gluon_lstm.sampling.sampler import SamplingOptions
from gluon_lstm.text.settings import TextSettings

TOKENS = ["あ", "い", "う", "犬", "\n", "!", " "]
TEXTS = {
    "char": TextSettings(),
    "janome": TextSettings("janome"),
    "janome-chars": TextSettings("janome-chars"),
    "raw": TextSettings(raw=True),
}


@pytest.fixture(params=TEXTS)
def saved(request, tmp_path):
    """The path of a saved random model of each tokenizer."""
    random_model(TEXTS[request.param], TOKENS, config=ModelConfig(6)).save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def printed(capsys, saved, **arguments) -> str:
    """The output of the command `generate`."""
    options = [word for name, value in arguments.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert main(["generate", str(saved), *options]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"temperature": 0},
        {"temperature": 1.3, "top_k": 4},
        {"temperature": 1, "top_p": 0.8, "repetition_penalty": 1.4},
    ],
)
@pytest.mark.parametrize("amount", [{}, {"posts": 1}, {"posts": 3}, {"length": 1}, {"length": 30}])
def test_generate_returns_what_the_command_prints(saved, capsys, amount, options):
    lm = LanguageModel.load(saved)
    if lm.model.codec.settings.raw and "posts" in amount:
        with pytest.raises(ValueError, match=r"`posts` .*raw"):
            lm.generate("あ", seed=1, **amount)
        return
    for count in (1, 3):
        arguments = {"prefix": "あ", "seed": 7, "count": count, **amount, **options}
        out = printed(capsys, saved, **arguments)
        texts = lm.generate(**arguments)
        assert len(texts) == count * amount.get("posts", 1)
        per_text = amount.get("posts", 1)
        blocks = [texts[k : k + per_text] for k in range(0, len(texts), per_text)]
        assert "\n".join("".join(f"{post}\n" for post in block) for block in blocks) == out
        assert "".join(lm.stream(**arguments)) == out
        if "length" in amount:
            assert all(len(text) == 1 + amount["length"] for text in texts)
        assert all(text.startswith("あ") for text in texts)


def test_posts_with_newlines_stay_whole():
    newline = bigram_model(TextSettings(), ["あ", "\n"], {"<post>": {"あ": 1}, "あ": {"\n": 1}, "\n": {"<post>": 1}})
    assert LanguageModel(newline).generate(posts=2, count=2, temperature=0) == ["あ\n"] * 4
    assert LanguageModel(newline).generate("あ", length=3, temperature=0) == ["あ\n\nあ"]


def test_a_word_longer_than_length_is_cut():
    lm = LanguageModel(bigram_model(TextSettings("janome"), ["こ", "ん", "こんにちは"], {"<post>": {"こんにちは": 1}}))
    assert lm.generate(length=3, temperature=0) == ["こんに"]
    assert lm.generate("こん", length=2, temperature=0) == ["こんにち"]


def test_the_same_seed_gives_the_same_posts(saved):
    lm = LanguageModel.load(saved)
    assert lm.generate(seed=3) == lm.generate(seed=3) == LanguageModel.load(saved).generate(seed=np.int64(3))
    assert lm.generate(length=50, seed=3) != lm.generate(length=50, seed=4)
    assert lm.generate(length=50) != lm.generate(length=50)
    assert lm.generate(length=50, count=3, seed=3)[0] == lm.generate(length=50, seed=3)[0]


def test_unknown_characters_of_a_prefix_are_named():
    notices: list[str] = []
    lm = LanguageModel(random_model(TextSettings(), TOKENS), notices.append)
    lm.generate("猫", seed=1)
    assert len(notices) == 1 and "猫" in notices[0]


POSTS = ["@taro あい！！！！！！", "", "あ犬", "あ犬", "RT @a: い", "い\nう", "  ", "明日は晴れ"]


def test_score_equals_the_command_evaluate(saved, tmp_path, capsys):
    raw = Model.load(saved).codec.settings.raw
    path = tmp_path / ("posts.txt" if raw else "posts.jsonl")
    lines = POSTS if raw else [json.dumps({"text": post}) for post in POSTS]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    assert main(["evaluate", str(saved), str(path), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    score = LanguageModel.load(saved).score(iter(POSTS))
    assert {name: getattr(score, name) for name in expected} == expected
    assert score.unknown > 0


def test_load_of_a_run_directory_and_repr(tmp_path):
    random_model(TextSettings("janome"), TOKENS).save(tmp_path / BEST)
    lm = LanguageModel.load(tmp_path)
    assert repr(lm) == "LanguageModel(standard LSTM, 1 layer of 3 units, vocabulary of 9 tokens (janome))"
    assert lm.model.config == ModelConfig(3)


def test_the_signature_shows_all_sampling_options():
    for method in (LanguageModel.generate, LanguageModel.stream):
        parameters = inspect.signature(method).parameters
        assert {field.name: field.default for field in fields(SamplingOptions)}.items() <= {
            name: parameter.default for name, parameter in parameters.items()
        }.items()
        assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"posts": 0}, "posts"),
        ({"posts": -1}, "posts"),
        ({"posts": 1.5}, "posts"),
        ({"length": 0}, "length"),
        ({"length": "9"}, "length"),
        ({"posts": 1, "length": 1}, "length"),
        ({"count": 0}, "count"),
        ({"count": None}, "count"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"prefix": None}, "prefix"),
        ({"temperature": -1}, "temperature"),
        ({"top_k": 0}, "top.k"),
    ],
)
def test_invalid_arguments_name_the_field(arguments, field):
    lm = LanguageModel(random_model(TextSettings(), TOKENS))
    for method in (lm.generate, lm.stream):
        with pytest.raises(ValueError, match=field):
            method(**arguments)


def test_an_unknown_option_is_a_type_error():
    with pytest.raises(TypeError, match="top_z"):
        LanguageModel(random_model(TextSettings(), TOKENS)).generate(top_z=1)


@pytest.mark.parametrize(
    ("posts", "reason"),
    [("あ", "`posts`"), (["あ", None], "`posts`"), ([1], "`posts`"), ([], "no post"), (["", "  "], "no post")],
)
def test_invalid_posts(posts, reason):
    with pytest.raises(ValueError, match=reason):
        LanguageModel(random_model(TextSettings(), TOKENS)).score(posts)


def test_invalid_file(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"a\.safetensors"):
        LanguageModel.load(tmp_path / "a.safetensors")
    with pytest.raises(OSError, match=r"b\.safetensors"):
        LanguageModel.load(tmp_path / "b.safetensors")


def test_docstring_example(tmp_path, monkeypatch):
    """The model of the example has weights 0: every token is equally likely."""
    model = random_model(TextSettings(), ["あ", "い"], config=ModelConfig(2))
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    zero = {name: 0 * array for name, array in model.arrays.items()}
    Model(model.config, model.codec, zero).save(tmp_path / "runs" / "mine" / BEST)
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(language_model)
    assert result.attempted and not result.failed
