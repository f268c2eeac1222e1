"""Work that is handed over is done once, its results and errors arrive, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
import weakref

import pytest

from gluon_lstm.lstm.fast import tasks
from gluon_lstm.lstm.fast.tasks import Task, TaskGroup


@pytest.fixture(autouse=True, params=[1, 3])
def threads(request, monkeypatch):
    """As on a machine with two cores, and with four."""
    queue = tasks.threads(request.param)
    monkeypatch.setattr(tasks, "_queue", lambda: queue)
    yield request.param
    for _ in range(request.param):
        queue.put(None)


def test_results_come_in_the_order_in_which_work_was_handed_over():
    def slow_at_first(k):
        time.sleep(0.01 if k < 2 else 0)
        return k

    with TaskGroup() as work:
        for k in range(10):
            work.do(slow_at_first, k)
        assert work.results() == list(range(10))


def test_each_of_many_jobs_is_done_once():
    done = []
    with TaskGroup() as work:
        for k in range(5000):
            work.do(done.append, k)
    assert sorted(done) == list(range(5000))


def test_a_job_is_run_by_whoever_comes_first_and_by_nobody_else():
    job = Task(int, ("7",))
    assert [job.run(), job.run()] == [True, False]
    assert job.result() == 7


def test_leaving_the_block_waits_for_everything():
    done = []

    def slow():
        time.sleep(0.05)
        done.append(1)

    with TaskGroup() as work:
        for _ in range(4):
            work.do(slow)
    assert done == [1] * 4


def test_who_waits_works_meanwhile(threads):
    """With every other thread held up, the one that waits does the job itself."""
    release = threading.Event()
    held = [Task(release.wait, (30,)) for _ in range(threads)]
    for job in held:
        tasks._queue().put(job)
    try:
        with TaskGroup() as work:
            job = work.do(threading.get_ident)
            assert work.result(job) == threading.get_ident()
    finally:
        release.set()
    assert all(job.result() for job in held)


def test_work_goes_on_in_several_threads_at_once(threads):
    meeting = threading.Barrier(threads + 1, timeout=30)
    with TaskGroup() as work:
        for _ in range(threads + 1):  # each comes back only when all are there
            work.do(meeting.wait)
    assert not meeting.broken


def fail():
    raise ZeroDivisionError("in a job")


def test_an_error_in_a_job_reaches_who_asks_for_its_result():
    with pytest.raises(ZeroDivisionError, match="in a job"), TaskGroup() as work:
        job = work.do(fail)
        work.result(job)


def test_an_error_in_a_job_reaches_who_leaves_the_block_and_the_next_block_works():
    with pytest.raises(ZeroDivisionError, match="in a job"), TaskGroup() as work:
        work.do(fail)
        work.do(int)
    with TaskGroup() as work:
        assert work.result(work.do(int, "7")) == 7


def test_an_interrupt_in_a_job_is_not_lost():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), TaskGroup() as work:
        work.do(interrupted)


def test_the_block_is_left_only_when_all_work_has_ended_also_after_an_error():
    """Otherwise a job writes into memory that its owner has given back."""
    done = []

    def slow():
        time.sleep(0.05)
        done.append(1)

    with pytest.raises(ZeroDivisionError), TaskGroup() as work:
        work.do(fail)
        for _ in range(4):
            work.do(slow)
    assert done == [1] * 4


def test_many_jobs_may_wait_for_one_that_was_handed_over_before():
    with TaskGroup() as work:
        first = work.do(time.sleep, 0.02)
        for k in range(50):
            work.do(lambda k: (work.result(first), k)[1], k)
        assert work.results()[1:] == list(range(50))


def test_a_job_may_wait_for_one_that_it_hands_over_itself():
    with TaskGroup() as work:
        job = work.do(lambda: work.result(work.do(lambda: work.result(work.do(int, "7")))))
        assert work.result(job) == 7


def test_a_job_that_is_done_lets_go_of_what_it_was_given():
    class Large:
        pass

    given = Large()
    known = weakref.ref(given)
    with TaskGroup() as work:
        work.result(work.do(id, given))
        del given
        work.result(work.do(int))
        assert known() is None
