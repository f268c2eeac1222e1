"""Benchmarks: computed floors, tables and curves, PPMd, and processes that are stopped between calls."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

import pytest


@pytest.fixture
def benchmark(script):
    return script("benchmark")


@pytest.fixture
def report(script):
    return script("benchmark_report")


@pytest.fixture
def quality(script):
    return script("quality")


@pytest.fixture
def bench_process(script):
    return script("bench_process")


def test_gemm_flops_is_the_sum_over_all_products(script, benchmark):
    products = script("gemm_programs").products
    for N, T, H, V in ((32, 64, 256, 1500), (3, 5, 7, 11)):
        times = {"gates of a step": T, "dh of a step": T}
        total = sum(times.get(name, 1) * 2 * m * k * n for name, (m, k, n) in products(N, T, H, V).items())
        assert benchmark.gemm_flops(N, T, H, V) == total
    assert benchmark.gemm_flops(32, 64, 256, 1500) == pytest.approx(7.94e9, rel=1e-3)  # 7.9 GFLOP


def test_best_rate_is_the_highest_median(benchmark):
    rates = {
        "numpy": {"dWh": [100.0, 900.0, 110.0]},
        "ours": {"dWh": [50.0, 60.0, 70.0], "dWhy": [120.0, 130.0, 125.0]},
    }
    assert benchmark.best_rate(rates) == (125.0, "ours, dWhy")


def test_loss_must_start_near_ln_V_and_fall(benchmark):
    benchmark.check_loss("x", [math.log(1500) + 0.02, 7.0, 6.0], 1500)
    with pytest.raises(ValueError, match=r"x: .* 3\.000 is not near ln 1500"):
        benchmark.check_loss("x", [3.0, 2.0], 1500)
    with pytest.raises(ValueError, match="x does not learn"):
        benchmark.check_loss("x", [7.31, 7.30], 1500)
    with pytest.raises(ValueError, match="not near"):
        benchmark.check_loss("x", [math.nan, 1.0], 1500)


def test_ids_follow_zipfs_law(script):
    ids = script("train_programs").zipf_ids(V=50, T=64, N=32)
    assert ids.shape == (16 * 64 + 1, 32) and ids.min() == 0 and ids.max() == 49
    assert (ids == 0).mean() > 4 * (ids == 20).mean()


def test_median_and_markdown_table(bench_process, report):
    assert bench_process.median_min_max([3.0, 1.0, 2.0, 10.0]) == (2.5, 1.0, 10.0)
    assert (
        bench_process.markdown_table(["a", "b"], [["x", "1"], ["y", "2"]])
        == "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2 |"
    )
    assert report.format_spread([0.001, 0.002, 0.003], 1e3, 1) == "2.0 (1.0–3.0)"
    assert report.time_ratio([3.0], [2.0]) == "1.50"


def test_tables_and_plot_of_a_result(report, tmp_path):
    programs = {
        name: {"seconds": [s, s, s], "losses": [7.3, 5.0], "peak_memory": 2**20 * 100}
        for name, s in (("ours", 0.05), ("pytorch", 0.06))
    }
    size = {"N": 32, "T": 64, "H": 256, "V": 1500}
    floor = {"gradients": [0.05], "floor": 0.04, "rate": 200.0, "rate_of": "numpy, dWh"}
    training = {"size": size, "programs": programs, **floor}
    text = report.training_tables(training)
    assert "| pytorch | 34,133 (34,133–34,133) | 60.0 (60.0–60.0) | 100 | 1.20 | 7.30 → 5.00 |" in text
    assert "Floor / measured: 0.80 (0.80–0.80)" in text
    kernels = "openblas 0.3.23, Zen kernels, 2 threads"
    writing = {"size": {"H": 256, "V": 1500}, "seconds": {"ours": [1e-4]}, "count": 32, "kernels": kernels}
    writing["many"] = {"together": [1e-5], "one_by_one": [1e-4]}
    written = report.writing_tables(writing)
    assert "Speedup of the batch: 10.00." in written and f"Products of ours: {kernels}." in written
    scoring = {**writing, "seconds": {"ours": [2e-5], "pytorch": [6e-5]}, "step": [1e-5]}
    scored = report.scoring_table(scoring)
    assert "| pytorch | 16,667 (16,667–16,667) | 3.00 |" in scored
    assert "reads 1 MiB at 105 GB/s: 0.50 of the time of a token" in scored
    starts = report.start_table({"generate": [0.2], "train, first start": [5.0]})
    assert "| generate | the first character | 0.200 (0.200–0.200) |" in starts
    assert "| train, first start | the first updates | 5.000 (5.000–5.000) |" in starts
    report.save_plot({"training": [training], "writing": writing}, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_start_is_timed_to_its_event(script, bench_process):
    start_times = script("start_times")
    lines = "import sys, time; print('so far', flush=True); time.sleep(0.3); print('about 2 minutes', file=sys.stderr)"
    command = [sys.executable, "-u", "-c", f"{lines}; time.sleep(60)"]  # killed after the event
    to_character = start_times.seconds_until(start_times.first_character, command)
    to_updates = start_times.seconds_until(start_times.first_updates, command)
    assert 0 < to_character < to_updates < 30 and to_updates > 0.3
    with pytest.raises(bench_process.ProcessFailed, match="ended before the event"):
        start_times.seconds_until(start_times.first_updates, [sys.executable, "-c", "print('so far')"])
    with pytest.raises(bench_process.ProcessFailed, match="ended before the event"):  # an error is no character
        start_times.seconds_until(start_times.first_character, [sys.executable, "-c", "raise SystemExit('refused')"])


def test_invalid_options_are_refused(benchmark, quality, capsys):
    assert benchmark.parse_arguments(["--against", "pytorch,notes"]).against == ["notes", "pytorch"]
    for parse, argv in (
        (benchmark.parse_arguments, ["--against", "keras"]),
        (quality.parse_arguments, ["x.txt"]),
        (quality.parse_arguments, ["x.txt", "--minutes", "0"]),
    ):
        with pytest.raises(SystemExit) as ended:
            parse(argv)
        assert ended.value.code == 2
    assert quality.main(["/no/such/file.txt", "--tokens", "9"]) == 2
    assert "/no/such/file.txt" in capsys.readouterr().err


def test_ppmd_bits(quality):
    pytest.importorskip("pyppmd")
    train = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 40
    assert 0 < quality.ppmd_bits(train, train[:660]) < 0.5  # all of it occurs in `train`
    unseen = "".join(chr(0x4E00 + 7919 * k % 20000) for k in range(500))
    assert quality.ppmd_bits(train, unseen) > 10


def test_markov_chain(quality):
    """After 今日, は and も each have half: one bit a post; a post with an unseen word has no probability.

    With pairs of words as states, all that it writes from these posts is one of them, and half from two that cross.
    """
    pytest.importorskip("markovify")
    train = "今日は寒い\n今日も寒い\n" * 10
    assert quality.markov_chain(train, "今日は寒い\n") == (1.0, pytest.approx(1 / 6), 200)
    assert quality.markov_chain(train, "今日は寒い\n今日は暑い\n") == (0.5, pytest.approx(1 / 6), 200)
    assert quality.markov_chain(train, "暑い\n") == (0.0, math.inf, 200)
    crossing = "朝の駅は静かだ\n夜の駅は賑やかだ\n"  # 朝の駅は賑やかだ is new
    assert 70 < quality.markov_chain(crossing, "暑い\n").copies < 130


@pytest.mark.parametrize("raw", [True, False])
def test_split_text_has_as_many_characters_as_the_corpus(quality, tmp_path, raw):
    file = tmp_path / "posts.txt"
    file.write_text("".join(f"今日は{k}番目の日です\n" for k in range(100)), encoding="utf-8")
    corpus = quality.load_corpus(str(file), raw, str(tmp_path / "cache"))
    train, validation = quality.split_text(str(file), corpus)
    assert len(validation) == corpus.validation_chars
    assert len(train) + len(validation) == len(file.read_text(encoding="utf-8"))
    assert validation.endswith("99番目の日です\n")


def test_learning_rate_schedule_of_pytorch(quality):
    assert quality.learning_rate(0) > 0
    assert quality.learning_rate(quality.WARMUP) == pytest.approx(quality.PEAK_LEARNING_RATE)
    assert quality.learning_rate(1) == pytest.approx(0, abs=1e-12)


def test_curves_are_compared_at_the_same_times(quality):
    ours = [{"seconds": s, "tokens": 1000 * s, "bpc": 6 - s / 60} for s in (30.0, 90.0, 120.0)]
    theirs = [{"seconds": s, "tokens": 500 * s, "bpc": 7 - s / 60} for s in (60.0, 120.0)]
    assert quality.interpolate(ours, "seconds", 60)["bpc"] == pytest.approx(5)
    assert quality.interpolate(ours, "seconds", 20) is None and quality.interpolate(ours, "seconds", 121) is None
    assert quality.interpolate(theirs[:1], "seconds", 60)["bpc"] == 6
    lines = quality.comparison_table({"ours": ours, "pytorch": theirs}, "seconds", 60, "minutes").split("\n")
    assert "| 1 | 5.000 | 60,000 | 6.000 | 30,000 |" in lines
    assert "| 2 | 4.000 | 120,000 | 5.000 | 60,000 |" in lines
    assert "| ours | 2.00 | 120,000.0 | 4.000 | 4.000 |" in quality.final_table({"ours": ours, "none": []}, 4.5)


class Counter:
    """Object of a test process."""

    def __init__(self, name: str, start: int) -> None:
        if start < 0:
            raise ValueError(f"start {start} < 0")
        print("output that is not an answer")
        self.n = start

    def add(self, n: int) -> dict[str, int]:
        self.n += n
        return {"n": self.n, "pid": os.getpid()}

    def die(self) -> None:
        print("fatal error", file=sys.stderr)
        os._exit(1)


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_process_is_stopped_between_calls(bench_process, importable):
    with bench_process.BenchProcess(
        "test_benchmark:Counter", {"OMP_NUM_THREADS": "3"}, name="counter", start=1
    ) as counter:
        counter.call("add", n=1)
        result = counter.call("add", n=2)
        assert result["n"] == 4
        for _ in range(100):  # until the signal arrives
            state = Path(f"/proc/{result['pid']}/stat").read_text().rsplit(")", 1)[1].split()[0]
            if state == "T":
                break
            time.sleep(0.01)
        assert state == "T"
        with pytest.raises(bench_process.ProcessFailed, match="counter ended without an answer: fatal error"):
            counter.call("die")
    assert not Path(f"/proc/{result['pid']}").exists()


def test_failed_start_names_the_reason(bench_process, importable):
    with pytest.raises(bench_process.ProcessFailed, match="c: start -1"):
        bench_process.BenchProcess("test_benchmark:Counter", name="c", start=-1)
    with pytest.raises(bench_process.MissingLibrary, match="no_such_module"):
        bench_process.BenchProcess("no_such_module:Thing")


def test_thread_variables_are_not_inherited(bench_process, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert bench_process.clean_environment({"OMP_WAIT_POLICY": "active"})["OMP_WAIT_POLICY"] == "active"
    assert "OMP_NUM_THREADS" not in bench_process.clean_environment()


def test_list_options_keep_the_standard_order(benchmark):
    assert benchmark.parse_arguments(["--only", "text,training"]).only == ["training", "text"]
    assert isinstance(benchmark.parse_arguments([]), argparse.Namespace)
