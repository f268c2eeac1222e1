"""The text that the model `ja` is made of: what is left out, what is held out, and how it is mixed."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from helpers import CORPORA

COLOPHON = """

底本：「ある全集」ある書店
　　　1971（昭和46）年4月5日初版
入力：ある人
青空文庫作成ファイル：
このファイルは、インターネットの図書館、青空文庫（http://www.aozora.gr.jp/）で作られました。入力、校正、制作にあたったのは、ボランティアの皆さんです。
"""
NOTATION = """
-------------------------------------------------------
【テキスト中に現れる記号について】

《》：ルビ
（例）吾輩《わがはい》
-------------------------------------------------------
"""
MODERN = "　私はきのう町へ行って、本を買った。それから話した。\n「うん、そうだった」\n　とてもよかったと思っている。\n"
OLD = "　私はきのふ町へ行つて、本を買つた。それから友だちといふものと話した。\n「さうだつた」\n　よかつたと思ふ。\n"


@pytest.fixture
def pretrain(script):
    return script("pretrain")


@pytest.fixture
def aozora(script):
    return script("pretraining.aozora")


@pytest.fixture
def mixture(script):
    return script("pretraining.mixture")


def write_work(folder: Path, number: int, body: str, colophon: str = COLOPHON, author: str = "ある作家") -> None:
    path = folder / "cards" / "000001" / "files" / f"{number}_ruby" / f"{number}.txt"
    path.parent.mkdir(parents=True)
    text = f"ある題\n{author}\n{NOTATION}\n{body}{colophon}"
    path.write_bytes(text.replace("\n", "\r\n").encode("cp932"))


def test_only_works_in_the_public_domain_and_modern_orthography_are_used(aozora, tmp_path):
    write_work(tmp_path, 1, MODERN)
    write_work(tmp_path, 2, OLD)
    write_work(tmp_path, 3, MODERN, colophon="")
    write_work(tmp_path, 4, MODERN, COLOPHON + "この作品は、クリエイティブ・コモンズの下に提供されています。\n")
    write_work(tmp_path, 5, MODERN, COLOPHON + "この翻訳の著作権は訳者にあります。\n")
    write_work(tmp_path, 6, "Only English, and nothing else.\n")
    shelf = aozora.Shelf(tmp_path)
    (work,) = shelf.works()
    assert (work.title, work.author) == ("ある題", "ある作家")
    assert work.paragraphs == [line.strip("　") for line in MODERN.splitlines()]
    assert sorted(shelf.left_out.values()) == [1, 2, 2]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("吾輩《わがはい》は猫である", "吾輩は猫である"),
        ("その｜三毛猫《みけねこ》だ", "その三毛猫だ"),
        ("［＃３字下げ］はじめ［＃「はじめ」は中見出し］", "はじめ"),
        ("※［＃「てへん＋劣」、第3水準1-84-77］は", "挘は"),
        ("※［＃「口＋喜」、第3水準1-15-18］と", "嘻と"),
        (
            "※［＃「石＋（雨／龍）」、U+791F、34-11］という",
            None,
        ),  # no code point of JIS X 0213: the paragraph is left out
        ("＊", None),
        ("　　「はい」", "「はい」"),
    ],
)
def test_a_paragraph_without_ruby_and_notes(aozora, line, expected):
    work = aozora.Work("", "", "", aozora.lines_of(f"{line}\n"))
    assert work.paragraphs == ([expected] if expected else [])


@pytest.mark.skipif(not CORPORA.is_dir(), reason="needs the folder of corpora beside the project")
def test_a_real_work_leaves_no_mark_of_notation(aozora):
    text = (CORPORA / "soseki_neko_aozora_sjis_crlf.txt").read_bytes().decode("cp932").replace("\r\n", "\n")
    heading, body, colophon = aozora._parts(text)
    assert "吾輩は猫である" in heading and aozora.VOLUNTEERS in colophon and aozora.is_modern(body)
    found = aozora.Work("", "", "", aozora.lines_of(body)).paragraphs
    assert found[0] == "吾輩は猫である。名前はまだ無い。" or "吾輩は猫である" in "".join(found[:3])
    assert not any(mark in paragraph for paragraph in found for mark in "《》｜※［］〓")
    assert sum(map(len, found)) > 0.9 * len("".join(body.split())) - body.count("《") * 6


def test_posts_of_the_test_data_never_enter(mixture, tmp_path):
    """Neither the skipped posts nor their repetitions, in other white space or another file; nor offensive ones."""
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("\n".join(["試験 一", "試験二", "甲", "試験一", "乙", "甲", "だめな丙"]) + "\n", encoding="utf-8")
    second.write_text("\n".join(["試験二", "丁", "乙"]) + "\n", encoding="utf-8")
    split = mixture.informal_posts([first, second], 2, ["だめ"], 1, random.Random(1))
    assert sorted([*split.train, *split.held_out]) == sorted(["甲", "乙", "丁"])
    assert len(split.held_out) == 1


def test_repeated_paragraphs_are_used_once(mixture):
    seen: set[str] = set()
    long = "これは二十文字よりも長い段落で、二度は使われません。"
    assert mixture.unique_paragraphs([long, "はい", long, "はい"], seen) == [long, "はい", "はい"]
    assert mixture.unique_paragraphs([long, "はい"], seen) == ["はい"]


def test_mixture_has_the_share_of_posts_and_more_of_them_towards_its_end(mixture):
    works = [[f"本{n}の段落{k}" for k in range(200)] for n in range(40)]
    posts = [f"投稿{k}" for k in range(100)]
    lines = mixture.mixed(works, posts, 40_000, 0.25, random.Random(1))
    tokens = Counter()
    for line in lines:
        tokens[line[0]] += len(line) + 1
    assert sum(tokens.values()) == pytest.approx(40_000, rel=0.01)
    assert tokens["投"] / sum(tokens.values()) == pytest.approx(0.25, abs=0.01)
    half = len(lines) // 2
    assert sum(line[0] == "投" for line in lines[half:]) > 1.5 * sum(line[0] == "投" for line in lines[:half])
    assert max(Counter(line for line in lines if line[0] == "本").values()) == 1  # no paragraph of a book twice
    repeats = Counter(line for line in lines if line[0] == "投")
    assert max(repeats.values()) - min(repeats.values()) <= 1  # all posts equally often


def test_works_that_read_like_the_posts_come_first(script, aozora):
    nearness = script("pretraining.nearness")
    formal = ["それは国家の問題である。", "社会の発展と経済の関係を論ずるのである。"] * 20
    casual = ["うん、そうだよね。", "えー、まじで。やばいよね。"] * 20
    works = [aozora.Work(name, name, "", text) for name, text in (("formal", formal), ("casual", casual))]
    posts = ["やばいよね", "まじでそうだよ", "うん、いいよね"] * 10
    assert [work.title for work in nearness.nearest(works, posts, 1e9, random.Random(1))] == ["casual", "formal"]
    assert [work.title for work in nearness.nearest(works, posts, 10, random.Random(1))] == ["casual"]


def test_books_as_one_text_keep_their_lines(pretrain, tmp_path):
    write_work(tmp_path, 1, "　一\n" + MODERN)
    write_work(tmp_path, 2, MODERN, author="夏目漱石")
    out = tmp_path / "books.txt"
    assert pretrain.main(["books", "--books", str(tmp_path), "--characters", "1e6", "--out", str(out)]) == 0
    assert out.read_text(encoding="utf-8").strip("\n") == ("　一\n" + MODERN).strip("\n")


def test_a_small_model_is_made_from_end_to_end(pretrain, tmp_path, monkeypatch, capsys):
    """In two runs, the second from the weights of the first; the same command again does nothing."""
    rng = random.Random(1)
    books, posts, words, out = (tmp_path / name for name in ("books", "posts.txt", "words.txt", "out"))
    sentences = [MODERN.replace("本", f"{rng.choice('赤青白黒')}い本{k}") for k in range(40)]
    write_work(books, 1, "".join(sentences[:30]))
    write_work(books, 2, "".join(sentences[30:]), author="夏目漱石")
    posts.write_text("".join(f"今日は{k}だよ{rng.choice('なねぞ')}\n" for k in range(60)), encoding="utf-8")
    words.write_text("だめ\n", encoding="utf-8")
    runs = [pretrain.Run(3000, 0.2, float("inf"), 3e-3, 10, 6), pretrain.Run(2000, 0.1, 500, 2e-3, 3, 2)]
    for name, value in {"SKIPPED_POSTS": 10, "HELD_OUT_POSTS": 10, "HELD_OUT_PARAGRAPHS": 5, "RUNS": runs}.items():
        monkeypatch.setattr(pretrain, name, value)
    monkeypatch.setattr(pretrain, "HIDDEN", 8)
    monkeypatch.setitem(pretrain.SETTINGS, "batch_size", 4)
    monkeypatch.setattr("gluon_lstm.model.PRETRAINED_FOLDER", tmp_path)
    make = ["train", "--books", str(books), "--posts", str(posts), "--offensive", str(words), "--out", str(out)]
    assert pretrain.main(make) == 0
    held_out = (out / "2" / "held_out_posts.txt").read_text(encoding="utf-8").splitlines()
    for run in ("1", "2"):
        assert "夏目漱石" not in (out / run / "works.tsv").read_text(encoding="utf-8")
        mixture = (out / run / "mixture.txt").read_text(encoding="utf-8").splitlines()
        assert mixture[-10:] == held_out and not set(held_out) & set(mixture[:-10])
    models = [(out / run / "run" / "last.safetensors").read_bytes() for run in ("1", "2")]
    assert pretrain.main(make) == 0
    assert models == [(out / run / "run" / "last.safetensors").read_bytes() for run in ("1", "2")]
    assert pretrain.main(["package", "--out", str(out)]) == 0
    assert "longest_stretch" in capsys.readouterr().out
    from gluon_lstm.model import Model

    model = Model.load(tmp_path / "ja.safetensors")
    read = [pretrain.tokens_read(Model.load(out / run / "run" / "last.safetensors")) for run in ("1", "2")]
    assert model.config.hidden == 8 and model.metadata["recipe"]["from_"] == "last.safetensors"
    assert model.metadata["card"]["tokens"] == sum(read) > 4000
