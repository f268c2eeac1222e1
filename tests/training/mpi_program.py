"""A process of mpirun in the tests: it trains several runs, or one run in which a process fails at an update.

mpirun -n 2 python mpi_program.py '{"runs": [{"paths": [...], "out": ..., ...}]}'
mpirun -n 2 python mpi_program.py '{"fault": "kill", "rank": 1, "update": 7}' train FILE --out DIR ...
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

from gluon_lstm.system import launched_rank


def train_all(runs):
    from gluon_lstm.training import history
    from gluon_lstm.training.distributed import work
    from gluon_lstm.training.from_files import train
    from gluon_lstm.training.processes import Processes

    history.draw = lambda *arguments: None
    with Processes(60, print) as processes:
        if processes.rank:
            return work(processes)
        for run in runs:
            train(run.pop("paths"), run.pop("out"), processes=processes, **run)


def hang(_trainer):
    time.sleep(1000)


def poison(trainer):
    trainer.W.by[:] = float("nan")


FAULTS = {
    "kill": lambda _trainer: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda _trainer: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": hang,
    "error": lambda _trainer: [][1],
    "interrupt": lambda _trainer: os.kill(os.getpid(), signal.SIGTERM),
    # a write of more fails, as on a full disk
    "full": lambda _trainer: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
    "poison": poison,
}


def train_with(fault, arguments):
    from gluon_lstm.cli.main import main
    from gluon_lstm.training import history, trainer

    history.draw = lambda *arguments: None
    gradients = trainer.Trainer.gradients

    def failing(self, *arguments):
        failed = Path(fault["failed"])
        if self.steps + 1 == fault["update"] and launched_rank() == fault["rank"] and not failed.exists():
            failed.touch()
            FAULTS[fault["fault"]](self)
        return gradients(self, *arguments)

    trainer.Trainer.gradients = failing
    return main(arguments)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    sys.exit(train_with(task, sys.argv[2:]) if "fault" in task else train_all(task["runs"]))
