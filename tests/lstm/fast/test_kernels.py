"""What is compiled number by number is good to the last digits wherever a float32 can be."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from gluon_lstm.lstm.fast import kernels
from gluon_lstm.lstm.fast.gemm import NR, count, pack, panels, unpack
from gluon_lstm.lstm.fast.kernels import ROWS


def over(function):
    """The function over an array, in a loop that the compiler may vectorize as it does those of the cell."""

    @njit(error_model="numpy", fastmath={"contract", "reassoc"})
    def loop(x, out):
        for j in range(len(x)):
            out[j] = function(x[j])

    def apply(x):
        out = np.empty_like(x)
        loop(x, out)
        return out

    return apply


exp, sigmoid, tanh = map(over, (kernels.exp, kernels.sigmoid, kernels.tanh))
LARGEST, SMALLEST = np.float32(88), np.float32(-87)  # outside, exp stays where it is there


@pytest.fixture(scope="module")
def numbers():
    """Four million float32 numbers of every kind, evenly by their bits: NaN, infinite and denormal ones too."""
    x = np.arange(0, 2**32, 1021, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return np.concatenate(
        [x, np.float32([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, LARGEST, SMALLEST, 1e-45, -1e-45])]
    )


def test_the_numbers_are_of_every_kind(numbers):
    assert np.isnan(numbers).sum() > 1000 and np.isinf(numbers).sum() >= 2
    assert np.signbit(numbers[np.isnan(numbers)]).any()  # what inf - inf gives on x86
    assert (np.abs(numbers[numbers != 0]) < np.finfo(np.float32).tiny).sum() > 1000


def test_exp_is_good_to_the_last_digits(numbers):
    x = np.concatenate([numbers, np.linspace(SMALLEST, LARGEST, 1_000_003, dtype=np.float32)])
    x = x[(x >= SMALLEST) & (x <= LARGEST)]
    true = np.exp(x.astype(np.float64))
    assert np.abs(exp(x) / true - 1).max() < 1.5e-7


def test_exp_stays_where_it_is_outside_of_its_range(numbers):
    """Where e^x is denormal or 0 it is a number as good as 0, where it overflows it is as good as infinite."""
    below, above = numbers[numbers < SMALLEST], numbers[numbers > LARGEST]
    assert -np.inf in below and np.inf in above
    assert set(exp(below)) == {exp(np.float32([SMALLEST]))[0]} and exp(np.float32([SMALLEST]))[0] < 2e-38
    assert set(exp(above)) == {exp(np.float32([LARGEST]))[0]} and exp(np.float32([LARGEST]))[0] > 1e38


@pytest.mark.parametrize("function", [exp, sigmoid, tanh])
def test_nan_and_nothing_else_gives_nan(numbers, function):
    np.testing.assert_array_equal(np.isnan(function(numbers)), np.isnan(numbers))


@pytest.mark.parametrize("function", [exp, sigmoid, tanh])
@pytest.mark.parametrize("n", range(1, 40))
def test_nan_is_found_wherever_it_stands(function, n):
    """The numbers that are left when eight at once no longer fit are another piece of machine code."""
    for nan in np.float32([np.nan, -np.nan]):
        for place in range(n):
            x = np.ones(n, np.float32)
            x[place] = nan
            np.testing.assert_array_equal(np.isnan(function(x)), np.isnan(x))


def test_gates_are_good_to_a_rounding_of_one(numbers):
    x = np.concatenate([numbers[~np.isnan(numbers)], np.linspace(-30, 30, 1_000_003, dtype=np.float32)])
    wide = x.astype(np.float64)
    assert np.abs(sigmoid(x) - (0.5 * np.tanh(0.5 * wide) + 0.5)).max() < 2e-7
    assert np.abs(tanh(x) - np.tanh(wide)).max() < 3e-7
    assert sigmoid(x).min() >= 0 and sigmoid(x).max() == 1
    assert tanh(x).min() == -1 and tanh(x).max() == 1


@pytest.mark.parametrize("V", [1, 2, 9, NR, NR + 1, 3 * NR - 1])
@pytest.mark.parametrize("rows", [1, 6, ROWS, ROWS + 3])
def test_softmax_and_its_loss_are_those_of_float64(V, rows):
    rng = np.random.default_rng(V)
    z, y = (5 * rng.standard_normal((rows, V))).astype(np.float32), rng.integers(V, size=rows).astype(np.int32)
    wide = z.astype(np.float64)
    p = np.exp(wide - wide.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    wanted_loss, wanted = -np.log(p[range(rows), y]).sum(), p - np.eye(V)[y]
    whole, dby = panels(rows + 5, V), np.full((count(V), NR), np.nan, np.float32)
    whole[:, :2] = whole[:, 2 + rows :] = np.nan
    pack(z, whole, 0, 2)
    loss = kernels.softmax_cross_entropy(whole, 2, y, V, np.float32(1), dby)
    assert loss == pytest.approx(wanted_loss, rel=1e-6, abs=1e-7 * rows)
    unpack(whole, 2, z)
    np.testing.assert_allclose(z, wanted, rtol=0, atol=3e-7)
    np.testing.assert_allclose(dby.ravel()[:V], wanted.sum(axis=0), rtol=0, atol=4e-7 * rows)
    assert not whole[-1, 2 : 2 + rows, V - (count(V) - 1) * NR :].any()  # so that products need not know V
    pack(wide.astype(np.float32), whole, 0, 2)
    kernels.softmax_cross_entropy(whole, 2, y, V, np.float32(0.25), dby)
    unpack(whole, 2, z)
    np.testing.assert_allclose(z, wanted / 4, rtol=0, atol=1e-7)


@pytest.mark.parametrize("nan", np.float32([np.nan, -np.nan]))
@pytest.mark.parametrize("place", range(0, 2 * NR, 5))
def test_a_logit_that_is_no_number_makes_the_loss_none(nan, place):
    z, dby = panels(1, 2 * NR), np.empty((2, NR), np.float32)
    z.reshape(-1)[place] = nan
    assert np.isnan(kernels.softmax_cross_entropy(z, 0, np.int32([3]), 2 * NR, np.float32(1), dby))


def test_a_row_of_nothing_but_nan_makes_the_loss_none():
    z, dby = np.full_like(panels(1, NR), np.nan), np.empty((1, NR), np.float32)
    assert np.isnan(kernels.softmax_cross_entropy(z, 0, np.int32([3]), NR, np.float32(1), dby))


@pytest.mark.parametrize("H", [2, NR + 3])
def test_rows_of_one_id_are_summed_and_others_are_zero(H):
    dA = np.float32([[1, 2], [3, 4], [5, 6]])[:, np.arange(H) % 2]
    laid, dWx, db = panels(3, 2 * count(H) * NR), np.full((4, H), np.nan, np.float32), np.full(H, 9, np.float32)
    pack(dA, laid, count(H), 0)
    kernels.embedding_gradient(laid, count(H), np.int32([2, 0, 2]), np.float32([1, 0, 10]), dWx, db)
    np.testing.assert_array_equal(dWx, np.float32([[0, 0], [0, 0], [51, 62], [0, 0]])[:, np.arange(H) % 2])
    np.testing.assert_array_equal(db, np.float32([9, 12])[np.arange(H) % 2])  # a bias is not masked
