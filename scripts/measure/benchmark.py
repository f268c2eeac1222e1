"""Is it faster than what a user would pick instead? Training, writing, starting and preparing text, in one run.

    python scripts/measure/benchmark.py [--json FILE] [--picture FILE] [--against notes,gluon,pytorch] [--quick]

The contestants (`competitors`) take turns (`turns`), so that a machine that is slower for a while is so for all. Told
are medians, with the least and the greatest in brackets. A contestant runs only after it has shown that it learns.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_process import Absent, Contestant, Failed, clean_environment, command, machine, machine_line, spread, table

from gluon_lstm.files import atomic_write
from gluon_lstm.system import available_cores

SIZES = ((32, 64, 256, 1500), (64, 64, 512, 3000), (32, 64, 256, 20000))  # (N, T, H, V)
WRITTEN = {"H": 256, "V": 1500}
PARTS = ("training", "writing", "start", "text")
AGAINST = ("notes", "gluon", "pytorch")
MULTIPLIERS = ("numpy", "mxnet", "pytorch", "ours")
POSTS = Path(__file__).resolve().parents[2] / "data" / "posts_ja.txt"

ONE_THREAD = "gluon_lstm.system:limit_blas_threads"  # what `train` and `generate --count N` do before anything else
ALL = str(available_cores())
OMP = {"OMP_NUM_THREADS": ALL}
ENGINES = [  # of which the quickest for this machine is found out; the first is the one for short runs
    {**OMP, "MXNET_CPU_WORKER_NTHREADS": "1"},
    {**OMP, "MXNET_CPU_WORKER_NTHREADS": "1", "OMP_WAIT_POLICY": "active"},
    {**OMP, "MXNET_ENGINE_TYPE": "NaiveEngine"},
    {**OMP, "MXNET_ENGINE_TYPE": "NaiveEngine", "OMP_WAIT_POLICY": "active"},
]
SETTINGS: dict[str, list[dict[str, str]]] = {"ours": [{}], "notes": ENGINES[:1], "gluon": ENGINES, "pytorch": [OMP]}
CHECKED = {"notes": 8}  # updates for the check; others 12
UPDATES = {"notes": 1}  # of a turn, for who is slow; others as `Amount` says
CHARACTERS = {"ours": 4000, "notes": 100, "pytorch": 1000}  # of a turn: some tenths of a second
COUNT, LENGTH = 32, 100  # texts that are written at once, and their characters


@dataclass(frozen=True)
class Amount:
    """How much is measured."""

    sizes: tuple[tuple[int, int, int, int], ...] = SIZES
    rounds: int = 12
    updates: int = 4
    starts: int = 9
    texts: int = 3
    characters: int | None = None  # of the text that is prepared; None: all
    tries_engines: bool = True


QUICK = Amount(SIZES[:1], rounds=3, updates=3, starts=3, texts=1, characters=40_000, tries_engines=False)


def gemm_flops(N: int, T: int, H: int, V: int) -> float:
    """Floating point operations of the products of one window, forward and backward, that cannot be avoided.

    Recurrence and output, each forward, backward to what it was made from, and backward to its weights. The input of a
    gate is a row that is looked up, no product.
    """
    return 3 * 2 * N * T * H * 4 * H + 3 * 2 * N * T * H * V


def best_rate(rates: Mapping[str, Mapping[str, Sequence[float]]]) -> tuple[float, str]:
    """The highest of the median rates (GFLOP/s), and whose: rates[library][product] = one a round.

    A median, as what it is compared with: the highest of hundreds of single rates would be that of a lucky moment.
    """
    return max(
        (spread(values)[0], f"{library}, {product}")
        for library, by_product in rates.items()
        for product, values in by_product.items()
    )


def check_loss(name: str, losses: Sequence[float], V: int) -> None:
    """ValueError unless the losses begin near ln V, as they must with small weights, and fall on a repeated window."""
    if not abs(losses[0] / math.log(V) - 1) < 0.05:
        raise ValueError(f"{name}: a first loss of {losses[0]:.3f} is not near ln {V} = {math.log(V):.3f}")
    if not losses[-1] < 0.98 * losses[0]:
        raise ValueError(f"{name} does not learn: a loss of {losses[0]:.3f} became {losses[-1]:.3f}")


class Field:
    """Who takes part; whoever cannot is named once, on stderr."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.skipped: dict[str, str] = {}

    def enter(self, factory: str, name: str, settings: Mapping[str, str], **arguments: Any) -> Contestant | None:
        if name in self.skipped:
            return None
        try:
            return self.stack.enter_context(Contestant(factory, settings, name=name, **arguments))
        except Absent as error:
            self.skipped[name] = str(error)
            print(f"{name}: skipped ({error})", file=sys.stderr)
            return None


