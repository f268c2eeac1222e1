"""Tokens a second of training in several processes (mpirun), and what their communication costs.

    python scripts/measure/distributed.py [--seconds 20] [--rounds 3]    a table; needs the extra `cluster`
    python scripts/measure/distributed.py soak [--runs 50]               runs in a row that must end by themselves

Sizes: windows of T=64 steps, H=512 hidden units, V=3,000 tokens of Zipf's distribution, 32 lanes and one thread per
process, the default dropout, Adam. One process of 64 lanes and two threads is measured in the same rounds: 2 processes
do the same work.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm.system import launched_processes, launched_rank

T, H, V = 64, 512, 3000
CONFIGURATIONS = ((1, 64, 2), (1, 32, 1), (2, 32, 1), (4, 32, 1))  # processes, lanes of each, threads of each
BANDWIDTHS = (1, 10, 100)  # Gbit/s


def measure(lanes: int, threads: int, seconds: float) -> None:
    """Train for some seconds in this process of mpirun; rank 0 prints the result as JSON."""
    cores = sorted(os.sched_getaffinity(0))
    first = launched_rank() * threads % len(cores)
    os.sched_setaffinity(0, (cores[first:] + cores[:first])[:threads])
    from gluon_lstm.training import distributed
    from gluon_lstm.training.processes import Processes
    from gluon_lstm.training.recipe import STANDARD
    from gluon_lstm.training.trainer import Trainer

    W = launched_processes()
    recipe = replace(STANDARD, hidden=H, seq_len=T, batch_size=W * lanes, from_="none")
    if W == 1:
        return run(Trainer(recipe, V), W * lanes, seconds)
    with Processes(300, print) as processes:
        if processes.rank:
            return distributed.work(processes)
        run(distributed.first_trainer(processes, recipe, V), W * lanes, seconds)


def run(trainer: Any, N: int, seconds: float) -> None:
    """Train on random ids for some seconds, and print the result as JSON."""
    spent = {"waiting": 0.0, "messages": 0.0}

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            started = time.perf_counter()
            result = function(*arguments)
            spent[name] += time.perf_counter() - started
            return result

        return call

    if hasattr(trainer, "processes"):
        trainer.processes.meet = timed("waiting", trainer.processes.meet)
        for name in ("_scatter", "_average_gradients", "_gather"):
            setattr(trainer, name, timed("messages", getattr(trainer, name)))
    rng = np.random.default_rng(1)
    p = 1 / np.arange(3, V + 3)
    h, c = trainer.begin_state(N)
    updates, training = -3, 0.0
    while updates < 1 or training < seconds:
        ids = rng.choice(V, (T + 1, N), p=p / p.sum()).astype(np.int32)
        started = time.perf_counter()
        _loss, h, c = trainer.update(ids[:-1], ids[1:], h, c, 1e-3)
        training += time.perf_counter() - started
        updates += 1
        if updates == 0:  # the first three have made the buffers
            training = spent["waiting"] = spent["messages"] = 0.0
    rows = sum(4 * H * len(np.unique(ids[:-1])) for _name in trainer.W.embedding_names)
    others = sum(4 * array.size for name, array in trainer.W.items() if name not in trainer.W.embedding_names)
    result = {"tokens": updates * T * N / training, "update": training / updates, "bytes": rows + others}
    print(json.dumps({**result, **{name: each / updates for name, each in spent.items()}}))


def table(seconds: float, rounds: int) -> str:
    """Measure all configurations in turn, `rounds` times; return the table with the medians."""
    results: dict[tuple[int, int, int], list[dict[str, float]]] = {each: [] for each in CONFIGURATIONS}
    for _round in range(rounds):
        for W, lanes, threads in CONFIGURATIONS:
            command = [sys.executable, __file__, "process", str(lanes), str(threads), str(seconds)]
            env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": str(threads)}
            done = subprocess.run([*mpirun(W), *command], capture_output=True, text=True, check=True, env=env)
            results[W, lanes, threads].append(json.loads(done.stdout))
    lines = ["| processes x lanes x threads | tokens/s | MB an update | messages | waiting for the slowest |"]
    lines.append("|---|---|---|---|---|")
    for (W, lanes, threads), found in results.items():
        median = {key: statistics.median(each[key] for each in found) for key in found[0]}
        shares = [f"{median[key] / median['update']:.0%}" if W > 1 else "" for key in ("messages", "waiting")]
        size = f"{median['bytes'] / 1e6:.1f}" if W > 1 else ""
        lines.append(f"| {W} x {lanes} x {threads} | {median['tokens']:,.0f} | {size} | {' | '.join(shares)} |")
    whole, two = ([each["tokens"] for each in results[key]] for key in ((1, 64, 2), (2, 32, 1)))
    ratio = statistics.median(b / a for a, b in zip(whole, two))
    lines.append(f"\n2 x 32 x 1 against 1 x 64 x 2: {ratio:.2f} of the tokens/s (median of {rounds} rounds)")
    bytes_, alone = (results[2, 32, 1][0]["bytes"], statistics.median(e["update"] for e in results[1, 32, 1]))
    for bandwidth in BANDWIDTHS:
        sent = 2 * bytes_ * 8 / (bandwidth * 1e9)  # of a ring of many machines, each way
        efficiency = [f"{alone / (alone + sent * (W - 1) / W):.0%}" for W in (2, 4, 16)]
        lines.append(f"{bandwidth} Gbit/s: {sent * 1e3:.0f} ms an update; 2, 4, 16 machines: {', '.join(efficiency)}")
    return "\n".join(lines)


def mpirun(W: int) -> list[str]:
    """Return the beginning of a command that runs in W processes."""
    if W == 1:
        return []
    beside = Path(sys.executable).with_name("mpirun")
    return [str(beside) if beside.exists() else "mpirun", "-n", str(W)]


def soak(runs: int, W: int = 2) -> None:
    """Run the command `runs` times; raise an error for one that does not end by itself with exit code 0."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "posts.txt"
        text.write_text("".join(f"今日は{k}回目の投稿です\n" for k in range(300)), encoding="utf-8")
        options = ["--from", "none", "--hidden", "8", "--steps", "30", "--seq-len", "8", "--batch-size", "4"]
        for k in range(runs):
            out = ["--out", str(Path(folder) / f"run-{k}")]
            command = [*mpirun(W), sys.executable, "-m", "gluon_lstm", "train", str(text), *out, *options]
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            print(f"{k + 1} of {runs} runs have ended", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", default="table", choices=("table", "soak", "process"))
    parser.add_argument("values", nargs="*", help=argparse.SUPPRESS)  # of `process`
    parser.add_argument("--seconds", type=float, default=20.0, help="of a measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=50)
    args = parser.parse_args()
    if args.part == "process":
        measure(int(args.values[0]), int(args.values[1]), float(args.values[2]))
    elif args.part == "soak":
        soak(args.runs)
    else:
        print(table(args.seconds, args.rounds))


if __name__ == "__main__":
    main()
