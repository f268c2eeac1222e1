"""`scratch` matches the float64 reference and the code printed in notes 003; dropout and parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gluon_lstm.compat import mx
from gluon_lstm.config import ARRAY_NAMES, GATES, ModelConfig
from gluon_lstm.lstm import initializers, reference, scratch
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.training.recipe import STANDARD
from gluon_lstm.training.trainer import Trainer

nd = mx.nd
SIZES = [(6, 4, 5, 3), (1, 4, 5, 3), (6, 1, 5, 3), (6, 4, 1, 3), (6, 4, 5, 1), (1, 1, 1, 1)]  # T, N, V, H
NO_DROPOUT = {"dropout": 0.0, "input_dropout": 0.0, "recurrent_dropout": 0.0}
cells = pytest.mark.parametrize("cell", ["fast", "scratch"])


def run_scratch(x, y, h, c, arrays, dtype="float32", input_mask=None, hidden_mask=None):
    """Return loss, last h, last c and gradients, as `reference.loss_and_gradients`."""
    W = Parameters(arrays, dtype=dtype)
    h, c = nd.array(h, dtype=dtype), nd.array(c, dtype=dtype)
    with mx.autograd.record():
        loss, h, c = scratch.loss(
            nd.array(x, dtype="int32"), nd.array(y, dtype="int32"), h, c, W, input_mask, hidden_mask
        )
    loss.backward()
    return float(loss.asscalar()), h.asnumpy(), c.asnumpy(), W.gradients()


def run_notes(x, y, h, c, arrays, input_mask=None, hidden_mask=None):
    """Return the same from the code of notes 003: dense one-hot rows, softmax and loss step by step.

    Not in the notes: `input_mask` multiplies the one-hot rows, `hidden_mask` the h read by the output (NumPy arrays,
    indexed by step).
    """
    W = {name: nd.array(arrays[name], dtype="float64") for name in ARRAY_NAMES}
    for array in W.values():
        array.attach_grad()
    h, c = nd.array(h, dtype="float64"), nd.array(c, dtype="float64")
    V, T = len(arrays["by"]), len(x)
    total = 0.0
    with mx.autograd.record():
        for t in range(T):
            one_hot = np.eye(V)[x[t]]
            X = nd.array(one_hot if input_mask is None else one_hot * input_mask[t], dtype="float64")
            g = nd.tanh(nd.dot(X, W["Wxg"]) + nd.dot(h, W["Whg"]) + W["bg"])
            i = nd.sigmoid(nd.dot(X, W["Wxi"]) + nd.dot(h, W["Whi"]) + W["bi"])
            f = nd.sigmoid(nd.dot(X, W["Wxf"]) + nd.dot(h, W["Whf"]) + W["bf"])
            o = nd.sigmoid(nd.dot(X, W["Wxo"]) + nd.dot(h, W["Who"]) + W["bo"])
            c = f * c + i * g
            h = o * nd.tanh(c)
            out = h if hidden_mask is None else h * nd.array(hidden_mask[t], dtype="float64")
            yhat = nd.exp(nd.dot(out, W["Why"]) + W["by"])
            yhat = yhat / nd.sum(yhat, axis=0, exclude=True).reshape((-1, 1))
            label = nd.array(np.eye(V)[y[t]], dtype="float64")
            total = total - nd.mean(nd.sum(label * nd.log(yhat), axis=0, exclude=True))
        loss = total / T
    loss.backward()
    grads = {name: array.grad.asnumpy() for name, array in W.items()}
    return float(loss.asscalar()), h.asnumpy(), c.asnumpy(), grads


@pytest.fixture
def assert_agree(assert_same):
    def compare(found, expected, rtol, atol):
        assert found[0] == pytest.approx(expected[0], rel=rtol, abs=atol)
        np.testing.assert_allclose(found[1], expected[1], rtol, atol)
        np.testing.assert_allclose(found[2], expected[2], rtol, atol)
        assert_same(found[3], expected[3], rtol, atol)

    return compare


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [("float32", 1e-4, 5e-6), ("float64", 1e-11, 1e-13)])
@pytest.mark.parametrize(("T", "N", "V", "H"), SIZES)
def test_scratch_matches_the_reference(weights, window, assert_agree, T, N, V, H, dtype, rtol, atol):
    arguments = (*window(T, N, V, H), weights(V, H))
    assert_agree(run_scratch(*arguments, dtype=dtype), reference.loss_and_gradients(*arguments), rtol, atol)


@pytest.mark.parametrize(("T", "N", "V", "H"), SIZES)
def test_scratch_matches_the_one_hot_code_of_the_notes(weights, window, assert_agree, T, N, V, H):
    arguments = (*window(T, N, V, H), weights(V, H))
    assert_agree(run_scratch(*arguments, dtype="float64"), run_notes(*arguments), 1e-11, 1e-13)


def test_larger_window_matches_in_float32(weights, window, assert_agree):
    arguments = (*window(20, 16, 50, 32), weights(50, 32, scale=0.2))
    assert_agree(run_scratch(*arguments), reference.loss_and_gradients(*arguments), 1e-3, 1e-6)


def test_two_windows_with_carried_state_equal_one(weights, window, assert_agree):
    x, y, h, c = window(6, 4, 5, 3)
    W = weights(5, 3)
    whole = run_scratch(x, y, h, c, W, "float64")
    first = run_scratch(x[:3], y[:3], h, c, W, "float64")
    second = run_scratch(x[3:], y[3:], first[1], first[2], W, "float64")
    assert (first[0] + second[0]) / 2 == pytest.approx(whole[0], rel=1e-12)
    np.testing.assert_allclose(second[1], whole[1], rtol=1e-12)
    np.testing.assert_allclose(second[2], whole[2], rtol=1e-12)
    # backpropagation is truncated at the window: its initial state is a constant
    expected = reference.loss_and_gradients(x[3:], y[3:], *whole_state(x[:3], y[:3], h, c, W), W)
    assert_agree(second, expected, 1e-11, 1e-13)


def whole_state(x, y, h, c, W):
    return reference.loss_and_gradients(x, y, h, c, W)[1:3]


@cells
def test_trainer_truncates_backpropagation_between_windows(weights, window, assert_same, cell):
    """The gradients of a window do not include those of the window that computed its initial state."""
    x, y, h, c = window(6, 4, 5, 3)
    W = weights(5, 3)
    trainer = Trainer(replace(STANDARD, hidden=3, implementation=cell, **NO_DROPOUT), 5, arrays=W)
    _, carried_h, carried_c = trainer.gradients(x[:3], y[:3], nd.array(h), nd.array(c))
    trainer.gradients(x[3:], y[3:], carried_h, carried_c)
    expected = reference.loss_and_gradients(x[3:], y[3:], *whole_state(x[:3], y[:3], h, c, W), W)[3]
    assert_same(trainer.W.gradients(), expected, 1e-4, 1e-6)


def test_hidden_states_are_ordered_by_step_then_lane(weights, window):
    """Row t*N + n is step t of lane n."""
    x, _, h, c = window(4, 3, 5, 2)
    arrays = weights(5, 2)
    W = Parameters(arrays, dtype="float64")
    hidden, _, _ = scratch.lstm(
        nd.array(x, dtype="int32"), nd.array(h, dtype="float64"), nd.array(c, dtype="float64"), W
    )
    expected = reference.forward(x, h, c, arrays, ModelConfig(2))[0]  # (T, N, H)
    np.testing.assert_allclose(hidden.asnumpy().reshape(4, 3, 2), expected, rtol=1e-12)


def test_input_mask_scales_the_input_projection_alone(weights, window, assert_agree):
    """It scales the one-hot row, neither the bias nor the recurrent term."""
    arguments = (*window(6, 4, 5, 3), weights(5, 3))
    mask = np.random.default_rng(0).integers(0, 2, (6, 4, 1)) * 1.25
    found = run_scratch(*arguments, dtype="float64", input_mask=nd.array(mask, dtype="float64"))
    assert_agree(found, run_notes(*arguments, input_mask=mask), 1e-11, 1e-13)


def test_hidden_mask_is_applied_after_the_recurrence(weights, window, assert_agree):
    arguments = (*window(6, 4, 5, 3), weights(5, 3))
    mask = np.random.default_rng(0).integers(0, 2, (6, 4, 3)) * 2.0
    flat = nd.array(mask.reshape(24, 3), dtype="float64")
    found = run_scratch(*arguments, dtype="float64", hidden_mask=flat)
    assert_agree(found, run_notes(*arguments, hidden_mask=mask), 1e-11, 1e-13)
    np.testing.assert_allclose(found[1], run_notes(*arguments)[1], rtol=1e-12)  # the state is not masked


def trained_once(recipe, arrays, x, y, step=0):
    """Return loss, h and gradients of the first update of a training run, or of update `step`."""
    trainer = Trainer(recipe, len(arrays["by"]), arrays=arrays)
    trainer.steps = step
    loss, h, _ = trainer.gradients(x, y, *trainer.begin_state(x.shape[1]))
    return float(loss.asscalar()), h.asnumpy(), trainer.W.gradients()


@cells
def test_dropout_of_hidden_states(weights, cell):
    """With a single prediction, the rows of Why without gradient are those of the dropped units."""
    H, V, P = 400, 3, 0.25
    arrays = weights(V, H, scale=0.1)
    x, y = np.array([[1]]), np.array([[2]])
    recipe = replace(STANDARD, hidden=H, implementation=cell, **{**NO_DROPOUT, "dropout": P})
    loss, h, grads = trained_once(recipe, arrays, x, y)
    kept = grads["Why"].any(axis=1)
    assert kept.mean() == pytest.approx(1 - P, abs=0.08)  # four standard deviations

    zero = np.zeros((1, H))
    expected, expected_h, _, expected_grads = run_notes(
        x, y, zero, zero, arrays, hidden_mask=kept.reshape(1, 1, H) / (1 - P)
    )
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(h, expected_h, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(grads["Why"], expected_grads["Why"], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(grads["Wxg"], expected_grads["Wxg"], rtol=1e-4, atol=1e-7)


@cells
def test_dropout_of_input_rows(weights, cell):
    """With one step and a different id in every lane, the rows without gradient are those of the dropped inputs."""
    N = V = 400
    arrays = weights(V, 3)
    x, y = np.arange(N)[None], np.zeros((1, N), int)
    recipe = replace(STANDARD, hidden=3, implementation=cell, **{**NO_DROPOUT, "input_dropout": 0.25})
    loss, h, grads = trained_once(recipe, arrays, x, y)
    kept = grads["Wxg"].any(axis=1)
    assert kept.mean() == pytest.approx(0.75, abs=0.08)
    for k in GATES:
        if k != "f":  # from a zero state the forget gate has no gradient
            np.testing.assert_array_equal(grads[f"Wx{k}"].any(axis=1), kept)

    zero = np.zeros((N, 3))
    expected, expected_h, _, expected_grads = run_notes(
        x, y, zero, zero, arrays, input_mask=kept.reshape(1, N, 1) / 0.75
    )
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(h, expected_h, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(grads["Wxg"], expected_grads["Wxg"], rtol=1e-3, atol=1e-7)


@cells
@pytest.mark.parametrize("variant", ["standard", "rnn"])
def test_dropconnect_of_recurrent_weights(cell, variant):
    """Dropped weights have no gradient, the others that of the scaled weights; the weights are restored afterwards."""
    H, V, P = 20, 5, 0.25
    recipe = replace(
        STANDARD, hidden=H, layers=2, variant=variant, implementation=cell, **{**NO_DROPOUT, "recurrent_dropout": P}
    )
    trainer = Trainer(recipe, V)
    arrays = trainer.W.to_numpy()
    rng = np.random.default_rng(0)
    x, y = rng.integers(V, size=(2, 7, 4))
    h, c = (rng.standard_normal((8, H)).astype(np.float32) for _ in "hc")
    loss = trainer.gradients(x, y, nd.array(h), nd.array(c))[0].asscalar()
    grads = trainer.W.gradients()
    for name, array in trainer.W.to_numpy().items():
        np.testing.assert_array_equal(array, arrays[name])

    recurrent = [name for name in arrays if name[:2] == "Wh" and name != "Why"]
    kept = {name: grads[name] != 0 for name in recurrent}
    assert np.mean([kept[name].mean() for name in recurrent]) == pytest.approx(1 - P, abs=0.05)
    masked = {**arrays, **{name: arrays[name] * kept[name] / (1 - P) for name in recurrent}}
    expected = reference.loss_and_gradients(x, y, h, c, masked, recipe.config)
    assert loss == pytest.approx(expected[0], rel=1e-5)
    for name, grad in expected[3].items():
        scaled = grad * kept[name] / (1 - P) if name in recurrent else grad
        np.testing.assert_allclose(grads[name], scaled, rtol=1e-3, atol=1e-6)


def test_initial_bias_predicts_token_frequencies():
    counts = np.array([0, 5, 1, 30])
    by = initializers.standard(ModelConfig(3), 4, np.random.default_rng(0), counts=counts)["by"]
    np.testing.assert_allclose(np.exp(by), (counts + 1) / 40, rtol=1e-6)


def test_masks_depend_on_seed_and_step_alone(weights, window):
    arrays = weights(5, 30)
    x, y = window(6, 4, 5, 30)[:2]
    recipe = replace(STANDARD, hidden=30, dropout=0.5)
    loss = trained_once(recipe, arrays, x, y)[0]
    assert trained_once(recipe, arrays, x, y)[0] == loss
    assert trained_once(recipe, arrays, x, y, step=1)[0] != loss
    assert trained_once(replace(recipe, seed=2), arrays, x, y)[0] != loss


def test_loss_stays_finite_when_a_probability_underflows():
    """The softmax is exactly 0 here; the notes would multiply its logarithm by 0."""
    logits, y = nd.array([[0.0, 1000.0], [1000.0, 0.0]]), nd.array([[0], [0]], dtype="int32")
    assert scratch.average_cross_entropy(logits, y).asscalar() == 500.0


def test_parameters_are_copies_and_assign_keeps_identity(weights):
    arrays = {name: array.astype(np.float32) for name, array in weights(4, 3).items()}
    W = Parameters(arrays)
    before = arrays["Why"].copy()
    arrays["Why"][:] = 7
    np.testing.assert_array_equal(W.to_numpy()["Why"], before)

    other = {name: array.astype(np.float32) for name, array in weights(4, 3, seed=9).items()}
    before = list(W)
    W.assign(other)
    assert all(a is b for a, b in zip(W, before))  # references to the arrays stay valid
    for name, array in W.to_numpy().items():
        np.testing.assert_array_equal(array, other[name])
    assert (W.H, W.V, W.count()) == (3, 4, 4 * (4 * 3 + 3 * 3 + 3) + 3 * 4 + 4)


def test_missing_arrays_are_named(weights):
    arrays = weights(4, 3)
    del arrays["Wxf"], arrays["by"]
    with pytest.raises(ValueError, match=r"Wxf, by$"):
        Parameters(arrays)
