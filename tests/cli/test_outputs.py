"""Files that commands write: left out when folders are read, never one of the inputs; and commands that are printed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import SCRIPTS, posts_file, save

from gluon_lstm.cli.main import main, parser
from gluon_lstm.cli.train import generate_command, resume_command
from gluon_lstm.files import CACHE_FILES, OUTPUT_KINDS, REPORT_FILES, RUN_FILES, RUN_PAGE
from gluon_lstm.model import BEST, LAST, Model
from gluon_lstm.signals import Interrupted
from gluon_lstm.text.sources.files import files_to_read, fingerprint
from gluon_lstm.text.sources.reading import ReadingOptions, TextError
from gluon_lstm.training import run_dir
from gluon_lstm.training.trainer import Trainer

POSTS = ["おはよう", "今日は晴れ", "今日は雨", "ねむい"] * 3
TINY = ["--hidden", "4", "--batch-size", "2", "--seq-len", "4", "--no-cache"]
READING = ReadingOptions()
AWKWARD = [
    "run1",
    "my run",
    "it's",
    'say "hi"',
    "吾輩は猫",
    "`out` $HOME *",
    "-run",
    "--run",
    "a;b&c|d",
    "\\",
    "line\nline",
]


@pytest.fixture(autouse=True)
def isolated_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user cache"))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Folder of posts, the current directory."""
    (tmp_path / "posts").mkdir()
    posts_file(tmp_path / "posts", POSTS)
    monkeypatch.chdir(tmp_path / "posts")
    return tmp_path / "posts"


