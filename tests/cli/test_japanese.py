"""Commands in Japanese: help, a run, errors and tables; what programs read does not change."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys

import pytest
from helpers import posts_file
from wcwidth import wcswidth

from gluon_lstm.cli.main import COMMANDS, main, parser
from gluon_lstm.language import use
from gluon_lstm.pages.run import COMPLETE, RunView, write
from gluon_lstm.report._dependencies import missing_libraries

TINY = [
    "--implementation",
    "scratch",
    "--from",
    "none",
    "--steps",
    "3",
    "--hidden",
    "4",
    "--batch-size",
    "2",
    "--seq-len",
    "4",
    "--no-cache",
]
POSTS = [f"今日は{word}を見た。" for word in "空山海川森月星花鳥犬猫人"] * 3
JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Language -> (run directory, lines on standard error) of the same training run."""
    found = {}
    for language in ("en", "ja"):
        folder = tmp_path_factory.mktemp(language)
        posts = posts_file(folder, POSTS)
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
            assert main(["train", str(posts), "--out", str(folder / "run"), *TINY, "--language", language]) == 0
        assert out.getvalue() == ""
        found[language] = folder / "run", err.getvalue().splitlines()
    return found


def run(arguments, **environment):
    """Run a command as a process, with other variables of the locale."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    command = [sys.executable, "-m", "gluon_lstm", *arguments]
    done = subprocess.run(
        command, env={**others, **environment}, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert "Traceback" not in done.stderr
    return done


# ---- help


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_is_japanese_and_fits_the_terminal(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as exit:
        main([name, "--help", "--language", "ja"])
    assert exit.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"使い方：gluon-lstm {name} ")
    body, examples = text.split("\n例：\n")
    assert examples.splitlines() == [f"  {line}" for line in COMMANDS[name].EXAMPLES]
    assert not re.search(r"^(usage|options|positional arguments)", body, re.MULTILINE)
    assert [line for line in body.splitlines() if wcswidth(line) > 80] == []


def test_every_help_text_is_japanese():
    with use("ja"):
        for name, command in parser().commands.items():
            assert JAPANESE.search(command.description), name
            for action in command._actions:
                assert JAPANESE.search(action.help or ""), (name, action.dest)
            for group in command._action_groups:
                assert JAPANESE.search(group.title), (name, group.title)


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["generate"],
        ["generate", "ja", "--posts", "two"],
        ["generate", "ja", "--format", "xml"],
        ["generate", "ja", "--unknown"],
        ["generate", "ja", "--posts"],
        ["generate", "ja", "--posts", "1", "--length", "2"],
        ["generate", "ja", "--unique=yes"],
        ["train", "posts.txt"],
    ],
)
def test_errors_of_the_command_line_are_japanese(arguments, capsys):
    with pytest.raises(SystemExit) as exit:
        main([*arguments, "--language", "ja"] if "frobnicate" not in arguments else ["--language", "ja", *arguments])
    assert exit.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gluon-lstm") and "--help を参照" in line
    assert not re.search(r"[a-z]+ (is|are|not|one|with|choice|value)\b", line), line


def test_invalid_language_is_refused_in_the_language_of_the_locale(capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    for command in (["models", "--language", "fr"], ["--language=fr", "models"], ["models", "--language"]):
        with pytest.raises(SystemExit) as exit:
            main(command)
        assert exit.value.code == 2 and "引数 --language：" in capsys.readouterr().err


# ---- where the language comes from


@pytest.mark.parametrize(
    ("environment", "arguments", "japanese"),
    [
        ({"LANG": "ja_JP.UTF-8"}, [], True),
        ({"LC_ALL": "C.UTF-8", "LANG": "ja_JP.UTF-8"}, [], False),
        ({"LC_ALL": "C.UTF-8", "LANG": "ja_JP.UTF-8"}, ["--language", "ja"], True),
        ({"LANG": "ja_JP.UTF-8"}, ["--language", "en"], False),
        ({"LANG": "ja_JP.UTF-8"}, ["--language=en"], False),
        ({"LANG": "xx_YY"}, [], False),
        ({}, [], False),
        ({"LANG": "ja_JP.UTF-8", "PYTHONIOENCODING": "utf-8"}, [], True),
        ({"LANG": "ja_JP.UTF-8", "PYTHONIOENCODING": "ascii"}, [], False),  # it could not be read
        ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}, [], False),
        ({"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, ["--language", "ja"], None),  # escapes, no traceback
    ],
)
def test_option_and_locale_decide(environment, arguments, japanese):
    done = run(arguments, **environment)
    assert done.returncode == 0 and "COMMAND" in done.stdout
    refused = run([*arguments, "frobnicate"], **environment)
    assert refused.returncode == 2 and refused.stderr.startswith("gluon-lstm: ") and "frobnicate" in refused.stderr
    if japanese is not None:
        assert bool(JAPANESE.search(done.stdout)) == bool(JAPANESE.search(refused.stderr)) == japanese


# locale -> what its training, its report and a command that does not exist say
LOCALES = {
    "ja_JP.UTF-8": ("投稿 12 件", "名詞", "引数 COMMAND："),
    "C": ("12 posts", "Nouns", "argument COMMAND:"),
    "xx_YY.UTF-8": ("12 posts", "Nouns", "argument COMMAND:"),
}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Locale -> (directory, outputs of the commands of the quick start as processes, in few steps)."""
    found = {}
    for locale in LOCALES:
        folder = tmp_path_factory.mktemp("locale")
        posts, out = str(posts_file(folder, POSTS)), str(folder / "run")
        commands = [
            ["train", posts, "--out", out, *TINY],
            ["generate", out, "--prefix", "今日", "--posts", "2", "--seed", "1"],
        ]
        if locale != "C" and not missing_libraries():
            commands.append(["report", posts, "--out", str(folder / "report"), "--no-cache"])
        found[locale] = folder, [run(command, LANG=locale) for command in commands]
    return found


