"""Several processes of mpirun compute what one does, and end together whatever happens to one of them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import POSTS, command_error, random_model
from mpi_program import POISONED

from gluon_lstm import array_file, signals
from gluon_lstm.cli.main import main
from gluon_lstm.config import ModelConfig
from gluon_lstm.model import LAST, Model
from gluon_lstm.system import launched_processes, launched_rank
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.training import history
from gluon_lstm.training.distributed import DistributedTrainer
from gluon_lstm.training.from_files import train
from gluon_lstm.training.recipe import STANDARD
from gluon_lstm.training.rng import random_uint16
from gluon_lstm.training.run_dir import STATE

PROGRAM = Path(__file__).with_name("mpi_program.py")
MPIRUN = next(filter(os.path.exists, [Path(sys.executable).with_name("mpirun")]), None) or shutil.which("mpirun")
ENDS_WITHIN = 20.0  # seconds from the failure of a process to the end of all

needs_mpi = pytest.mark.skipif(
    not (MPIRUN and find_spec("mpi4py")), reason='no MPI here: pip install "gluon-lstm[cluster]"'
)

TINY = {"from_": "none", "hidden": 7, "seq_len": 6, "steps": 20, "sample_length": 5, "prefix": "今日"}
LANES = 8
RUNS = {  # options of runs of LANES lanes
    "Adam and every dropout": TINY,
    "SGD": {**TINY, "optimizer": "sgd", "learning_rate": 1.0, "clip": 0.5},
    "two layers, peepholes, decay": {**TINY, "layers": 2, "variant": "peephole", "weight_decay": 0.1},
    "rnn": {**TINY, "variant": "rnn"},
    "no output tanh": {**TINY, "variant": "no-output-tanh"},
    "full peepholes, scratch": {**TINY, "variant": "peephole-full", "implementation": "scratch"},
    "raw text of the notes": {**TINY, "recipe": "notes", "layout": "notebook"},
    "posts in order": {**TINY, "post_order": "text", "no_cache": True, "schedule": "constant"},
    "from a model": {**TINY, "from_": "base", "hidden": 6, "optimizer": "sgd", "learning_rate": 1.0},
    "unequal lanes": {**TINY, "seq_len": 2300, "steps": 4},  # six lanes: one or two in each of four processes
    "not finite": {**TINY, "seed": POISONED, "checkpoint_minutes": 1e-9},
}
COMPARED = [name for name in RUNS if name != "not finite"]
OF_FOUR = ("Adam and every dropout", "unequal lanes")  # runs that four processes train too
RESUMED = "posts in order"  # its text is read again, as without a cache


def mpirun(W, *arguments, before=(), options=()):
    """Run the program in W processes; return exit code and standard error. `before`: the begin of the command."""
    command = [*before, MPIRUN, *options, "-n", W, sys.executable, PROGRAM, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=600, check=False)
    return done.returncode, done.stderr


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "posts.txt"
    path.write_text("\n".join(POSTS.read_text(encoding="utf-8").splitlines()[:400]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
    """trained(name, W): the run directory of a run of RUNS by W processes.

    "resumed" is RESUMED, by two processes to the twelfth update and by four from there.
    """
    folder = tmp_path_factory.mktemp("runs")
    base = folder / "base.safetensors"
    random_model(TextSettings("char"), [*"あいうえおかきくけこ漢字"], ModelConfig(6), 3, 0.5).save(base)

    def options(name, W):
        run = {**RUNS[name], "batch_size": LANES, "paths": [str(text)], "out": str(folder / f"{name} {W}")}
        if not run.get("no_cache"):
            run["cache"] = str(folder / "cache")
        return {**run, "from_": str(base)} if run["from_"] == "base" else run

    for W, names, part in ((2, RUNS, {"steps": 12}), (4, OF_FOUR, {"resume": True})):
        resumed = {**options(RESUMED, W), "out": str(folder / "resumed"), **part}
        code, error = mpirun(W, json.dumps({"runs": [*(options(name, W) for name in names), resumed]}))
        assert code == 0, error

    def get(name, W):
        run = {"out": str(folder / name)} if name == "resumed" else options(name, W)
        out = Path(run.pop("out"))
        if not out.exists():
            train(run.pop("paths"), out, **run)
        return out

    return get


def differences(one, other):
    """Return the largest absolute difference of each array of two state files."""
    first, second = (array_file.load(out / STATE)[1] for out in (one, other))
    assert first.keys() == second.keys()
    return {name: np.abs(first[name].astype(float) - second[name]).max() for name in first}


@needs_mpi
@pytest.mark.parametrize(("name", "W"), [*((name, 2) for name in COMPARED), *((name, 4) for name in OF_FOUR)])
def test_processes_compute_what_one_does(trained, name, W):
    one, several = trained(name, 1), trained(name, W)
    assert max(differences(one, several).values()) < 1e-5
    for expected, found in zip(
        history.read(one / "history.jsonl"), history.read(several / "history.jsonl"), strict=True
    ):
        assert (found.step, found.epoch, found.tokens) == (expected.step, expected.epoch, expected.tokens)
        assert found.train_loss == pytest.approx(expected.train_loss, abs=1e-5)
        assert found.val_loss == pytest.approx(expected.val_loss, abs=1e-5)


@needs_mpi
def test_another_number_of_processes_resumes_a_run(trained):
    assert max(differences(trained(RESUMED, 1), trained("resumed", 4)).values()) < 1e-5


@pytest.mark.parametrize("size", [1, 3, 8])
@pytest.mark.parametrize("lanes", [slice(0, 2), slice(1, 4), slice(3, 7), slice(6, 7)])
def test_random_numbers_of_some_lanes_are_those_of_the_whole_batch(size, lanes):
    drawn = (STANDARD, "hidden states", 5, (4, 7, size))
    assert np.array_equal(random_uint16(*drawn, lanes), random_uint16(*drawn)[:, lanes])


# ---- two hosts


@pytest.fixture
def two_hosts(tmp_path):
    """(arguments before mpirun, options of mpirun, mount point that only the first sees) of two network namespaces."""
    if not (hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("ip") and shutil.which("unshare")):
        pytest.skip("network namespaces need root, ip and unshare")
    names, addresses = (f"lstm{os.getpid()}a", f"lstm{os.getpid()}b"), ("10.77.3.1", "10.77.3.2")
    links = [f"v{name[4:]}" for name in names]
    script = tmp_path / "launch.sh"  # called by mpirun instead of ssh: launch.sh -x HOST COMMAND...
    script.write_text(
        f"""#!/bin/sh
        while [ "${{1#-}}" != "$1" ]; do shift; done
        host=$1; shift
        case $host in
            {addresses[0]}) exec ip netns exec {names[0]} sh -c "$*" ;;
            *) exec ip netns exec {names[1]} unshare -m sh -c "mount -t tmpfs none {tmp_path}/shared && $*" ;;
        esac
        """
    )
    script.chmod(0o700)
    (tmp_path / "shared").mkdir()
    commands = [*(f"ip netns add {name}" for name in names), f"ip link add {links[0]} type veth peer name {links[1]}"]
    for name, link, address in zip(names, links, addresses):
        commands += [f"ip link set {link} netns {name}", f"ip -n {name} addr add {address}/24 dev {link}"]
        commands += [f"ip -n {name} link set {link} up", f"ip -n {name} link set lo up"]
    try:
        for command in commands:
            if subprocess.run(command.split(), capture_output=True, check=False).returncode:
                pytest.skip(f"namespaces are not allowed here: {command}")
        hosts = ["-launcher", "ssh", "-launcher-exec", script, "-hosts", ",".join(addresses)]
        yield ["env", "UCX_TLS=tcp", "ip", "netns", "exec", names[0]], hosts, tmp_path / "shared"
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


@needs_mpi
def test_two_hosts_without_a_common_file_system_train_together(trained, two_hosts, text):
    """Neither text, cache nor run directory exist on the second host."""
    name, (before, options, shared) = "Adam and every dropout", two_hosts
    run = {**RUNS[name], "batch_size": LANES, "cache": str(shared / "cache"), "out": str(shared / "out")}
    run["paths"] = [str(shutil.copy(text, shared))]
    code, error = mpirun(2, json.dumps({"runs": [run]}), before=before, options=options)
    assert code == 0, error
    assert max(differences(trained(name, 1), shared / "out").values()) < 1e-5


# ---- failures


UPDATE = random.Random().randrange(3, 16)  # at which a process fails
FAULTS = {  # failure, rank of the process that fails, further options
    "killed": ("kill", 1),
    "stopped": ("stop", 1, "--hang-seconds=3"),
    "hanging": ("hang", 0, "--hang-seconds=3"),
    "error": ("error", 1),
    "terminated": ("interrupt", 1),
    "full disk": ("full", 0),
}


@pytest.fixture(scope="module")
def failed(text, tmp_path_factory):
    """failed(name): (run directory, exit code, standard error, seconds from the failure to the end) of a run of FAULTS.

    All runs at once: their start takes longest. A checkpoint follows each update.
    """
    folder = tmp_path_factory.mktemp("failed")
    tiny = [f"--{name.rstrip('_').replace('_', '-')}={value}" for name, value in TINY.items()]
    tiny += ["--batch-size=4", "--implementation=scratch", "--checkpoint-minutes=1e-9", f"--cache={folder / 'cache'}"]

    def run(name):
        (fault, rank, *options), mark = FAULTS[name], folder / f"{name} failed"
        task = {"fault": fault, "rank": rank, "update": UPDATE, "failed": str(mark)}
        code, error = mpirun(2, json.dumps(task), "train", text, "--out", folder / name, *tiny, *options)
        assert mark.exists(), error
        return folder / name, code, error, time.time() - mark.stat().st_mtime

    with ThreadPoolExecutor(len(FAULTS)) as threads:
        results = {name: threads.submit(run, name) for name in FAULTS}
    return lambda name: results[name].result()


def processes_of(out):
    """Return the command lines of processes that name a run directory."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(path.read_bytes())
    return [line for line in lines if os.fsencode(out) in line]


