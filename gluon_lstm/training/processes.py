"""The processes that mpirun has started: their messages, their cores and their common end. Runs without MXNet.

The first process (rank 0) gives orders; the others, the workers, wait for them. In an update all wait for each other:
one that dies is noticed by mpirun, one that hangs by `meet`.
"""

from __future__ import annotations

import atexit
import faulthandler
import math
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.progress import Notice
from gluon_lstm.signals import SIGNALS, defer, deferred_signal
from gluon_lstm.system import launched_processes

BEGIN, LOAD, UPDATE, END = range(4)  # orders
MAX_PAUSE = 0.002  # seconds between two looks for a message
FORWARDING = 0.5  # seconds for mpirun to print what it has received: it discards that of a killed process
GRACE = 3.0  # seconds that a worker waits longer than the first process, which knows who is missing


class Processes:
    """The processes of mpirun, as a context that ends all of them, also after an error of one.

    Raises ImportError if there is no MPI, or another one than that of mpirun.
    """

    def __init__(self, hang_seconds: float, report: Notice) -> None:
        """`report` is called with the sentence that names the processes that give no answer for `hang_seconds`."""
        self.MPI = _import_mpi()
        self.comm = self.MPI.COMM_WORLD
        self.rank, self.size = self.comm.rank, self.comm.size
        self.hang_seconds, self.report = hang_seconds, report
        self.in_update = False  # the others wait for this process, or will
        self._cores = self._share_of_cores()
        if self.rank:
            self.bind_cores()

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if error and (self.rank or self.in_update):
            atexit.register(self._end_all)  # when this process has printed its error
        elif not self.rank:
            self.order(END)
            atexit.register(self._end_mpi)

    # ---- cores

    def bind_cores(self) -> None:
        """Bind this process to its share of the cores; libraries imported later start as many threads.

        Called by the first process when it has read the text, on all cores.
        """
        if self._cores:
            os.sched_setaffinity(0, self._cores)

    def _share_of_cores(self) -> list[int]:
        """Return an equal part of the cores of the machine for each of its processes; none if mpirun has bound them."""
        if not hasattr(os, "sched_setaffinity"):
            return []
        neighbours, cores = self.comm.Split_type(self.MPI.COMM_TYPE_SHARED), sorted(os.sched_getaffinity(0))
        k, n = neighbours.rank, neighbours.size
        firsts = np.empty(n, np.int64)
        neighbours.Allgather(np.array([cores[0]]), firsts)
        if len(set(firsts)) > 1:
            return []
        return cores[k * len(cores) // n : (k + 1) * len(cores) // n] or [cores[k % len(cores)]]

    # ---- messages

    def order(self, kind: int, first: int = 0, second: int = 0, value: float = 0.0) -> None:
        """Give the workers an order."""
        self.comm.Ibcast(np.array([kind, first, second, value])).Wait()

    def next_order(self) -> tuple[int, int, int, float]:
        """Return the next order; the first process may validate, sample or save for long before it."""
        order = np.empty(4)
        self._wait_for({0: self.comm.Ibcast(order)}, math.inf)
        kind, first, second, value = order
        return int(kind), int(first), int(second), value

    def meet(self, loss: float) -> float:
        """Wait until all processes are here; return the sum of their losses.

        The first process defers signals that a worker has deferred. Processes that do not come in `hang_seconds` are
        named, and all end.
        """
        if self.rank:
            self.comm.Send(np.array([loss, deferred_signal()]), 0)
            total = np.empty(1)
            self._wait_for({0: self.comm.Ibcast(total)}, 1.1 * self.hang_seconds + GRACE)
            return float(total[0])
        news = np.array([[loss, 0.0]] * self.size)
        self._wait_for({k: self.comm.Irecv(news[k], k) for k in range(1, self.size)}, self.hang_seconds)
        for number in {*news[:, 1]} & {*SIGNALS}:
            defer(int(number))
        total = news[:, :1].sum(axis=0)
        self.comm.Ibcast(total).Wait()
        return float(total[0])

    def _wait_for(self, requests: Mapping[int, Any], seconds: float) -> None:
        """Wait for a message of each rank; end all processes if some do not come in time."""
        began = time.monotonic()
        while missing := [rank for rank, request in requests.items() if not request.Test()]:
            waited = time.monotonic() - began
            if waited > seconds:
                sentence = _("no answer for {seconds:g} seconds from rank {ranks}; all processes end, and the last"
                             " checkpoint stays")  # fmt: skip
                self.report(sentence.format(seconds=self.hang_seconds, ranks=", ".join(map(str, missing))))
                self._end_all()
            time.sleep(min(waited / 20, MAX_PAUSE))  # leaves the core to a process that computes

    def _end_mpi(self) -> None:
        """End MPI, which waits for the workers, unless one hangs."""
        self.watch(end=True)
        self.MPI.Finalize()
        self.unwatch()

    def _end_all(self) -> None:
        time.sleep(FORWARDING)
        self.comm.Abort(1)

    def watch(self, end: bool = False) -> None:
        """Show the stack of this process if `unwatch` is not called in `hang_seconds`; with `end` end it then."""
        if sys.__stderr__:  # none where it is closed
            faulthandler.dump_traceback_later(self.hang_seconds, exit=end, file=sys.__stderr__)

    def unwatch(self) -> None:
        faulthandler.cancel_dump_traceback_later()


def _import_mpi() -> Any:
    """Return mpi4py's MPI, which starts with its import."""
    size = launched_processes()
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise ImportError(
            _(
                "mpirun has started {size} processes, which need mpi4py and an MPI ({error}):"
                ' `pip install "gluon-lstm[cluster]"`, or mpi4py for the MPI of this cluster'
            ).format(size=size, error=error)
        ) from None
    if size != MPI.COMM_WORLD.size:
        library = MPI.Get_library_version().splitlines()[0]
        raise ImportError(
            _("mpirun has started {size} processes, but mpi4py uses another MPI ({library}): use its mpirun").format(
                size=size, library=library
            )
        )
    return MPI
