"""Sigmoid and log-softmax: exact values, no overflow, dtype; reordering of gates is tested with the layers."""

from __future__ import annotations

import numpy as np
import pytest

from gluon_lstm.numerics import log_softmax, sigmoid, sigmoid_of_half

DTYPES = ["float16", "float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_is_exact_at_known_points_and_never_overflows(dtype):
    a = np.array([-np.inf, -1e4, -np.log(3), 0, np.log(3), 1e4, np.inf]).astype(dtype)
    with np.errstate(all="raise"):
        found = sigmoid(a)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, [0, 0, 1 / 4, 1 / 2, 3 / 4, 1, 1], rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(sigmoid_of_half(a / 2), found)


def test_sigmoid_propagates_nan():
    assert np.isnan(sigmoid(np.array([np.nan]))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_normalizes_each_row_and_never_overflows(dtype):
    z = np.array([[1, 2, 4], [0, 6e4, 0], [-6e4, -6e4, -6e4]]).astype(dtype)
    with np.errstate(over="raise", invalid="raise"):
        found = log_softmax(z)
    assert found.dtype == dtype and found.shape == z.shape
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(np.exp(found.astype(np.float64)).sum(axis=-1), 1, rtol=10 * eps)
    np.testing.assert_allclose(found[0, 1] - found[0, 0], 1, rtol=10 * eps)
    np.testing.assert_array_equal(found[2], found[2, :1].repeat(3))


def test_log_softmax_of_a_vector_equals_that_of_a_row():
    z = np.random.default_rng(0).standard_normal((1, 999))
    np.testing.assert_array_equal(log_softmax(z[0]), log_softmax(z)[0])
