"""Products of matrices in panels are those of float64, and write nothing but what is meant."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from gluon_lstm.lstm.fast.gemm import (
    FEATURES,
    KC,
    MR,
    NR,
    count,
    gemm,
    gemm_tn,
    pack,
    panels,
    unpack,
)

# m, k, n: less than a tile, a tile and one more, many, a long sum
SIZES = [
    (1, 1, 1), (3, 5, 7), (MR + 1, NR, NR + 1), (2 * MR + 7, 2, 2 * NR), (150, 65, 130), (5, 1300, 3),
]  # fmt: skip
sizes = pytest.mark.parametrize(("m", "k", "n"), SIZES)


def matrix(m: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, m, n]).standard_normal((m, n)).astype(np.float32)


def laid(a: np.ndarray, rows: int | None = None) -> np.ndarray:
    out = panels(rows or len(a), a.shape[1])
    pack(a, out, 0, 0)
    return out


def factor(b: np.ndarray) -> np.ndarray:
    """In panels, with a row for each column of the panels it is multiplied with."""
    return laid(b, count(len(b)) * NR)


def taken(a: np.ndarray, m: int, n: int, row: int = 0) -> np.ndarray:
    out = np.full((m, n), np.nan, np.float32)
    unpack(a, row, out)
    return out


def close(found: np.ndarray, wanted: np.ndarray, k: int) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=3e-6 * np.sqrt(k))


@sizes
@pytest.mark.parametrize("view", [np.asarray, lambda a: a.T.copy().T, lambda a: np.repeat(a, 3, axis=0)[::3]])
def test_a_matrix_goes_into_panels_and_comes_back(m, k, n, view):
    a = matrix(m, n)
    whole = laid(view(a))
    np.testing.assert_array_equal(taken(whole, m, n), a)
    assert whole.shape == (count(n), m, NR) and np.count_nonzero(whole) == a.size  # beyond it all is 0


@sizes
def test_a_product_is_that_of_float64(m, k, n):
    a, b, start = matrix(m, k), matrix(k, n, 1), matrix(1, n, 2)
    C = np.full_like(panels(m, n), np.nan)
    gemm(laid(a), 0, m, factor(b), laid(start), C, 0)
    close(taken(C, m, n), a.astype(float) @ b + start, k)
    gemm(laid(a), 0, m, factor(b), C, C, 0)
    close(taken(C, m, n), 2 * (a.astype(float) @ b) + start, k)


@sizes
def test_a_product_with_a_transposed_matrix_is_that_of_float64(m, k, n):
    a, b = matrix(k, m), matrix(k, n, 1)
    out = np.full((m, n), np.nan, np.float32)
    gemm_tn(laid(a), 0, laid(b), 0, out)
    close(out, a.T.astype(float) @ b, k)


@pytest.mark.parametrize("rows", range(1, 2 * MR + 1))
def test_only_the_rows_that_are_meant_are_read_and_written(rows):
    a, b = matrix(rows + 7, 40), matrix(40, 50, 1)
    a[:3], a[3 + rows :] = np.nan, np.nan
    C = laid(matrix(rows + 9, 50, 2))
    before = C.copy()
    gemm(laid(a), 3, rows, factor(b), panels(1, 50), C, 4)
    close(taken(C, rows, 50, row=4), a[3 : 3 + rows].astype(float) @ b, 40)
    np.testing.assert_array_equal(
        np.delete(C, range(4, 4 + rows), axis=1), np.delete(before, range(4, 4 + rows), axis=1)
    )


def test_only_the_panels_that_are_meant_are_read_and_written():
    a, b = matrix(20, 30), matrix(15, 3 * NR, 1)
    b[:, :NR] = np.nan
    a[:2], a[17:] = np.nan, np.nan
    whole = np.zeros((32, 2 * NR + 9), np.float32)
    gemm_tn(laid(a), 2, laid(b), 1, whole[1:31, 4 : 2 * NR + 4])
    close(whole[1:31, 4 : 2 * NR + 4], a[2:17].T.astype(float) @ b[:, NR:], 15)
    whole[1:31, 4 : 2 * NR + 4] = 0
    assert not whole.any()


def test_a_number_that_is_none_stays_none():
    a, C = matrix(3, 5), panels(3, 4)
    a[1, 2] = np.nan
    gemm(laid(a), 0, 3, factor(matrix(5, 4, 1)), C, C, 0)
    assert np.isnan(taken(C, 3, 4)[1]).all() and np.isfinite(taken(C, 3, 4)[[0, 2]]).all()


@pytest.mark.skipif(
    platform.machine() == "x86_64" and not FEATURES.get("fma"), reason="multiplies and adds in two instructions"
)
def test_terms_are_summed_in_their_order_in_runs():
    """What makes a product the same to the bit on every machine that multiplies and adds in one instruction."""
    k = 2 * KC + 100
    a, b = matrix(1, k), matrix(k, 1, 1)
    parts = []
    for begin in range(0, k, KC):
        part = np.float32(0)
        for x, y in zip(a[0, begin : begin + KC], b[begin : begin + KC, 0]):
            part = np.float32(np.float64(x) * np.float64(y) + np.float64(part))  # one rounding, but for rare ties
        parts.append(part)
    wanted = np.float32(0)
    for part in parts:
        wanted = np.float32(wanted + part)
    C, out = panels(1, 1), np.empty((1, 1), np.float32)
    gemm(laid(a), 0, 1, factor(b), C, C, 0)
    gemm_tn(laid(a.T), 0, laid(b), 0, out)
    assert C[0, 0, 0] == wanted and out[0, 0] == wanted
