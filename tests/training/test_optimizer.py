"""Optimizers against float64 code; the first updates of notes 003 end to end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gluon_lstm.compat import mx
from gluon_lstm.config import GATES, ModelConfig
from gluon_lstm.lstm import initializers
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.numerics import clip_coef
from gluon_lstm.training import batches, recipe
from gluon_lstm.training.optimizer import OPTIMIZERS, SGD, Adam, global_norm
from gluon_lstm.training.recipe import NOTES
from gluon_lstm.training.schedule import learning_rate
from gluon_lstm.training.trainer import Trainer, TrainingError

cells = pytest.mark.parametrize("cell", ["fast", "scratch"])


def gradients_like(W, rng):
    """Write random gradients to W; return them in float64."""
    grads = {}
    for name, param in W.items():
        grads[name] = rng.standard_normal(param.shape).astype(np.float32)
        param.grad[:] = mx.nd.array(grads[name])
    return {name: grad.astype(np.float64) for name, grad in grads.items()}


def test_recipe_lists_all_optimizers():
    assert set(recipe.OPTIMIZERS) == set(OPTIMIZERS)


def test_sgd_subtracts_the_scaled_gradient(weights, assert_same):
    arrays = weights(5, 3)
    W = Parameters(arrays)
    grads = gradients_like(W, np.random.default_rng(0))
    SGD().update(W, 2.0, 0.25)
    assert_same(W.to_numpy(), {name: arrays[name] - 2.0 * 0.25 * grads[name] for name in arrays}, 1e-5, 1e-6)


def test_adam_equals_algorithm_1(weights, assert_same):
    """Kingma & Ba 2015, with corrected moments written out; learning rate and scale change.

    (A constant scale would not be tested: Adam divides it out.)
    """
    arrays = weights(5, 3)
    W = Parameters(arrays)
    adam = Adam(W)
    rng = np.random.default_rng(0)
    wanted = dict(arrays)
    mean = dict.fromkeys(arrays, 0.0)
    variance = dict.fromkeys(arrays, 0.0)
    for t in range(1, 11):
        rate, scale = 0.1 / t, (1.0, 0.3, 0.01)[t % 3]
        for name, grad in gradients_like(W, rng).items():
            grad = scale * grad
            mean[name] = 0.9 * mean[name] + 0.1 * grad
            variance[name] = 0.999 * variance[name] + 0.001 * grad**2
            mean_hat = mean[name] / (1 - 0.9**t)
            variance_hat = variance[name] / (1 - 0.999**t)
            wanted[name] = wanted[name] - rate * mean_hat / (np.sqrt(variance_hat) + 1e-8)
        adam.update(W, rate, scale)
        assert_same(W.to_numpy(), wanted, 1e-4, 1e-5)


def test_first_adam_step_is_learning_rate_times_sign(weights):
    """For any gradient: the first step is the learning rate times its sign."""
    arrays = weights(5, 3)
    W = Parameters(arrays)
    signs = {}
    for name, param in W.items():
        rng = np.random.default_rng(1)
        signs[name] = rng.choice([-1.0, 1.0], param.shape)
        param.grad[:] = mx.nd.array(signs[name] * 10.0 ** rng.integers(-3, 3, param.shape))
    Adam(W).update(W, 0.01)
    for name, array in W.to_numpy().items():
        np.testing.assert_allclose(array - arrays[name], -0.01 * signs[name], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_embedding_rows_without_gradient_do_not_change(weights, decay, assert_same):
    """Only embedding rows depend on the ids: all other arrays always have a gradient."""
    arrays = weights(7, 3)
    ids = np.array([1, 4, 5])
    W, few = (Parameters({name: a if name[:2] != "Wx" else a[rows] for name, a in arrays.items()})
              for rows in (slice(None), ids))  # fmt: skip
    both = [(W, Adam(W, 3.0, decay=decay)), (few, Adam(few, 3.0, decay=decay))]
    for seed in range(3):
        for name, grad in gradients_like(W, np.random.default_rng(seed)).items():
            few_grad = grad[ids] if name[:2] == "Wx" else grad
            getattr(few, name).grad[:] = mx.nd.array(few_grad)
        for parameters, adam in both:
            adam.update(parameters, 0.1, 0.5, ids if parameters is W else None)
    for name, array in W.to_numpy().items():
        if name[:2] == "Wx":
            others = np.setdiff1d(np.arange(7), ids)
            np.testing.assert_array_equal(array[others], arrays[name][others].astype(np.float32))
            array = array[ids]
        np.testing.assert_array_equal(array, getattr(few, name).asnumpy(), err_msg=name)


def test_embedding_rows_count_their_own_steps(weights):
    """Moments and bias corrections count the updates of the row, not of the run."""
    arrays = weights(7, 3)
    gradients = np.random.default_rng(0).standard_normal((6, 7, 3)).astype(np.float32)
    windows = [[1, 4], [4, 5], [1], [0, 2], [4], [1, 2, 3]]
    W = Parameters(arrays)
    adam = Adam(W, input_lr_scale=3.0)
    for ids, gradient in zip(windows, gradients):
        W.Wxg.grad[:] = mx.nd.array(gradient)
        adam.update(W, 0.1, 1.0, np.array(ids))
    found = W.Wxg.asnumpy()
    for row in range(7):
        alone, mean, variance = arrays["Wxg"][row], 0.0, 0.0
        its = [gradient[row] for ids, gradient in zip(windows, gradients) if row in ids]
        for k, gradient in enumerate(its, start=1):
            mean, variance = 0.9 * mean + 0.1 * gradient, 0.999 * variance + 0.001 * gradient**2
            alone = alone - 0.3 * mean / (1 - 0.9**k) / (np.sqrt(variance / (1 - 0.999**k)) + 1e-8)
        np.testing.assert_allclose(found[row], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_without_numpy_views_gives_the_same(weights, decay, assert_same):
    arrays = weights(7, 3)
    found = []
    for dtype in ("float32", "float64"):
        W = Parameters(arrays, dtype=dtype)
        adam = Adam(W, 3.0, 2.0, decay)
        norms = []
        for seed in range(5):
            gradients_like(W, np.random.default_rng(seed))
            norms.append(global_norm(W))
            adam.update(W, 0.01, 0.5, np.array([seed, 5]))
        found.append({**W.to_numpy(), "norms": np.array(norms)})
    assert_same(*found, 1e-4, 1e-5)


def test_weight_decay_skips_biases(weights, assert_same):
    arrays = weights(5, 3)
    W = Parameters(arrays)
    for param in W:
        param.grad[:] = 0
    Adam(W, decay=0.5).update(W, 0.1)
    wanted = {name: array * (1 if name.startswith("b") else 0.95) for name, array in arrays.items()}
    assert_same(W.to_numpy(), wanted, 1e-6, 1e-7)


def test_global_norm_equals_norm_of_one_vector(weights):
    W = Parameters(weights(5, 3))
    grads = gradients_like(W, np.random.default_rng(2))
    wanted = np.linalg.norm(np.concatenate([grad.ravel() for grad in grads.values()]))
    assert global_norm(W) == pytest.approx(wanted, rel=1e-6)
    some = np.concatenate([(g[[0, 3]] if n[:2] == "Wx" else g).ravel() for n, g in grads.items()])
    assert global_norm(W, np.array([0, 3])) == pytest.approx(np.linalg.norm(some), rel=1e-6)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_clipping_never_lengthens(norm, threshold):
    factor = clip_coef(norm, threshold)
    if norm > threshold:
        assert factor == pytest.approx(threshold / norm)
    else:
        assert factor == 1.0


def test_clipping_by_hand():
    assert clip_coef(10.0, 2.5) == 0.25
    assert clip_coef(2.5, 2.5) == 1.0
    assert clip_coef(1.0, 2.5) == 1.0
    assert clip_coef(0.0, 2.5) == 1.0


@cells
def test_clipped_update_keeps_direction(weights, window, cell):
    arrays = {name: array.astype(np.float32) for name, array in weights(5, 4).items()}
    x, y, h, c = window(6, 3, 5, 4)
    moved = []
    for clip in (None, 1e-2):
        trainer = Trainer(replace(NOTES, hidden=4, clip=clip, implementation=cell), 5, arrays=arrays)
        trainer.update(x, y, mx.nd.array(h), mx.nd.array(c), 2.0)
        after = trainer.W.to_numpy()
        moved.append(np.concatenate([(after[name] - arrays[name]).ravel() for name in arrays]).astype(np.float64))
    free, clipped = moved
    assert np.linalg.norm(free) > 0.1  # so clipping has an effect
    assert np.linalg.norm(clipped) == pytest.approx(2.0 * 1e-2, rel=1e-3)
    assert free @ clipped / np.linalg.norm(free) / np.linalg.norm(clipped) == pytest.approx(1, abs=1e-4)


def packed(arrays):
    """Return the 14 arrays as two: rows for the one-hot id, h and a constant 1; columns for the four gates."""
    P = np.concatenate([np.vstack([arrays[f"Wx{k}"], arrays[f"Wh{k}"], arrays[f"b{k}"]]) for k in GATES], axis=1)
    Q = np.vstack([arrays["Why"], arrays["by"]])
    return P.astype(np.float64), Q.astype(np.float64)


def notes_update(x, y, h, c, P, Q, rate):
    """Run one update of notes 003 in float64 on ids (N, T): P and Q in place. Return loss, h, c."""
    N, T = x.shape
    V, H = Q.shape[1], h.shape[1]
    eye, one = np.eye(V), np.ones((N, 1))
    tape, loss = [], 0.0
    for t in range(T):
        u = np.hstack([eye[x[:, t]], h, one])
        A = u @ P
        g, (i, f, o) = np.tanh(A[:, :H]), (1 / (1 + np.exp(-A[:, k * H : (k + 1) * H])) for k in (1, 2, 3))
        before, c = c, f * c + i * g
        h = o * np.tanh(c)
        v = np.hstack([h, one])
        yhat = np.exp(v @ Q)
        yhat /= yhat.sum(axis=1, keepdims=True)
        loss -= np.log(yhat[np.arange(N), y[:, t]]).mean() / T
        tape.append((u, g, i, f, o, before, np.tanh(c), v, (yhat - eye[y[:, t]]) / (N * T)))
    dP, dQ = np.zeros_like(P), np.zeros_like(Q)
    dh, dc = np.zeros((N, H)), np.zeros((N, H))
    for u, g, i, f, o, before, tanh_c, v, dz in reversed(tape):
        dQ += v.T @ dz
        dh = dh + dz @ Q[:H].T
        dc = dc + dh * o * (1 - tanh_c**2)
        dA = np.hstack(
            [dc * i * (1 - g**2), dc * g * i * (1 - i), dc * before * f * (1 - f), dh * tanh_c * o * (1 - o)]
        )
        dP += u.T @ dA
        dh, dc = (dA @ P.T)[:, V : V + H], dc * f
    P -= rate * dP
    Q -= rate * dQ
    return loss, h, c


@cells
@pytest.mark.parametrize(
    ("N", "T", "H", "V", "scale"),
    [(3, 5, 7, 11, 0.3), (32, 32, 24, 40, None)],  # None: weights of the notes, 0.01 times a standard normal
)
def test_first_updates_of_the_notes_equal_float64(weights, cell, N, T, H, V, scale):
    """Every loss and weight, at learning rate 2.0, with carried state."""
    rng = np.random.default_rng(3)
    ids = rng.choice(V, size=20 * N * T + 1, p=rng.dirichlet(np.ones(V)))
    arrays = weights(V, H, scale) if scale else initializers.notes(ModelConfig(H), V, rng)
    trainer = Trainer(replace(NOTES, hidden=H, implementation=cell), V, arrays=arrays)
    P, Q = packed(arrays)
    data, label = (ids[k : k + 20 * N * T].reshape(20, N, T) for k in (0, 1))  # layout of the notes

    h, c = trainer.begin_state(N)
    slow_h, slow_c = np.zeros((2, N, H))
    losses, slow_losses = [], []
    for k, (x, y) in enumerate(batches.notebook(ids, N, T)):
        loss, h, c = trainer.update(x, y, h, c, learning_rate(trainer.recipe, 0, 0.0))
        slow_loss, slow_h, slow_c = notes_update(data[k], label[k], slow_h, slow_c, P, Q, 2.0)
        losses.append(loss)
        slow_losses.append(slow_loss)
    assert trainer.steps == len(losses) == 20
    assert abs(losses[-1] - losses[0]) > 0.05  # so the weights have changed
    np.testing.assert_allclose(losses, slow_losses, rtol=0, atol=1e-4)
    found_P, found_Q = packed(trainer.W.to_numpy())
    np.testing.assert_allclose(found_P, P, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found_Q, Q, rtol=0, atol=1e-4)
    np.testing.assert_allclose(h.asnumpy(), slow_h, rtol=0, atol=1e-4)
    np.testing.assert_allclose(c.asnumpy(), slow_c, rtol=0, atol=1e-4)


@cells
def test_timing_an_update_does_not_change_the_next(weights, window, assert_same, cell):
    """MXNet computes gradients asynchronously: they must not mix with those of the next window."""
    T, N, V, H = 24, 16, 150, 48
    arrays = weights(V, H, scale=0.1)
    x, y, h, c = window(T, N, V, H)
    other_x, other_y = window(T, N, V, H, seed=2)[:2]
    found = []
    for other_first in (False, True, True, True, True):
        trainer = Trainer(replace(NOTES, hidden=H, implementation=cell), V, arrays=arrays)
        if other_first:
            trainer.gradients(other_x, other_y, *trainer.begin_state(N))
        loss = trainer.gradients(x, y, mx.nd.array(h), mx.nd.array(c))[0]
        found.append({"loss": loss.asnumpy(), **trainer.W.gradients()})
    for later in found[1:]:
        assert_same(later, found[0], rtol=1e-3, atol=1e-6)


def refused(trainer, x, y, h, c):
    """Return the message of a TrainingError; weights and step count must not change."""
    before, steps = trainer.W.to_numpy(), trainer.steps
    with pytest.raises(TrainingError, match="not finite") as error:
        trainer.update(x, y, mx.nd.array(h), mx.nd.array(c), 0.5)
    assert trainer.steps == steps
    for name, array in trainer.W.to_numpy().items():
        np.testing.assert_array_equal(array, before[name])
    return str(error.value)


@cells
@pytest.mark.parametrize("clip", [None, 1.0])
def test_nonfinite_loss_changes_nothing(weights, window, cell, clip):
    arrays = weights(5, 4)
    arrays["by"][2] = np.nan
    trainer = Trainer(replace(NOTES, hidden=4, clip=clip, implementation=cell), 5, arrays=arrays)
    trainer.steps = 41
    assert "(step 42, learning rate 0.5)" in refused(trainer, *window(2, 3, 5, 4))


def exploding(cell, clip, weights):
    """Return a trainer and a window with a finite loss, about 1e37, but dL/dh = 3e38 + 3e38 overflows float32."""
    arrays = {name: 0.1 * np.abs(array) for name, array in weights(2, 4).items()}
    arrays["Why"][:] = [3e38, -3e38]
    trainer = Trainer(replace(NOTES, hidden=4, clip=clip, implementation=cell), 2, arrays=arrays)
    return trainer, np.array([[0]]), np.array([[1]]), np.zeros((1, 4)), np.zeros((1, 4))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # tested below
@cells
@pytest.mark.parametrize("clip", [None, 1.0])
def test_nonfinite_gradient_changes_nothing(weights, cell, clip):
    trainer, x, y, h, c = exploding(cell, clip, weights)
    loss = trainer.gradients(x, y, mx.nd.array(h), mx.nd.array(c))[0]
    assert np.isfinite(loss.asscalar())
    assert not np.isfinite(trainer.W.gradients()["bg"]).all()
    refused(trainer, x, y, h, c)


@pytest.mark.filterwarnings("error")
@cells
def test_explosion_raises_no_warnings(weights, cell):
    refused(*exploding(cell, 1.0, weights))
