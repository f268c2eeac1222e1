"""Task groups on a pool of threads: one window's work on all cores.

A thread that waits for a task runs other tasks meanwhile: no core idles, and no thread waits for a task that has not
started. The kernels release the GIL, so threads run in parallel. Guarantees: each task runs once; its result or
exception reaches the caller; leaving a group waits for all its tasks, also after an exception.

In `concurrent.futures` a waiting thread idles, and a pool whose threads all wait for queued futures deadlocks.
"""

from __future__ import annotations

import threading
from collections import deque
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Callable

import numpy as np

from gluon_lstm.system import available_cores


def no_warnings() -> np.errstate:
    """Return a context, of one thread, without NumPy's warnings: the trainer checks whether values are finite."""
    return np.errstate(all="ignore")


class Task:
    """A function call that runs once, in the first thread that calls `run`, and its result."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._function, self._arguments = function, arguments
        self._started, self._unfinished = threading.Lock(), threading.Lock()
        self._unfinished.acquire()
        self.done = False
        self._result: Any = None
        self._error: BaseException | None = None

    def run(self) -> bool:
        """Run the task unless it has started; return whether this call ran it."""
        if not self._started.acquire(blocking=False):
            return False
        try:
            self._result = self._function(*self._arguments)
        except BaseException as error:
            self._error = error
        finally:
            del self._function, self._arguments  # release arrays early
            self.done = True
            self._unfinished.release()
        return True

    def wait(self) -> None:
        with self._unfinished:
            pass

    def result(self) -> Any:
        """Wait for the task; return its result or raise its exception."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._result


class TaskGroup:
    """The tasks of one pass over a window. A thread that waits for one of them runs those that have not started.

    Leaving the `with` block waits for all tasks and raises the first exception among their results. Tasks should not
    wait for each other: a waiting task may run, on its own stack, a task that waits for it.
    """

    def __init__(self) -> None:
        self._tasks: list[Task] = []
        self._pending: deque[Task] = deque()
        self._errstate = no_warnings()

    def __enter__(self) -> TaskGroup:
        self._errstate.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            while self._pending:
                self._pending.popleft().run()
            for task in self._tasks:
                task.wait()
        finally:
            self._errstate.__exit__()
        self.results()  # raises the exceptions of tasks

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Task:
        """Queue `function(*arguments)`; tasks start in the order of submission."""
        task = Task(function, arguments)
        self._tasks.append(task)
        self._pending.append(task)
        _pool().put(task)
        return task

    def result(self, task: Task) -> Any:
        """Return the result of a task of the group; run other pending tasks while it is not done."""
        while not task.done and self._pending:
            self._pending.popleft().run()
        return task.result()

    def results(self) -> list[Any]:
        """Return the results of all tasks in the order of submission."""
        return [self.result(task) for task in self._tasks]


def start_threads(count: int) -> SimpleQueue[Task | None]:
    """Start `count` daemon threads; return the queue whose tasks they run. None in the queue ends one of them."""
    queue: SimpleQueue[Task | None] = SimpleQueue()
    for _ in range(count):
        threading.Thread(target=_run_tasks, args=(queue,), name="gluon-lstm", daemon=True).start()
    return queue


def _run_tasks(queue: SimpleQueue[Task | None]) -> None:
    with no_warnings():
        while True:
            task = queue.get()
            if task is None:
                return
            task.run()
            del task  # release its result


@lru_cache(maxsize=1)
def _pool() -> SimpleQueue[Task | None]:
    """Return the queue of the process's pool: a thread for each core besides the submitting thread's, at least one."""
    return start_threads(max(available_cores() - 1, 1))
