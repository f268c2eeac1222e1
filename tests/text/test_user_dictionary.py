"""User dictionary: its words are single tokens, stored in the model; invalid entries are refused by line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.model import Model, ModelError
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.corpus import prepare
from gluon_lstm.text.parallel import MIN_CHARACTERS_FOR_PROCESSES, analyze_posts, tokenize_posts
from gluon_lstm.text.settings import CorpusOptions, TextSettings
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.tokenizers.janome_chars import BOUNDARY
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.user_dictionary import check_entries, read_user_dictionary
from gluon_lstm.text.vocabulary import Vocabulary

SIMPLE = ("朝霧てまり,カスタム名詞,アサギリテマリ", "ソーダ水パレード,カスタム名詞,ソーダスイパレード")
IPADIC = ("朝霧てまり,1288,1288,-5000,名詞,固有名詞,人名,一般,*,*,朝霧てまり,アサギリテマリ,アサギリテマリ",)
POST = "朝霧てまりちゃんに会った"


@pytest.mark.parametrize("entries", [SIMPLE, IPADIC], ids=["simpledic", "ipadic"])
def test_user_words_are_single_tokens(entries):
    without = make_tokenizer("janome").tokenize(POST)
    tokens = make_tokenizer("janome", entries).tokenize(POST)
    assert "朝霧てまり" in tokens and "朝霧てまり" not in without
    assert "".join(tokens) == POST
    spelled = make_tokenizer("janome-chars", entries).tokenize(POST)
    assert spelled[:6] == [*"朝霧てまり", BOUNDARY]


def test_workers_use_the_user_dictionary():
    posts = [f"{POST}。{number}回目" for number in range(3000)]
    assert sum(map(len, posts)) > MIN_CHARACTERS_FOR_PROCESSES
    for tokens, words in zip(
        tokenize_posts(posts, "janome", 2, user_dictionary=SIMPLE), analyze_posts(posts, SIMPLE, processes=2)
    ):
        assert tokens[0] == "朝霧てまり"
        assert words[0] == ("朝霧てまり", "カスタム名詞,*,*,*", "朝霧てまり")
        assert [word.surface for word in words] == tokens


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_file_in_any_encoding(tmp_path, encoding):
    path = tmp_path / "names.csv"
    path.write_bytes(("\r\n".join(SIMPLE) + "\r\n\r\n").encode(encoding))
    assert read_user_dictionary(path) == SIMPLE


@pytest.mark.parametrize(
    ("text", "expected_message"),
    [
        ("", "is empty"),
        ("\n\n", "has no entry"),
        ("犬\n", "line 1: '犬' has 1 fields"),
        (f"{SIMPLE[0]}\n{IPADIC[0]}\n", "line 2: .* use one format"),
        (",カスタム名詞,ア\n", "line 1: .* empty surface"),
        (IPADIC[0].replace("1288", "1316", 1), "line 1: '1316', '1288'"),
        (IPADIC[0].replace("1288", "一", 1), "line 1: '一', '1288'"),
        (IPADIC[0].replace("-5000", "cheap"), "line 1: 'cheap'"),
        (IPADIC[0].replace("-5000", "99999"), "line 1: '99999'"),
    ],
)
def test_invalid_entry_is_reported_by_line(tmp_path, text, expected_message):
    (tmp_path / "names.csv").write_text(text, encoding="utf-8")
    with pytest.raises(TextError, match=expected_message):
        read_user_dictionary(tmp_path / "names.csv")


def test_settings_refuse_invalid_entries():
    with pytest.raises(ValueError, match="2 fields"):
        check_entries(["犬,いぬ"])
    with pytest.raises(ValueError, match="tokenizer"):
        TextSettings("char", user_dictionary=SIMPLE)


def test_user_dictionary_is_in_the_cache_key(tmp_path):
    (tmp_path / "posts.txt").write_text(f"{POST}\n{POST}!\n", encoding="utf-8")
    options = CorpusOptions(cache=tmp_path / "cache", min_count=1, validation=0)
    words = [
        "朝霧てまり" in prepare([tmp_path / "posts.txt"], TextSettings("janome", user_dictionary=entries), options)
        .codec.vocabulary
        for entries in ((), SIMPLE, ())
    ]  # fmt: skip
    assert words == [False, True, False]


def test_model_contains_the_user_dictionary(tmp_path):
    settings = TextSettings("janome", user_dictionary=SIMPLE)
    vocabulary = Vocabulary(
        [*settings.special_tokens, "朝霧てまり", *"朝霧てまりちゃんに会った"[5:]], len(settings.special_tokens)
    )
    arrays = {
        name: np.zeros(shape, np.float32) for name, shape in ModelConfig(2).shapes(len(vocabulary)).items()
    }  # fmt: skip
    Model(ModelConfig(2), Codec(settings, vocabulary), arrays).save(tmp_path / "a.safetensors")
    loaded = Model.load(tmp_path / "a.safetensors")
    assert loaded.codec.settings == settings
    assert loaded.codec.encode("朝霧てまり") == [len(settings.special_tokens)]


def test_settings_without_user_dictionary_survive_json():
    values = TextSettings("janome").to_json()
    assert TextSettings.from_json(json.loads(json.dumps(values))) == TextSettings("janome")


def test_model_file_with_invalid_entry_is_refused(tmp_path, monkeypatch):
    settings = TextSettings("janome")
    vocabulary = Vocabulary([*settings.special_tokens, "犬"], len(settings.special_tokens))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in ModelConfig(1).shapes(len(vocabulary)).items()}
    values = {**settings.to_json(), "user_dictionary": ["犬,9999,0,0,名詞,*,*,*,*,*,犬,イヌ,イヌ"]}
    monkeypatch.setattr(TextSettings, "to_json", lambda self: values)
    Model(ModelConfig(1), Codec(settings, vocabulary), arrays).save(tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match="9999"):
        Model.load(tmp_path / "a.safetensors")


def test_train_generate_and_evaluate_without_the_dictionary_file(tmp_path, capsys):
    posts, names, run = tmp_path / "posts.txt", tmp_path / "names.csv", tmp_path / "run"
    posts.write_text("".join(f"{POST}。{k}\n" for k in range(20)), encoding="utf-8")
    names.write_text("\n".join(SIMPLE), encoding="utf-8")
    tiny = ["--steps", "1", "--hidden", "4", "--batch-size", "2", "--seq-len", "4", "--no-cache"]
    command = ["train", str(posts), "--out", str(run), "--user-dictionary", str(names), *tiny]
    assert main(command) == 2
    assert "--tokenizer" in capsys.readouterr().err and not run.exists()
    assert main([*command, "--tokenizer", "janome"]) == 0
    names.unlink()
    assert "朝霧てまり" in Model.load(run).codec.vocabulary
    assert main(["generate", str(run), "--prefix", "朝霧てまり", "--seed", "1"]) == 0
    assert main(["evaluate", str(run), str(posts), "--json"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("朝霧てまり") and '"unknown": 0' in out
