"""Validation bits per character by time and by tokens, of this package and of PyTorch.

    python scripts/measure/quality.py FILE (--minutes M | --tokens N) [--hidden H] [--raw] [--from MODEL]
        [--json FILE] [--picture FILE]

Ours is a whole run of `gluon_lstm.training` with its default recipe, from random weights and, with --from, from a model
too. The PyTorch model is tuned too, trained on the same ids, and evaluated with the same definition of bits per
character. They train in turns of some seconds (`bench_process`), so all are affected by the same machine. Time is that
of updates only. References are PPMd, a compressor without training, and a Markov chain of words of order 2 (markovify),
which gives most posts no probability: its bits are those of the posts that have one, and its own posts are counted that
stand in the text as a whole.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench_process import BenchProcess, MissingLibrary, environment, environment_line, markdown_table, run_script

from gluon_lstm.files import atomic_write, write_png
from gluon_lstm.system import available_cores

LIMIT_BLAS_THREADS = "gluon_lstm.system:limit_blas_threads"  # setup of `train`
N, T = 32, 64  # lanes and steps of PyTorch
PEAK_LEARNING_RATE, DROPOUT = 4e-3, 0.3  # of PyTorch
WARMUP = 0.02  # share of the budget until the peak learning rate
CHUNK_TOKENS = 1024  # of the validation set, evaluated at once
PPMD_ORDER, PPMD_MEMORY = 10, 256 << 20
MARKOV_ORDER = 2
SAMPLES = 200  # posts that the Markov chain writes
TABLE_ROWS = 10  # about
Points = Sequence[Mapping[str, float]]  # with the keys seconds, tokens and bpc


def load_corpus(path: str, raw: bool, cache: str) -> Any:
    """Return the corpus that all programs use, cached after the first call."""
    return tokenized(path, raw, cache).corpus()


def tokenized(path: str, raw: bool, cache: str) -> Any:
    """Return the tokens of the text, before a vocabulary is chosen."""
    from gluon_lstm.text.corpus import tokenize_files
    from gluon_lstm.text.settings import CorpusOptions, TextSettings

    return tokenize_files([path], TextSettings("char", raw), CorpusOptions(cache=Path(cache)))


class OurRun:
    """A run of this package in a thread, paused between two updates, where its clock is stopped."""

    def __init__(
        self,
        name: str,
        text: Mapping[str, Any],
        limit: Mapping[str, float],
        out: str,
        start: str = "none",
        **model: int,
    ) -> None:
        """`start`: none, or the model to start from; `model`: hidden units for none."""
        files = tokenized(**text)

        from gluon_lstm.progress import ignore
        from gluon_lstm.training.base import given_base, prepare_run
        from gluon_lstm.training.recipe import STANDARD, recipe_of
        from gluon_lstm.training.run import Run
        from gluon_lstm.training.run_dir import RunDirectory

        if "minutes" in limit:
            stop = {"minutes": limit["minutes"]}
        else:
            stop = {"steps": max(math.ceil(limit["tokens"] / STANDARD.batch_size / STANDARD.seq_len), 1)}
        given = {**stop, **model, "raw": text["raw"], "from_": start}
        recipe = recipe_of("standard", **given)
        base = given_base(recipe, files.settings, given)
        corpus, recipe, arrays = prepare_run(files, base, recipe, given, ignore)
        self.run = Run(corpus, recipe, arrays=arrays)
        self.run_dir = RunDirectory(Path(out))
        self.until, self.reported, self.over = 0.0, 0, False
        self.error: BaseException | None = None
        self._resume, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._train, daemon=True).start()

    def train_for(self, seconds: float) -> dict[str, Any]:
        """Train for some seconds; return the validations since the last call, and whether the run is over."""
        self.until = self.run.state.seconds + seconds
        self._resume.release()
        self._paused.acquire()
        if self.error:
            raise ValueError(str(self.error)) from self.error
        records = self.run_dir.history.records
        new, self.reported = records[self.reported :], len(records)
        points = [{"seconds": r.seconds, "tokens": r.tokens, "bpc": r.val_bpc} for r in new if r.val_bpc is not None]
        return {"points": points, "over": self.over}

    def _train(self) -> None:
        from gluon_lstm.training.session import fit

        self._resume.acquire()
        try:
            fit(self.run, self.run_dir, progress=self._progress)
        except BaseException as error:
            self.error = error
        self.over = True
        self._paused.release()

    @contextmanager
    def _progress(self, *_: object) -> Iterator[Any]:
        yield self._advance

    def _advance(self, n: int, total: int | None = None) -> None:
        if self.run.state.seconds >= self.until:
            self._paused.release()
            self._resume.acquire()


class TorchRun:
    """PyTorch, tuned: dropout before and after the LSTM, warmup, cosine decay to 0 over the budget, clipping."""

    def __init__(
        self, name: str, text: Mapping[str, Any], hidden: int, limit: Mapping[str, float], every: float
    ) -> None:
        from train_programs import Torch

        from gluon_lstm.training import batches

        self.corpus, self.limit, self.every = load_corpus(**text), limit, every
        self.N, self.T = batches.fit_batch(len(self.corpus.train), N, T)
        self.trainer = Torch(self.N, hidden, len(self.corpus.codec.vocabulary), DROPOUT)
        self.hidden, self.seconds, self.tokens, self.validated_at = hidden, 0.0, 0, 0.0
        self.windows = self._windows()
        self.trainer.tune(*next(self.windows)[:2])
        self.state = self.trainer.begin_state()

    @property
    def progress(self) -> float:
        """Share of the budget that is used."""
        if "minutes" in self.limit:
            return min(self.seconds / 60 / self.limit["minutes"], 1.0)
        return min(self.tokens / self.limit["tokens"], 1.0)

    def train_for(self, seconds: float) -> dict[str, Any]:
        """As `OurRun.train_for`."""
        until, points = self.seconds + seconds, []
        while self.progress < 1 and self.seconds < until:
            x, y, begins = next(self.windows)
            start = time.perf_counter()
            state = self.trainer.begin_state() if begins else self.state
            loss, self.state = self.trainer.update(x, y, state, learning_rate(self.progress))
            self.seconds += time.perf_counter() - start
            self.tokens += self.N * self.T
            if not math.isfinite(loss):
                raise ValueError(f"loss {loss} after {self.tokens:,} tokens")
            if self.progress >= 1 or self.seconds - self.validated_at >= self.every:
                points.append({"seconds": self.seconds, "tokens": self.tokens, "bpc": self._bpc()})
                self.validated_at = self.seconds
        return {"points": points, "over": self.progress >= 1}

    def _windows(self) -> Iterator[tuple[Any, Any, bool]]:
        """Yield inputs, targets, and whether an epoch begins; lanes as in ours, each epoch from a random start."""
        import numpy as np

        from gluon_lstm.training import batches

        ids, rng = self.corpus.train, np.random.default_rng(1)
        while True:
            start = int(rng.integers(len(ids)))
            epoch = batches.contiguous(ids, self.N, self.T, start, self.corpus.codec.end_of_post)
            for k, window in enumerate(epoch):
                yield (*self.trainer.window(*window), k == 0)

    def _bpc(self) -> float:
        """Return the validation bits per character, as `gluon_lstm.sampling.scoring.score` does."""
        from gluon_lstm.sampling.scoring import Score

        ids, units, codec = self.corpus.validation, self.corpus.validation_chars, self.corpus.codec
        unknown = int((ids == codec.vocabulary.unknown).sum())
        nats = torch_nats(self.trainer.model, ids, codec.end_of_post, self.hidden)
        return Score(nats, len(ids), unknown, units).bpc


def torch_nats(model: Any, ids: Any, first: int | None, hidden: int) -> float:
    """Return the nats of ids (M,) after the token `first`, or after nothing where it is None."""
    import numpy as np
    import torch

    targets = torch.from_numpy(np.asarray(ids).astype(np.int64))
    model.eval()
    with torch.inference_mode():
        nats, state = 0.0, None
        if first is None:  # the first token is predicted from the zero hidden state
            z = model.output(torch.zeros(1, hidden))
            nats += torch.nn.functional.cross_entropy(z, targets[:1], reduction="sum").item()
            inputs, targets = targets[:-1], targets[1:]
        else:
            inputs = torch.cat([torch.tensor([first]), targets[:-1]])
        for x, y in zip(inputs.split(CHUNK_TOKENS), targets.split(CHUNK_TOKENS)):
            z, state = model(x[:, None], state)  # (CHUNK, 1, V)
            nats += torch.nn.functional.cross_entropy(z[:, 0], y, reduction="sum").item()
    model.train()
    return nats


def learning_rate(progress: float) -> float:
    """Return the learning rate of PyTorch at `progress`, the used share of the budget."""
    if progress < WARMUP:
        return PEAK_LEARNING_RATE * max(progress / WARMUP, 0.01)
    return PEAK_LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * (progress - WARMUP) / (1 - WARMUP)))


def split_text(path: str, corpus: Any) -> tuple[str, str]:
    """Return training and validation text, one post a line, as strings without tokenization."""
    from gluon_lstm.progress import ignore
    from gluon_lstm.text.cleaning import Cleaner
    from gluon_lstm.text.sources.reading import ReadingOptions, read_posts, read_text

    settings = corpus.codec.settings
    if settings.raw:
        text = "".join(read_text([path], ReadingOptions(), ignore))
        return text[: corpus.split], text[corpus.split :]
    cleaned = Cleaner(settings.cleaning).clean_posts(read_posts([path], ReadingOptions(), ignore))
    posts = [post + "\n" for post in cleaned]
    count = int((corpus.validation == corpus.codec.end_of_post).sum())
    return "".join(posts[: len(posts) - count]), "".join(posts[len(posts) - count :])


def ppmd_bits(train: str, validation: str) -> float:
    """Return the bits per character that PPMd needs for `validation` after `train`. Raises MissingLibrary."""
    try:
        from pyppmd import Ppmd7Encoder
    except ImportError as error:
        raise MissingLibrary(str(error)) from error

    def size(text: str) -> int:
        encoder = Ppmd7Encoder(PPMD_ORDER, PPMD_MEMORY)
        return len(encoder.encode(text.encode())) + len(encoder.flush())

    return 8 * (size(train + validation) - size(train)) / len(validation)


class Markov(NamedTuple):
    """A Markov chain on a validation set, and how many of SAMPLES posts of its own stand in its text as a whole."""

    share: float  # of the posts, which have a probability
    bpc: float  # bits per character of these
    copies: int


def markov_chain(train: str, validation: str) -> Markov:
    """Measure markovify's chain of order 2, whose states are pairs of Janome's words. Raises MissingLibrary."""
    try:
        from markovify.chain import BEGIN, END, Chain
    except ImportError as error:
        raise MissingLibrary(str(error)) from error

    from gluon_lstm.text.tokenizers.registry import make_tokenizer

    words = make_tokenizer("janome")
    known, posts = train.splitlines(), validation.splitlines()
    model = Chain([words.tokenize(post) for post in known], MARKOV_ORDER).model
    bits, characters, found = 0.0, 0, 0
    for post in posts:
        state, cost = (BEGIN,) * MARKOV_ORDER, 0.0
        for word in (*words.tokenize(post), END):
            following = model.get(state, {})
            if word not in following:
                break
            cost -= math.log2(following[word] / sum(following.values()))
            state = (*state[1:], word)
        else:
            found, bits, characters = found + 1, bits + cost, characters + len(post) + 1
    whole = set(known)
    copies = sum(_written(model, random.Random(k)) in whole for k in range(SAMPLES))
    return Markov(found / len(posts), bits / characters if characters else math.inf, copies)


def _written(model: Mapping[Any, Mapping[str, int]], rng: random.Random) -> str:
    """Return a post of a chain."""
    from markovify.chain import BEGIN, END

    state, post = (BEGIN,) * MARKOV_ORDER, ""
    while True:
        following = model[state]
        (word,) = rng.choices(list(following), list(following.values()))
        if word == END:
            return post
        state, post = (*state[1:], word), post + word


def interpolate(points: Points, key: str, at: float) -> dict[str, float] | None:
    """Return seconds, tokens and bpc at the value `at` of `key` by linear interpolation; None outside the curve."""
    for before, after in zip(points, points[1:]):
        low, high = before[key], after[key]
        if low <= at <= high:
            share = (at - low) / (high - low) if high > low else 1.0
            return {name: before[name] + share * (after[name] - before[name]) for name in before}
    return dict(points[0]) if points and points[0][key] == at else None


def comparison_table(curves: Mapping[str, Points], key: str, scale: float, unit: str) -> str:
    """Return a table of all curves at the same values of `key`."""
    longest = max((points[-1][key] for points in curves.values() if points), default=0.0) / scale
    step = _round_step(longest / TABLE_ROWS) if longest else 1.0
    moments = [k * step for k in range(1, int(longest / step + 1e-9) + 1)]
    other = "tokens" if key == "seconds" else "seconds"
    rows = []
    for moment in moments:
        found = [interpolate(points, key, moment * scale) for points in curves.values()]
        cells = [[f"{p['bpc']:.3f}", f"{p[other]:,.0f}"] if p else ["", ""] for p in found]
        rows.append([f"{moment:g}", *(cell for pair in cells for cell in pair)])
    return markdown_table([unit, *(f"{name}, {what}" for name in curves for what in ("bits", other))], rows)


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10 ** math.floor(math.log10(least))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))


def final_table(curves: Mapping[str, Points], ppmd: float | None, markov: Markov | None = None) -> str:
    """Return a table of the last and the best value of each curve."""
    rows = []
    for name, points in curves.items():
        if points:
            last, best = points[-1], min(points, key=lambda point: point["bpc"])
            bits = [f"{last['bpc']:.3f}", f"{best['bpc']:.3f}"]
            rows.append([name, f"{last['seconds'] / 60:.2f}", f"{last['tokens']:,}", *bits])
    if ppmd is not None:
        rows.append([f"PPMd, order {PPMD_ORDER}", "", "", f"{ppmd:.3f}", f"{ppmd:.3f}"])
    if markov is not None:
        name = f"Markov chain of words, {markov.share:.1%} of the posts"
        rows.append([name, "", "", *[f"{markov.bpc:.3f}"] * 2])
    return markdown_table(["at the end", "minutes", "tokens", "bits per character", "best"], rows)


def train_in_turns(runs: Mapping[str, BenchProcess], turn: float) -> dict[str, list[dict[str, float]]]:
    """Train in turns until all runs are over; print each validation."""
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    running = dict(runs)
    while running:
        for name, process in list(running.items()):
            result = process.call("train_for", seconds=turn)
            for point in result["points"]:
                curves[name].append(point)
                print(
                    f"{name:8} {point['seconds'] / 60:6.2f} minutes {point['tokens']:12,} tokens"
                    f"  {point['bpc']:.4f} bits per character",
                    flush=True,
                )
            if result["over"]:
                del running[name]
    return curves


def save_plot(curves: Mapping[str, Points], ppmd: float | None, title: str, path: Path) -> None:
    """Write a PNG of bits per character by minutes and by tokens."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for k, (key, scale, label) in enumerate((("seconds", 60, "minutes of updates"), ("tokens", 1e6, "million tokens"))):
        axes = figure.add_subplot(1, 2, k + 1)
        for name, points in curves.items():
            axes.plot([p[key] / scale for p in points], [p["bpc"] for p in points], "o-", markersize=3, label=name)
        if ppmd is not None:
            axes.axhline(ppmd, color="gray", linestyle="--", linewidth=1, label=f"PPMd, order {PPMD_ORDER}: {ppmd:.3f}")
        axes.set_xlabel(label)
        axes.set_ylabel("validation bits per character")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=10)
    write_png(figure, path)