@needs_mpi
@pytest.mark.parametrize("name", FAULTS)
def test_a_failure_of_one_process_ends_all(failed, name):
    out, code, error, seconds = failed(name)
    assert code != 0, error
    assert seconds < ENDS_WITHIN
    assert processes_of(out) == []
    done = UPDATE if name == "terminated" else UPDATE - 1
    assert array_file.load(out / STATE)[0]["steps"] == done, error
    assert Model.load(out / LAST).metadata["steps"] == done


@needs_mpi
def test_a_process_that_does_not_answer_is_named(failed):
    for name, rank in (("stopped", 1), ("hanging", 0)):
        assert f"gluon-lstm: no answer for 3 seconds from rank {rank};" in failed(name)[2]


@needs_mpi
def test_a_process_that_hangs_shows_its_stack(failed):
    stack = failed("hanging")[2].partition("Timeout (0:00:03)!")[2]
    assert "mpi_program.py" in stack and " in hang\n" in stack


@needs_mpi
def test_a_signal_to_one_process_saves_the_run_and_says_how_to_continue(failed):
    _out, code, error, _seconds = failed("terminated")
    assert code == 128 + signal.SIGTERM
    assert error.count("continue with: mpirun -n 2 gluon-lstm train ") == 1
    assert error.count("gluon-lstm: interrupted\n") == 1


