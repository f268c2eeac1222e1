"""Make the model `ja`: text from books and informal posts, the training runs, the file in the package.

    python scripts/pretrain.py train --books DIR --posts FILE... --offensive FILE --out DIR
    python scripts/pretrain.py package --out DIR
    python scripts/pretrain.py books --books DIR --characters N --out FILE

DIR of the books is a clone of aozorahack/aozorabunko_text. FILE of the posts are posts of
1never/open2ch-dialogue-corpus, one a line; the offensive words are its data/ng_words.txt.

- `train` makes the runs of RUNS in turn, each from the weights of the one before, in DIR/1, DIR/2, ...: the text
  (mixture.txt), the works it is from (works.tsv), held-out text of both kinds, and the run (run/). The same command
  continues after an interruption. `mpirun -n W python scripts/pretrain.py train ...` trains in W processes
  (docs/cluster.md).
- `package` writes gluon_lstm/pretrained/ja.safetensors from the last checkpoint, at any time, and prints its figures.
- `books` writes whole works as one text, to train a model of --raw on.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pretraining.aozora import Shelf, Work
from pretraining.mixture import informal_posts, mixed, unique_paragraphs
from pretraining.nearness import nearest

from gluon_lstm.blas import choose_blas_kernels
from gluon_lstm.cli.terminal import notice, progress
from gluon_lstm.files import atomic_write
from gluon_lstm.signals import Interrupted
from gluon_lstm.system import disable_malloc_trim, limit_blas_threads

if TYPE_CHECKING:
    from gluon_lstm.model import Model
    from gluon_lstm.training.processes import Processes


@dataclass(frozen=True)
class Run:
    """One run: its text, and the learning rate from which it falls to 0, with the multipliers for `Wx` and `Why`."""

    tokens: int
    post_share: float  # of the tokens
    nearest: float  # characters of the works nearest to the posts that it draws from
    learning_rate: float
    input_lr_scale: float
    output_lr_scale: float


RUNS = (
    Run(24_800_000, 0.10, inf, 3e-3, 10, 6),
    Run(26_000_000, 0.055, inf, 2e-3, 10, 6),
    Run(40_000_000, 0.018, 70e6, 1.5e-3, 3, 2),
    Run(4_000_000, 0.15, 12e6, 5e-4, 3, 2),
)
HELD_OUT_AUTHORS = ("夏目漱石", "宮沢賢治", "宮澤賢治")  # whose works this project measures on
HELD_OUT_POSTS, HELD_OUT_PARAGRAPHS = 600, 400
SKIPPED_POSTS = 3000  # of the first file of posts: test data of this project
HIDDEN = 512
SETTINGS = {
    "max_vocab": 4000,
    "batch_size": 64,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "recurrent_dropout": 0.0,
    "patience": 0,
    "epochs": 1,
    "post_order": "text",  # the lines of a work continue each other
    "checkpoint_minutes": 3.0,
    "duplicates": "keep",  # posts are repeated on purpose
}


def is_held_out(work: Work) -> bool:
    """Return whether a work is by an author on whom this project measures."""
    return any(author in work.author for author in HELD_OUT_AUTHORS)


def prepare_text(
    books: Path, posts: Sequence[Path], offensive: Path, run: Run, rng: random.Random, folder: Path
) -> None:
    """Write mixture.txt, works.tsv, held_out_books.txt, held_out_posts.txt and text.json to `folder`.

    What is held out does not depend on `rng`.
    """
    always = random.Random(1)
    words = [word.strip() for word in offensive.read_text(encoding="utf-8").splitlines() if word.strip()]
    informal = informal_posts(posts, SKIPPED_POSTS, words, HELD_OUT_POSTS, always)
    shelf, seen = Shelf(books), set[str]()
    works: list[Work] = []
    held_out: list[str] = []
    for work in shelf.works():
        paragraphs = unique_paragraphs(work.paragraphs, seen)
        if is_held_out(work):
            held_out += paragraphs
        elif paragraphs:
            works.append(replace(work, lines=paragraphs))
    start = always.randrange(len(held_out) - HELD_OUT_PARAGRAPHS)
    held_out = held_out[start : start + HELD_OUT_PARAGRAPHS]
    works = nearest(works, informal.train, run.nearest, always)
    lines = mixed([work.lines for work in works], informal.train, run.tokens, run.post_share, rng)
    counts = {
        "works": len(works),
        "characters of the works": sum(len(line) for work in works for line in work.lines),
        "works left out": dict(shelf.left_out),
        "posts": len(informal.train),
        "characters of the posts": sum(map(len, informal.train)),
        "lines": len(lines),
        "held out": HELD_OUT_PARAGRAPHS + HELD_OUT_POSTS,
    }
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "works.tsv": [f"{work.path}\t{work.title}\t{work.author}\n" for work in works],
        "held_out_books.txt": [f"{line}\n" for line in held_out],
        "held_out_posts.txt": [f"{line}\n" for line in informal.held_out],
        "mixture.txt": [f"{line}\n" for line in (*lines, *held_out, *informal.held_out)],
        "text.json": [json.dumps(counts, ensure_ascii=False, indent=1)],  # the last: the text is complete
    }
    for name, content in files.items():
        with atomic_write(folder / name, "w") as file:
            file.writelines(content)
    notice(json.dumps(counts, ensure_ascii=False))


def pretrain(folder: Path, run: Run, seed: int, start: str, processes: Processes | None) -> None:
    """Train on the text in `folder` from the model `start`, or "none"; the last lines are the validation set."""
    from gluon_lstm.training.from_files import train
    from gluon_lstm.training.run_dir import STATE

    counts = json.loads((folder / "text.json").read_text(encoding="utf-8"))
    options = {
        **SETTINGS,
        "from_": start,
        "learning_rate": run.learning_rate,
        "input_lr_scale": run.input_lr_scale,
        "output_lr_scale": run.output_lr_scale,
        "seed": seed,
        "validation": (counts["held out"] + 0.5) / (counts["lines"] + counts["held out"]),
        "cache": folder / "cache",
        "resume": (folder / "run" / STATE).exists(),
        **({"hidden": HIDDEN} if start == "none" else {}),
    }
    train([folder / "mixture.txt"], folder / "run", "standard", notice, progress, processes, **options)


def make_runs(books: Path, posts: Sequence[Path], offensive: Path, out: Path, processes: Processes | None) -> None:
    """Make the runs that `out` lacks, or continue them."""
    from gluon_lstm.model import LAST

    start = "none"
    for seed, run in enumerate(RUNS, start=1):
        folder = out / str(seed)
        if not (folder / "text.json").exists():
            prepare_text(books, posts, offensive, run, random.Random(seed), folder)
        pretrain(folder, run, seed, start, processes)
        start = str(folder / "run" / LAST)


def write_books(books: Path, characters: int, file: Path) -> None:
    """Write whole works in random order to `file`, about `characters` characters: text for a base of `--raw` models."""
    works = [work for work in Shelf(books).works() if not is_held_out(work)]
    random.Random(1).shuffle(works)
    left = characters
    with atomic_write(file, "w") as output:
        for work in works:
            if left <= 0:
                break
            text = "".join(f"{line}\n" for line in work.lines)
            output.write(text)
            left -= len(text)


def tokens_read(model: Model) -> int:
    """Return the tokens that a model was trained on in its last run."""
    recipe = model.metadata["recipe"]
    return model.metadata["steps"] * recipe["batch_size"] * recipe["seq_len"]


def package(folders: Sequence[Path], file: Path) -> None:
    """Write the last model of the runs as int8 with its card; print bits per character before and after."""
    from gluon_lstm.model import LAST, Model
    from gluon_lstm.sampling.evaluation import evaluate

    models = [Model.load(folder / "run" / LAST) for folder in folders]
    texts = [json.loads((folder / "text.json").read_text(encoding="utf-8")) for folder in folders]
    found: dict[str, dict[str, float]] = {}
    for precision in ("float32", "int8"):
        stored = folders[-1] / f"{precision}.safetensors"
        models[-1].save(stored, precision)
        found[precision] = {
            f"held-out {kind}": round(evaluate(Model.load(stored), [folders[-1] / f"held_out_{kind}.txt"]).bpc, 4)
            for kind in ("books", "posts")
        }
        print(f"{precision}: {found[precision]} bits per character")
    works, posts = (max(text[kind] for text in texts) for kind in ("works", "posts"))
    tokens = sum(map(tokens_read, models))
    card = {
        "made_of": [
            f"Aozora Bunko: {works:,} works in the public domain in Japan, in modern orthography",
            f"open2ch dialogue corpus (Inaba 2019, Apache-2.0): {posts:,} posts of a bulletin board",
        ],
        "licence": "MIT, as this package; the texts are not in it",
        "tokens": tokens,
        "bits_per_character": found["int8"],
    }
    replace(models[-1], metadata={**models[-1].metadata, "card": card}).save(file, "int8")
    print(f"{file}: {file.stat().st_size:,} bytes, {tokens:,} tokens")


def report_memorized(folders: Sequence[Path], file: Path) -> None:
    """Print how much of what the model in `file` writes stands in the texts that it was made of."""
    from pretraining.memorized import memorized

    from gluon_lstm.sampling.language_model import LanguageModel
    from gluon_lstm.text.cleaning import Cleaner

    lm = LanguageModel.load(file)
    clean = Cleaner(lm.model.codec.settings.cleaning).clean_posts
    read: set[str] = set()
    for folder in folders:
        with open(folder / "mixture.txt", encoding="utf-8") as mixture:
            read.update(clean(line.rstrip("\n") for line in mixture))
    print(json.dumps(memorized(lm, sorted(read)), ensure_ascii=False, indent=1))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="make the runs, or continue them")
    training.add_argument("--books", type=Path, required=True)
    training.add_argument("--posts", type=Path, nargs="+", required=True)
    training.add_argument("--offensive", type=Path, required=True)
    raw = commands.add_parser("books", help="write works as one text, for models of raw text")
    raw.add_argument("--books", type=Path, required=True)
    raw.add_argument("--characters", type=float, required=True)
    packaging = commands.add_parser("package", help="write ja.safetensors and print its figures")
    for command in (training, raw, packaging):
        command.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    choose_blas_kernels()
    disable_malloc_trim()
    limit_blas_threads()
    if args.command == "books":
        write_books(args.books, round(args.characters), args.out)
        return 0
    if args.command == "train":
        from gluon_lstm.training.from_files import in_processes

        def first(processes: Processes | None) -> int:
            try:
                make_runs(args.books, args.posts, args.offensive, args.out, processes)
            except Interrupted as interrupted:
                notice("interrupted; the same command continues")
                return 128 + interrupted.number
            return 0

        return in_processes(first, notice)
    from gluon_lstm.model import LAST, PRETRAINED_FOLDER  # NumPy, after its threads are set

    folders = [args.out / str(n) for n in range(1, len(RUNS) + 1)]
    folders = [folder for folder in folders if (folder / "run" / LAST).exists()]
    if not folders:
        parser.error(f"{args.out}: no run in it; make one with `train`")
    file = PRETRAINED_FOLDER / "ja.safetensors"
    package(folders, file)
    report_memorized(folders, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
