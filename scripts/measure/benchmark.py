"""Speed of training, generation, scoring, start and text preparation, compared with the notes, Gluon and PyTorch.

    python scripts/measure/benchmark.py [--json FILE] [--picture FILE] [--against notes,gluon,pytorch] [--quick]

The programs (`train_programs`, `generate_programs`, `gemm_programs`) run in turns, each in its own process
(`bench_process`), so that all of them are affected by a slower phase of the machine. Results are medians, with minimum
and maximum in parentheses. A program is measured only after a check that its loss falls.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_process import (
    BenchProcess,
    MissingLibrary,
    environment,
    environment_line,
    median_min_max,
    run_script,
)
from benchmark_report import save_plot, scoring_table, start_table, text_table, training_tables, writing_tables
from start_times import generate_starts, train_starts

from gluon_lstm.files import atomic_write
from gluon_lstm.system import available_cores

SIZES = ((32, 64, 256, 1500), (64, 64, 512, 3000), (32, 64, 256, 20000))  # (N, T, H, V)
WRITING_SIZE: dict[str, Any] = {"H": 256, "V": 1500}
PARTS = ("training", "writing", "scoring", "start", "text")
AGAINST = ("notes", "gluon", "pytorch")
GEMM_LIBRARIES = ("numpy", "mxnet", "pytorch", "ours")
POSTS = Path(__file__).resolve().parents[2] / "data" / "posts_ja.txt"

LIMIT_BLAS_THREADS = "gluon_lstm.system:limit_blas_threads"  # setup of `train`, `evaluate` and `generate --count N`
ALL_CORES = str(available_cores())
OMP = {"OMP_NUM_THREADS": ALL_CORES}
ENGINE_SETTINGS = [  # the fastest on this machine is selected; short runs use the first
    {**OMP, "MXNET_CPU_WORKER_NTHREADS": "1"},
    {**OMP, "MXNET_CPU_WORKER_NTHREADS": "1", "OMP_WAIT_POLICY": "active"},
    {**OMP, "MXNET_ENGINE_TYPE": "NaiveEngine"},
    {**OMP, "MXNET_ENGINE_TYPE": "NaiveEngine", "OMP_WAIT_POLICY": "active"},
]
SETTINGS: dict[str, list[dict[str, str]]] = {
    "ours": [{}],
    "notes": ENGINE_SETTINGS[:1],
    "gluon": ENGINE_SETTINGS,
    "pytorch": [OMP],
}
CHECK_UPDATES = {"notes": 8}  # updates of the check of losses; others 12
UPDATES_PER_TURN = {"notes": 1}  # for slow programs; others `Workload.updates`
CHARACTERS_PER_TURN = {"ours": 4000, "notes": 100, "pytorch": 1000}  # some tenths of a second
SCORING, SCORED_TOKENS = ("ours", "pytorch"), 5000  # programs that score; tokens at a time, some tenths of a second
BATCH_TEXTS, BATCH_LENGTH = 32, 100  # number of texts of a batch, characters of each


@dataclass(frozen=True)
class Workload:
    """Number of sizes, rounds and repetitions."""

    sizes: tuple[tuple[int, int, int, int], ...] = SIZES
    rounds: int = 12
    updates: int = 4
    starts: int = 9
    texts: int = 3
    characters: int | None = None  # of the text to prepare; None: all
    tries_engines: bool = True


QUICK = Workload(SIZES[:1], rounds=3, updates=3, starts=3, texts=1, characters=40_000, tries_engines=False)


def gemm_flops(N: int, T: int, H: int, V: int) -> float:
    """Return the floating point operations of the matrix products required for one window, forward and backward.

    Recurrence and output layer, each forward, backward to its input, and backward to its weights. The input of the
    gates is an embedding lookup, not a product.
    """
    return 3 * 2 * N * T * H * 4 * H + 3 * 2 * N * T * H * V


def best_rate(rates: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[float, str]:
    """Return the highest median rate (GFLOP/s) and its library and product; rates[library][product]: one a round."""
    return max(
        (median_min_max(values)[0], f"{library}, {product}")
        for library, by_product in rates.items()
        for product, values in by_product.items()
    )


def check_loss(name: str, losses: Sequence[float], V: int) -> None:
    """Raise ValueError unless the first loss is near ln V, as with small weights, and the loss falls."""
    if not abs(losses[0] / math.log(V) - 1) < 0.05:
        raise ValueError(f"{name}: the first loss {losses[0]:.3f} is not near ln {V} = {math.log(V):.3f}")
    if not losses[-1] < 0.98 * losses[0]:
        raise ValueError(f"{name} does not learn: its loss went from {losses[0]:.3f} to {losses[-1]:.3f}")


class Participants:
    """Started programs; one whose library is missing is named once on stderr and skipped."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.skipped: dict[str, str] = {}

    def start(self, factory: str, name: str, settings: Mapping[str, str], **arguments: Any) -> BenchProcess | None:
        if name in self.skipped:
            return None
        try:
            return self.stack.enter_context(BenchProcess(factory, settings, name=name, **arguments))
        except MissingLibrary as error:
            self.skipped[name] = str(error)
            print(f"{name}: skipped ({error})", file=sys.stderr)
            return None

    def start_writers(self, names: Iterable[str], setup: str = "") -> dict[str, BenchProcess]:
        """Return the started programs that generate and score."""
        started = {
            name: self.start("generate_programs:Writing", name, SETTINGS[name][0], setup=setup, **WRITING_SIZE)
            for name in names
        }
        return {name: process for name, process in started.items() if process}