def test_a_signal_of_two_processes_is_one():
    with signals.defer_signals() as check:
        check()
        assert signals.deferred_signal() == 0
        os.kill(os.getpid(), signal.SIGTERM)
        signals.defer(signal.SIGINT)  # received by a worker
        signals.defer(signal.SIGTERM)
        assert signals.deferred_signal() == signal.SIGTERM
        for _again in range(2):
            with pytest.raises(signals.Interrupted) as interrupted:
                check()
            assert (interrupted.value.number, interrupted.value.at_once) == (signal.SIGTERM, False)
    with signals.defer_signals() as check:
        check()
        signals.defer(signal.SIGINT)
        with pytest.raises(signals.Interrupted) as interrupted:
            check()
        assert interrupted.value.number == signal.SIGINT


@needs_mpi
def test_a_full_disk_of_the_first_process_ends_all_with_one_sentence(failed):
    _out, code, error, _seconds = failed("full disk")
    assert code == 2
    assert [line.rsplit(": ")[-1] for line in error.splitlines() if line.startswith("gluon-lstm: ")] == [
        "File too large"
    ]


@needs_mpi
def test_an_error_of_one_process_shows_its_traceback(failed):
    assert "IndexError: list index out of range" in failed("error")[2]


@needs_mpi
def test_weights_that_are_not_finite_in_one_process_are_rolled_back_in_all(trained):
    out = trained("not finite", 2)
    records = history.read(out / "history.jsonl")
    assert [record.rolled_back_to for record in records if record.rolled_back_to is not None] == [9]
    header, arrays = array_file.load(out / STATE)
    assert header["steps"] == TINY["steps"]
    assert all(np.isfinite(array).all() for array in arrays.values())


