"""Matrix products of one training window by NumPy, MXNet, PyTorch and this package: their rates on all cores.

Each library runs in a process of its own (`bench_process`).
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, Callable

import numpy as np

from gluon_lstm.system import available_cores


def products(N: int, T: int, H: int, V: int) -> dict[str, tuple[int, int, int]]:
    """Return the shapes (m, k, n) of the matrix products required for one window, by result."""
    return {
        "gates of a step": (N, H, 4 * H),
        "dh of a step": (N, 4 * H, H),
        "dWh": (H, T * N, 4 * H),
        "logits": (T * N, H, V),
        "dhidden": (T * N, V, H),
        "dWhy": (H, T * N, V),
    }


class Products:
    """Rate of one library's matrix products of these shapes, on all cores."""

    def __init__(self, name: str, N: int, T: int, H: int, V: int) -> None:
        self.make, self.shapes = MULTIPLIERS[name], products(N, T, H, V)
        self.pool = [np.ones(max(sizes), np.float32) for sizes in zip(*map(_element_counts, self.shapes.values()))]
        self.measure()

    def measure(self) -> dict[str, float]:
        """Return GFLOP/s for each shape, each measured for some hundredths of a second."""
        rates = {}
        for name, (m, k, n) in self.shapes.items():
            operands = (a[:size] for a, size in zip(self.pool, _element_counts((m, k, n))))
            gemm, wait = self.make(*(a.reshape(s) for a, s in zip(operands, ((m, k), (k, n), (m, n)))))
            gemm()
            wait()
            flops = 2 * m * k * n
            repeats = max(round(5e9 / flops), 1)
            start = time.perf_counter()
            for _ in range(repeats):
                gemm()
            wait()
            rates[name] = repeats * flops / (time.perf_counter() - start) / 1e9
        return rates


def _element_counts(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    m, k, n = shape
    return m * k, k * n, m * n


Multiplier = tuple[Callable[[], Any], Callable[[], None]]


def _by_numpy(A: np.ndarray, B: np.ndarray, out: np.ndarray) -> Multiplier:
    return partial(np.matmul, A, B, out=out), lambda: None


def _by_mxnet(A: np.ndarray, B: np.ndarray, out: np.ndarray) -> Multiplier:
    from gluon_lstm.compat import mx

    a, b, c = mx.nd.array(A), mx.nd.array(B.reshape(B.shape[::-1])), mx.nd.zeros(out.shape)
    return partial(mx.nd.FullyConnected, a, b, no_bias=True, num_hidden=out.shape[1], out=c), mx.nd.waitall


def _by_torch(A: np.ndarray, B: np.ndarray, out: np.ndarray) -> Multiplier:
    import torch

    torch.set_num_threads(available_cores())
    return partial(torch.mm, *map(torch.from_numpy, (A, B)), out=torch.from_numpy(out)), lambda: None


def _by_ours(A: np.ndarray, B: np.ndarray, out: np.ndarray) -> Multiplier:
    """The GEMM of this package, with a part of the result for each core."""
    from gluon_lstm.lstm.fast.gemm import NR, gemm, num_panels, pack, packed_zeros

    (m, k), n = A.shape, B.shape[1]
    left, right = packed_zeros(m, k), packed_zeros(num_panels(k) * NR, n)
    result, zero = packed_zeros(m, n), packed_zeros(1, n)
    pack(A, left, 0, 0)
    pack(B, right, 0, 0)
    by_rows = m >= n
    ends = [(m if by_rows else len(right)) * part // available_cores() for part in range(available_cores() + 1)]

    def part(begin: int, end: int) -> None:
        if by_rows:
            gemm(left, begin, end - begin, right, zero, result, begin)
        else:
            gemm(left, 0, m, right[begin:end], zero[begin:end], result[begin:end], 0)

    if available_cores() == 1:
        return partial(part, 0, ends[1]), lambda: None
    return lambda: list(_threads().map(part, ends, ends[1:])), lambda: None


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(available_cores())


MULTIPLIERS: dict[str, Callable[..., Multiplier]] = {
    "numpy": _by_numpy, "mxnet": _by_mxnet, "pytorch": _by_torch, "ours": _by_ours,
}  # fmt: skip
