"""Work for all cores: handed over here, done by whichever thread comes to it first."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, Callable

import numpy as np

from gluon_lstm.machine import available_cores


class Job:
    """A piece of work that is done once, and its result."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._begun = threading.Lock()
        self.future: Future[Any] = Future()

    def run(self) -> bool:
        """Do the work, unless it was begun before; whether it was this call that did it."""
        if not self._begun.acquire(blocking=False):
            return False
        try:
            with np.errstate(all="ignore"):  # set for each thread; whether numbers are finite is the trainer's question
                self.future.set_result(self._work())
        except BaseException as error:
            self.future.set_exception(error)
        return True


class Jobs:
    """The work of one pass. The thread that waits for a job does, meanwhile, what nobody has begun.

    Leaving the `with` block waits for everything. One thread waits, never a job: it could wait for one that lies
    unfinished below it.
    """

    def __init__(self) -> None:
        self._all: list[Job] = []
        self._waiting: deque[Job] = deque()

    def __enter__(self) -> Jobs:
        return self

    def __exit__(self, *_: object) -> None:
        while self._waiting:
            self._waiting.popleft().run()
        wait(job.future for job in self._all)
        self.results()  # raises what a job has raised

    def do(self, work: Callable[..., Any], *arguments: Any) -> Job:
        """Hand over `work(*arguments)`; earlier jobs are begun first."""
        job = Job(lambda: work(*arguments))
        self._all.append(job)
        self._waiting.append(job)
        _threads().submit(job.run)
        return job

    def result(self, job: Job) -> Any:
        """What the job gives, as soon as it is done."""
        while not job.future.done() and self._waiting:
            self._waiting.popleft().run()
        return job.future.result()

    def results(self) -> list[Any]:
        """What all jobs give, in the order in which they were handed over."""
        return [self.result(job) for job in self._all]


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    """As many as can work beside the thread that hands out the work."""
    return ThreadPoolExecutor(max(available_cores() - 1, 1), "gluon-lstm")