@pytest.mark.parametrize("locale", LOCALES)
def test_commands_succeed_in_every_locale_and_speak_its_language(started, locale):
    (train_says, report_says, unknown_says), (_folder, (train, generate, *report)) = LOCALES[locale], started[locale]
    assert [done.returncode for done in (train, generate, *report)] == [0] * (2 + len(report))
    assert train_says in train.stderr and all(report_says in done.stdout for done in report)
    refused = run(["frobnicate"], LANG=locale)
    assert refused.returncode == 2 and unknown_says in refused.stderr


def test_results_are_the_same_in_every_locale(started):
    histories, texts, reports = [], [], []
    for folder, (_train, generate, *_report) in started.values():
        lines = (folder / "run" / "history.jsonl").read_text(encoding="utf-8").splitlines()
        histories.append([{**json.loads(line), "seconds": 0} for line in lines])
        texts.append(generate.stdout)
        reports += [path.read_bytes() for path in folder.glob("report/report.json")]
    assert len(histories[0]) > 0 and texts[0].startswith("今日")
    assert all(len({str(each) for each in results}) <= 1 for results in (histories, texts, reports))


def test_language_may_stand_before_the_command(capsys):
    assert main(["--language", "ja", "models"]) == 0
    assert "語彙" in capsys.readouterr().out
    assert main(["models"]) == 0
    assert "語彙" not in capsys.readouterr().out


# ---- a run, and what programs read


def test_training_speaks_japanese(runs):
    (_out, english), (out, lines) = runs["en"], runs["ja"]
    assert len(lines) == len(english)
    text = "\n".join(lines)
    for expected in ("投稿 12 件", "重複 24 件", "検証用", "パラメータ", "ベースライン", "エポック 0。損失："):
        assert expected in text, expected
    assert f"{out}：文章を生成するコマンド：gluon-lstm generate {out} --prefix" in lines[-1]
    assert f"{out}/index.html：" in lines[-2]
    numbers = [re.findall(r"\d+\.\d{3,}", line) for line in lines if line.startswith("ベースライン")]
    assert numbers == [re.findall(r"\d+\.\d{3,}", line) for line in english if line.startswith("baselines")]


