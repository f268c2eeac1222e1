"""Report: consistent files, escaped posts, unusual posts, invalid options."""

from __future__ import annotations

import base64
import configparser
import csv
import fnmatch
import html.parser
import json
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.files import REPORT_FILES
from gluon_lstm.language import LANGUAGES
from gluon_lstm.model import BEST, Model
from gluon_lstm.report import build as module
from gluon_lstm.report.analysis import AnalysisOptions
from gluon_lstm.report.build import ReportOptions, build_report
from gluon_lstm.report.render import load_labels, render_html, render_text
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

VOID = {"meta", "img", "br"}
EVIL = '<script>alert("犬")</script><img src=x onerror=alert(1)> &lt;b&gt; {{ 7 * 7 }} \' "'
POSTS = [
    ("2018-09-05 08:10", "今日は楽しい公演の写真を撮る"),
    ("2018-09-05 22:30", "公演が楽しかった。写真を撮った😀 #公演 @sample_taro (^^)"),
    ("2018-09-06 07:00", "猫が寝ている。犬も寝ている"),
    ("2018-09-06 21:15", "犬と猫の写真を見た, それから\n寝た"),
    ("2018-09-06 23:00", "寝るまで寝る、寝る、寝る、寝る"),
    ("", f"{EVIL} #<b>タグ"),
]


