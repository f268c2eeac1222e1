"""How good is a model after how long? Held-back bits per character of this package and of the PyTorch idiom.

    python scripts/measure/quality.py FILE (--minutes M | --tokens N) [--hidden H] [--raw] [--json FILE]
        [--picture FILE]

Ours is a whole run of `gluon_lstm.training` with its default recipe; the other is tuned as well, on the same ids and
with the same definition of bits per character. They take turns of some seconds (`turns`), so both see the same machine.
Time is that of updates alone, for both; a line for PPMd, a compressor that needs no training, shows how good is good.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bench_process import Absent, Contestant, command, machine, machine_line, table

from gluon_lstm.files import atomic_write
from gluon_lstm.system import available_cores

AS_TRAIN = "gluon_lstm.system:limit_blas_threads"  # what `train` does before anything else
N, T = 32, 64  # of the PyTorch idiom
PEAK, WARM_UP, DROPOUT = 4e-3, 0.02, 0.3  # its highest learning rate, the share in which that is reached, its dropout
CHUNK = 1024  # tokens of the held-back text that it reads at once
ORDER, MEMORY = 10, 256 << 20  # of PPMd
ROWS = 10  # of a table, about
Points = Sequence[Mapping[str, float]]  # each with seconds, tokens and bpc


def corpus_of(path: str, raw: bool, cache: str) -> Any:
    """The ids that all contestants see; the second time they come from the cache."""
    from gluon_lstm.text.codec import TextSettings
    from gluon_lstm.text.corpus import CorpusOptions, prepare

    return prepare([path], TextSettings("char", raw), CorpusOptions(cache=Path(cache)))


class OurRun:
    """A run of this package. It is paused behind an update, where its own clock stands still."""

    def __init__(self, name: str, text: Mapping[str, Any], hidden: int, limit: Mapping[str, float], out: str) -> None:
        corpus = corpus_of(**text)

        from gluon_lstm.training.recipe import STANDARD, recipe_of
        from gluon_lstm.training.run import Run
        from gluon_lstm.training.run_dir import RunDirectory

        given = {"minutes": limit["minutes"]} if "minutes" in limit else {}
        if not given:
            given = {"steps": max(math.ceil(limit["tokens"] / STANDARD.batch_size / STANDARD.seq_len), 1)}
        self.run = Run(corpus, recipe_of("standard", hidden=hidden, **given))
        self.run_dir = RunDirectory(Path(out))
        self.until, self.format_spread, self.over = 0.0, 0, False
        self.error: BaseException | None = None
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._train, daemon=True).start()

    def turn(self, seconds: float) -> dict[str, Any]:
        """Train for some seconds: what was measured meanwhile, and whether the run is over."""
        self.until = self.run.state.seconds + seconds
        self._go.release()
        self._paused.acquire()
        if self.error:
            raise ValueError(str(self.error)) from self.error
        records = self.run_dir.history.records
        new, self.format_spread = records[self.format_spread :], len(records)
        points = [{"seconds": r.seconds, "tokens": r.tokens, "bpc": r.val_bpc} for r in new if r.val_bpc is not None]
        return {"points": points, "over": self.over}

    def _train(self) -> None:
        from gluon_lstm.training.loop import fit

        self._go.acquire()
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
            self._go.acquire()


class TorchRun:
    """The PyTorch idiom, tuned: dropout below and above the LSTM, warm-up, cosine to 0 over the budget, clipping."""

    def __init__(
        self, name: str, text: Mapping[str, Any], hidden: int, limit: Mapping[str, float], every: float
    ) -> None:
        from competitors import Torch

        from gluon_lstm.training import batches

        self.corpus, self.limit, self.every = corpus_of(**text), limit, every
        self.N, self.T = batches.fit_batch(len(self.corpus.train), N, T)
        self.trainer = Torch(self.N, hidden, len(self.corpus.codec.vocabulary), DROPOUT)
        self.hidden, self.seconds, self.tokens, self.validated_at = hidden, 0.0, 0, 0.0
        self.windows = self._windows()
        self.trainer.tune(*next(self.windows)[:2])
        self.state = self.trainer.begin()

    @property
    def done(self) -> float:
        """The share of the budget that is spent."""
        if "minutes" in self.limit:
            return min(self.seconds / 60 / self.limit["minutes"], 1.0)
        return min(self.tokens / self.limit["tokens"], 1.0)

    def turn(self, seconds: float) -> dict[str, Any]:
        """As `OurRun.turn`."""
        until, points = self.seconds + seconds, []
        while self.done < 1 and self.seconds < until:
            x, y, begins = next(self.windows)
            start = time.perf_counter()
            state = self.trainer.begin() if begins else self.state
            loss, self.state = self.trainer.update(x, y, state, schedule(self.done))
            self.seconds += time.perf_counter() - start
            self.tokens += self.N * self.T
            if not math.isfinite(loss):
                raise ValueError(f"a loss of {loss} after {self.tokens:,} tokens")
            if self.done >= 1 or self.seconds - self.validated_at >= self.every:
                points.append({"seconds": self.seconds, "tokens": self.tokens, "bpc": self._bpc()})
                self.validated_at = self.seconds
        return {"points": points, "over": self.done >= 1}

    def _windows(self) -> Iterator[tuple[Any, Any, bool]]:
        """Inputs, targets, and whether an epoch begins: lanes as ours reads them, elsewhere in the text each time."""
        import numpy as np

        from gluon_lstm.training import batches

        ids, rng = self.corpus.train, np.random.default_rng(1)
        while True:
            start = int(rng.integers(len(ids)))
            epoch = batches.contiguous(ids, self.N, self.T, start, self.corpus.codec.end_of_post)
            for k, window in enumerate(epoch):
                yield (*self.trainer.window(*window), k == 0)

    def _bpc(self) -> float:
        """As `gluon_lstm.sampling.scoring.score` has it: one stream, read from the zero state."""
        from gluon_lstm.sampling.scoring import Score

        ids, units, codec = self.corpus.validation, self.corpus.validation_chars, self.corpus.codec
        unknown = int((ids == codec.vocabulary.unknown).sum())
        nats = torch_nats(self.trainer.model, ids, codec.end_of_post, self.hidden)
        return Score(nats, len(ids), unknown, units).bpc


def torch_nats(model: Any, ids: Any, first: int | None, hidden: int) -> float:
    """Nats that a PyTorch model spends on ids (M,), behind the token `first`, or where there is none behind nothing."""
    import numpy as np
    import torch

    targets = torch.from_numpy(np.asarray(ids).astype(np.int64))
    model.eval()
    with torch.inference_mode():
        nats, state = 0.0, None
        if first is None:  # the hidden state that predicts the first token is then zero
            z = model.output(torch.zeros(1, hidden))
            nats += torch.nn.functional.cross_entropy(z, targets[:1], reduction="sum").item()
            inputs, targets = targets[:-1], targets[1:]
        else:
            inputs = torch.cat([torch.tensor([first]), targets[:-1]])
        for x, y in zip(inputs.split(CHUNK), targets.split(CHUNK)):
            z, state = model(x[:, None], state)  # (CHUNK, 1, V)
            nats += torch.nn.functional.cross_entropy(z[:, 0], y, reduction="sum").item()
    model.train()
    return nats


def schedule(done: float) -> float:
    """The learning rate of the PyTorch idiom when the share `done` of its budget is spent."""
    if done < WARM_UP:
        return PEAK * max(done / WARM_UP, 0.01)
    return PEAK * 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))


def held_back_text(path: str, corpus: Any) -> tuple[str, str]:
    """The two parts of a text as text, posts closed by line ends. No token stands between: nothing is unknown."""
    from gluon_lstm.progress import ignore
    from gluon_lstm.text.cleaning import Cleaner
    from gluon_lstm.text.sources.reading import ReadingOptions, read_posts, read_text

    settings = corpus.codec.settings
    if settings.raw:
        text = "".join(read_text([path], ReadingOptions(), ignore))
        return text[: corpus.split], text[corpus.split :]
    cleaned = Cleaner(settings.cleaning).clean_posts(read_posts([path], ReadingOptions(), ignore))
    posts = [post + "\n" for post in cleaned]
    held = int((corpus.validation == corpus.codec.end_of_post).sum())
    return "".join(posts[: len(posts) - held]), "".join(posts[len(posts) - held :])


def ppmd_bits(train: str, held: str) -> float:
    """Bits per character that PPMd spends on `held` behind `train`. Raises Absent."""
    try:
        from pyppmd import Ppmd7Encoder
    except ImportError as error:
        raise Absent(str(error)) from error

    def size(text: str) -> int:
        encoder = Ppmd7Encoder(ORDER, MEMORY)
        return len(encoder.encode(text.encode())) + len(encoder.flush())

    return 8 * (size(train + held) - size(train)) / len(held)


def between(points: Points, key: str, at: float) -> dict[str, float] | None:
    """Seconds, tokens and bpc at a moment of the axis `key`, on a straight line between the measurements around it."""
    for before, behind in zip(points, points[1:]):
        low, high = before[key], behind[key]
        if low <= at <= high:
            share = (at - low) / (high - low) if high > low else 1.0
            return {name: before[name] + share * (behind[name] - before[name]) for name in before}
    return dict(points[0]) if points and points[0][key] == at else None


def comparison(curves: Mapping[str, Points], key: str, scale: float, unit: str) -> str:
    """A table of all curves at the same moments of one axis."""
    longest = max((points[-1][key] for points in curves.values() if points), default=0.0) / scale
    step = _round_step(longest / ROWS) if longest else 1.0
    moments = [k * step for k in range(1, int(longest / step + 1e-9) + 1)]
    other = "tokens" if key == "seconds" else "seconds"
    rows = []
    for moment in moments:
        found = [between(points, key, moment * scale) for points in curves.values()]
        cells = [[f"{p['bpc']:.3f}", f"{p[other]:,.0f}"] if p else ["", ""] for p in found]
        rows.append([f"{moment:g}", *(cell for pair in cells for cell in pair)])
    return table([unit, *(f"{name}, {what}" for name in curves for what in ("bits", other))], rows)


def _round_step(least: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is no smaller."""
    power = 10 ** math.floor(math.log10(least))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= least * (1 - 1e-9))


