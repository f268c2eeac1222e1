"""GEMM on packed matrices: values against float64, memory outside the operands, NaN, and the order of summation."""

from __future__ import annotations

import platform

import numpy as np
import pytest

from gluon_lstm.lstm.fast.gemm import (
    FEATURES,
    KC,
    MR,
    NR,
    gemm,
    gemm_tn,
    num_panels,
    pack,
    packed_zeros,
    unpack,
)

# m, k, n: less than a microtile, a microtile and one more, many, a long sum
SIZES = [
    (1, 1, 1), (3, 5, 7), (MR + 1, NR, NR + 1), (2 * MR + 7, 2, 2 * NR), (150, 65, 130), (5, 1300, 3),
]  # fmt: skip
sizes = pytest.mark.parametrize(("m", "k", "n"), SIZES)


def random_matrix(m: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, m, n]).standard_normal((m, n)).astype(np.float32)


def packed(a: np.ndarray, rows: int | None = None) -> np.ndarray:
    out = packed_zeros(rows or len(a), a.shape[1])
    pack(a, out, 0, 0)
    return out


def packed_b(b: np.ndarray) -> np.ndarray:
    """Pack a right operand, with a row for each column of the left one, its padding included."""
    return packed(b, num_panels(len(b)) * NR)


def unpacked(a: np.ndarray, m: int, n: int, row: int = 0) -> np.ndarray:
    out = np.full((m, n), np.nan, np.float32)
    unpack(a, row, out)
    return out


def assert_close(result: np.ndarray, expected: np.ndarray, k: int) -> None:
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=3e-6 * np.sqrt(k))


@sizes
@pytest.mark.parametrize("view", [np.asarray, lambda a: a.T.copy().T, lambda a: np.repeat(a, 3, axis=0)[::3]])
def test_unpack_inverts_pack_for_any_strides(m, k, n, view):
    a = random_matrix(m, n)
    result = packed(view(a))
    np.testing.assert_array_equal(unpacked(result, m, n), a)
    assert result.shape == (num_panels(n), m, NR) and np.count_nonzero(result) == a.size  # the padding is 0


def test_packed_layout_is_the_one_drawn_in_the_docstring():
    a = random_matrix(3, 2 * NR + 1)
    expected = np.zeros((3, 3 * NR), np.float32)
    expected[:, : 2 * NR + 1] = a
    np.testing.assert_array_equal(packed(a).ravel(), np.concatenate([p.ravel() for p in np.split(expected, 3, axis=1)]))


@sizes
def test_gemm_matches_float64(m, k, n):
    a, b, bias = random_matrix(m, k), random_matrix(k, n, 1), random_matrix(1, n, 2)
    C = np.full_like(packed_zeros(m, n), np.nan)
    gemm(packed(a), 0, m, packed_b(b), packed(bias), C, 0)
    assert_close(unpacked(C, m, n), a.astype(float) @ b + bias, k)
    gemm(packed(a), 0, m, packed_b(b), C, C, 0)
    assert_close(unpacked(C, m, n), 2 * (a.astype(float) @ b) + bias, k)


@sizes
def test_gemm_tn_matches_float64(m, k, n):
    a, b = random_matrix(k, m), random_matrix(k, n, 1)
    out = np.full((m, n), np.nan, np.float32)
    gemm_tn(packed(a), 0, packed(b), 0, out)
    assert_close(out, a.T.astype(float) @ b, k)


@pytest.mark.parametrize("rows", range(1, 2 * MR + 1))
def test_gemm_reads_and_writes_only_its_rows(rows):
    a, b = random_matrix(rows + 7, 40), random_matrix(40, 50, 1)
    a[:3], a[3 + rows :] = np.nan, np.nan
    C = packed(random_matrix(rows + 9, 50, 2))
    before = C.copy()
    gemm(packed(a), 3, rows, packed_b(b), packed_zeros(1, 50), C, 4)
    assert_close(unpacked(C, rows, 50, row=4), a[3 : 3 + rows].astype(float) @ b, 40)
    np.testing.assert_array_equal(
        np.delete(C, range(4, 4 + rows), axis=1), np.delete(before, range(4, 4 + rows), axis=1)
    )


def test_gemm_tn_reads_and_writes_only_its_rows_and_panels():
    a, b = random_matrix(20, 30), random_matrix(15, 3 * NR, 1)
    b[:, :NR] = np.nan
    a[:2], a[17:] = np.nan, np.nan
    around = np.zeros((32, 2 * NR + 9), np.float32)
    gemm_tn(packed(a), 2, packed(b), 1, around[1:31, 4 : 2 * NR + 4])
    assert_close(around[1:31, 4 : 2 * NR + 4], a[2:17].T.astype(float) @ b[:, NR:], 15)
    around[1:31, 4 : 2 * NR + 4] = 0
    assert not around.any()


def test_nan_propagates_within_its_row():
    a, C = random_matrix(3, 5), packed_zeros(3, 4)
    a[1, 2] = np.nan
    gemm(packed(a), 0, 3, packed_b(random_matrix(5, 4, 1)), C, C, 0)
    assert np.isnan(unpacked(C, 3, 4)[1]).all() and np.isfinite(unpacked(C, 3, 4)[[0, 2]]).all()


@pytest.mark.skipif(
    platform.machine() == "x86_64" and not FEATURES.get("fma"), reason="no fused multiply-add on this processor"
)
def test_terms_are_summed_in_order_in_runs_of_kc():
    """This order makes products equal to the bit on all machines with fused multiply-add."""
    k = 2 * KC + 100
    a, b = random_matrix(1, k), random_matrix(k, 1, 1)
    run_sums = []
    for begin in range(0, k, KC):
        run_sum = np.float32(0)
        for x, y in zip(a[0, begin : begin + KC], b[begin : begin + KC, 0]):
            run_sum = np.float32(np.float64(x) * np.float64(y) + np.float64(run_sum))  # one rounding, but for rare ties
        run_sums.append(run_sum)
    expected = np.float32(0)
    for run_sum in run_sums:
        expected = np.float32(expected + run_sum)
    C, out = packed_zeros(1, 1), np.empty((1, 1), np.float32)
    gemm(packed(a), 0, 1, packed_b(b), C, C, 0)
    gemm_tn(packed(a.T), 0, packed(b), 0, out)
    assert C[0, 0, 0] == expected and out[0, 0] == expected
