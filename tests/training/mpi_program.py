"""A process of mpirun in the tests: it trains several runs, or one run in which a process fails at an update.

mpirun -n 2 python mpi_program.py '{"runs": [{"paths": [...], "out": ..., ...}]}'
mpirun -n 2 python mpi_program.py '{"fault": "kill", "rank": 1, "update": 7}' train FILE --out DIR ...
mpirun -n 2 python mpi_program.py '{"stop at the end": 1}'
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

POISONED = 666


def train_all(runs):
    """A run with the seed POISONED has weights that are not finite in rank 1, once, at its tenth update."""
    from gluon_lstm.training import history, trainer
    from gluon_lstm.training.distributed import work
    from gluon_lstm.training.from_files import train
    from gluon_lstm.training.processes import Processes

    history.draw = lambda *arguments: None
    gradients, poisoned = trainer.Trainer.gradients, []

    def failing(self, *arguments):
        if (self.recipe.seed, self.steps, launched_rank()) == (POISONED, 9, 1) and not poisoned:
            poisoned.append(True)
            self.W.by[:] = float("nan")
        return gradients(self, *arguments)

    trainer.Trainer.gradients = failing
    with Processes(60, print) as processes:
        if processes.rank:
            return work(processes)
        for run in runs:
            train(run.pop("paths"), run.pop("out"), processes=processes, **run)


def hang():
    time.sleep(1000)


FAULTS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "hang": hang,
    "error": lambda: [][1],
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "full": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),  # a write of more fails, as on a full disk
}


def train_with(fault, arguments):
    from gluon_lstm.cli.main import main
    from gluon_lstm.training import history, trainer

    history.draw = lambda *arguments: None
    gradients = trainer.Trainer.gradients

    def failing(self, *arguments):
        if self.steps + 1 == fault["update"] and launched_rank() == fault["rank"]:
            Path(fault["failed"]).touch()
            FAULTS[fault["fault"]]()
        return gradients(self, *arguments)

    trainer.Trainer.gradients = failing
    return main(arguments)


def stop_at_the_end(rank):
    from gluon_lstm.training.processes import Processes

    with Processes(1, print) as processes:
        if processes.rank == rank:
            os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    if "fault" in task:
        sys.exit(train_with(task, sys.argv[2:]))
    elif "runs" in task:
        train_all(task["runs"])
    else:
        stop_at_the_end(task["stop at the end"])
