"""Tables in Markdown and a plot of the results of benchmark.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_process import markdown_table, median_min_max

from gluon_lstm.files import write_png


def format_spread(values: Sequence[float], scale: float = 1.0, digits: int = 0) -> str:
    """Format median (minimum–maximum), each times `scale`."""
    median, low, high = (f"{value * scale:,.{digits}f}" for value in median_min_max(values))
    return f"{median} ({low}–{high})"


def time_ratio(theirs: Sequence[float], ours: Sequence[float]) -> str:
    """Format the ratio of the medians, theirs / ours."""
    return f"{median_min_max(theirs)[0] / median_min_max(ours)[0]:.2f}"


def training_tables(result: Mapping[str, Any]) -> str:
    """Format the result of one size."""
    size, programs = result["size"], result["programs"]
    tokens = size["N"] * size["T"]
    ours = programs["ours"]["seconds"]
    rows = [
        [
            name,
            format_spread([tokens / s for s in one["seconds"]]),
            format_spread(one["seconds"], 1e3, 1),
            f"{one['peak_memory'] / 2**20:,.0f}" if one["peak_memory"] else "?",
            time_ratio(one["seconds"], ours),
            f"{one['losses'][0]:.2f} → {one['losses'][-1]:.2f}",
        ]
        for name, one in programs.items()
    ]
    head = ["training", "tokens/s", "ms an update", "peak memory, MiB", "ours is faster, times", "loss in the check"]
    gradients, floor = result["gradients"], result["floor"]
    shares = [floor / seconds for seconds in gradients]
    return "\n".join(
        [
            f"### Training, N={size['N']} T={size['T']} H={size['H']} V={size['V']}\n",
            markdown_table(head, rows),
            f"\nForward and backward alone, ours: {format_spread(gradients, 1e3, 1)} ms. Floor, the required matrix"
            f" products at the best rate of {result['rate']:.0f} GFLOP/s ({result['rate_of']}): {floor * 1e3:.1f} ms."
            f" Floor / measured: {format_spread(shares, 1, 2)}.\n",
        ]
    )


def writing_tables(result: Mapping[str, Any]) -> str:
    seconds, many = result["seconds"], result["many"]
    rows = [[n, format_spread([1 / s for s in own]), time_ratio(own, seconds["ours"])] for n, own in seconds.items()]
    size = result["size"]
    lines = [
        f"### Writing, H={size['H']} V={size['V']}\n",
        markdown_table(["one text", "characters/s", "ours is faster, times"], rows),
    ]
    if many:
        rows = [[n.replace("_", " "), format_spread([1 / s for s in own])] for n, own in many.items()]
        lines += ["", markdown_table([f"{result['count']} texts, ours", "characters/s"], rows)]
        lines += [f"\nSpeedup of the batch: {time_ratio(many['one_by_one'], many['together'])}."]
    return "\n".join([*lines, f"Products of ours: {result['kernels']}.", ""])


def scoring_table(result: Mapping[str, Any]) -> str:
    seconds, step, size = result["seconds"], result["step"], result["size"]
    rows = [[n, format_spread([1 / s for s in own]), time_ratio(own, seconds["ours"])] for n, own in seconds.items()]
    weights = 4 * size["H"] * 4 * size["H"]  # bytes of the recurrent weights
    rate = weights / median_min_max(step)[0] / 1e9
    return "\n".join(
        [
            f"### Scoring, H={size['H']} V={size['V']}\n",
            markdown_table(["one stream", "tokens/s", "ours is faster, times"], rows),
            f"\nThe recurrent product of a step alone reads {weights / 2**20:.0f} MiB at {rate:.0f} GB/s:"
            f" {time_ratio(step, seconds['ours'])} of the time of a token. Products of ours: {result['kernels']}.\n",
        ]
    )


def start_table(result: Mapping[str, Sequence[float]]) -> str:
    rows = [
        [name, "the first updates" if name.startswith("train") else "the first character", format_spread(seconds, 1, 3)]
        for name, seconds in result.items()
    ]
    return f"### Starting\n\n{markdown_table(['process', 'until', 'seconds'], rows)}\n"


def text_table(result: Mapping[str, Any]) -> str:
    rates = result["rates"]
    one = median_min_max(rates["1 process"])[0]
    rows = [[name, format_spread(values), f"{median_min_max(values)[0] / one:.2f}"] for name, values in rates.items()]
    head = ["janome", "characters/s", "times 1 process"]
    title = f"### Preparing {Path(result['file']).name}, {result['characters']:,} characters"
    return f"{title}\n\n{markdown_table(head, rows)}\n"


def save_plot(results: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of bars: a panel for each size of training and one for writing; whiskers from minimum to maximum."""
    from matplotlib.figure import Figure

    panels: list[tuple[str, dict[str, list[float]]]] = []
    for result in results.get("training", []):
        size, programs = result["size"], result["programs"]
        tokens = size["N"] * size["T"]
        rates = {name: [tokens / s for s in one["seconds"]] for name, one in programs.items()}
        panels.append((f"training, tokens/s\nN={size['N']} H={size['H']} V={size['V']}", rates))
    if "writing" in results:
        written = {name: [1 / s for s in own] for name, own in results["writing"]["seconds"].items()}
        size = results["writing"]["size"]
        panels.append((f"writing, characters/s\nH={size['H']} V={size['V']}", written))
    if not panels:
        raise ValueError("--picture shows training and writing: add one of them to --only")
    figure = Figure(figsize=(2.6 * len(panels), 3.2), layout="constrained")
    colors = {"ours": "tab:orange", "notes": "tab:gray", "gluon": "tab:green", "pytorch": "tab:blue"}
    for k, (title, rates) in enumerate(panels, start=1):
        axes = figure.add_subplot(1, len(panels), k)
        spreads = {name: median_min_max(values) for name, values in rates.items()}
        medians = [median for median, _, _ in spreads.values()]
        errors = [[m - low for m, low, _ in spreads.values()], [high - m for m, _, high in spreads.values()]]
        bars = axes.bar(list(rates), medians, yerr=errors, capsize=3, color=[colors[name] for name in rates])
        axes.bar_label(bars, [f"{median:,.0f}" for median in medians], fontsize=7, padding=2)
        axes.set_title(title, fontsize=9)
        axes.set_yticks([])
        axes.tick_params(axis="x", labelsize=8)
        axes.margins(y=0.15)
    write_png(figure, path)
