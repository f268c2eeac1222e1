"""Make the model `ja`: the text from books and informal posts, the training run, the file in the package.

    python scripts/pretrain.py --books DIR --posts FILE... --offensive FILE --out DIR [--tokens N] [--resume]
        [--package]

DIR of the books is a clone of aozorahack/aozorabunko_text. FILE of the posts are posts of
1never/open2ch-dialogue-corpus, one a line; the offensive words are its data/ng_words.txt. DIR of the run gets the text
(mixture.txt), the works it is from (works.tsv), held-out text of both kinds and the run (run/). An interrupted run
continues with --resume. --package writes gluon_lstm/pretrained/ja.safetensors from the last checkpoint, at any time,
and prints its figures.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pretraining.aozora import Shelf
from pretraining.mixture import informal_posts, mixed, unique_paragraphs

from gluon_lstm.blas import choose_blas_kernels
from gluon_lstm.cli.terminal import notice, progress
from gluon_lstm.files import atomic_write
from gluon_lstm.system import disable_malloc_trim, limit_blas_threads

if TYPE_CHECKING:
    from gluon_lstm.model import Model

HELD_OUT_AUTHORS = ("夏目漱石", "宮沢賢治", "宮澤賢治")  # whose works this project measures on
HELD_OUT_POSTS, HELD_OUT_PARAGRAPHS = 600, 400
SKIPPED_POSTS = 3000  # of the first file of posts: test data of this project
POST_SHARE = 0.055  # of the tokens
HIDDEN = 512
SETTINGS = {
    "max_vocab": 4000,
    "batch_size": 64,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "recurrent_dropout": 0.0,
    "patience": 0,
    "epochs": 1,
    "checkpoint_minutes": 3.0,
    "duplicates": "keep",  # posts are repeated on purpose
}


def prepare_text(
    books: Path, posts: Sequence[Path], offensive: Path, out: Path, tokens: int, share: float, seed: int
) -> None:
    """Write mixture.txt, works.tsv, held_out_books.txt, held_out_posts.txt and text.json to `out`.

    What is held out does not depend on `seed`.
    """
    rng = random.Random(1)
    words = [word.strip() for word in offensive.read_text(encoding="utf-8").splitlines() if word.strip()]
    informal = informal_posts(posts, SKIPPED_POSTS, words, HELD_OUT_POSTS, rng)
    shelf, seen = Shelf(books), set()
    works, used, held_out = [], [], []
    for work in shelf.works():
        paragraphs = unique_paragraphs(work.paragraphs, seen)
        if any(author in work.author for author in HELD_OUT_AUTHORS):
            held_out += paragraphs
        elif paragraphs:
            works.append(paragraphs)
            used.append(f"{work.path}\t{work.title}\t{work.author}\n")
    lines = mixed(works, informal.train, tokens, share, random.Random(seed))
    start = rng.randrange(len(held_out) - HELD_OUT_PARAGRAPHS)
    held_out = held_out[start : start + HELD_OUT_PARAGRAPHS]
    counts = {
        "works": len(works),
        "characters of the works": sum(map(len, (paragraph for work in works for paragraph in work))),
        "works left out": dict(shelf.left_out),
        "posts": len(informal.train),
        "characters of the posts": sum(map(len, informal.train)),
        "lines": len(lines),
        "held out": HELD_OUT_PARAGRAPHS + HELD_OUT_POSTS,
    }
    out.mkdir(parents=True, exist_ok=True)
    files = {
        "works.tsv": used,
        "held_out_books.txt": [f"{line}\n" for line in held_out],
        "held_out_posts.txt": [f"{line}\n" for line in informal.held_out],
        "text.json": [json.dumps(counts, ensure_ascii=False, indent=1)],
        "mixture.txt": [f"{line}\n" for line in (*lines, *held_out, *informal.held_out)],
    }
    for name, content in files.items():
        with atomic_write(out / name, "w") as file:
            file.writelines(content)
    notice(json.dumps(counts, ensure_ascii=False))


def pretrain(out: Path, start: str, learning_rate: float, seed: int, resume: bool) -> None:
    """Train on the text in `out` from the model `start`, or "none"; the last lines are the validation set."""
    from gluon_lstm.model import Model
    from gluon_lstm.training.from_files import train

    counts = json.loads((out / "text.json").read_text(encoding="utf-8"))
    if start != "none" and not resume:
        counts["tokens of earlier runs"] = tokens_of(Model.load(start))
        with atomic_write(out / "text.json", "w") as file:
            json.dump(counts, file, ensure_ascii=False, indent=1)
    validation = (counts["held out"] + 0.5) / (counts["lines"] + counts["held out"])
    options = {**SETTINGS, "validation": validation, "resume": resume, "cache": out / "cache", "seed": seed}
    options |= {"from_": start, "learning_rate": learning_rate, **({"hidden": HIDDEN} if start == "none" else {})}
    train([out / "mixture.txt"], out / "run", notice=notice, progress=progress, **options)


def tokens_of(model: Model) -> int:
    """Return the tokens that a model was trained on in its last run."""
    recipe = model.metadata["recipe"]
    return model.metadata["steps"] * recipe["batch_size"] * recipe["seq_len"]


def package(out: Path, file: Path) -> None:
    """Write the weights of the last checkpoint as int8 with their card; print bits per character before and after."""
    from gluon_lstm.model import LAST, Model
    from gluon_lstm.sampling.evaluation import evaluate

    text = json.loads((out / "text.json").read_text(encoding="utf-8"))
    model = Model.load(out / "run" / LAST)
    found: dict[str, dict[str, float]] = {}
    for precision in ("float32", "int8"):
        model.save(out / f"{precision}.safetensors", precision)
        stored = Model.load(out / f"{precision}.safetensors")
        found[precision] = {
            f"held-out {kind}": round(evaluate(stored, [out / f"held_out_{kind}.txt"]).bpc, 4)
            for kind in ("books", "posts")
        }
        print(f"{precision}: {found[precision]} bits per character")
    tokens = text.get("tokens of earlier runs", 0) + tokens_of(model)
    card = {
        "made_of": [
            f"Aozora Bunko: {text['works']:,} works in the public domain in Japan, in modern orthography",
            f"open2ch dialogue corpus (Inaba 2019, Apache-2.0): {text['posts']:,} posts of a bulletin board",
        ],
        "licence": "MIT, as this package; the texts are not in it",
        "tokens": tokens,
        "bits_per_character": found["int8"],
    }
    replace(model, metadata={**model.metadata, "card": card}).save(file, "int8")
    print(f"{file}: {file.stat().st_size:,} bytes, {tokens:,} tokens")


def report_memorized(out: Path, file: Path) -> None:
    """Print how much of what the model in `file` writes stands in the text that it was made of."""
    from pretraining.memorized import memorized

    from gluon_lstm.sampling.language_model import LanguageModel
    from gluon_lstm.text.cleaning import Cleaner

    lm = LanguageModel.load(file)
    with open(out / "mixture.txt", encoding="utf-8") as mixture:
        lines = list(Cleaner(lm.model.codec.settings.cleaning).clean_posts(line.rstrip("\n") for line in mixture))
    print(json.dumps(memorized(lm, lines), ensure_ascii=False, indent=1))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--books", type=Path, required=True)
    parser.add_argument("--posts", type=Path, nargs="+", required=True)
    parser.add_argument("--offensive", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tokens", type=float, default=55e6)
    parser.add_argument("--share", type=float, default=POST_SHARE)
    parser.add_argument("--from", dest="start", default="none", help="model of an earlier run (default: none)")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1, help="seed of the choice and order of the text")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--package", action="store_true")
    args = parser.parse_args(argv)
    choose_blas_kernels()
    disable_malloc_trim()
    limit_blas_threads()
    if args.package:
        from gluon_lstm.model import PRETRAINED_FOLDER  # NumPy, after its threads are set

        file = PRETRAINED_FOLDER / "ja.safetensors"
        package(args.out, file)
        report_memorized(args.out, file)
        return 0
    if not (args.resume and (args.out / "mixture.txt").exists()):
        prepare_text(args.books, args.posts, args.offensive, args.out, round(args.tokens), args.share, args.seed)
    pretrain(args.out, args.start, args.learning_rate, args.seed, args.resume)
    return 0


if __name__ == "__main__":
    sys.exit(main())
