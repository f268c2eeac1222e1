"""Commands: help, results, one-line errors that change no file, behaviour as a subprocess, signals."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import io
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
from helpers import ROOT, SCRIPTS, posts_file, save

from gluon_lstm import __version__
from gluon_lstm.cli.main import COMMANDS, main, parser
from gluon_lstm.cli.options import LANGUAGE
from gluon_lstm.model import Model
from gluon_lstm.sampling.evaluation import evaluate
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.sampler import SamplingOptions
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.sources.reading import ReadingOptions
from gluon_lstm.training.from_files import OPTIONS

README = ROOT / "README.md"
TINY = ["--steps", "2", "--hidden", "4", "--batch-size", "2", "--seq-len", "4"]
POSTS = ["@taro おはよう！！！！！", "", "RT @hanako: ねむい", "今日は晴れ https://t.co/abc", "ｶﾞﾝﾊﾞﾚ", "今日は雨"] * 2


@pytest.fixture(autouse=True)
def isolated_folders(tmp_path, monkeypatch) -> None:
    """Redirect the user's cache and the folder of temporary files to `tmp_path`."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def posts(tmp_path) -> Path:
    return posts_file(tmp_path, POSTS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Run directory of a training run of two steps."""
    folder = tmp_path_factory.mktemp("trained")
    posts = posts_file(folder, POSTS)
    command = ["train", str(posts), "--out", str(folder / "run"), "--no-cache", "--seed", "3", *TINY]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        assert main(command) == 0
    assert out.getvalue() == "" and "vocabulary" in err.getvalue() and "Traceback" not in err.getvalue()
    return folder / "run"


def commands() -> dict[str, argparse.ArgumentParser]:
    """Return command name -> parser."""
    parsers = parser().commands
    assert parsers.keys() == COMMANDS.keys()
    return dict(parsers)


def options() -> list[tuple[str, argparse.Action]]:
    """Return (command name, argument) of all arguments."""
    return [(name, action) for name, command in commands().items() for action in command._actions]


def folder_contents(folder: Path) -> dict[str, bytes | None]:
    """Return path -> content of all files below a folder; None for a folder."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# ---- help and documentation


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name, capsys):
    assert commands()[name].description
    with pytest.raises(SystemExit) as exit:
        main([name, "--help"])
    assert exit.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: gluon-lstm {name} ")


@pytest.mark.parametrize(("command", "action"), options(), ids=lambda value: getattr(value, "dest", value))
def test_every_option_has_help(command, action):
    assert action.help and action.help.strip()


