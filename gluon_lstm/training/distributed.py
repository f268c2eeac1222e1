"""Data-parallel training with MPI: `mpirun -n W gluon-lstm train ...` computes what one process does.

The first process (rank 0) is the program of one process: it reads the text, validates, samples, saves and prints. Only
its trainer differs: for each update it sends the window, and to each worker the carried state of its lanes. Every
process computes the gradients of its lanes, `Allreduce` averages them, and the optimizer runs everywhere on equal
numbers. Of the input weights only the rows of the window's ids are sent: all processes know the ids.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.language import _
from gluon_lstm.signals import defer_signals
from gluon_lstm.training.processes import BEGIN, END, LOAD, UPDATE, Processes
from gluon_lstm.training.recipe import Recipe
from gluon_lstm.training.trainer import ALL_LANES, Trainer, TrainingError


def work(processes: Processes) -> None:
    """Follow the orders of the first process until the last one. Signals are left to the first process."""
    with defer_signals():
        while (order := processes.next_order())[0] != END:
            kind, first, second, rate = order
            if kind == BEGIN:
                trainer = _joined_trainer(processes, length=first, V=second)
            elif kind == LOAD:
                trainer.share_state(steps=first)
            else:
                with suppress(TrainingError):  # all processes raise it, and the first one decides
                    trainer.share_update(np.empty((2, first, second), np.int32), None, None, rate)


def first_trainer(
    processes: Processes,
    recipe: Recipe,
    V: int,
    ctx: Any = None,
    arrays: Mapping[str, np.ndarray] | None = None,
    counts: np.ndarray | None = None,
) -> DistributedTrainer:
    """Return the trainer of the first process, with the arguments of `Trainer`, after all workers have made theirs."""
    if ctx is not None and ctx.device_type != "cpu":
        raise ValueError(_("`ctx`: the processes of mpirun train on CPUs; use cpu"))
    content = np.array(bytearray(json.dumps([asdict(recipe), counts is not None]).encode()))
    processes.order(BEGIN, len(content), V)
    processes.comm.Bcast(content)
    if counts is not None:
        processes.comm.Bcast(counts.astype(np.int64))
    trainer = DistributedTrainer(processes, recipe, V, arrays, counts)
    trainer.load_state_dict(trainer.state_dict(), 0)
    return trainer


def _joined_trainer(processes: Processes, length: int, V: int) -> DistributedTrainer:
    """Return the trainer of a worker; the first process sends the weights afterwards."""
    content, counts = np.empty(length, np.uint8), None
    processes.comm.Bcast(content)
    recipe, has_counts = json.loads(content.tobytes())
    if has_counts:
        counts = np.empty(V, np.int64)
        processes.comm.Bcast(counts)
    return DistributedTrainer(processes, Recipe(**recipe), V, None, counts)


class DistributedTrainer(Trainer):
    """Trainer of all processes. The first one uses it like a `Trainer`; `share_...` runs in all."""

    def __init__(self, processes: Processes, recipe: Recipe, V: int, arrays: Any, counts: Any) -> None:
        super().__init__(recipe, V, None, arrays, counts)
        self.processes, self.comm = processes, processes.comm

    def begin_state(self, N: int) -> tuple[Any, Any]:
        if self.processes.size > N:
            raise ValueError(
                _("{size} processes for {lanes} lanes: use fewer processes, a larger `batch_size` or more text").format(
                    size=self.processes.size, lanes=N
                )
            )
        return super().begin_state(N)

    def load_state_dict(self, arrays: Mapping[str, np.ndarray], steps: int) -> None:
        super().load_state_dict(arrays, steps)
        self.processes.order(LOAD, steps)
        self.share_state(steps)

    def share_state(self, steps: int) -> None:
        """Copy the weights and the optimizer state of the first process to all."""
        arrays = self.state_dict()
        for array in arrays.values():
            self.comm.Bcast(array)
        super().load_state_dict(arrays, steps)

    def update(self, x: np.ndarray, y: np.ndarray, h: Any, c: Any, rate: float) -> tuple[float, Any, Any]:
        T, N = x.shape
        self.processes.order(UPDATE, T, N, rate)
        return self.share_update(np.array([x, y], np.int32), h, c, rate)

    def share_update(self, ids: np.ndarray, h: Any, c: Any, rate: float) -> tuple[float, Any, Any]:
        """Update the weights of all processes. The ids (2, T, N) and the state are those of the first."""
        self.processes.in_update = True
        self.comm.Bcast(ids)
        x, y = ids
        return super().update(x, y, h, c, rate)

    def gradients(self, x: np.ndarray, y: np.ndarray, h: Any, c: Any, lanes: slice = ALL_LANES) -> tuple[Any, Any, Any]:
        """Compute the gradients of the whole batch. Return the loss and, in the first process, the last state."""
        self.processes.watch()
        N, W, rank = x.shape[1], self.processes.size, self.processes.rank
        ends = np.arange(W + 1) * N // W
        counts = np.diff(ends)
        h, c = self._scatter(h, c, counts)
        loss, h, c = super().gradients(x, y, h, c, slice(ends[rank], ends[rank + 1]))
        share = counts[rank] / N
        total = self.processes.meet(float(loss.asscalar()) * share)
        self.processes.watch(end=True)
        self._average_gradients(share, np.unique(x))
        h, c = self._gather(h, c, counts)
        self.processes.unwatch()
        self.processes.in_update = False
        return mx.nd.array([total]), h, c

    def _average_gradients(self, share: float, ids: np.ndarray) -> None:
        """Replace the gradients by their sum over the processes, each times its share of the lanes."""

        def average(array: np.ndarray) -> np.ndarray:
            array *= share
            self.comm.Allreduce(self.processes.MPI.IN_PLACE, array)
            return array

        vectors = []
        for name, (_weights, gradient) in self.W.views().items():
            if name in self.W.embedding_names:
                gradient[ids] = average(gradient[ids])
            elif len(gradient) > 1:
                average(gradient)
            else:
                vectors.append(gradient)
        averaged = average(np.concatenate(vectors, axis=1))  # one message
        for gradient, values in zip(vectors, np.split(averaged, np.cumsum([each.size for each in vectors]), axis=1)):
            gradient[:] = values

    # ---- the carried state, of `counts` lanes in each process

    def _scatter(self, h: Any, c: Any, counts: np.ndarray) -> list[Any]:
        """Return h and c of this process's lanes, each (L*n, H), from those of all lanes in the first process."""
        own = np.empty((counts[self.processes.rank], 2, self.recipe.layers, self.W.H), np.float32)
        lanes = None if self.processes.rank else self._lanes_first(h, c)
        self.comm.Scatterv([lanes, counts * own[0].size], own)
        return self._state(own)

    def _gather(self, h: Any, c: Any, counts: np.ndarray) -> list[Any]:
        """Return in the first process h and c of all lanes, each (L*N, H), from those of each process's lanes."""
        own = self._lanes_first(h, c)
        lanes = np.zeros((counts.sum(), *own.shape[1:]), np.float32)
        self.comm.Gatherv(own, [lanes, counts * own[0].size])
        return self._state(lanes)

    def _lanes_first(self, h: Any, c: Any) -> np.ndarray:
        """Return the state in the order of the messages, (n, 2, L, H)."""
        state = np.stack([h.asnumpy(), c.asnumpy()]).reshape(2, self.recipe.layers, -1, self.W.H)
        return np.ascontiguousarray(state.transpose(2, 0, 1, 3))

    def _state(self, lanes: np.ndarray) -> list[Any]:
        return [mx.nd.array(each.reshape(-1, self.W.H)) for each in lanes.transpose(1, 2, 0, 3)]