def measure_training(names: Sequence[str], amount: Amount) -> list[dict[str, Any]]:
    """One result for each size."""
    settings = {name: choices[0] for name, choices in SETTINGS.items()}
    if amount.tries_engines:
        settings.update({name: quickest(name, SETTINGS[name]) for name in names if len(SETTINGS[name]) > 1})
    return [measure_size(size, names, settings, amount) for size in amount.sizes]


def quickest(name: str, choices: Sequence[dict[str, str]]) -> dict[str, str]:
    """The settings under which a contestant is quickest at the first size, by a few turns."""
    with ExitStack() as stack:
        field = Field(stack)
        sizes = dict(zip("NTHV", SIZES[0]))
        tried = [(field.enter("competitors:Training", name, s, **sizes), s) for s in choices]
        found = [(contestant, settings) for contestant, settings in tried if contestant]
        seconds = [min(contestant.do("turn", updates=3) for _ in range(3)) for contestant, _ in found]
    return found[seconds.index(min(seconds))][1] if found else choices[0]


def measure_size(
    size: tuple[int, int, int, int], names: Sequence[str], settings: Mapping[str, dict[str, str]], amount: Amount
) -> dict[str, Any]:
    N, T, H, V = size
    sizes = dict(zip("NTHV", size))
    tell(f"training at N={N} T={T} H={H} V={V}")
    with ExitStack() as stack:
        field = Field(stack)
        racers: dict[str, Contestant] = {}
        results: dict[str, dict[str, Any]] = {}
        for name in names:
            if name == "notes" and size != SIZES[0]:  # a turn of it would take minutes
                continue
            setup = ONE_THREAD if name == "ours" else ""
            racer = field.enter("competitors:Training", name, settings[name], setup=setup, **sizes)
            if racer:
                losses = racer.do("check", updates=CHECKED.get(name, 12))
                check_loss(name, losses, V)
                racers[name], results[name] = racer, {"losses": losses, "seconds": []}
        multipliers = {
            name: field.enter("competitors:Products", name, {**OMP, "OPENBLAS_NUM_THREADS": ALL}, **sizes)
            for name in MULTIPLIERS
        }
        rates: dict[str, dict[str, list[float]]] = {}
        gradients: list[float] = []
        for _ in range(amount.rounds):
            for name, racer in racers.items():
                results[name]["seconds"].append(racer.do("turn", updates=UPDATES.get(name, amount.updates)))
            gradients.append(racers["ours"].do("gradients", updates=amount.updates))
            for name, multiplier in multipliers.items():
                for product, rate in multiplier.do("turn").items() if multiplier else ():
                    rates.setdefault(name, {}).setdefault(product, []).append(rate)
        for name, racer in racers.items():
            chosen = [f"{key}={value}" for key, value in settings[name].items()]
            described = " ".join([*chosen, racer.do("settings")]).strip()
            results[name].update(peak_memory=racer.do("peak_memory"), settings=described)
    rate, whose = best_rate(rates)
    floor = gemm_flops(*size) / (rate * 1e9)
    return {
        **{"size": sizes, "contestants": results, "gradients": gradients, "skipped": field.skipped},
        **{"floor": floor, "rate": rate, "rate_of": whose, "rates": rates},
    }


def measure_writing(names: Sequence[str], amount: Amount) -> dict[str, Any]:
    """Seconds a character: of one text by each contestant, and of many by ours."""
    tell("writing")
    with ExitStack() as stack:
        field = Field(stack)
        writers = {
            name: writer
            for name in names
            if name in CHARACTERS and (writer := field.enter("competitors:Writing", name, SETTINGS[name][0], **WRITTEN))
        }
        seconds: dict[str, list[float]] = {name: [] for name in writers}
        batch = stack.enter_context(Contestant("competitors:Writing", setup=ONE_THREAD, name="ours", **WRITTEN))
        many: dict[str, list[float]] = {"together": [], "one_by_one": []}
        for _ in range(amount.rounds):
            for name, writer in writers.items():
                seconds[name].append(writer.do("turn", characters=CHARACTERS[name]))
            many["together"].append(batch.do("together", count=COUNT, length=LENGTH))
            many["one_by_one"].append(writers["ours"].do("one_by_one", count=COUNT, length=LENGTH))
    return {"size": WRITTEN, "seconds": seconds, "many": many, "count": COUNT, "skipped": field.skipped}


