"""The float64 reference matches the equations of notes 003, and its gradients match finite differences."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from helpers import finite_differences
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.config import ARRAY_NAMES, GATES, ModelConfig
from gluon_lstm.lstm import reference

EPSILON = 1e-5  # step of central differences, which are then exact to about ten digits in float64


def slow(x, y, h, c, W):
    """Return loss and last state as printed in notes 003, lane by lane and step by step, with dense one-hot rows."""
    T, N = x.shape
    V = len(W["by"])
    h, c = h.copy(), c.copy()
    loss = 0.0
    for n in range(N):
        for t in range(T):
            one_hot = np.zeros(V)
            one_hot[x[t, n]] = 1
            g = np.tanh(one_hot @ W["Wxg"] + h[n] @ W["Whg"] + W["bg"])
            i = 1 / (1 + np.exp(-(one_hot @ W["Wxi"] + h[n] @ W["Whi"] + W["bi"])))
            f = 1 / (1 + np.exp(-(one_hot @ W["Wxf"] + h[n] @ W["Whf"] + W["bf"])))
            o = 1 / (1 + np.exp(-(one_hot @ W["Wxo"] + h[n] @ W["Who"] + W["bo"])))
            c[n] = f * c[n] + i * g
            h[n] = o * np.tanh(c[n])
            yhat = np.exp(h[n] @ W["Why"] + W["by"])
            loss -= np.log(yhat[y[t, n]] / yhat.sum())
    return loss / (T * N), h, c


def gradients_of_slow(x, y, h, c, W):
    """Return dL/dW of `slow` by finite differences."""
    return {name: finite_differences(lambda: slow(x, y, h, c, W)[0], array, EPSILON) for name, array in W.items()}


@pytest.mark.parametrize(("T", "N", "V", "H"), [(4, 3, 5, 4), (1, 1, 2, 1), (7, 1, 3, 2), (2, 6, 4, 3)])
def test_loss_and_state_match_the_equations(weights, window, T, N, V, H):
    arguments = (*window(T, N, V, H), weights(V, H))
    loss, h, c, _ = reference.loss_and_gradients(*arguments)
    slow_loss, slow_h, slow_c = slow(*arguments)
    assert loss == pytest.approx(slow_loss, rel=1e-13)
    np.testing.assert_allclose(h, slow_h, rtol=1e-12)
    np.testing.assert_allclose(c, slow_c, rtol=1e-12)


@pytest.mark.parametrize(("T", "N", "V", "H"), [(4, 3, 5, 3), (1, 1, 2, 1), (5, 1, 3, 2)])
def test_gradients_match_finite_differences(weights, window, assert_same, T, N, V, H):
    arguments = (*window(T, N, V, H), weights(V, H))
    assert_same(reference.loss_and_gradients(*arguments)[3], gradients_of_slow(*arguments), rtol=1e-6, atol=1e-9)


def test_repeated_ids_accumulate_gradients(weights, window, assert_same):
    x, y, h, c = window(3, 4, 5, 3)
    x[:] = 2
    x[1, :2] = 4
    W = weights(5, 3)
    grads = reference.loss_and_gradients(x, y, h, c, W)[3]
    assert_same(grads, gradients_of_slow(x, y, h, c, W), rtol=1e-6, atol=1e-9)
    for k in GATES:
        assert not grads[f"Wx{k}"][[0, 1, 3]].any()  # ids that do not occur
        np.testing.assert_allclose(grads[f"Wx{k}"].sum(axis=0), grads[f"b{k}"], rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_directional_derivative_matches_the_gradient(T, N, V, H, seed):
    rng = np.random.default_rng(seed)
    shapes = ModelConfig(H).shapes(V)
    W = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    direction = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.integers(V, size=(2, T, N))
    h, c = rng.uniform(-1, 1, (N, H)), rng.standard_normal((N, H))

    def loss(step):
        return slow(x, y, h, c, {name: W[name] + step * direction[name] for name in ARRAY_NAMES})[0]

    slope = (loss(EPSILON) - loss(-EPSILON)) / (2 * EPSILON)
    grads = reference.loss_and_gradients(x, y, h, c, W)[3]
    assert sum(float((grads[name] * direction[name]).sum()) for name in ARRAY_NAMES) == pytest.approx(slope, 1e-5, 1e-7)


@pytest.mark.parametrize(("one", "other"), list(combinations(GATES, 2)))
@pytest.mark.parametrize("role", ["Wx", "Wh", "b"])
def test_swapping_two_gates_changes_the_results(weights, window, role, one, other):
    """The tests above can detect swapped gates: with these sizes and weights they change the third digit."""
    arguments, W = window(4, 3, 5, 4), weights(5, 4)
    swapped = {**W, f"{role}{one}": W[f"{role}{other}"], f"{role}{other}": W[f"{role}{one}"]}
    loss, h, c, _ = reference.loss_and_gradients(*arguments, W)
    other_loss, other_h, other_c, _ = reference.loss_and_gradients(*arguments, swapped)
    assert max(abs(loss - other_loss), abs(h - other_h).max(), abs(c - other_c).max()) > 1e-2


def test_two_windows_with_carried_state_equal_one(weights, window):
    x, y, h, c = window(6, 3, 5, 4)
    W = weights(5, 4)
    whole = reference.loss_and_gradients(x, y, h, c, W)
    first = reference.loss_and_gradients(x[:2], y[:2], h, c, W)
    second = reference.loss_and_gradients(x[2:], y[2:], first[1], first[2], W)
    assert (2 * first[0] + 4 * second[0]) / 6 == pytest.approx(whole[0], rel=1e-13)
    np.testing.assert_allclose(second[1], whole[1], rtol=1e-12)
    np.testing.assert_allclose(second[2], whole[2], rtol=1e-12)


def test_zero_weights_predict_uniformly(window):
    W = {name: np.zeros(shape) for name, shape in ModelConfig(4).shapes(7).items()}
    x, y, h, c = window(3, 2, 7, 4)
    loss, _, last_c, grads = reference.loss_and_gradients(x, y, h, c, W)
    assert loss == pytest.approx(np.log(7), rel=1e-14)
    np.testing.assert_allclose(last_c, c / 8, rtol=1e-14)  # the forget gate is 1/2, three times
    share = np.bincount(y.ravel(), minlength=7) / y.size
    np.testing.assert_allclose(grads["by"], 1 / 7 - share, rtol=1e-12, atol=1e-15)


def test_no_overflow_where_the_notes_print_nan(weights, window):
    """exp(z) and exp(-a) overflow at 710; a loss of thousands of nats is still finite."""
    x, y, h, c = window(3, 2, 5, 4)
    with np.errstate(all="raise", under="ignore"):
        loss, _, _, grads = reference.loss_and_gradients(x, y, h, c, weights(5, 4, scale=1e4))
    assert 1e3 < loss < 1e6
    assert all(np.isfinite(array).all() for array in grads.values())


def test_arguments_are_not_modified(weights, window):
    arguments, W = window(3, 2, 5, 4), weights(5, 4)
    before = [array.copy() for array in (*arguments, *W.values())]
    reference.loss_and_gradients(*arguments, W)
    assert all(np.array_equal(a, b) for a, b in zip(before, (*arguments, *W.values())))
