"""Task groups: each task runs once, results and exceptions arrive, and nothing deadlocks."""

from __future__ import annotations

import threading
import time
import weakref

import pytest

from gluon_lstm.lstm.fast import tasks
from gluon_lstm.lstm.fast.tasks import Task, TaskGroup


@pytest.fixture(autouse=True, params=[1, 3])
def threads(request, monkeypatch):
    """Use the pool of a machine with two cores, then of one with four."""
    queue = tasks.start_threads(request.param)
    monkeypatch.setattr(tasks, "_pool", lambda: queue)
    yield request.param
    for _ in range(request.param):
        queue.put(None)


def test_results_are_in_order_of_submission():
    def slow_at_first(k):
        time.sleep(0.01 if k < 2 else 0)
        return k

    with TaskGroup() as group:
        for k in range(10):
            group.submit(slow_at_first, k)
        assert group.results() == list(range(10))


def test_each_task_runs_once():
    done = []
    with TaskGroup() as group:
        for k in range(5000):
            group.submit(done.append, k)
    assert sorted(done) == list(range(5000))


def test_a_second_run_of_a_task_does_nothing():
    task = Task(int, ("7",))
    assert [task.run(), task.run()] == [True, False]
    assert task.result() == 7


def test_leaving_the_block_waits_for_all_tasks():
    done = []

    def slow():
        time.sleep(0.05)
        done.append(1)

    with TaskGroup() as group:
        for _ in range(4):
            group.submit(slow)
    assert done == [1] * 4


def test_a_waiting_thread_runs_tasks(threads):
    """While all pool threads are blocked, the waiting thread runs the task."""
    release = threading.Event()
    held = [Task(release.wait, (30,)) for _ in range(threads)]
    for task in held:
        tasks._pool().put(task)
    try:
        with TaskGroup() as group:
            task = group.submit(threading.get_ident)
            assert group.result(task) == threading.get_ident()
    finally:
        release.set()
    assert all(task.result() for task in held)


def test_tasks_run_in_all_threads_in_parallel(threads):
    meeting = threading.Barrier(threads + 1, timeout=30)
    with TaskGroup() as group:
        for _ in range(threads + 1):  # each returns only when all have arrived
            group.submit(meeting.wait)
    assert not meeting.broken


def fail():
    raise ZeroDivisionError("in a task")


def test_result_raises_the_exception_of_the_task():
    with pytest.raises(ZeroDivisionError, match="in a task"), TaskGroup() as group:
        task = group.submit(fail)
        group.result(task)


def test_leaving_the_block_raises_the_exception_of_a_task_and_the_next_block_works():
    with pytest.raises(ZeroDivisionError, match="in a task"), TaskGroup() as group:
        group.submit(fail)
        group.submit(int)
    with TaskGroup() as group:
        assert group.result(group.submit(int, "7")) == 7


def test_keyboard_interrupt_in_a_task_is_raised():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), TaskGroup() as group:
        group.submit(interrupted)


def test_leaving_the_block_waits_for_all_tasks_after_an_exception():
    """Otherwise a task could write into buffers that are already released."""
    done = []

    def slow():
        time.sleep(0.05)
        done.append(1)

    with pytest.raises(ZeroDivisionError), TaskGroup() as group:
        group.submit(fail)
        for _ in range(4):
            group.submit(slow)
    assert done == [1] * 4


def test_many_tasks_may_wait_for_an_earlier_one():
    with TaskGroup() as group:
        first = group.submit(time.sleep, 0.02)
        for k in range(50):
            group.submit(lambda k: (group.result(first), k)[1], k)
        assert group.results()[1:] == list(range(50))


def test_a_task_may_wait_for_a_task_it_submits():
    with TaskGroup() as group:
        task = group.submit(lambda: group.result(group.submit(lambda: group.result(group.submit(int, "7")))))
        assert group.result(task) == 7


def test_a_finished_task_releases_its_arguments():
    class Large:
        pass

    argument = Large()
    reference = weakref.ref(argument)
    with TaskGroup() as group:
        group.result(group.submit(id, argument))
        del argument
        group.result(group.submit(int))
        assert reference() is None