def measure_start(amount: Amount) -> dict[str, list[float]]:
    """Seconds from the start of a process to its first character."""
    tell("starting")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "model.safetensors"))
        with Contestant("competitors:Writing", name="ours", **WRITTEN) as writer:
            writer.do("save", path=path)
        commands = {
            "generate": ["-m", "gluon_lstm", "generate", path, "--length", "1", "--seed", "1"],
            "python with numpy": ["-c", "import numpy; print(1)"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for k in range(amount.starts + 1):  # the first reads files that are not yet in memory
            for name, command in commands.items():
                took = to_first_character([sys.executable, *command])
                seconds[name] += [took] if k else []
    return seconds


def to_first_character(command: Sequence[str]) -> float:
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment(), bufsize=0) as process:
        first = process.stdout.read(1)  # type: ignore[union-attr]
        took = time.perf_counter() - start
        process.stdout.read()  # type: ignore[union-attr]
    if process.returncode or not first:
        raise Failed(f"{' '.join(command[1:])} wrote nothing")
    return took


def measure_text(path: Path | None, amount: Amount) -> dict[str, Any]:
    """Characters a second of preparing a text with Janome: in 1 process, in 2, and from the cache."""
    tell("preparing text")
    rates: dict[str, list[float]] = {"1 process": [], "2 processes": [], "cached": []}
    with tempfile.TemporaryDirectory() as folder:
        source = path or _limited(POSTS, amount.characters, Path(folder))
        for k in range(amount.texts):
            for count, name in enumerate(list(rates)[:2], start=1):
                cache = os.path.join(folder, f"cache-{k}-{count}")
                for key in (name, "cached"):  # a new process each time: nothing is there that a user would not have
                    with Contestant("competitors:Preparing", path=str(source)) as preparing:
                        done = preparing.do("turn", processes=count, cache=cache)
                    rates[key].append(done["characters"] / done["seconds"])
    return {"file": str(path or POSTS), "characters": done["characters"], "rates": rates}


def _limited(path: Path, characters: int | None, folder: Path) -> Path:
    """The beginning of a text, in whole lines. It is never repeated: posts that are there twice would be dropped."""
    if characters is None:
        return path
    text = path.read_text(encoding="utf-8")[:characters]
    short = folder / path.name
    short.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    return short


def format_spread(values: Sequence[float], scale: float = 1.0, digits: int = 0) -> str:
    """Median, and least to greatest, each times `scale`."""
    middle, least, greatest = (f"{value * scale:,.{digits}f}" for value in spread(values))
    return f"{middle} ({least}–{greatest})"


def times(theirs: Sequence[float], ours: Sequence[float]) -> str:
    """How many times as long theirs takes, by medians."""
    return f"{spread(theirs)[0] / spread(ours)[0]:.2f}"


def training_tables(result: Mapping[str, Any]) -> str:
    size, contestants = result["size"], result["contestants"]
    tokens = size["N"] * size["T"]
    ours = contestants["ours"]["seconds"]
    rows = [
        [
            name,
            format_spread([tokens / s for s in one["seconds"]]),
            format_spread(one["seconds"], 1e3, 1),
            f"{one['peak_memory'] / 2**20:,.0f}" if one["peak_memory"] else "?",
            times(one["seconds"], ours),
            f"{one['losses'][0]:.2f} → {one['losses'][-1]:.2f}",
        ]
        for name, one in contestants.items()
    ]
    head = ["training", "tokens/s", "ms an update", "peak memory, MiB", "ours is faster, times", "loss in the check"]
    gradients, floor = result["gradients"], result["floor"]
    shares = [floor / seconds for seconds in gradients]
    return "\n".join(
        [
            f"### Training, N={size['N']} T={size['T']} H={size['H']} V={size['V']}\n",
            table(head, rows),
            f"\nForward and backward alone, ours: {format_spread(gradients, 1e3, 1)} ms. The products that cannot be"
            f" avoided: {floor * 1e3:.1f} ms at the best rate, {result['rate']:.0f} GFLOP/s ({result['rate_of']})."
            f" Share of that floor: {format_spread(shares, 1, 2)}.\n",
        ]
    )


def writing_tables(result: Mapping[str, Any]) -> str:
    seconds, many = result["seconds"], result["many"]
    rows = [[n, format_spread([1 / s for s in own]), times(own, seconds["ours"])] for n, own in seconds.items()]
    size = result["size"]
    lines = [
        f"### Writing, H={size['H']} V={size['V']}\n",
        table(["one text", "characters/s", "ours is faster, times"], rows),
    ]
    if many:
        rows = [[n.replace("_", " "), format_spread([1 / s for s in own])] for n, own in many.items()]
        lines += ["", table([f"{result['count']} texts, ours", "characters/s"], rows)]
        lines += [f"\nTogether they are written {times(many['one_by_one'], many['together'])} times as fast."]
    return "\n".join([*lines, ""])


def start_table(result: Mapping[str, Sequence[float]]) -> str:
    rows = [[name, format_spread(seconds, 1, 3)] for name, seconds in result.items()]
    return f"### Starting\n\n{table(['process', 'seconds to the first character'], rows)}\n"


def text_table(result: Mapping[str, Any]) -> str:
    rates = result["rates"]
    one = spread(rates["1 process"])[0]
    rows = [[name, format_spread(values), f"{spread(values)[0] / one:.2f}"] for name, values in rates.items()]
    head = ["janome", "characters/s", "times 1 process"]
    return f"### Preparing {Path(result['file']).name}, {result['characters']:,} characters\n\n{table(head, rows)}\n"


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Bars: one panel for each size of training, and one for writing; whiskers from the least to the greatest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: list[tuple[str, dict[str, list[float]]]] = []
    for result in results.get("training", []):
        size, contestants = result["size"], result["contestants"]
        tokens = size["N"] * size["T"]
        rates = {name: [tokens / s for s in one["seconds"]] for name, one in contestants.items()}
        panels.append((f"training, tokens/s\nN={size['N']} H={size['H']} V={size['V']}", rates))
    if "writing" in results:
        written = {name: [1 / s for s in own] for name, own in results["writing"]["seconds"].items()}
        panels.append((f"writing, characters/s\nH={WRITTEN['H']} V={WRITTEN['V']}", written))
    if not panels:
        raise ValueError("--picture shows training and writing: let --only name one of them")
    figure = Figure(figsize=(2.6 * len(panels), 3.2), layout="constrained")
    colors = {"ours": "tab:orange", "notes": "tab:gray", "gluon": "tab:green", "pytorch": "tab:blue"}
    for k, (title, rates) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), k)
        spreads = {name: spread(values) for name, values in rates.items()}
        middles = [middle for middle, _, _ in spreads.values()]
        errors = [[m - low for m, low, _ in spreads.values()], [high - m for m, _, high in spreads.values()]]
        bars = axes.bar(list(rates), middles, yerr=errors, capsize=3, color=[colors[name] for name in rates])
        axes.bar_label(bars, [f"{middle:,.0f}" for middle in middles], fontsize=7, padding=2)
        axes.set_title(title, fontsize=9)
        axes.set_yticks([])
        axes.tick_params(axis="x", labelsize=8)
        axes.margins(y=0.15)
    with atomic_write(path, "wb") as file:
        FigureCanvasAgg(figure).print_png(file)