def measure_training(names: Sequence[str], amount: Workload) -> list[dict[str, Any]]:
    """Return one result for each size."""
    settings = {name: choices[0] for name, choices in SETTINGS.items()}
    if amount.tries_engines:
        settings.update({name: fastest_settings(name, SETTINGS[name]) for name in names if len(SETTINGS[name]) > 1})
    return [measure_size(size, names, settings, amount) for size in amount.sizes]


def fastest_settings(name: str, choices: Sequence[dict[str, str]]) -> dict[str, str]:
    """Return the settings under which a program is fastest at the first size, in three measurements."""
    with ExitStack() as stack:
        participants = Participants(stack)
        sizes = dict(zip("NTHV", SIZES[0]))
        tried = [(participants.start("train_programs:Training", name, s, **sizes), s) for s in choices]
        started = [(process, settings) for process, settings in tried if process]
        seconds = [min(process.call("measure", updates=3) for _ in range(3)) for process, _ in started]
    return started[seconds.index(min(seconds))][1] if started else choices[0]


def measure_size(
    size: tuple[int, int, int, int], names: Sequence[str], settings: Mapping[str, dict[str, str]], amount: Workload
) -> dict[str, Any]:
    """Return seconds per update of each program, and the rates of the libraries' matrix products."""
    N, T, H, V = size
    sizes = dict(zip("NTHV", size))
    log(f"training at N={N} T={T} H={H} V={V}")
    with ExitStack() as stack:
        participants = Participants(stack)
        programs: dict[str, BenchProcess] = {}
        results: dict[str, dict[str, Any]] = {}
        for name in names:
            if name == "notes" and size != SIZES[0]:  # one update takes minutes there
                continue
            setup = LIMIT_BLAS_THREADS if name == "ours" else ""
            program = participants.start("train_programs:Training", name, settings[name], setup=setup, **sizes)
            if program:
                losses = program.call("check", updates=CHECK_UPDATES.get(name, 12))
                check_loss(name, losses, V)
                programs[name], results[name] = program, {"losses": losses, "seconds": []}
        multipliers = {
            name: participants.start(
                "gemm_programs:Products", name, {**OMP, "OPENBLAS_NUM_THREADS": ALL_CORES}, **sizes
            )
            for name in GEMM_LIBRARIES
        }
        rates: dict[str, dict[str, list[float]]] = {}
        gradients: list[float] = []
        for _ in range(amount.rounds):
            for name, program in programs.items():
                results[name]["seconds"].append(
                    program.call("measure", updates=UPDATES_PER_TURN.get(name, amount.updates))
                )
            gradients.append(programs["ours"].call("gradients", updates=amount.updates))
            for name, multiplier in multipliers.items():
                for product, rate in multiplier.call("measure").items() if multiplier else ():
                    rates.setdefault(name, {}).setdefault(product, []).append(rate)
        for name, program in programs.items():
            chosen = [f"{key}={value}" for key, value in settings[name].items()]
            description = " ".join([*chosen, program.call("settings")]).strip()
            results[name].update(peak_memory=program.call("peak_memory"), settings=description)
    rate, source = best_rate(rates)
    floor = gemm_flops(*size) / (rate * 1e9)
    return {
        **{"size": sizes, "programs": results, "gradients": gradients, "skipped": participants.skipped},
        **{"floor": floor, "rate": rate, "rate_of": source, "rates": rates},
    }


def measure_writing(names: Sequence[str], amount: Workload) -> dict[str, Any]:
    """Return seconds per character: of one text by each program, and of many texts by ours."""
    log("writing")
    with ExitStack() as stack:
        participants = Participants(stack)
        writers = participants.start_writers(name for name in names if name in CHARACTERS_PER_TURN)
        seconds: dict[str, list[float]] = {name: [] for name in writers}
        batch = stack.enter_context(
            BenchProcess("generate_programs:Writing", setup=LIMIT_BLAS_THREADS, name="ours", **WRITING_SIZE)
        )
        many: dict[str, list[float]] = {"together": [], "one_by_one": []}
        for _ in range(amount.rounds):
            for name, writer in writers.items():
                seconds[name].append(writer.call("measure", characters=CHARACTERS_PER_TURN[name]))
            many["together"].append(batch.call("together", count=BATCH_TEXTS, length=BATCH_LENGTH))
            many["one_by_one"].append(writers["ours"].call("one_by_one", count=BATCH_TEXTS, length=BATCH_LENGTH))
        kernels = writers["ours"].call("kernels")
    return {
        "size": WRITING_SIZE,
        "seconds": seconds,
        "many": many,
        "count": BATCH_TEXTS,
        "kernels": kernels,
        "skipped": participants.skipped,
    }


