"""Work for all cores: handed over here, done by whichever thread comes to it first."""

from __future__ import annotations

import threading
from collections import deque
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Callable

import numpy as np

from gluon_lstm.system import available_cores


class Task:
    """A piece of work that is done once, and its result."""

    def __init__(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._work, self._arguments = work, arguments
        self._begun, self._unfinished = threading.Lock(), threading.Lock()
        self._unfinished.acquire()
        self.done = False
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> bool:
        """Do the work, unless it was begun before; whether it was this call that did it."""
        if not self._begun.acquire(blocking=False):
            return False
        try:
            with np.errstate(all="ignore"):  # set for each thread; whether numbers are finite is the trainer's question
                self._result = self._work(*self._arguments)
        except BaseException as error:
            self._error = error
        finally:
            del self._work, self._arguments  # which may be large
            self.done = True
            self._unfinished.release()
        return True

    def wait(self) -> None:
        with self._unfinished:
            pass

    def result(self) -> Any:
        """What the work gave, or raised, when it is done."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result


class TaskGroup:
    """The work of one pass. The thread that waits for a job does, meanwhile, what nobody has begun.

    Leaving the `with` block waits for everything. One thread waits, never a job: it could wait for one that lies
    unfinished below it.
    """

    def __init__(self) -> None:
        self._all: list[Task] = []
        self._waiting: deque[Task] = deque()

    def __enter__(self) -> TaskGroup:
        return self

    def __exit__(self, *_: object) -> None:
        while self._waiting:
            self._waiting.popleft().run()
        for job in self._all:
            job.wait()
        self.results()  # raises what a job has raised

    def do(self, work: Callable[..., Any], *arguments: Any) -> Task:
        """Hand over `work(*arguments)`; earlier jobs are begun first."""
        job = Task(work, arguments)
        self._all.append(job)
        self._waiting.append(job)
        _queue().put(job)
        return job

    def result(self, job: Task) -> Any:
        """What the job gives, as soon as it is done."""
        while not job.done and self._waiting:
            self._waiting.popleft().run()
        return job.result()

    def results(self) -> list[Any]:
        """What all jobs give, in the order in which they were handed over."""
        return [self.result(job) for job in self._all]


def threads(count: int) -> SimpleQueue[Task | None]:
    """New threads that run the jobs of a queue, until one of them gets None. They end with the program."""
    queue: SimpleQueue[Task | None] = SimpleQueue()
    for _ in range(count):
        threading.Thread(target=_work, args=(queue,), name="gluon-lstm", daemon=True).start()
    return queue


def _work(queue: SimpleQueue[Task | None]) -> None:
    while True:
        job = queue.get()
        if job is None:
            return
        job.run()
        del job  # what it holds may be large


@lru_cache(maxsize=1)
def _queue() -> SimpleQueue[Task | None]:
    """For as many threads as can work beside the one that hands out the work."""
    return threads(max(available_cores() - 1, 1))
