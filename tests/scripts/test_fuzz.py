"""Short fuzzing of text files and command lines with the targets of fuzz_targets.py.

scripts/measure/fuzz.py searches longer with atheris; each of its findings is a test here. tests/test_model.py and
tests/test_hostile_models.py cover model files.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.reading import ReadingOptions, read_posts

WORDS = [
    b"\0", b"\n", b"\r", b"\n\n", b'"', b",", b"\t", b"\\u", b"\\ud83d", b"\xef\xbb\xbf", b"\xff\xfe", b"\xf0\x9f",
    b"\x1b$B", b"[", b"}", b"-1", b"nan", b"1e999", b"9" * 30, b"--", b"--seed", b"--help", b"all", b"RT @a: ",
    b"&#x110000;", b";", b"sep=", b"\\", b'\\"', b'""', b"NaN", b"{", b"]", b"null", b"\\ud800", b"<", b"(",
    b"\xd8\x1c",
]  # fmt: skip
EXAMPLES = {
    "generate": 30,
    "evaluate": 40,
    "clean": 40,
    "cache": 20,
    "model-metadata": 40,
    "user-dictionary": 30,
}  # examples of a target; others 80


@pytest.fixture
def targets(script):
    return script("fuzz_targets")


@pytest.fixture
def fuzz(script):
    return script("fuzz")


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed with some bytes removed, inserted, doubled, or replaced by those of another seed."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted(draw(st.lists(st.integers(0, len(data)), min_size=2, max_size=2)))
        other = draw(st.sampled_from(seeds))
        new = draw(
            st.sampled_from([b"", 2 * data[start:end], other[start:end]])
            | st.sampled_from(WORDS)
            | st.binary(max_size=4)
        )
        data = data[:start] + new + data[min(end, start + draw(st.sampled_from([0, 1, 4, 10**6]))) :]
    return data


@pytest.mark.parametrize(
    "name",
    [
        "model-metadata", "posts.txt", "posts.csv", "posts.tsv", "posts.json", "posts.jsonl", "tweets.js",
        "archive.zip", "archive.tar", "archive.tar.gz", "posts.car", "archive-files", "cleaning", "user-dictionary",
        "generate", "evaluate", "clean", "cache",
    ],
)  # fmt: skip
def test_guarantees_hold_for_mutated_inputs(tmp_path, targets, name):
    target = targets.TARGETS[name](tmp_path, [])
    for seed in target.seeds:
        target.check(seed)

    @given(mutated(target.seeds))
    @settings(max_examples=EXAMPLES.get(name, 80), deadline=None, suppress_health_check=list(HealthCheck))
    def check(data: bytes) -> None:
        target.check(data)

    check()


def test_model_file_target_accepts_its_seeds_only(tmp_path, targets):
    target = targets.ModelFile(tmp_path)
    for seed in target.seeds:
        target.check(seed)
        with pytest.raises(AssertionError, match="accepted"):
            targets.ModelFile.check(WithoutModels(target), seed)


class WithoutModels:
    """A ModelFile without models to compare with."""

    def __init__(self, target) -> None:
        self.path, self.models = target.path, []


def test_commands_with_paths_outside_are_skipped(tmp_path, targets, monkeypatch):
    def never(*_: object) -> None:
        pytest.fail("a command was run")

    target = targets.TARGETS["clean"](tmp_path, [])
    monkeypatch.setattr(targets, "main", never)
    for arguments in (
        b"posts.txt\n--out\n/tmp/a.txt",
        b"posts.txt\n--out=../a.txt",
        b"..",
        b"posts.txt\n--out\na\\b.txt",
    ):
        target.check(arguments + b"\n\n")


# ---- the script


def test_missing_atheris_is_named(fuzz, monkeypatch, capsys):
    monkeypatch.setattr(fuzz, "find_spec", lambda name: None)
    assert fuzz.main(["--minutes", "1"]) == 2
    output = capsys.readouterr().err
    assert output.startswith("fuzz.py: atheris is not installed") and output.count("\n") == 1


def test_findings_are_counted_and_kept(fuzz, monkeypatch, capsys, tmp_path):
    """With simulated processes: one has a finding, another a timeout that does not occur again."""

    def simulated(name: str, folder: Path, args: object, seconds: float) -> int:
        first = not (folder / "longest").read_text().endswith("5")
        (folder / "longest").write_text("1.25")
        log = "#7 NEW cov: 1 rss: 90Mb\nstat::number_of_executed_units: 8\nstat::peak_rss_mb:   123\n"
        if name == "posts.csv":
            (folder / "crash-1").write_bytes(b"x")
            log += "=== Uncaught Python exception: ===\nValueError: example\n  File\n"
        if name == "train" and first:
            (folder / "timeout-1").write_bytes(b"x")
        (folder / "log").write_text(log)
        return {"posts.csv": 77, "train": 70 if first else 0}.get(name, 0)

    monkeypatch.setattr(fuzz, "find_spec", lambda name: name)
    monkeypatch.setattr(fuzz, "run_target_process", simulated)
    monkeypatch.setattr(fuzz, "passes_alone", lambda path: True)
    monkeypatch.setattr(fuzz.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    assert fuzz.main([]) == 1
    output = capsys.readouterr().out
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
        for cells in (row.split("|") for row in output.split("\n") if "|" in row)
    }
    assert rows["clean"][0] == "7" and rows["clean"][2:] == ["1.25 s", "123 MB", "0"]
    assert rows["posts.csv"][-1] == "1" and "posts.csv: 7 executions, ValueError: example\n" in output
    assert rows["train"][0] == "14" and rows["train"][-1] == "0"
    assert [path.name for path in tmp_path.iterdir()] == ["posts.csv"] and str(tmp_path) in output


def test_an_input_is_repeated(fuzz, tmp_path, capsys):
    (tmp_path / "posts.txt").mkdir()
    path = tmp_path / "posts.txt" / "crash-1"
    path.write_bytes(b"\0\xff\xff")
    assert fuzz.main(["--again", str(path)]) == 0
    assert "no finding" in capsys.readouterr().out


# ---- findings


def test_zip_with_a_damaged_directory_is_refused(tmp_path, targets):
    path = tmp_path / "archive.zip"
    whole = targets.twitter_archive(targets.posts_file("tweets.js", ["こんにちは"]), zipfile.ZIP_DEFLATED)
    directory = whole.index(b"PK\x01\x02")
    for at, byte in ((directory, b"X"), (directory + 6, b"\xff"), (directory + 8, b"\x20"), (directory + 8, b"\x40")):
        path.write_bytes(whole[:at] + byte + whole[at + 1 :])
        with pytest.raises(TextError, match="damaged"):
            list(read_posts([path]))


def test_encoding_whose_errors_have_no_position_is_refused(tmp_path):
    path = tmp_path / "posts.txt"
    path.write_bytes("こんにちは".encode())
    with pytest.raises(TextError, match="not a text encoding"):
        list(read_posts([path], ReadingOptions(encoding="idna")))


def test_message_on_a_damaged_zip_is_short(tmp_path, targets):
    path = tmp_path / "archive.zip"
    whole = targets.twitter_archive("window.YTD.tweets.part0 = " + "a\n" * 9999, zipfile.ZIP_STORED)
    path.write_bytes(whole[:26] + b"\x00\x40" + whole[28:])  # the length of the first name, before the file itself
    with pytest.raises(TextError, match="is damaged") as caught:
        list(read_posts([path]))
    assert len(str(caught.value)) < len(str(path)) + 300


def test_zip_entry_without_a_name_is_skipped(tmp_path, targets):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "")
        archive.writestr("data/tweets.js", targets.posts_file("tweets.js", ["こんにちは"]))
    whole = path.read_bytes()
    at = whole.index(b"PK\x01\x02")  # central directory: the one-letter name becomes a comment
    path.write_bytes(whole[: at + 28] + bytes([0, 0, 0, 0, 1, 0]) + whole[at + 34 :])
    assert list(read_posts([path])) == ["こんにちは"]


def test_numbers_beyond_the_limit_of_python_are_no_posts(tmp_path):
    path = tmp_path / "posts.jsonl"
    for digits in ("1" * 4301, "-" + "1" * 4301, "9" * 10**6):
        path.write_text('{"text": "a", "n": N}\n{"text": "b", "date":N}'.replace("N", digits), encoding="utf-8")
        assert list(read_posts([path])) == ["a", "b"]
        for line in ("[N]", "N"):
            path.write_text(line.replace("N", digits), encoding="utf-8")
            with pytest.raises(TextError):
                list(read_posts([path]))
    eights, ones = "8" * 9999, "9" * 18
    path.write_text(f'{{"text": "{eights}", "n": [{ones}, 1.{ones}1]}}', encoding="utf-8")
    assert list(read_posts([path])) == [eights]


def test_message_with_field_names_is_short_and_one_line(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text("".join('{"a\\n%s": "x"}\n' % ("b" * 200) for _ in range(3)), encoding="utf-8")
    with pytest.raises(TextError) as caught:
        list(read_posts([path]))
    assert "such as a bbb" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500