def last_lines(curves: Mapping[str, Points], ppmd: float | None) -> str:
    """What became of each."""
    rows = []
    for name, points in curves.items():
        if points:
            last, best = points[-1], min(points, key=lambda point: point["bpc"])
            bits = [f"{last['bpc']:.3f}", f"{best['bpc']:.3f}"]
            rows.append([name, f"{last['seconds'] / 60:.2f}", f"{last['tokens']:,}", *bits])
    if ppmd is not None:
        rows.append([f"PPMd, order {ORDER}", "", "", f"{ppmd:.3f}", f"{ppmd:.3f}"])
    return table(["at the end", "minutes", "tokens", "bits a character", "best"], rows)


def race(runs: Mapping[str, Contestant], turn: float) -> dict[str, list[dict[str, float]]]:
    """Let them train in turns until all are done; what was measured is told as it comes."""
    curves: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    running = dict(runs)
    while running:
        for name, contestant in list(running.items()):
            answer = contestant.do("turn", seconds=turn)
            for point in answer["points"]:
                curves[name].append(point)
                print(
                    f"{name:8} {point['seconds'] / 60:6.2f} minutes {point['tokens']:12,} tokens"
                    f"  {point['bpc']:.4f} bits a character",
                    flush=True,
                )
            if answer["over"]:
                del running[name]
    return curves


