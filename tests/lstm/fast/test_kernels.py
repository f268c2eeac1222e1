"""Elementwise kernels: accuracy over all float32 values, NaN, and values against float64."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from gluon_lstm.lstm.fast import kernels
from gluon_lstm.lstm.fast.gemm import NR, num_panels, pack, packed_zeros, unpack
from gluon_lstm.lstm.fast.kernels import SOFTMAX_ROWS


def vectorized(function):
    """Return the function over an array, in a loop that LLVM may vectorize as it does those of the step kernels."""

    @njit(error_model="numpy", fastmath={"contract", "reassoc"})
    def loop(x, out):
        for j in range(len(x)):
            out[j] = function(x[j])

    def apply(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return apply


exp, sigmoid, tanh = map(vectorized, (kernels.exp, kernels.sigmoid, kernels.tanh))
LARGEST, SMALLEST = np.float32(88), np.float32(-87)  # exp clips its argument to these


@pytest.fixture(scope="module")
def values():
    """Four million float32 values evenly spaced by their bits: NaN, infinities and denormals among them."""
    x = np.arange(0, 2**32, 1021, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return np.concatenate(
        [x, np.float32([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, LARGEST, SMALLEST, 1e-45, -1e-45])]
    )


def test_values_include_nan_infinities_and_denormals(values):
    assert np.isnan(values).sum() > 1000 and np.isinf(values).sum() >= 2
    assert np.signbit(values[np.isnan(values)]).any()  # what inf - inf gives on x86
    assert (np.abs(values[values != 0]) < np.finfo(np.float32).tiny).sum() > 1000


def test_exp_is_accurate_within_its_range(values):
    x = np.concatenate([values, np.linspace(SMALLEST, LARGEST, 1_000_003, dtype=np.float32)])
    x = x[(x >= SMALLEST) & (x <= LARGEST)]
    true = np.exp(x.astype(np.float64))
    assert np.abs(exp(x) / true - 1).max() < 1.5e-7


def test_exp_is_clipped_outside_its_range(values):
    """Where e^x is denormal or 0, the result is below 2e-38; where e^x overflows, it is above 1e38."""
    below, above = values[values < SMALLEST], values[values > LARGEST]
    assert -np.inf in below and np.inf in above
    assert set(exp(below)) == {exp(np.float32([SMALLEST]))[0]} and exp(np.float32([SMALLEST]))[0] < 2e-38
    assert set(exp(above)) == {exp(np.float32([LARGEST]))[0]} and exp(np.float32([LARGEST]))[0] > 1e38


@pytest.mark.parametrize("function", [exp, sigmoid, tanh])
def test_nan_propagates_and_nothing_else_gives_nan(values, function):
    np.testing.assert_array_equal(np.isnan(function(values)), np.isnan(values))


@pytest.mark.parametrize("function", [exp, sigmoid, tanh])
@pytest.mark.parametrize("n", range(1, 40))
def test_nan_propagates_at_every_place_of_a_vector_loop(function, n):
    """The scalar loop after the vector loop is other machine code."""
    for nan in np.float32([np.nan, -np.nan]):
        for place in range(n):
            x = np.ones(n, np.float32)
            x[place] = nan
            np.testing.assert_array_equal(np.isnan(function(x)), np.isnan(x))


def test_sigmoid_and_tanh_are_accurate_and_within_their_range(values):
    x = np.concatenate([values[~np.isnan(values)], np.linspace(-30, 30, 1_000_003, dtype=np.float32)])
    wide = x.astype(np.float64)
    assert np.abs(sigmoid(x) - (0.5 * np.tanh(0.5 * wide) + 0.5)).max() < 2e-7
    assert np.abs(tanh(x) - np.tanh(wide)).max() < 3e-7
    assert sigmoid(x).min() >= 0 and sigmoid(x).max() == 1
    assert tanh(x).min() == -1 and tanh(x).max() == 1


@pytest.mark.parametrize("V", [1, 2, 9, NR, NR + 1, 3 * NR - 1])
@pytest.mark.parametrize("rows", [1, 6, SOFTMAX_ROWS, SOFTMAX_ROWS + 3])
def test_softmax_cross_entropy_matches_float64(V, rows):
    rng = np.random.default_rng(V)
    z, y = (5 * rng.standard_normal((rows, V))).astype(np.float32), rng.integers(V, size=rows).astype(np.int32)
    wide = z.astype(np.float64)
    p = np.exp(wide - wide.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    expected_loss, expected = -np.log(p[range(rows), y]).sum(), p - np.eye(V)[y]
    z_packed, dby = packed_zeros(rows + 5, V), np.full((num_panels(V), NR), np.nan, np.float32)
    z_packed[:, :2] = z_packed[:, 2 + rows :] = np.nan
    pack(z, z_packed, 0, 2)
    loss = kernels.softmax_cross_entropy(z_packed, 2, y, V, np.float32(1), dby)
    assert loss == pytest.approx(expected_loss, rel=1e-6, abs=1e-7 * rows)
    unpack(z_packed, 2, z)
    np.testing.assert_allclose(z, expected, rtol=0, atol=3e-7)
    np.testing.assert_allclose(dby.ravel()[:V], expected.sum(axis=0), rtol=0, atol=4e-7 * rows)
    assert not z_packed[
        -1, 2 : 2 + rows, V - (num_panels(V) - 1) * NR :
    ].any()  # the products with it run over whole panels
    pack(wide.astype(np.float32), z_packed, 0, 2)
    kernels.softmax_cross_entropy(z_packed, 2, y, V, np.float32(0.25), dby)
    unpack(z_packed, 2, z)
    np.testing.assert_allclose(z, expected / 4, rtol=0, atol=1e-7)


@pytest.mark.parametrize("nan", np.float32([np.nan, -np.nan]))
@pytest.mark.parametrize("place", range(0, 2 * NR, 5))
def test_nan_logit_gives_nan_loss(nan, place):
    z, dby = packed_zeros(1, 2 * NR), np.empty((2, NR), np.float32)
    z.reshape(-1)[place] = nan
    assert np.isnan(kernels.softmax_cross_entropy(z, 0, np.int32([3]), 2 * NR, np.float32(1), dby))


def test_row_of_nan_logits_gives_nan_loss():
    z, dby = np.full_like(packed_zeros(1, NR), np.nan), np.empty((1, NR), np.float32)
    assert np.isnan(kernels.softmax_cross_entropy(z, 0, np.int32([3]), NR, np.float32(1), dby))


@pytest.mark.parametrize("H", [2, NR + 3])
def test_embedding_gradient_sums_rows_of_the_same_id(H):
    dA = np.float32([[1, 2], [3, 4], [5, 6]])[:, np.arange(H) % 2]
    dgates, dWx, db = (
        packed_zeros(3, 2 * num_panels(H) * NR),
        np.full((4, H), np.nan, np.float32),
        np.full(H, 9, np.float32),
    )
    pack(dA, dgates, num_panels(H), 0)
    kernels.embedding_gradient(dgates, num_panels(H), np.int32([2, 0, 2]), np.float32([1, 0, 10]), dWx, db)
    np.testing.assert_array_equal(dWx, np.float32([[0, 0], [0, 0], [51, 62], [0, 0]])[:, np.arange(H) % 2])
    np.testing.assert_array_equal(db, np.float32([9, 12])[np.arange(H) % 2])  # a bias is not masked


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (7, NR - 1), (64, NR), (33, 3 * NR + 5)])
def test_column_sums_add_the_rows_in_order(rows, columns):
    rng = np.random.default_rng(rows)
    matrix = (rng.standard_normal((rows, columns)) * 10.0 ** rng.integers(-6, 7, (rows, columns))).astype(np.float32)
    packed = packed_zeros(rows, columns + 2 * NR)
    pack(matrix, packed, 2, 0)
    around = np.full(columns + 2, 7, np.float32)
    kernels.sum_columns(packed, 2, around[1:-1])
    in_order = np.add.accumulate(matrix, axis=0, dtype=np.float32)[-1]
    np.testing.assert_array_equal(around[1:-1], in_order)
    assert around[0] == around[-1] == 7
    packed[2, rows // 2, 0] = np.nan
    kernels.sum_columns(packed, 2, around[1:-1])
    assert np.isnan(around[1]) and not np.isnan(around[2:]).any()