class Checker(html.parser.HTMLParser):
    """HTML parser that keeps tags and text, and fails on tags closed in the wrong order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user cache"))


def posts_file(folder: Path, posts=POSTS, name: str = "posts.csv") -> Path:
    with open(folder / name, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("created_at", "text"), *posts])
    return folder / name


def plain_file(folder: Path, *posts: str, name: str = "posts.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps({"text": post}) + "\n" for post in posts), encoding="utf-8")
    return folder / name


def checked(path: Path) -> Checker:
    """Return the parsed page; assert that it is well formed, without scripts and external resources."""
    found = Checker(path.read_text(encoding="utf-8"))
    assert not {"script", "link", "iframe", "object", "b"} & {tag for tag, _ in found.tags}
    for tag, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes)
        if tag == "img":
            data = attributes["src"].partition("data:image/png;base64,")[2]
            assert base64.b64decode(data, validate=True).startswith(b"\x89PNG") and attributes["alt"]
        if tag == "a":
            assert re.fullmatch(r"#days|days/\d{4}-\d\d-\d\d\.html|\.\./report\.html", attributes["href"])
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[Path, dict]:
    """Return the directory of a report with all options but a model, and its findings."""
    folder = tmp_path_factory.mktemp("whole")
    other = plain_file(folder, "鳥が飛ぶ", "鳥が鳴く", EVIL + "魚", name="other.jsonl")
    options = ReportOptions(compare=[other], daily=True, language="ja")
    return folder / "out", build_report([posts_file(folder)], folder / "out", options)


def test_all_files_agree(whole):
    out, findings = whole
    assert sorted(path.name for path in out.iterdir()) == sorted([*REPORT_FILES, "days"])
    assert json.loads((out / "report.json").read_text(encoding="utf-8")) == findings
    with open(out / "words.csv", encoding="utf-8-sig", newline="") as file:
        rows = [(row["table"], row["word"], int(row["count"]), int(row["posts"])) for row in csv.DictReader(file)]
    for name, table in findings["tables"].items():
        assert [row[1:] for row in rows if row[0] == name] == [(r["word"], r["count"], r["posts"]) for r in table]
    page = checked(out / "report.html")
    for table in findings["tables"].values():
        assert all(row["word"] in page.text for row in table)
    for name in ("wordcloud", "words", "network", "activity"):
        png = base64.b64encode((out / f"{name}.png").read_bytes()).decode()
        assert any(attributes.get("src", "").endswith(png) for _, attributes in page.tags)


def test_findings(whole):
    _, findings = whole
    tables = {name: {row["word"]: row["count"] for row in rows} for name, rows in findings["tables"].items()}
    assert tables["adjectives"] == {"楽しい": 2}
    assert tables["verbs"]["寝る"] == 8 and tables["nouns"]["写真"] == 3
    assert tables["hashtags"] == {"#公演": 1} and tables["mentions"] == {"@sample_taro": 1}
    assert tables["emoji"] == {"😀": 1} and tables["kaomoji"] == {"(^^)": 1}
    assert (findings["first_date"], findings["last_date"]) == ("2018-09-05", "2018-09-06")
    assert findings["activity"]["days"] == {"2018-09-05": 2, "2018-09-06": 3}
    assert [hour for hour, n in enumerate(findings["activity"]["hours"]) if n] == [7, 8, 21, 22, 23]
    assert "鳥" in [row["word"] for row in findings["distinctive"]["there"]]
    assert "犬と猫の写真を見た, それから\n寝た" in [post["text"] for post in findings["summary"]]


def test_posts_are_escaped_in_html(whole):
    out, findings = whole
    page = checked(out / "report.html")
    (evil,) = [post["text"] for post in findings["summary"] if "alert" in post["text"]]
    assert "<script>" in evil and evil in page.text and "49" not in evil
    assert "</script>" not in (out / "report.html").read_text(encoding="utf-8")


def test_day_pages(whole):
    out, findings = whole
    assert [day["day"] for day in findings["days"]] == ["2018-09-05", "2018-09-06"]
    assert sorted(path.name for path in (out / "days").iterdir()) == ["2018-09-05.html", "2018-09-06.html"]
    first, second = findings["days"]
    assert (first["posts"], second["posts"]) == (2, 3)
    assert {row["word"]: row["count"] for row in first["tables"]["verbs"]} == {"撮る": 2}
    assert {row["word"]: row["count"] for row in second["tables"]["verbs"]} == {"寝る": 8, "見る": 1}
    assert "寝る" in [row["word"] for row in second["distinctive"]["here"]]
    index = checked(out / "report.html")
    for day in findings["days"]:
        assert ("a", {"href": f"days/{day['day']}.html"}) in index.tags
        page = checked(out / "days" / f"{day['day']}.html")
        assert all(post["text"] in page.text for post in day["summary"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_outputs_have_the_labels_of_their_language(whole, language):
    _, findings = whole
    page = render_html(findings, {}, language)
    assert page.startswith(f'<!doctype html>\n<html lang="{language}">')
    text = Checker(page).text
    wanted = load_labels(language)
    assert (wanted["tables"]["verbs"], wanted["to"]) == {"en": ("Verbs", "to"), "ja": ("動詞", "〜")}[language]
    assert all(wanted[name] in text for name in ("title", "summary", "words", "distinctive_here"))
    assert wanted["compared_with"].format(others="other.jsonl") in text
    terminal = render_text(findings, language)
    assert wanted["tables"]["verbs"] in terminal and "'寝る': 8" in terminal
    assert not re.search("[\x00-\x09\x0b-\x1f]", terminal)


def test_like_notes_counts_as_the_notes(tmp_path, capsys):
    """With the dictionary of Janome alone, where 推し is of the verb 推す."""
    path = plain_file(tmp_path, "推しの写真を撮っています", "花子さんのことです")
    tables = {}
    for options in ((), ("--like-notes",)):
        assert main(["report", str(path), "--out", str(tmp_path / "out"), "--no-cache", *options]) == 0
        found = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))["tables"]
        tables[options] = [{row["word"] for row in found[name]} for name in ("nouns", "verbs")]
    assert tables[()] == [{"推し", "写真", "花子"}, {"撮る"}]
    assert tables[("--like-notes",)] == [{"写真", "花子", "さん", "こと"}, {"推す", "撮る", "いる"}]


def test_japanese_sentences(whole):
    out, findings = whole
    assert render_text(findings, "ja").startswith(f"投稿 6 件、{findings['characters']} 文字\n")
    assert "\nこれらの投稿に多い言葉（対数尤度比）\n" in render_text(findings, "ja")
    shares = [{"n": 3, "samples": 0.705, "validation": 0.576}, {"n": 4, "samples": None, "validation": 1.0}]
    model = {"samples": [{"text": "犬", "start": 0, "length": 1}] * 50, "copies": 0, "n_grams": shares}
    lines = render_text({**findings, "model": model}, "ja").splitlines()[-5:]
    assert lines[0].startswith("サンプル 50 件、うち丸写し 0 件（")
    assert lines[2:] == [
        "   n  サンプル  検証用の投稿",
        "   3    70.5 %        57.6 %",
        "   4         –       100.0 %",
    ]
    assert "サンプル 50 件、うち丸写し 0 件（" in Checker(render_html({**findings, "model": model}, {}, "ja")).text
    page, day = checked(out / "report.html"), checked(out / "days/2018-09-05.html")
    assert "比較対象：other.jsonl" in page.text and "投稿の日時" in [dict(a).get("alt") for _, a in page.tags]
    assert "投稿のレポート：2018-09-05" in day.text and "比較対象：ほかの日" in day.text


def test_japanese_labels_have_japanese_punctuation():
    labels = load_labels("ja")
    words = [label for label in [*labels.values(), *labels["tables"].values()] if isinstance(label, str)]
    assert [label for label in words if re.search(r"[,:;()]", re.sub("{.*?}", "", label))] == []


WRITERS = [("花", "犬が走る"), ("月", "猫が眠る"), ("花", "犬が眠る"), ("星", "鳥が飛ぶ")]


@pytest.fixture
def of_writers(tmp_path) -> Path:
    """Return a file of the posts of WRITERS; every sentence stands in its post often enough for a difference."""
    path = tmp_path / "writers.jsonl"
    rows = [json.dumps({"author": author, "text": f"{text}。" * 20}) + "\n" for author, text in WRITERS]
    path.write_text("".join(rows), encoding="utf-8")
    return path


def distinctive(path: Path, *arguments: str) -> tuple[set[str], set[str]]:
    """Return the distinctive words of 花 in `path`, and those of the posts compared with."""
    out = path.parent / "out"
    assert main(["report", str(path), "--author", "花", *arguments, "--out", str(out), "--no-cache"]) == 0
    rows = json.loads((out / "report.json").read_text(encoding="utf-8"))["distinctive"]
    here, there = ({row["word"] for row in rows[side]} for side in ("here", "there"))
    return here, there


def test_writer_is_compared_with_all_others_of_the_same_file(of_writers):
    here, there = distinctive(of_writers, "--compare", str(of_writers))
    assert here == {"犬", "走る"} and there == {"猫", "鳥", "飛ぶ"}


def test_writer_is_compared_with_one_other(of_writers):
    here, there = distinctive(of_writers, "--compare", str(of_writers), "--compare-author", "月")
    assert here == {"犬", "走る"} and there == {"猫", "眠る"}


def test_writer_is_compared_with_a_file_that_names_no_writers(of_writers):
    plain = plain_file(of_writers.parent, "魚が眠る。" * 20, name="plain.jsonl")
    here, there = distinctive(of_writers, "--compare", str(plain))
    assert here == {"犬", "走る"} and there == {"魚", "眠る"}


def test_unknown_writer_to_compare_with_is_refused(of_writers, capsys):
    out = of_writers.parent / "out"
    chosen = ["--author", "花", "--compare", str(of_writers), "--compare-author", "雲"]
    assert main(["report", str(of_writers), *chosen, "--out", str(out), "--no-cache"]) == 2
    said = capsys.readouterr().err
    assert "has no writer '雲'" in said and "correct --compare-author" in said and not out.exists()


# ---- unusual posts


UNUSUAL = {
    "one post": ["今日は晴れ"],
    "a thousand equal posts": ["今日は晴れている。猫が寝る"] * 1000,
    "only emoji": ["😀", "🐈‍⬛🐈‍⬛", "😀😀"],
    "no adjectives": ["犬", "猫が走る"],
    "newlines and commas": ['a,b\n"犬"\n\n猫', "改行\nだけ,\n"],
    "only signs": ["!!!", "。", "$$$ %%"],
    "long": ["今日は晴れたので猫と犬が走る。" * 6700, "今日は雨"],
    "formulas": ["$x_1^2$ \\frac と _a_ が <楽しい> ${}"] * 3,
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_posts(tmp_path, capsys, name):
    posts, duplicates = UNUSUAL[name], "keep" if "equal" in name else "drop"
    out = tmp_path / "out"
    path = plain_file(tmp_path, *posts)
    assert main(["report", str(path), "--out", str(out), "--duplicates", duplicates, "--no-cache"]) == 0
    said = capsys.readouterr()
    assert "posts" in said.out and "Traceback" not in said.err
    assert len(max(said.out.splitlines(), key=len)) < 1500
    checked(out / "report.html")
    findings = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert findings["posts"] == (len(posts) if duplicates == "keep" else len(set(posts)))
    texts = [post["text"] for post in findings["summary"]]
    assert len(texts) == len(set(texts))
    assert not (out / "activity.png").exists()


def test_stale_plots_are_removed(tmp_path):
    out = tmp_path / "out"
    build_report([posts_file(tmp_path)], out)
    assert (out / "activity.png").exists()
    build_report([plain_file(tmp_path, "😀")], out)
    assert not any(out.glob("*.png"))


def test_second_report_uses_the_cache(tmp_path, monkeypatch):
    path, options = posts_file(tmp_path), ReportOptions(AnalysisOptions(cache=tmp_path / "cache"))
    first = build_report([path], tmp_path / "a", options)
    monkeypatch.setattr("gluon_lstm.report.analysis.analyze_posts", None)
    assert build_report([path], tmp_path / "b", options) == first
    assert (tmp_path / "a/report.html").read_bytes() == (tmp_path / "b/report.html").read_bytes()


# ---- a model


def test_samples_are_highlighted(tmp_path, capsys):
    settings = TextSettings()
    vocabulary = Vocabulary([*settings.special_tokens, *"<i>犬猫"], len(settings.special_tokens))
    arrays = {name: np.zeros(shape, np.float32) for name, shape in ModelConfig(2).shapes(len(vocabulary)).items()}
    Model(ModelConfig(2), Codec(settings, vocabulary), arrays).save(tmp_path / BEST)
    path = plain_file(tmp_path, *[f"犬猫<i>{k}" for k in range(40)])
    assert main(["report", str(path), "--out", str(tmp_path / "out"), "--model", str(tmp_path), "--samples", "9"]) == 0
    said = capsys.readouterr().out
    found = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))["model"]
    assert len(found["samples"]) == 9 and [row["n"] for row in found["n_grams"]] == [3, 4, 5, 6, 7, 8]
    text = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    page = checked(tmp_path / "out/report.html")
    assert text.count("<mark>") == 9
    assert all(sample["text"] in page.text for sample in found["samples"])
    assert f"9 samples, {found['copies']} copies" in said


def test_files_read_by_a_report_are_part_of_a_wheel():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = config["options.package_data"]["gluon_lstm.report"].split()
    files = [path.name for path in Path(module.__file__).parent.iterdir() if path.is_file() and path.suffix != ".py"]
    assert {"net_words.csv", "words.json", "words_notes.json"} <= set(files)
    assert [name for name in files if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)] == []


# ---- invalid input


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--top", "0"], "--top 0"),
        (["--summary", "0"], "--summary 0"),
        (["--summary-chars", "-1"], "--summary-chars -1"),
        (["--summary-chars", "5", "--summary", "5"], "--summary and --summary-chars"),
        (["--samples", "0"], "--samples 0"),
        (["--seed", "-1"], "--seed -1"),
        (["--language", "fr"], "--language"),
        (["--daily"], "no post has a date"),
        (["--compare", "nowhere.txt"], "nowhere.txt"),
        (["--word-classes", "nowhere.json"], "nowhere.json"),
        (["--stop-words", "nowhere.txt"], "nowhere.txt"),
        (["--like-notes", "--word-classes", "w.json"], "--like-notes and --word-classes"),
        (["--user-dictionary", "nowhere.csv"], "nowhere.csv"),
        (["--model", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--mentions", "eat"], "--mentions"),
    ],
)
def test_invalid_input_is_one_sentence_and_writes_nothing(tmp_path, capsys, arguments, said):
    path = plain_file(tmp_path, "今日は晴れ", "明日は雨")
    try:
        code = main(["report", str(path), "--out", str(tmp_path / "out"), "--no-cache", *arguments])
    except SystemExit as exit:
        code = exit.code
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and said in err
    assert not (tmp_path / "out").exists()


def test_missing_library_is_reported_first(tmp_path, capsys, monkeypatch):
    def missing() -> None:
        raise ImportError("a report needs wordcloud: pip install wordcloud")

    monkeypatch.setattr(module, "check_libraries", missing)
    assert main(["report", str(plain_file(tmp_path, "犬")), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "gluon-lstm: a report needs wordcloud: pip install wordcloud\n"


def test_out_is_a_file(tmp_path, capsys):
    path = plain_file(tmp_path, "今日は晴れ")
    assert main(["report", str(path), "--out", str(path), "--no-cache"]) == 2
    assert str(path) in capsys.readouterr().err