def measure_scoring(names: Sequence[str], amount: Workload) -> dict[str, Any]:
    """Return seconds per token of scoring one stream by each program, and of the product of a step alone."""
    log("scoring")
    with ExitStack() as stack:
        participants = Participants(stack)
        programs = participants.start_writers((name for name in names if name in SCORING), LIMIT_BLAS_THREADS)
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        step: list[float] = []
        for _ in range(amount.rounds):
            for name, program in programs.items():
                seconds[name].append(program.call("score", tokens=SCORED_TOKENS))
            step.append(programs["ours"].call("step_product", steps=SCORED_TOKENS))
        kernels = programs["ours"].call("kernels")
    return {"size": WRITING_SIZE, "seconds": seconds, "step": step, "kernels": kernels, "skipped": participants.skipped}


def measure_start(text: Path, amount: Workload) -> dict[str, list[float]]:
    """Return seconds from the start of a process to its first character, or to its first updates."""
    log("starting")
    return {**generate_starts(amount.starts, WRITING_SIZE), **train_starts(amount.texts, POSTS, text)}


class Preparing:
    """Preparation of one text by `gluon_lstm.text.corpus.prepare` with Janome."""

    def __init__(self, path: str) -> None:
        self.path = path

    def measure(self, processes: int, cache: str) -> dict[str, Any]:
        from gluon_lstm.text.corpus import prepare
        from gluon_lstm.text.settings import CorpusOptions, TextSettings

        start = time.perf_counter()
        options = CorpusOptions(cache=Path(cache), processes=processes)
        corpus = prepare([self.path], TextSettings("janome"), options)
        return {"seconds": time.perf_counter() - start, "characters": corpus.characters}


def measure_text(path: Path | None, amount: Workload) -> dict[str, Any]:
    """Return characters per second of preparing a text with Janome: in 1 process, in 2, and from the cache."""
    log("preparing text")
    rates: dict[str, list[float]] = {"1 process": [], "2 processes": [], "cached": []}
    with tempfile.TemporaryDirectory() as folder:
        source = path or _truncated(POSTS, amount.characters, Path(folder))
        for k in range(amount.texts):
            for count, name in enumerate(list(rates)[:2], start=1):
                cache = os.path.join(folder, f"cache-{k}-{count}")
                for key in (name, "cached"):  # a new process each time, as for a user
                    with BenchProcess("benchmark:Preparing", path=str(source)) as preparing:
                        result = preparing.call("measure", processes=count, cache=cache)
                    rates[key].append(result["characters"] / result["seconds"])
    return {"file": str(path or POSTS), "characters": result["characters"], "rates": rates}


def _truncated(path: Path, characters: int | None, folder: Path) -> Path:
    """Return a file with the first whole lines of a text, or the text itself for None."""
    if characters is None:
        return path
    text = path.read_text(encoding="utf-8")[:characters]
    short = folder / path.name
    short.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    return short


def run(args: argparse.Namespace) -> None:
    amount = QUICK if args.quick else Workload()
    names = ["ours", *args.against]
    results: dict[str, Any] = {"environment": environment(), "quick": args.quick}
    print(environment_line(results["environment"]), end="\n\n", flush=True)
    if "training" in args.only:
        results["training"] = measure_training(names, amount)
        print("\n".join(map(training_tables, results["training"])), flush=True)
    if "writing" in args.only:
        results["writing"] = measure_writing(names, amount)
        print(writing_tables(results["writing"]), flush=True)
    if "scoring" in args.only:
        results["scoring"] = measure_scoring(names, amount)
        print(scoring_table(results["scoring"]), flush=True)
    if "start" in args.only:
        results["start"] = measure_start(args.text or POSTS, amount)
        print(start_table(results["start"]), flush=True)
    if "text" in args.only:
        results["text"] = measure_text(args.text, amount)
        print(text_table(results["text"]), flush=True)
    if args.json:
        with atomic_write(args.json) as file:
            json.dump(results, file, ensure_ascii=False, indent=1)
    if args.picture:
        save_plot(results, args.picture)


def log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    def subset_of(allowed: Sequence[str]) -> Any:
        def names(text: str) -> list[str]:
            chosen = [name for name in text.split(",") if name]
            if not set(chosen) <= set(allowed):
                raise argparse.ArgumentTypeError(f"{text!r}: use some of {','.join(allowed)}")
            return [name for name in allowed if name in chosen]

        return names

    parser = argparse.ArgumentParser(prog="benchmark.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="plot training and writing as bars (PNG)")
    parser.add_argument("--against", type=subset_of(AGAINST), default=AGAINST, metavar="NAMES", help="(default: all)")
    parser.add_argument("--only", type=subset_of(PARTS), default=PARTS, metavar="PARTS", help=f"of {','.join(PARTS)}")
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="Japanese posts to prepare (default: data/posts_ja.txt)"
    )
    parser.add_argument("--quick", action="store_true", help="few repetitions, and the first size only")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    return run_script("benchmark.py", run, parse_arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