def write(directory: Path, *names: str) -> Path:
    """Write files of readable posts with these names into a new directory."""
    directory.mkdir(exist_ok=True)
    for name in names:
        save(directory / name, "text\n猫\n")
    return directory


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def error_of(capsys, tmp_path) -> Callable[..., str]:
    """error_of(*argv): one line on stderr of a command that must exit with 2 and change no file."""

    def run(*argv: str | Path) -> str:
        before = contents(tmp_path)
        capsys.readouterr()
        assert main([str(word) for word in argv]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("gluon-lstm: ") and err.count("\n") == 1, err
        assert contents(tmp_path) == before
        return err

    return run


def names_read(*paths: Path | str) -> list[str]:
    return [os.path.relpath(file.path) for file in files_to_read(paths, READING)]


# ---- directories of this package inside folders of posts


def interrupt_at(step: int, monkeypatch) -> None:
    """Interrupt training between two updates, once."""
    update = Trainer.update

    def interrupted(self, *window):
        if self.steps == step:
            monkeypatch.setattr(Trainer, "update", update)
            raise Interrupted(at_once=False)
        return update(self, *window)

    monkeypatch.setattr(Trainer, "update", interrupted)


@pytest.mark.parametrize(
    ("out", "prefix"), [("run1", "今日"), (".", ""), ("my 'run'", "the cat"), ("./-`out`", "-dash `seed`")]
)
def test_printed_commands_continue_a_run_inside_its_posts_and_generate(folder, capsys, monkeypatch, out, prefix):
    interrupt_at(3, monkeypatch)
    command = ["train", ".", f"--out={out}", f"--prefix={prefix}", "--steps", "6", "--sample-every", "1", *TINY]
    assert main(command) == 130
    assert (folder / out / "samples.txt").exists()
    (printed,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("continue with: "))

    assert main(shlex.split(printed.partition(": ")[2])[1:]) == 0
    err = capsys.readouterr().err
    assert "resuming from step 3, " in err and Model.load(folder / out / LAST).metadata["steps"] == 6

    (line,) = (line for line in err.splitlines() if ": write with: " in line)
    program, *arguments = shlex.split(line.partition(": write with: ")[2])
    assert program == "gluon-lstm" and main(arguments) == 0
    assert capsys.readouterr().out.startswith(prefix)


def test_names_are_those_of_the_files_written(folder):
    assert main(["train", "posts.txt", "--out", "run", "--steps", "2", *TINY]) == 0
    assert {path.name for path in (folder / "run").iterdir()} - {".lock"} == set(RUN_FILES)
    names = {run_dir.STATE, BEST, LAST, run_dir.HISTORY, run_dir.SAMPLES, run_dir.CURVE, RUN_PAGE}
    assert names == set(RUN_FILES)
    assert main(["train", "posts.txt", "--out", "cached", "--steps", "2", *TINY[:-1], "--cache", "cache"]) == 0
    for entry in (folder / "cache").iterdir():
        assert {path.name for path in entry.iterdir()} == set(CACHE_FILES)


def test_run_and_cache_inside_the_posts_can_be_continued(folder):
    train = ["train", ".", "--out", "run1", "--cache", "cache", "--patience", "0", *TINY[:-1], "--steps"]
    assert main([*train, "2"]) == main([*train, "4", "--resume"]) == main([*train, "6", "--resume"]) == 0
    assert Model.load(folder / "run1" / LAST).metadata["steps"] == 6


def test_directories_written_by_this_package_are_left_out(folder):
    before, notices = fingerprint(["."], READING), []
    write(folder / "run1", *RUN_FILES)
    assert names_read(".") == ["posts.txt"] and fingerprint(["."], READING) == before
    files_to_read(["."], READING, notices.append)
    assert notices == [".: left out the files of the training run run1"]

    write(folder / "run2", "history.jsonl", "samples.txt")
    write(folder / "report", *REPORT_FILES)
    write(folder / "entry", *CACHE_FILES)
    notices.clear()
    assert names_read(".") == ["posts.txt"] and fingerprint(["."], READING) == before
    files_to_read(["."], READING, notices.append)
    assert notices == [".: left out the files of 4 training runs, reports or cache entries"]


@pytest.mark.parametrize("kind", OUTPUT_KINDS, ids=lambda kind: kind.name)
def test_other_files_are_read(folder, kind):
    write(folder / "output", *kind.files, "mine.txt")
    assert names_read(".") == ["output/mine.txt", "posts.txt"]
    assert names_read("output") == ["output/mine.txt"]
    assert names_read(*(f"output/{name}" for name in kind.files)) == [f"output/{name}" for name in kind.files]
    (folder / "output" / "mine.txt").unlink()
    with pytest.raises(TextError, match=rf"besides the files of the {kind.name} \."):
        names_read("output")


@pytest.mark.parametrize("name", ["history.jsonl", "samples.txt", "words.csv", "report.json", "metadata.json"])
def test_one_file_with_such_a_name_is_read(folder, name):
    write(folder / "mine", name, "words.png")
    (folder / "mine" / "curve.png").mkdir()
    assert names_read(".") == [f"mine/{name}", "posts.txt"]


def test_evaluate_and_clean_leave_out_a_run(folder, capsys):
    assert main(["train", ".", "--out", "run1", "--steps", "2", *TINY]) == 0
    printed = {}
    for path in ("posts.txt", "."):
        capsys.readouterr()
        assert main(["evaluate", "run1", path]) == main(["clean", path]) == 0
        printed[path], err = capsys.readouterr()
    assert printed["posts.txt"] == printed["."] and ".: left out the files of the training run run1\n" in err
    assert main(["clean", "run1/samples.txt", "--out", "samples.txt"]) == 0
    assert "== step 2" in (folder / "samples.txt").read_text(encoding="utf-8")


def test_report_leaves_out_reports_and_runs(folder, capsys):
    printed = []
    write(folder / "run1", *RUN_FILES)
    for _ in range(2):
        assert main(["report", ".", "--out", "report", "--no-cache"]) == 0
        printed.append(capsys.readouterr())
    assert printed[0].out == printed[1].out
    assert ".: left out the files of 2 training runs, reports or cache entries\n" in printed[1].err


# ---- an output is none of the inputs


def links(path: Path) -> list[Path | str]:
    """Return names of a file: as given, by another spelling, a symbolic link, a hard link."""
    folder = path.parent
    os.symlink(path, folder / f"symbolic{path.suffix}")
    os.link(path, folder / f"hard{path.suffix}")
    spelled = folder / ".." / folder.name / path.name
    return [path, str(spelled), folder / f"symbolic{path.suffix}", folder / f"hard{path.suffix}"]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_clean_does_not_overwrite_an_input(folder, error_of, force):
    for out in links(folder / "posts.txt"):
        for source in ("posts.txt", "."):
            line = error_of("clean", source, "--out", out, *force)
            assert "is one of the files read" in line and line.endswith("use another path for --out\n")


def test_clean_replaces_an_existing_file_only_with_force(folder, error_of, tmp_path, capsys, monkeypatch):
    out = save(tmp_path / "cleaned.txt", "古い\n")
    os.symlink(tmp_path / "nowhere", tmp_path / "dangling.txt")
    with monkeypatch.context() as patch:
        patch.setattr("gluon_lstm.text.cleaned_files.read_sources", None)  # refused before anything is read
        for existing in (out, tmp_path / "dangling.txt"):
            line = error_of("clean", ".", "--out", existing)
            assert line == (
                f"gluon-lstm: {existing}: this file already exists; replace it with --force, or use another --out\n"
            )
    assert main(["clean", ".", "--out", str(out), "--force"]) == 0
    assert "おはよう" in out.read_text(encoding="utf-8")
    assert main(["clean", ".", "--out", "inside.txt"]) == 0  # new, inside a folder that is read


def test_report_does_not_overwrite_an_input(folder, error_of, tmp_path):
    pytest.importorskip("wordcloud")
    table = save(folder / "words.csv", "text\n猫が寝る\n")
    other = posts_file(tmp_path, POSTS, "other.txt")
    for path in links(table):
        assert "words.csv would overwrite it; use another path for --out" in error_of("report", path, "--out", ".")
    assert "is one of the files read" in error_of("report", ".", "--out", folder)
    for option in ("--compare", "--word-classes", "--stop-words", "--user-dictionary", "--model"):
        assert "words.csv is one of the files read" in error_of("report", other, option, "words.csv", "--out", ".")
    shutil.move(table, folder / "report.json")
    assert "report.json is one" in error_of("report", other, "--word-classes", "report.json", "--out", ".")
    day = write(folder / "days", "2018-09-05.html") / "2018-09-05.html"
    assert "2018-09-05.html is one" in error_of("report", day, "--out", ".", "--daily")


@pytest.mark.parametrize("name", RUN_FILES)
def test_train_does_not_overwrite_an_input(folder, error_of, name):
    shutil.copy("posts.txt", name)
    train = ("train", "--out", ".", "--tokenizer", "janome", "--steps", "2", *TINY)
    for resume in ([], ["--resume"]):
        assert f"{name} is one of the files read" in error_of(*train, *resume, name)
        assert f"{name} is one" in error_of(
            *train, *resume, "posts.txt", "--user-dictionary", save(folder / name, "猫,名詞,ネコ\n")
        )


def test_demo_does_not_overwrite_its_input(folder, error_of):
    shutil.copy("posts.txt", "compare.png")
    assert "compare.png is one of the files read" in error_of("demo", "compare", "compare.png", "--out", folder)


# ---- commands printed for a shell


@pytest.mark.parametrize("word", AWKWARD)
@pytest.mark.parametrize("resumed", [[], ["--resume"]])
def test_resume_command_has_the_same_arguments(word, resumed):
    file = [word] if not word.startswith("-") else ["--", word]
    argv = ["train", f"--out={word}", f"--prefix={word}", *resumed, *file]
    program, *again = shlex.split(resume_command(argv))
    expected = parser("train").parse_args(argv)
    expected.resume = True
    assert program == "gluon-lstm" and parser("train").parse_args(again) == expected


@pytest.mark.parametrize("prefix", ["", *AWKWARD])
@pytest.mark.parametrize("out", AWKWARD)
def test_generate_command_has_the_same_arguments(out, prefix):
    program, *arguments = shlex.split(generate_command(Path(out), prefix))
    args = parser("generate").parse_args(arguments)
    assert program == "gluon-lstm" and args.prefix == prefix and Path(args.model) == Path(out)


@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_quickstart_prints_a_quoted_folder(tmp_path):
    """The last part of the script, in a folder with an awkward name."""
    last = (SCRIPTS / "quickstart.sh").read_text(encoding="utf-8").partition("quoted_root=")
    code = f"root=$1; {last[1]}{last[2]}"
    for name in ("plain", 'it\'s a 吾輩 "$HOME"', "''"):
        root = tmp_path / name
        root.mkdir()
        done = subprocess.run(["bash", "-c", code, "bash", root], capture_output=True, text=True, check=True)
        commands = [shlex.split(line) for line in done.stdout.splitlines() if line.startswith("  ")]
        assert commands[0] == ["cd", str(root)]
        for program, *argv in commands[1:]:
            assert program == ".venv/bin/gluon-lstm" and parser().parse_args(argv)