def start_runs(
    args: argparse.Namespace, text: Mapping[str, Any], out: str, stack: ExitStack
) -> dict[str, BenchProcess]:
    """Start the programs whose libraries are installed."""
    limit = {"minutes": args.minutes} if args.minutes else {"tokens": args.tokens}
    shared = {"text": text, "limit": limit}
    ours: dict[str, Any] = {"ours": {"hidden": args.hidden}}
    if args.start:
        ours[f"from {args.start.name}"] = {"start": str(args.start)}
    runs = {}
    for k, (name, own) in enumerate(ours.items()):
        settings = {"name": name, "out": f"{out}-{k}", **own, **shared}
        runs[name] = BenchProcess("quality:OurRun", setup=LIMIT_BLAS_THREADS, **settings)
        stack.enter_context(runs[name])
    shared["hidden"] = args.hidden
    if args.without != "pytorch":
        try:
            omp = {"OMP_NUM_THREADS": str(available_cores())}
            settings = {"name": "pytorch", "every": args.every, **shared}
            runs["pytorch"] = BenchProcess("quality:TorchRun", omp, **settings)
            stack.enter_context(runs["pytorch"])
        except MissingLibrary as error:
            print(f"pytorch: skipped ({error})", file=sys.stderr)
    return runs


def run(args: argparse.Namespace) -> None:
    result: dict[str, Any] = {
        "environment": environment(),
        "file": str(args.file),
        "raw": args.raw,
        "hidden": args.hidden,
    }
    print(environment_line(result["environment"]))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        text = {"path": str(args.file), "raw": args.raw, "cache": folder}
        corpus = load_corpus(**text)
        if not len(corpus.validation):
            raise ValueError(f"{args.file}: too short for a validation set")
        title = f"{args.file.name}{', raw' if args.raw else ''}, H={args.hidden}, V={len(corpus.codec.vocabulary)}"
        print(f"{title}; {len(corpus.train):,} training tokens, {corpus.validation_chars:,} validation characters")
        try:
            result["ppmd"] = ppmd_bits(*split_text(str(args.file), corpus))
            print(f"PPMd, order {PPMD_ORDER}: {result['ppmd']:.4f} bits per character")
        except MissingLibrary as error:
            result["ppmd"] = None
            print(f"PPMd: skipped ({error})", file=sys.stderr)
        try:
            result["markov"] = None if args.raw else markov_chain(*split_text(str(args.file), corpus))
            if result["markov"]:
                share, bpc, copies = result["markov"]
                print(
                    f"Markov chain of words: a probability for {share:.1%} of the posts; {bpc:.4f} bits per character;"
                    f" {copies} of {SAMPLES} posts of its own are copies"
                )
        except MissingLibrary as error:
            result["markov"] = None
            print(f"Markov chain: skipped ({error})", file=sys.stderr)
        curves = train_in_turns(start_runs(args, text, str(Path(folder, "run")), stack), args.turn)
    result["curves"] = curves
    print("", comparison_table(curves, "seconds", 60, "minutes"), sep="\n")
    print("", comparison_table(curves, "tokens", 1e6, "million tokens"), sep="\n")
    print("", final_table(curves, result["ppmd"], result["markov"]), sep="\n")
    if args.json:
        with atomic_write(args.json) as file:
            json.dump(result, file, ensure_ascii=False, indent=1)
    if args.picture:
        save_plot(curves, result["ppmd"], title, args.picture)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    def positive(kind: type) -> Any:
        def number(text: str) -> Any:
            value = kind(text)
            if not 0 < value < math.inf:
                raise argparse.ArgumentTypeError(f"{text}: use more than 0")
            return value

        return number

    parser = argparse.ArgumentParser(prog="quality.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="text to train on; its last part is the validation set")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=positive(float), metavar="M", help="training time of each program")
    budget.add_argument("--tokens", type=positive(int), metavar="N", help="training tokens of each program")
    parser.add_argument("--hidden", type=positive(int), default=256, metavar="H", help="hidden units (default: 256)")
    parser.add_argument(
        "--from", dest="start", type=Path, metavar="MODEL", help="also train from this model, ja for example"
    )
    parser.add_argument("--raw", action="store_true", help="one stream of characters, without posts and cleaning")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="plot the curves (PNG)")
    parser.add_argument("--without", choices=["pytorch"], help="do not run it")
    parser.add_argument(
        "--turn", type=positive(float), default=10.0, metavar="SECONDS", help="length of a turn (default: 10)"
    )
    parser.add_argument(
        "--every",
        type=positive(float),
        default=60.0,
        metavar="SECONDS",
        help="interval between validations of PyTorch (default: 60)",
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    return run_script("quality.py", run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
