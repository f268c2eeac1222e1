"""Validation bits per character with and without the model `ja`, by the size of the text.

    python scripts/measure/pretrained.py TEXT[:POSTS]... --minutes M [--json FILE] [--picture FILE]

TEXT:POSTS are the first POSTS lines of a text. Each text is trained on twice with the default recipe: from random
weights (`--from none`) and from `ja`. Time is that of updates only. `--picture curves.png` also writes curves.ja.png,
with Japanese labels.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from bench_process import environment, environment_line, markdown_table

from gluon_lstm.blas import choose_blas_kernels
from gluon_lstm.cli.terminal import notice, progress
from gluon_lstm.figures import png_figure
from gluon_lstm.files import atomic_write
from gluon_lstm.system import disable_malloc_trim, limit_blas_threads

LABELS = {
    "en": {
        "none": "from random weights",
        "ja": "from ja",
        " posts": " posts",
        " lines": " lines",
        "seconds": "seconds of training",
        "bpc": "bits per character",
    },
    "ja": {
        "none": "乱数の重みから",
        "ja": "ja から",
        " posts": " 件",
        " lines": " 行",
        "seconds": "学習時間（秒）",
        "bpc": "1 文字あたりのビット数",
    },
}
STARTS = {"none": {"color": "0.6", "linestyle": "--"}, "ja": {"color": "tab:blue"}}  # model -> style of its curves
EARLY = 20.0  # seconds
Points = list[tuple[float, float]]  # (seconds, bits per character)


def curve(text: Path, start: str, minutes: float, folder: Path) -> Points:
    """Train on a text and return the validations of the run."""
    from gluon_lstm.training.from_files import train
    from gluon_lstm.training.history import read
    from gluon_lstm.training.run_dir import HISTORY

    out = folder / f"{text.stem}-{start}"
    train([text], out, notice=notice, progress=progress, from_=start, minutes=minutes, no_cache=True)
    return [(record.seconds, record.val_bpc) for record in read(out / HISTORY) if record.val_bpc is not None]


def first_posts(argument: str, folder: Path) -> tuple[str, Path]:
    """Return (label, file) of TEXT or TEXT:POSTS."""
    name, _, posts = argument.rpartition(":")
    if not (name and posts.isdigit()):
        path = Path(argument)
        with open(path, encoding="utf-8") as file:
            return f"{path.name}, {sum(1 for _ in file):,} lines", path
    path = folder / f"{Path(name).stem}-{posts}.txt"
    with open(name, encoding="utf-8") as source, atomic_write(path, "w") as file:
        file.writelines(islice(source, int(posts)))
    return f"{Path(name).name}, {int(posts):,} posts", path


def row(label: str, curves: Mapping[str, Points]) -> list[str]:
    """Return the table row of one text."""
    early = [bpc for seconds, bpc in curves["ja"] if seconds <= EARLY]
    best = {start: min(bpc for _, bpc in points) for start, points in curves.items()}
    return [label, f"{best['none']:.2f}", f"{min(early):.2f}" if early else "-", f"{best['ja']:.2f}"]


def draw(results: Mapping[str, Mapping[str, Points]], language: str, path: Path) -> None:
    """Write the picture of all curves, a panel per text, with the labels of a language."""
    labels = LABELS[language]
    with png_figure(2.6 * len(results), 3.0) as (figure, png):
        panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
        for panel, (label, curves) in zip(panels, results.items()):
            for start, style in STARTS.items():
                panel.plot(*zip(*curves[start]), label=labels[start], **style)
            name, _, size = label.rpartition(", ")
            for unit in (" posts", " lines"):
                size = size.replace(unit, labels[unit])
            panel.set_title(f"{name}\n{size}", fontsize=9)
            panel.set_xlabel(labels["seconds"])
            panel.grid(alpha=0.3)
        panels[0].set_ylabel(labels["bpc"])
        panels[0].legend(fontsize=8)
    with atomic_write(path, "wb") as file:
        file.write(png())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", metavar="TEXT[:POSTS]")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args(argv)
    choose_blas_kernels()
    disable_malloc_trim()
    limit_blas_threads()
    results: dict[str, dict[str, Points]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for argument in args.texts:
            label, text = first_posts(argument, Path(folder))
            results[label] = {start: curve(text, start, args.minutes, Path(folder)) for start in STARTS}
    rows = [row(label, curves) for label, curves in results.items()]
    print(environment_line(environment()))
    print(markdown_table(["text", "from random weights", f"from ja, {EARLY:.0f} s", "from ja, best"], rows))
    if args.json:
        with atomic_write(args.json, "w") as file:
            json.dump(results, file)
    if args.picture:
        draw(results, "en", args.picture)
        draw(results, "ja", args.picture.with_suffix(".ja.png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