def test_page_of_a_run_begins_in_the_language_of_the_command(runs, tmp_path):
    for language, (out, _lines) in runs.items():
        assert f'<html lang="{language}">' in (out / "index.html").read_text(encoding="utf-8")
    with use("ja"):  # the locale does not decide: the reader's browser does
        write(RunView("run", COMPLETE, [], {}, 1.0, [], {}, 1, 1), tmp_path / "index.html")
    assert '<html lang="">' in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_run_is_the_same_in_both_languages(runs):
    files = {language: out for language, (out, _lines) in runs.items()}
    assert (files["en"] / "samples.txt").read_bytes() == (files["ja"] / "samples.txt").read_bytes()
    records = {}
    for language, out in files.items():
        lines = (out / "history.jsonl").read_text(encoding="utf-8").splitlines()
        records[language] = [{**json.loads(line), "seconds": 0} for line in lines]  # time passes in both
    assert records["en"] == records["ja"] and list(records["en"][0]) == list(records["ja"][0])


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "{run}", "--seed", "3", "--posts", "2"],
        ["generate", "{run}", "--seed", "3", "--posts", "2", "--format", "jsonl"],
        ["evaluate", "{run}", "{posts}", "--json"],
        ["models", "--json"],
    ],
)
def test_output_for_programs_is_the_same_in_both_languages(runs, arguments, capsys):
    folder = runs["en"][0]
    arguments = [each.format(run=folder, posts=folder.parent / "posts.txt") for each in arguments]
    printed = []
    for language in ("en", "ja"):
        assert main([*arguments, "--language", language]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


def test_refusal_names_the_options_in_both_languages(runs, capsys):
    out = runs["ja"][0]
    for language in ("en", "ja"):
        assert main(["train", str(out.parent / "posts.txt"), "--out", str(out), *TINY, "--language", language]) == 2
        line = capsys.readouterr().err
        assert str(out) in line and "state.safetensors" in line and "--resume" in line and "--out" in line
    assert "すでに学習の結果があります" in line


def test_interrupted_run_names_the_command_with_its_language(runs):
    from gluon_lstm.cli.train import resume_command

    arguments = ["train", "posts.txt", "--out", "run", "--language", "ja"]
    assert resume_command(arguments).endswith("--language ja --resume")


# ---- tables


def test_counts_of_cleaning_line_up(tmp_path, capsys):
    posts = posts_file(tmp_path, ["おはよう", "", "おはよう", "RT @a: ねむい", "https://example.com/"])
    assert main(["clean", str(posts), "--language", "ja"]) == 0
    table = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert "読み込んだ投稿" in table[0] and "残した投稿" in table[-1] and "mentions" in "".join(table)
    assert len({wcswidth(line) for line in table}) == 1
    assert dict(line.rsplit(None, 1) for line in table)["除外：リツイート"] == "1"


def test_help_of_chat_lines_up(runs, capsys, monkeypatch):
    from gluon_lstm.model import Model
    from gluon_lstm.sampling.chat import HELP, Chat
    from gluon_lstm.sampling.session import WritingSession

    chat = Chat(WritingSession(Model.load(runs["ja"][0])))
    with use("ja"):
        lines = chat.answer("/help")
    names = [re.match(r"(?:/\w+ ?\S*|\S+)\s+", line)[0] for line in lines]
    assert len(lines) == len(HELP) and len({wcswidth(name) for name in names}) == 1


def test_tables_of_demos_line_up():
    from gluon_lstm.demos.result import DemoResult, Table, lines

    table = Table("表", ["学習率 0.1", "x"], [("記事のまま", ["1", "文字"]), ("a", ["0.5", "NaN"])])
    assert len({wcswidth(line) for line in lines(DemoResult([table], []))[1:4]}) == 1
