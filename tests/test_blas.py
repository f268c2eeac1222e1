"""Products where they stand are those of NumPy, however the matrices lie in memory."""

from __future__ import annotations

import os

import numpy as np
import pytest

from gluon_lstm.lstm.blas import CORE_TYPE, KERNELS, has_halved_avx512, kernels, multiply, product

SIZES = [(1, 1, 1), (3, 5, 7), (1, 8, 3), (6, 1, 4), (5, 9, 1), (32, 65, 130)]  # m, k, n


def matrix(m: int, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, m, n]).standard_normal((m, n)).astype(np.float32)


def plain(a: np.ndarray) -> np.ndarray:
    return a.copy()


def transposed(a: np.ndarray) -> np.ndarray:
    return a.T.copy().T


def columns(a: np.ndarray) -> np.ndarray:
    """Some columns of a wider matrix; the others are NaN, for who reads them."""
    wide = np.full((a.shape[0], a.shape[1] + 5), np.nan, np.float32)
    wide[:, 2:-3] = a
    return wide[:, 2:-3]


def rows_apart(a: np.ndarray) -> np.ndarray:
    """Every third row of a taller matrix."""
    tall = np.full((3 * a.shape[0], a.shape[1]), np.nan, np.float32)
    tall[::3] = a
    return tall[::3]


def columns_transposed(a: np.ndarray) -> np.ndarray:
    return columns(a.T).T


LAYOUTS = [plain, transposed, columns, rows_apart, columns_transposed]


@pytest.mark.parametrize(("m", "k", "n"), SIZES)
@pytest.mark.parametrize("layout_a", LAYOUTS)
@pytest.mark.parametrize("layout_b", LAYOUTS)
@pytest.mark.parametrize("layout_out", [plain, columns, rows_apart])
def test_a_product_is_that_of_numpy(m, k, n, layout_a, layout_b, layout_out):
    A, B, out = layout_a(matrix(m, k)), layout_b(matrix(k, n, 1)), layout_out(matrix(m, n, 2))
    wanted = 0.5 * A.astype(float) @ B.astype(float) - 3.0 * out
    multiply(A, B, out, alpha=0.5, beta=-3.0)
    np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)


def test_only_the_part_that_is_meant_is_written():
    whole = np.zeros((6, 10), np.float32)
    multiply(matrix(2, 3), matrix(3, 4, 1), whole[1:5:3, 2:6])
    np.testing.assert_allclose(whole[1:5:3, 2:6], matrix(2, 3) @ matrix(3, 4, 1), rtol=1e-5, atol=1e-6)
    whole[1:5:3, 2:6] = 0
    assert not whole.any()


def test_with_beta_0_what_was_there_does_not_count():
    out = np.full((2, 4), np.nan, np.float32)
    multiply(matrix(2, 3), matrix(3, 4, 1), out)
    np.testing.assert_allclose(out, matrix(2, 3) @ matrix(3, 4, 1), rtol=1e-5, atol=1e-6)


def test_a_number_that_is_none_stays_none():
    A, out = matrix(2, 3), np.zeros((2, 4), np.float32)
    A[0, 1] = np.nan
    multiply(A, matrix(3, 4, 1), out, beta=1)
    assert np.isnan(out[0]).all() and np.isfinite(out[1]).all()


def test_a_prepared_product_takes_what_is_then_in_its_places():
    A, B, out = matrix(2, 3), matrix(3, 4, 1), np.zeros((2, 4), np.float32)
    add = product(A, B, out, beta=1)
    add()
    A *= 10
    add()
    np.testing.assert_allclose(out, 1.1 * A @ B, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("A", "B", "out"),
    [
        ((2, 3), (4, 5), (2, 5)),
        ((2, 3), (3, 5), (5, 2)),
        ((2, 3), (3, 5), (2, 4)),
        ((2, 3), (3, 5), (3, 5)),
        ((3, 2), (3, 5), (2, 5)),
    ],
)
def test_matrices_that_do_not_fit_are_refused(A, B, out):
    with pytest.raises(ValueError, match=r"cannot multiply float32 \(\d, \d\) by"):
        multiply(np.zeros(A, np.float32), np.zeros(B, np.float32), np.zeros(out, np.float32))


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("dtype", ["float64", "float16", "int32"])
def test_only_float32_is_taken(place, dtype):
    arrays = [matrix(2, 3), matrix(3, 4), np.zeros((2, 4), np.float32)]
    arrays[place] = arrays[place].astype(dtype)
    with pytest.raises(ValueError, match=dtype):
        multiply(*arrays)


@pytest.mark.parametrize("place", range(3))
def test_a_vector_is_no_matrix(place):
    arrays = [matrix(2, 3), matrix(3, 4), np.zeros((2, 4), np.float32)]
    arrays[place] = arrays[place][0]
    with pytest.raises((ValueError, IndexError)):
        multiply(*arrays)


def scattered(make, name, *marks):
    return pytest.param(make, id=name, marks=marks)


as_strided = np.lib.stride_tricks.as_strided


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    "scatter",
    [
        scattered(lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1)[::2, ::2], "every second number"),
        scattered(lambda a: a[:, ::-1], "columns backward"),
        scattered(lambda a: a[::-1], "rows backward"),
        scattered(lambda a: as_strided(a, strides=(0, 4)), "one row for all"),
        scattered(lambda a: as_strided(a, strides=(4, 4)), "rows that overlap"),
    ],
)
def test_a_matrix_that_blas_cannot_describe_is_refused(place, scatter):
    arrays = [matrix(2, 3), matrix(3, 4), np.zeros((2, 4), np.float32)]
    arrays[place] = scatter(arrays[place])
    with pytest.raises(ValueError, match="strides"):
        product(*arrays)  # never called: it would read what lies beside


@pytest.mark.parametrize("out", [np.zeros((4, 2), np.float32).T, np.zeros((1, 8), np.float32)[:, ::2]])
def test_a_result_that_lies_by_columns_is_refused(out):
    with pytest.raises(ValueError, match="strides"):
        product(matrix(len(out), 3), matrix(3, 4), out)


@pytest.mark.parametrize(
    ("lines", "halved"),
    [
        ("vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n", True),
        ("vendor_id\t: AuthenticAMD\ncpu family\t: 26\n", False),  # Zen 5 does 512 bits at once
        ("vendor_id\t: GenuineIntel\ncpu family\t: 25\n", False),
        ("processor\t: 0\nBogoMIPS\t: 243.75\n", False),
        ("", False),
    ],
)
def test_which_processors_do_512_bits_in_two_halves(tmp_path, lines, halved):
    cpuinfo = tmp_path / "cpuinfo"
    assert not has_halved_avx512(cpuinfo)  # no such file
    cpuinfo.write_text(lines + "\n" + lines, encoding="utf-8")
    assert has_halved_avx512(cpuinfo) is halved


def test_what_the_user_says_of_the_kernels_stays(monkeypatch):
    monkeypatch.delenv(CORE_TYPE, raising=False)
    with kernels(KERNELS):
        assert os.environ[CORE_TYPE] == KERNELS
    assert CORE_TYPE not in os.environ
    monkeypatch.setenv(CORE_TYPE, "Haswell")
    with kernels(KERNELS):
        assert os.environ[CORE_TYPE] == "Haswell"
    assert os.environ[CORE_TYPE] == "Haswell"