@needs_mpi
def test_a_worker_that_does_not_end_is_not_waited_for():
    code, error = mpirun(2, json.dumps({"stop at the end": 1}))
    assert code and "Timeout (0:00:01)!" in error


# ---- the start


@pytest.mark.parametrize("option", ["--hiden=8", "--hang-seconds=0"])
def test_a_wrong_option_is_refused_by_the_first_process_alone(option, monkeypatch, capsys):
    monkeypatch.setenv("PMI_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("PMI_RANK", rank)
        with suppress(SystemExit):
            assert main(["train", "posts.txt", "--out", "out", option]) == 2
        assert capsys.readouterr().err.count(option.partition("=")[0]) == (rank == "0")


def test_more_processes_than_lanes_are_refused():
    two = SimpleNamespace(size=2, comm=None)
    trainer = DistributedTrainer(two, replace(STANDARD, hidden=2), 3, None, None)
    with pytest.raises(ValueError, match="2 processes for 1 lanes: use fewer processes, a larger `batch_size` or"):
        trainer.begin_state(1)


def test_mpirun_without_mpi4py_is_refused_by_the_first_process(text, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "0")
    arguments = ["train", str(text), "--out", str(tmp_path / "out")]
    error = command_error(capsys, *arguments)
    assert error.startswith("mpirun has started 2 processes, which need mpi4py")
    assert 'pip install "gluon-lstm[cluster]"' in error
    monkeypatch.setenv("PMI_RANK", "1")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2 and capsys.readouterr().err == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("environment", "size", "rank"),
    [
        ({}, 1, 0),
        ({"PMI_SIZE": "4", "PMI_RANK": "3"}, 4, 3),  # MPICH
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "PMIX_RANK": "1"}, 2, 1),  # Open MPI
        ({"PMIX_RANK": "5", "SLURM_STEP_NUM_TASKS": "8"}, 8, 5),  # srun --mpi=pmix
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, 1, 0),  # a command in a batch script, without srun
    ],
)
def test_processes_of_mpirun_are_known_by_its_environment(environment, size, rank):
    assert (launched_processes(environment), launched_rank(environment)) == (size, rank)


def test_one_process_imports_nothing_of_mpi(text, tmp_path):
    train([str(text)], tmp_path / "out", **{**TINY, "steps": 1})
    assert "mpi4py" not in sys.modules