def run(args: argparse.Namespace) -> None:
    amount = QUICK if args.quick else Amount()
    names = ["ours", *args.against]
    results: dict[str, Any] = {"machine": machine(), "quick": args.quick}
    print(machine_line(results["machine"]), end="\n\n", flush=True)
    if "training" in args.only:
        results["training"] = measure_training(names, amount)
        print("\n".join(map(training_tables, results["training"])), flush=True)
    if "writing" in args.only:
        results["writing"] = measure_writing(names, amount)
        print(writing_tables(results["writing"]), flush=True)
    if "start" in args.only:
        results["start"] = measure_start(amount)
        print(start_table(results["start"]), flush=True)
    if "text" in args.only:
        results["text"] = measure_text(args.text, amount)
        print(text_table(results["text"]), flush=True)
    if args.json:
        with atomic_write(args.json) as file:
            json.dump(results, file, ensure_ascii=False, indent=1)
    if args.picture:
        draw(results, args.picture)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    def some_of(allowed: Sequence[str]) -> Any:
        def names(text: str) -> list[str]:
            given = [name for name in text.split(",") if name]
            if not set(given) <= set(allowed):
                raise argparse.ArgumentTypeError(f"{text!r}: use some of {','.join(allowed)}")
            return [name for name in allowed if name in given]

        return names

    parser = argparse.ArgumentParser(prog="benchmark.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw training and writing as bars (PNG)")
    parser.add_argument("--against", type=some_of(AGAINST), default=AGAINST, metavar="NAMES", help="(default: all)")
    parser.add_argument("--only", type=some_of(PARTS), default=PARTS, metavar="PARTS", help=f"of {','.join(PARTS)}")
    parser.add_argument("--text", type=Path, metavar="FILE", help="Japanese posts to prepare (default: ours)")
    parser.add_argument("--quick", action="store_true", help="few repetitions, and the first size only")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    return command("benchmark.py", run, arguments(argv))


if __name__ == "__main__":
    sys.exit(main())