def draw(curves: Mapping[str, Points], ppmd: float | None, title: str, path: Path) -> None:
    """Bits per character against minutes and against tokens."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for k, (key, scale, label) in enumerate((("seconds", 60, "minutes of updates"), ("tokens", 1e6, "million tokens"))):
        axes = figure.add_subplot(1, 2, k + 1)
        for name, points in curves.items():
            axes.plot([p[key] / scale for p in points], [p["bpc"] for p in points], "o-", markersize=3, label=name)
        if ppmd is not None:
            axes.axhline(ppmd, color="gray", linestyle="--", linewidth=1, label=f"PPMd, order {ORDER}: {ppmd:.3f}")
        axes.set_xlabel(label)
        axes.set_ylabel("held-back bits a character")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=10)
    with atomic_write(path, "wb") as file:
        FigureCanvasAgg(figure).print_png(file)


def starters(args: argparse.Namespace, text: Mapping[str, Any], out: str, stack: ExitStack) -> dict[str, Contestant]:
    """The contestants that can take part."""
    limit = {"minutes": args.minutes} if args.minutes else {"tokens": args.tokens}
    shared = {"text": text, "hidden": args.hidden, "limit": limit}
    runs = {"ours": Contestant("quality:OurRun", setup=AS_TRAIN, name="ours", out=out, **shared)}
    stack.enter_context(runs["ours"])
    if args.without != "pytorch":
        try:
            omp = {"OMP_NUM_THREADS": str(available_cores())}
            runs["pytorch"] = Contestant("quality:TorchRun", omp, name="pytorch", every=args.every, **shared)
            stack.enter_context(runs["pytorch"])
        except Absent as error:
            print(f"pytorch: skipped ({error})", file=sys.stderr)
    return runs


def run(args: argparse.Namespace) -> None:
    result: dict[str, Any] = {"machine": machine(), "file": str(args.file), "raw": args.raw, "hidden": args.hidden}
    print(machine_line(result["machine"]))
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        text = {"path": str(args.file), "raw": args.raw, "cache": folder}
        corpus = corpus_of(**text)
        if not len(corpus.validation):
            raise ValueError(f"{args.file}: too short to hold a part of it back")
        title = f"{args.file.name}{', raw' if args.raw else ''}, H={args.hidden}, V={len(corpus.codec.vocabulary)}"
        print(f"{title}; {len(corpus.train):,} tokens to train on, {corpus.validation_chars:,} characters held back")
        try:
            result["ppmd"] = ppmd_bits(*held_back_text(str(args.file), corpus))
            print(f"PPMd, order {ORDER}: {result['ppmd']:.4f} bits a character")
        except Absent as error:
            result["ppmd"] = None
            print(f"PPMd: skipped ({error})", file=sys.stderr)
        curves = race(starters(args, text, str(Path(folder, "run")), stack), args.turn)
    result["curves"] = curves
    print("", comparison(curves, "seconds", 60, "minutes"), sep="\n")
    print("", comparison(curves, "tokens", 1e6, "million tokens"), sep="\n")
    print("", last_lines(curves, result["ppmd"]), sep="\n")
    if args.json:
        with atomic_write(args.json) as file:
            json.dump(result, file, ensure_ascii=False, indent=1)
    if args.picture:
        draw(curves, result["ppmd"], title, args.picture)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    def positive(kind: type) -> Any:
        def number(text: str) -> Any:
            value = kind(text)
            if not 0 < value < math.inf:
                raise argparse.ArgumentTypeError(f"{text}: use more than 0")
            return value

        return number

    parser = argparse.ArgumentParser(prog="quality.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE", help="the text to train on; its last part is held back")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=positive(float), metavar="M", help="of updates, for each contestant")
    budget.add_argument("--tokens", type=positive(int), metavar="N", help="to train on, for each contestant")
    parser.add_argument("--hidden", type=positive(int), default=256, metavar="H", help="hidden units (default: 256)")
    parser.add_argument("--raw", action="store_true", help="one stream of characters, no posts, nothing cleaned")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the curves (PNG)")
    parser.add_argument("--without", choices=["pytorch"], help="leave it out")
    parser.add_argument("--turn", type=positive(float), default=10.0, metavar="SECONDS", help="of a turn (default: 10)")
    parser.add_argument(
        "--every", type=positive(float), default=60.0, metavar="SECONDS", help="between validations of PyTorch"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    return command("quality.py", run, arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