def test_general_help_lists_all_commands(capsys):
    for argument, words in (("--help", [*COMMANDS]), ("--version", [f"gluon-lstm {__version__}"])):
        with pytest.raises(SystemExit) as exit:
            main([argument])
        assert exit.value.code == 0
        out = capsys.readouterr().out
        assert all(word in out for word in words)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_readme_lists_all_commands(name):
    assert re.search(rf"gluon-lstm {name}\b", README.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_has_one_line_usage_and_three_examples(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    lines = capsys.readouterr().out.rstrip().splitlines()
    assert lines[0].startswith(f"usage: gluon-lstm {name} ") and len(lines[0]) <= 80 and lines[1] == ""
    assert lines[-4] == "examples:" and lines[-3:] == [f"  {line}" for line in COMMANDS[name].EXAMPLES]


@pytest.mark.parametrize("example", [line for module in COMMANDS.values() for line in module.EXAMPLES])
def test_every_example_is_a_valid_command_line(example):
    assert parser().parse_args(shlex.split(example)[1:]).command in COMMANDS


def test_no_arguments_prints_help(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)


def test_cli_pages_are_current(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    page = importlib.import_module("cli_page")
    for language, path in page.PAGES.items():
        assert path.read_text(encoding="utf-8") == page.page(language), "run python scripts/cli_page.py"


# ---- results


def test_train_writes_model_history_and_curve(trained):
    model = Model.load(trained)
    assert model.config.hidden == 4 and model.metadata["steps"] == 2 and model.metadata["recipe"]["seed"] == 3
    assert {"今", "日", "晴", "！"} <= set(model.vocabulary.tokens)
    records = [json.loads(line) for line in (trained / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert records[-1]["step"] == 2 and records[-1]["tokens"] == 2 * 2 * 4
    assert (trained / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_train_uses_prefix_and_text_settings(posts, tmp_path, capsys):
    arguments = ["--tokenizer", "janome-chars", "--prefix", "今日", "--mentions", "remove", "--sample-every", "1"]
    assert main(["train", str(posts), "--out", str(tmp_path / "run"), *arguments, *TINY]) == 0
    assert "今日" in capsys.readouterr().err
    settings = Model.load(tmp_path / "run").codec.settings
    assert settings.tokenizer == "janome-chars" and settings.cleaning.mentions == "remove"
    assert (tmp_path / "run" / "samples.txt").read_text(encoding="utf-8").count("今日") >= 2
    assert any((tmp_path / "user cache" / "gluon-lstm").glob("ids-*"))


def test_train_on_raw_text(posts, tmp_path):
    assert main(["train", str(posts), "--out", str(tmp_path / "run"), "--raw", "--no-cache", *TINY]) == 0
    codec = Model.load(tmp_path / "run").codec
    assert codec.settings.raw and codec.end_of_post is None and "\n" in codec.vocabulary
    assert not (tmp_path / "user cache").exists()
    gc.collect()
    assert not list((tmp_path / "temporary").iterdir())


def test_generate_prints_texts_of_the_library(trained, capsys):
    arguments = ["--prefix", "今日", "--seed", "5", "--temperature", "1.2", "--top-k", "7", "--top-p", "0.9"]
    arguments += ["--repetition-penalty", "1.5"]
    generator = TextGenerator(Model.load(trained), SamplingOptions(1.2, 7, 0.9, 1.5))
    prefix = generator.prefix("今日")

    def text(k: int, **amount: int) -> str:
        return "".join(generator.stream(prefix, rng_for(5, k), **amount))

    assert main(["generate", str(trained), *arguments, "--length", "30", "--count", "3"]) == 0
    texts = [text(k, length=30) for k in range(3)]
    assert capsys.readouterr().out == "\n".join(texts) and all(len(text) == 2 + 30 + 1 for text in texts)
    assert main(["generate", str(trained / "last.safetensors"), *arguments, "--posts", "2", "--count", "2"]) == 0
    last = TextGenerator(Model.load(trained / "last.safetensors"), generator.options)
    expected = ["".join(last.stream(last.prefix("今日"), rng_for(5, k), posts=2)) for k in range(2)]
    assert capsys.readouterr().out == "\n".join(expected)


def test_generate_text_does_not_depend_on_count(trained, capsys):
    texts = {}
    for count in ("1", "4"):
        assert main(["generate", str(trained), "--seed", "9", "--length", "20", "--count", count]) == 0
        texts[count] = capsys.readouterr().out
    assert texts["4"].startswith(texts["1"] + "\n")


def test_generate_without_seed_is_random(trained, capsys):
    texts = set()
    for _ in range(3):
        assert main(["generate", str(trained), "--length", "80", "--temperature", "2"]) == 0
        texts.add(capsys.readouterr().out)
    assert len(texts) == 3


def test_generate_reports_unknown_characters_on_stderr(trained, capsys):
    assert main(["generate", str(trained), "--prefix", "鬱", "--length", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("鬱") and len(out) == 1 + 3 + 1
    assert "'鬱'" in err and err.count("\n") == 1


def test_evaluate_prints_score(trained, posts, capsys):
    expected = evaluate(Model.load(trained), [posts])
    assert main(["evaluate", str(trained), str(posts)]) == 0
    assert f"{expected.bpc:.4f} bits per character" in capsys.readouterr().out
    assert main(["evaluate", str(trained), str(posts), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["bpc"] == expected.bpc and values["perplexity"] == pytest.approx(math.exp(values["loss"]))
    cleaned = list(Cleaner().clean_posts(POSTS))
    assert values["characters"] == sum(len(post) + 1 for post in cleaned)
    bits = values["loss"] * values["tokens"] / math.log(2) + values["unknown"] * math.log2(0x110000)
    assert values["bpc"] == pytest.approx(bits / values["characters"])


def test_clean_writes_cleaned_posts(posts, tmp_path, capsys):
    cleaner = Cleaner()
    cleaned = list(cleaner.clean_posts(POSTS))
    for ending in ("txt", "jsonl"):
        out = tmp_path / f"cleaned.{ending}"
        assert main(["clean", str(posts), "--out", str(out)]) == 0
        lines = out.read_text(encoding="utf-8").splitlines()
        assert lines == (cleaned if ending == "txt" else [json.dumps({"text": p}, ensure_ascii=False) for p in cleaned])
        printed = capsys.readouterr().out
        for name, count in cleaner.counts.items():
            assert re.search(rf"^{name} +{count}$", printed, re.MULTILINE), name
        assert repr("@ おはよう！！！") in printed  # @taro おはよう！！！！！ after cleaning


def test_clean_applies_options_and_without_out_writes_no_file(posts, tmp_path, capsys):
    arguments = ["--mentions", "remove", "--width", "keep", "--max-repeats", "0", "--retweets", "strip"]
    before = folder_contents(tmp_path)
    assert main(["clean", str(posts), *arguments]) == 0
    cleaner = Cleaner(CleaningOptions(mentions="remove", width="keep", max_repeats=0, retweets="strip"))
    kept = len(list(cleaner.clean_posts(POSTS)))
    assert re.search(rf"^kept +{kept}$", capsys.readouterr().out, re.MULTILINE)
    assert folder_contents(tmp_path) == before


def test_clean_replaces_newlines_in_txt(tmp_path, capsys):
    source, out = tmp_path / "a.jsonl", tmp_path / "out.txt"
    source.write_text('{"text": "一\\n二"}\n{"text": "三"}\n', encoding="utf-8")
    assert main(["clean", str(source), "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8") == "一 二\n三\n"
    assert "in 1 of them" in capsys.readouterr().out


def test_train_reports_what_was_read_and_left_out_also_from_the_cache(posts, tmp_path, capsys):
    expected = f"{posts}: 4 posts; left out: 2 retweets, 2 blank, 4 repeated\n"
    for run in ("first", "cached"):
        assert main(["train", str(posts), "--out", str(tmp_path / run), *TINY]) == 0
        assert expected in capsys.readouterr().err


def test_clean_reports_each_source_and_shows_posts_as_the_model_reads_them(tmp_path, capsys):
    plain = posts_file(tmp_path, [f"投稿{number}！" for number in range(50)])
    table = save(tmp_path / "b.csv", "text,date\n一\u3000行,2024-01-05\n１２３,いつか\n")
    assert main(["clean", str(plain), str(table)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"{plain}: 50 posts\n{table}: 2 posts; dates: 1\n")
    shown = re.findall(r"^  \| (.*)$", printed, re.MULTILINE)
    assert shown[:3] == ["投稿0！", "投稿1！", "投稿2！"] and len(set(shown)) == 6
    assert set(shown[3:]) < {*(f"投稿{number}！" for number in range(3, 50)), "一\u3000行", "123"}


TALK = """[LINE] 花子とのトーク履歴
保存日時：2024/01/05 12:00

2024/01/01(月)
09:00\t花子\tおはよう
09:01\t太郎\t今日は雨
09:02\t花子\t[写真]
"""


@pytest.mark.parametrize("command", [["clean"], ["train", "--out", "run"], ["report", "--out", "report"]])
def test_talk_of_several_writers_needs_an_author(command, tmp_path, monkeypatch, capsys):
    talk = save(tmp_path / "talk.txt", TALK)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user cache" / "gluon-lstm").mkdir(parents=True)
    message = rejection([*command, str(talk)], capsys, tmp_path)
    assert "花子 (1), 太郎 (1); choose one with --author, or * for all" in message
    message = rejection([*command, str(talk), "--author", "次郎"], capsys, tmp_path)
    assert "has no writer '次郎'; it has 花子 (1), 太郎 (1)" in message


def test_author_selects_the_posts_of_one_writer(tmp_path, capsys):
    talk = save(tmp_path / "talk.txt", TALK)
    assert main(["clean", str(talk), "--author", "太郎", "--out", str(tmp_path / "a.txt")]) == 0
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "今日は雨\n"
    line = f"{talk}: 1 post; left out: 1 posts of other writers, 1 stickers and media; dates: 1\n"
    assert capsys.readouterr().out.startswith(line)


def test_cache_clear(posts, tmp_path, capsys):
    cache = tmp_path / "user cache" / "gluon-lstm"
    assert main(["train", str(posts), "--out", str(tmp_path / "run"), *TINY]) == 0
    size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    capsys.readouterr()
    assert size > 0 and main(["cache", "clear"]) == 0
    assert f"{size:,} bytes" in capsys.readouterr().out and not list(cache.iterdir())
    assert main(["cache", "clear", "--cache", str(tmp_path / "none")]) == 0


# ---- errors


def rejection(argv: list[str], capsys, folder: Path) -> str:
    """Return the error message of `argv`; assert exit code 2, one line on stderr, no stdout, no change in `folder`."""
    before = folder_contents(folder)
    try:
        code = main(argv)
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    assert code == 2, (out, err)
    assert out == ""
    assert err.startswith("gluon-lstm") and err.endswith("\n") and err.count("\n") == 1, err
    if folder_contents(folder) != before:
        gc.collect()  # deletes the temporary files of unreferenced corpora
    assert folder_contents(folder) == before
    return err


@pytest.fixture
def error_of(capsys, tmp_path):
    """error_of(*argv): return the error message of a command that must fail."""
    return lambda *argv: rejection([str(word) for word in argv], capsys, tmp_path)


@pytest.fixture(params=["train", "evaluate", "clean"])
def reading_command(request, trained, tmp_path):
    """reading_command(*files): command line of a command that reads files; options can be appended."""

    def argv(*files: Path | str) -> list[Path | str]:
        return {
            "train": ["train", *files, "--out", tmp_path / "run", "--no-cache", *TINY],
            "evaluate": ["evaluate", trained, *files],
            "clean": ["clean", *files, "--out", tmp_path / "cleaned.txt"],
        }[request.param]

    return argv


def test_empty_file(reading_command, error_of, tmp_path):
    path = save(tmp_path / "empty.txt", b"")
    assert f"{path} is empty" in error_of(*reading_command(path))


def test_missing_file(reading_command, error_of, posts, tmp_path):
    assert "nothing.txt: there is no such file" in error_of(*reading_command(posts, tmp_path / "nothing.txt"))
    assert "there is no such file" in error_of(*reading_command(posts / "below.txt"))


def test_folder_without_text_files(reading_command, error_of, tmp_path):
    (tmp_path / "folder").mkdir()
    save(tmp_path / "folder" / "picture.png", b"\x89PNG")
    assert f"{tmp_path / 'folder'} contains no file" in error_of(*reading_command(tmp_path / "folder"))


@pytest.mark.parametrize("encoding", ["klingon", "hex", "utf-8", "ascii", "utf-16"])
def test_wrong_encoding(reading_command, error_of, tmp_path, encoding):
    path = save(tmp_path / "sjis.txt", "今日は晴れ\n明日は雨\n".encode("cp932"))
    line = error_of(*reading_command(path), "--encoding", encoding)
    assert encoding in line.lower() or "line 1" in line


def test_truncated_utf8_reports_line_and_byte(reading_command, error_of, tmp_path):
    text = "今日は晴れ\n明日は雨".encode()
    path = save(tmp_path / "cut.txt", text[:-1])
    assert re.search(rf"cut\.txt: line 2, byte {len(text) - 3}\b", error_of(*reading_command(path)))


def test_binary_file(reading_command, error_of, tmp_path):
    for content in (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, bytes(range(256)) * 99, b"PK\x03\x04" + bytes(99)):
        assert "looks like a binary file" in error_of(*reading_command(save(tmp_path / "photo.txt", content)))


def test_missing_column_or_field(reading_command, error_of, tmp_path):
    table = save(tmp_path / "a.csv", "text,name\nこんにちは,太郎\n".encode())
    assert "there is no column 'body'" in error_of(*reading_command(table), "--column", "body")
    assert "no row has a column 7" in error_of(*reading_command(table), "--column", "7")
    lines = save(tmp_path / "a.jsonl", '{"text": "こんにちは"}\n'.encode())
    assert "named body" in error_of(*reading_command(lines), "--field", "body")


def test_no_posts_after_cleaning(error_of, trained, tmp_path):
    path = save(tmp_path / "a.txt", "RT @a: ねむい\n\n".encode())
    assert "no post is left" in error_of("train", path, "--out", tmp_path / "run", "--no-cache", *TINY)
    assert "no post is left" in error_of("evaluate", trained, path)


def test_single_token(error_of, tmp_path):
    path = save(tmp_path / "a.txt", "犬".encode())
    assert "only one token" in error_of("train", path, "--out", tmp_path / "run", "--raw", "--no-cache", *TINY)


def test_invalid_out(error_of, posts, trained, tmp_path):
    train = ("train", posts, *TINY, "--no-cache", "--out")
    assert str(posts) in error_of(*train, posts / "run")
    assert str(posts) in error_of(*train, posts)
    assert "already contains a training run" in error_of(*train, trained)
    # The message names the file of the user, not the temporary file.
    for out in (posts / "a.txt", tmp_path / "none" / "a.txt"):
        line = error_of("clean", posts, "--out", out)
        assert str(out) in line and ".tmp" not in line
    (tmp_path / "folder.txt").mkdir()
    assert "folder.txt" in error_of("clean", posts, "--out", tmp_path / "folder.txt")
    assert ".jsonl or .txt" in error_of("clean", posts, "--out", tmp_path / "a.csv")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can write to every folder")
def test_out_without_permission(error_of, posts, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "locked" in error_of("train", posts, "--no-cache", *TINY, "--out", tmp_path / "locked" / "run")
    assert "locked" in error_of("clean", posts, "--out", tmp_path / "locked" / "a.txt")


def test_unwritable_cache(error_of, posts, tmp_path):
    assert str(posts) in error_of("train", posts, "--out", tmp_path / "run", *TINY, "--cache", posts / "cache")


@pytest.fixture(params=["generate", "evaluate"])
def model_command(request, posts):
    """model_command(path): command line of a command that loads a model."""
    return lambda path: ["generate", path] if request.param == "generate" else ["evaluate", path, posts]


def test_invalid_model_file(model_command, error_of, posts, tmp_path, trained):
    assert "posts.txt: not a model" in error_of(*model_command(posts))
    assert "none.safetensors: No such file" in error_of(*model_command(tmp_path / "none.safetensors"))
    assert str(tmp_path) in error_of(*model_command(tmp_path))
    intact = (trained / "best.safetensors").read_bytes()
    for content in (b"", intact[:-1], intact[:500], intact[:-9] + bytes([intact[-9] ^ 1]) + intact[-8:]):
        damaged = save(tmp_path / "damaged.safetensors", content)
        assert "damaged.safetensors" in error_of(*model_command(damaged))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--temperature", "-1"],
        ["--temperature", "nan"],
        ["--temperature", "hot"],
        ["--top-p", "2"],
        ["--top-p", "0"],
        ["--top-k", "0"],
        ["--top-k", "1.5"],
        ["--repetition-penalty", "0"],
        ["--length", "0"],
        ["--posts", "0"],
        ["--count", "0"],
        ["--length", "5", "--posts", "5"],
        ["--seed", "-1"],
        ["--nosuch"],
        ["--temp", "1"],
        ["surplus"],
    ],
)
def test_generate_rejects_invalid_option(error_of, trained, arguments):
    line = error_of("generate", trained, *arguments)
    assert arguments[0] in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--hidden", "0"],
        ["--hidden", "4.5"],
        ["--hidden", "100000000"],
        ["--batch-size", "0"],
        ["--seq-len", "-1"],
        ["--steps", "0"],
        ["--epochs", "0"],
        ["--minutes", "0"],
        ["--minutes", "nan"],
        ["--learning-rate", "0"],
        ["--learning-rate", "inf"],
        ["--clip", "-1"],
        ["--dropout", "1"],
        ["--input-dropout", "-0.1"],
        ["--warmup", "1"],
        ["--validation", "1"],
        ["--patience", "-1"],
        ["--temperature", "-1"],
        ["--sample-every", "0"],
        ["--sample-length", "-1"],
        ["--seed", "-1"],
        ["--min-count", "0"],
        ["--max-vocab", "2"],
        ["--max-repeats", "-1"],
        ["--urls", "eat"],
        ["--tokenizer", "mecab"],
        ["--raw", "--tokenizer", "janome"],
        ["--recipe", "secret"],
        ["--ctx", "tpu"],
        ["--ctx", "gpu:99"],
        ["--nosuch", "1"],
        ["--hid", "4"],
    ],
)
def test_train_rejects_invalid_option(error_of, posts, tmp_path, arguments):
    line = error_of("train", posts, "--out", tmp_path / "run", "--no-cache", "--from", "none", *TINY, *arguments)
    assert arguments[0] in line


def test_missing_gpu(error_of, posts, tmp_path):
    from gluon_lstm.compat import mx

    if mx.context.num_gpus():
        pytest.skip("there is a GPU")
    line = error_of("train", posts, "--out", tmp_path / "run", "--no-cache", *TINY, "--ctx", "gpu")
    assert "--ctx gpu: " in line and "0 GPUs" in line


@pytest.mark.parametrize(
    "argv",
    [["fly"], ["--nosuch"], ["train"], ["generate"], ["evaluate", "m"], ["clean"], ["cache"], ["cache", "melt"]],
)
def test_invalid_command_line(error_of, argv):
    assert "--help" in error_of(*argv)


# ---- subprocesses


def start_process(*argv: str | Path, before: str = "", **options):
    """Start `python -m gluon_lstm *argv` with pipes for stdout and stderr; `before`: Python code executed first."""
    code = f"{before}\nimport runpy; runpy.run_module('gluon_lstm', run_name='__main__')"
    command = [sys.executable, *(["-c", code] if before else ["-m", "gluon_lstm"]), *map(str, argv)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, encoding="utf-8", **streams, **options)


def test_bad_input_in_subprocess(tmp_path):
    child = start_process("generate", tmp_path / "none.safetensors", "--temperature", "0.5")
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (2, "")
    assert err.startswith("gluon-lstm: ") and err.count("\n") == 1


def test_generate_in_subprocess_writes_utf8(trained, capsys):
    arguments = ["generate", str(trained), "--prefix", "今日", "--seed", "1", "--length", "40"]
    assert main(arguments) == 0
    child = start_process(*arguments)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err) == (0, capsys.readouterr().out, "")


def test_closed_pipe_raises_no_error(trained):
    child = start_process("generate", trained, "--length", "1000000")
    assert child.stdout.read(50)
    child.stdout.close()
    assert child.stderr.read() == ""
    assert child.wait(timeout=60) == 0


def test_without_mxnet_only_training_fails(trained, posts, tmp_path):
    without_mxnet = "import sys; sys.modules['mxnet'] = None"
    child = start_process("train", posts, "--out", tmp_path / "run", "--no-cache", *TINY, before=without_mxnet)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (2, "")
    assert err.startswith("gluon-lstm: MXNet is not installed") and err.count("\n") == 1
    assert not (tmp_path / "run").exists()
    for argv in (["generate", trained, "--length", "5"], ["evaluate", trained, posts], ["clean", posts]):
        child = start_process(*argv, before=without_mxnet)
        assert child.communicate(timeout=60)[0] and child.returncode == 0


# ---- signals


def test_interrupt_exits_with_130(posts, capsys, monkeypatch):
    def raise_interrupt(_: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["clean"], "run", raise_interrupt)
    assert main(["clean", str(posts)]) == 130
    assert capsys.readouterr().err == "gluon-lstm: interrupted\n"


def wait_until(condition: Callable[[], bool], child: subprocess.Popen[str], seconds: float = 60) -> None:
    """Wait for a condition; fail if the process ends or after `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert child.poll() is None, child.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)


# Python code that enables SIGINT, which a shell can disable for background jobs and their child processes
ENABLE_SIGINT = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
SMALL = ["--no-cache", "--from", "none", "--hidden", "4", "--batch-size", "2", "--seq-len", "4"]


def assert_interrupted(child: subprocess.Popen[str], run: Path, code: int = 130) -> None:
    """Assert that the process was interrupted, printed the resume command and saved its weights in `run`."""
    out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (code, "")
    assert "Traceback" not in err
    *_, resume, last = err.splitlines()
    assert resume.startswith("continue with: gluon-lstm train ") and resume.endswith(" --resume")
    assert last == "gluon-lstm: interrupted"
    assert Model.load(run / "last.safetensors").metadata["steps"] > 0


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send these signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_saves_checkpoint_and_prints_resume_command(posts, tmp_path, capsys, number, code):
    run = tmp_path / "a run"
    options = [*SMALL, "--patience", "0"]  # the run must end at its limits, however many updates precede the signal
    child = start_process("train", posts, "--out", run, "--minutes", "5", *options, before=ENABLE_SIGINT)
    try:
        wait_until(lambda: (run / "history.jsonl").exists(), child)
        child.send_signal(number)
        assert_interrupted(child, run, code)
    finally:
        child.kill()
    steps = Model.load(run / "last.safetensors").metadata["steps"]
    again = ["train", str(posts), "--out", str(run), *options, "--resume", "--minutes"]
    assert main([*again, "0.0001"]) == 2
    assert "--minutes 5.0, not 0.0001" in capsys.readouterr().err
    assert main([*again, "5", "--steps", str(steps + 3)]) == 0
    assert f"resuming from step {steps:,}, " in capsys.readouterr().err
    assert Model.load(run / "last.safetensors").metadata["steps"] == steps + 3
    assert main([*again, "5", "--steps", str(steps + 3)]) == 0
    assert "the training run is complete" in capsys.readouterr().err


def test_ctrl_c_in_destructor_stops_training(posts, tmp_path):
    """Python discards exceptions raised in a destructor, and every training step frees arrays."""
    code = ENABLE_SIGINT + (
        "from gluon_lstm.training.trainer import Trainer\n"
        "class Freed:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "        for _ in range(1000): pass\n"
        "def update(self, *window, real=Trainer.update):\n"
        "    if self.steps == 3: Freed()\n"
        "    return real(self, *window)\n"
        "Trainer.update = update\n"
    )
    run = tmp_path / "run"
    assert_interrupted(start_process("train", posts, "--out", run, "--steps", "50", *SMALL, before=code), run)


@pytest.mark.parametrize("command", ["clean", "train"])
def test_options_match_dataclass_fields(command):
    actions = {action.dest: action for action in commands()[command]._actions}
    for settings in (CleaningOptions, ReadingOptions) if command == "clean" else OPTIONS:
        for field in fields(settings):
            declared = field.metadata.get("option")
            if declared is None or field.name == LANGUAGE:  # that of the command
                continue
            action = actions[field.name]
            assert list(action.choices or ()) == list(declared.choices)
            assert action.default == argparse.SUPPRESS and declared.help.replace("%", "%%") in action.help
            if field.default not in (None, False, True):
                assert f"default: {field.default:g}" in action.help if isinstance(field.default, float) else True


def test_error_names_option_instead_of_field(error_of, posts, tmp_path):
    error = error_of("train", posts, "--out", tmp_path / "run", "--learning-rate", "0")
    assert "--learning-rate 0" in error and "`" not in error
