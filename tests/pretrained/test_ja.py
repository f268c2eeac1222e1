"""The model `ja` in the package: its file, its card, and what it knows."""

from __future__ import annotations

import configparser
import fnmatch
import json
import subprocess
import sys

import numpy as np
import pytest
from helpers import POSTS, ROOT

import gluon_lstm
from gluon_lstm import array_file
from gluon_lstm import model as model_module
from gluon_lstm.cli.main import main
from gluon_lstm.model import Model, model_file
from gluon_lstm.pretrained.catalogue import entries
from gluon_lstm.text.scripts import script

MAX_BYTES = 16_000_000
MAX_BPC = 5.8  # bits per character of data/posts_ja.txt, which it has never read; a unigram model needs 8.1


@pytest.fixture(scope="module")
def ja() -> Model:
    return Model.load("ja")


def test_the_file_is_int8_and_small():
    assert model_file("ja").stat().st_size <= MAX_BYTES
    with array_file.open_file(model_file("ja")) as file:
        assert {spec.dtype for spec in file.specs.values() if len(spec.shape) > 1} == {"I8"}


def test_the_file_is_part_of_a_wheel():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["gluon_lstm.pretrained"].split()
    assert any(fnmatch.fnmatch(model_file("ja").name, pattern) for pattern in patterns)


def test_its_vocabulary_is_that_of_japanese(ja):
    tokens = ja.vocabulary.tokens[2:]
    assert {"あ", "ン", "日", "々", "ー", "、", "。", "「", "w", "7", "！"} <= set(tokens)
    kana_and_kanji = {"HIRAGANA", "KATAKANA", "CJK"}
    assert sum(script(token) in kana_and_kanji for token in tokens) > 0.9 * len(tokens)


def test_it_knows_japanese_it_has_never_read():
    posts = POSTS.read_text(encoding="utf-8").splitlines()[:400]
    assert gluon_lstm.load("ja").score(posts).bpc < MAX_BPC


def test_it_prefers_japanese_to_shuffled_letters():
    lm = gluon_lstm.load("ja")
    post = "今日はとても暑いので、アイスを食べながら本を読んでいた。"
    shuffled = "".join(np.random.default_rng(1).permutation(list(post)))
    assert lm.score([post]).nats < 0.6 * lm.score([shuffled]).nats


def test_it_writes_without_mxnet():
    code = (
        "import sys\n"
        "sys.modules['mxnet'] = None\n"
        "from gluon_lstm.cli.main import main\n"
        "sys.exit(main(['generate', 'ja', '--prefix', '今日は', '--posts', '3', '--seed', '1']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and all(line.startswith("今日は") for line in lines)


def test_its_card_says_what_it_was_made_of(capsys):
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert all(
        word in shown for word in ("ja:", "Aozora Bunko", "open2ch", "Apache-2.0", "licence", "bits per character")
    )
    assert main(["models", "--json"]) == 0
    (entry,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert entry["name"] == "ja" and entry["reason"] is None and entry["bytes"] == model_file("ja").stat().st_size
    assert entry["card"]["tokens"] >= 50_000_000


def test_a_missing_or_damaged_file_is_listed_with_the_reason(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(model_module, "PRETRAINED_FOLDER", tmp_path)
    (missing,) = entries()
    assert "this installation lacks" in str(missing.reason)
    (tmp_path / "ja.safetensors").write_bytes(b"no model")
    assert main(["models"]) == 0
    assert "ja: " in capsys.readouterr().out
