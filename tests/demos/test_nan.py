"""`demo nan`: the reconstruction equals the printed code, the repaired version is right, each error has its effect."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import central_difference, command_error, sigmoid

from gluon_lstm.cli.main import main
from gluon_lstm.demos import nan, reconstruction, repaired
from gluon_lstm.demos.reconstruction import ERRORS, PRINTED, N

NO_ERRORS = frozenset()
RATES = [0.01, 0.1, 0.3, 1.0]


def ignore(n):
    pass


class Notes:
    """Code of notes 000 for one network, line by line: column vectors; gates in the order i, o, f, activation."""

    def __init__(self, W):
        arrays = reconstruction.named_arrays(W, 0)
        self.w, self.u = (np.stack([arrays[f"W{of}{k}"].T for k in "iofg"]) for of in "xh")
        self.v = np.stack([arrays[f"Wc{k}"].T for k in "iof"])
        self.b, self.vv, self.d1 = np.zeros((4, N)), arrays["Why"].T, np.zeros(N)

    def forward(self, x, h, c):
        w, u, v, b = self.w, self.u, self.v, self.b
        i = sigmoid(w[0] @ x + u[0] @ h + v[0] @ c + b[0])
        f = sigmoid(w[2] @ x + u[2] @ h + v[2] @ c + b[2])
        a = np.tanh(w[3] @ x + u[3] @ h + b[3])
        c_prev, c = c, i * a + f * c
        o = sigmoid(w[1] @ x + u[1] @ h + v[1] @ c + b[1])
        h_prev, h = h, o * np.tanh(c)
        return i, f, a, o, c_prev, c, h_prev, h, self.vv @ h + self.d1

    def printed_step(self, x, target, h, c, rate):
        """Forward, backward with e_h = 1, and update of the weights in place."""
        i, f, a, o, c_prev, c, h_prev, h, y = self.forward(x, h, c)
        e_c = o * (1 - np.tanh(c) ** 2)
        e = [e_c * a * i * (1 - i), np.tanh(c) * o * (1 - o), e_c * c_prev * f * (1 - f), e_c * i * (1 - a**2)]
        for k, cell in enumerate((c_prev, c, c_prev, None)):
            self.w[k] -= rate * np.dot(e[k], x)  # a scalar
            self.u[k] -= rate * np.dot(e[k], h_prev)
            if cell is not None:
                self.v[k] -= rate * np.dot(e[k], cell)
            self.b[k] -= rate * e[k]
        self.vv = self.vv - rate * np.dot(y - target, h)
        self.d1 = self.d1 - rate * (y - target)
        return h, c, y


def test_reconstruction_equals_the_printed_code():
    """Over two sequences; the second starts from the last state of the first and from the initial weights."""
    T, rate = 25, 0.1
    curve = reconstruction.train(PRINTED, 2, T, [3], [rate], ignore)
    rngs = reconstruction.rngs_for([3], [rate], 1)
    h = c = np.zeros(N)
    norms = []
    for sequence in range(2):
        notes = Notes(reconstruction.initial_weights(reconstruction.rngs_for([3], [rate], 0)))
        x, y = reconstruction.task(rngs, T)
        outputs = np.empty_like(y)
        for t in range(T):
            h, c, outputs[t, 0] = notes.printed_step(x[t, 0], y[t, 0], h, c, rate)
            norms.append(math.sqrt(sum((a**2).sum() for a in vars(notes).values())))
        assert curve.error[sequence, 0] == pytest.approx(((outputs - y) ** 2).sum() / (y**2).sum(), rel=1e-9)
    np.testing.assert_allclose(curve.norm[:, 0], norms, rtol=1e-9)


def test_without_errors_gradients_equal_finite_differences():
    T = 4
    rng = np.random.default_rng(0)
    W = reconstruction.Weights(*(0.5 * rng.standard_normal(a.shape) for a in reconstruction.initial_weights([rng])))
    W.W[:, 3, 2] = 0  # the activation has no peephole
    x, y = reconstruction.task([rng], T)
    x = x + 0.3 * rng.standard_normal(x.shape)  # all inputs different
    zero = np.zeros((1, N))
    _, grads = reconstruction.gradients(x, y, zero, zero, [W] * (T + 1), np.zeros(1), NO_ERRORS)

    def loss():
        notes, h, c, total = Notes(W), np.zeros(N), np.zeros(N), 0.0
        notes.b, notes.d1 = W.b[0, [0, 2, 1, 3]], W.by[0]
        for t in range(T):
            *_, c, _, h, output = notes.forward(x[t, 0], h, c)
            total += ((output - y[t, 0]) ** 2).sum() / 2
        return total

    for array, grad in zip(W, reconstruction.sum_gradients(grads)):
        indices = [index for index in np.ndindex(array.shape) if array.ndim < 5 or index[1:3] != (3, 2)]
        for index in [indices[k] for k in rng.permutation(len(indices))[:60]]:
            assert grad[index] == pytest.approx(central_difference(loss, array, index), rel=1e-5, abs=1e-8)


def test_without_errors_training_equals_that_of_the_reference_cell():
    ours = reconstruction.train(NO_ERRORS, 30, 10, [1, 2, 3], [0.3], ignore)
    theirs = repaired.train(30, 10, [1, 2, 3], 0.3, ignore)
    np.testing.assert_allclose(ours.error, theirs.error, rtol=1e-7)
    np.testing.assert_allclose(ours.norm, theirs.norm, rtol=1e-7)


def test_a_gradient_check_detects_four_of_the_errors():
    found = {error for error in ERRORS if repaired.gradient_error(frozenset({error}), 16, [1, 2]) > 1e-3}
    assert found == {"signal", "direction", "products", "peepholes"}
    assert repaired.gradient_error(NO_ERRORS, 16, [1, 2]) < 1e-12


def test_printed_output_weights_overflow_at_the_predicted_step():
    curve = reconstruction.train(PRINTED, 1, 450, [1, 2], RATES, ignore)
    slow, *fast = curve.nan_step.reshape(2, -1).T.tolist()
    assert slow == [0, 0]  # 0.01 (1 + 8^2) < 2
    for rate, steps in zip(RATES[1:], fast):
        expected = math.log(np.finfo(float).max) / math.log(rate * (1 + N**2) - 1)
        assert all(expected < step < expected + 20 for step in steps)
    assert {kind for kind in curve.nan_arrays if kind} <= {"vv", "d1", "vv, d1"}  # never w, u, v and b


def test_a_handwritten_tanh_becomes_nan_at_a_rate_that_is_stable_with_numpys(monkeypatch):
    """(e^x - e^-x) / (e^x + e^-x) is NaN beyond 709.7, and the cell state of a long sequence gets there."""

    def nan_step():
        curve = reconstruction.train(PRINTED, 1, 2750, [4], [0.01], ignore)
        return curve.nan_step[0], curve.nan_arrays[0]

    monkeypatch.setattr(reconstruction, "sigmoid", sigmoid)  # that of `numerics` is written with np.tanh
    assert nan_step() == (0, "")
    monkeypatch.setattr(np, "tanh", lambda x: (np.exp(x) - np.exp(-x)) / (np.exp(x) + np.exp(-x)))
    step, arrays = nan_step()
    assert step > 709 and arrays == "w, u, v, b, vv, d1"


def test_clipping_is_the_only_single_repair_that_keeps_the_weights_bounded():
    def max_norm(errors):
        return reconstruction.train(errors, 1, 450, [1], [1.0], ignore).norm.max()

    assert max_norm(PRINTED - {"clipping"}) < 1e4
    for error in ("peepholes", "index", "products"):
        assert not max_norm(PRINTED - {error}) < 1e300


def final_error(*errors):
    """Final error at the best rate of the repaired version."""
    curve = reconstruction.train(frozenset(errors), *nan.SHORT, [1, 2], [0.3], ignore)
    return curve.error[-20:].mean(axis=0).max()


def test_effect_of_each_error_on_the_final_error():
    assert final_error() < 0.15
    assert final_error("peepholes") < 0.25
    assert final_error("steps") > 0.95 and final_error("signal") > 0.95
    assert 0.7 < final_error("direction") < 0.95 and 0.7 < final_error("products") < 0.95


def test_without_clipping_weights_become_nan_only_at_a_high_rate():
    curve = reconstruction.train(frozenset({"clipping"}), *nan.SHORT, [1], [0.01, 1.0], ignore)
    assert curve.nan_step[0] == 0 and curve.nan_step[1] > 0
    assert "w, u, v" in curve.nan_arrays[1]
    assert curve.error[-20:, 0].mean() < 0.6


def test_printed_gate_weights_do_not_depend_on_the_targets():
    T = 20
    x, y = reconstruction.task(reconstruction.rngs_for([1], [0.1], 1), T)
    zero = np.zeros((1, N))
    ends = []
    for target in (y, y + 1e6):
        W = [reconstruction.initial_weights(reconstruction.rngs_for([1], [0.1], 0))] * (T + 1)
        reconstruction.gradients(x, target, zero, zero, W, np.array([0.1]), PRINTED)
        ends.append(W[T])
    assert np.array_equal(ends[0].W, ends[1].W) and np.array_equal(ends[0].b, ends[1].b)
    assert not np.array_equal(ends[0].Why, ends[1].Why)


@pytest.mark.parametrize("seed", [1, 2])
def test_output_and_its_weights_overflow_within_a_step_and_become_nan_together(seed):
    T = 200
    W = [reconstruction.initial_weights(reconstruction.rngs_for([seed], [1.0], 0))] * (T + 1)
    x, y = reconstruction.task(reconstruction.rngs_for([seed], [1.0], 1), T)
    zero = np.zeros((1, N))
    with np.errstate(all="ignore"):
        steps, _ = reconstruction.gradients(x, y, zero, zero, W, np.ones(1), PRINTED)
    outputs, weights = np.array([step.y for step in steps]), np.array([weights.Why for weights in W[:T]])
    overflows = [int(np.argmax(~np.isfinite(a).reshape(T, -1).all(axis=1))) for a in (outputs, weights)]
    nans = [int(np.argmax(np.isnan(a).reshape(T, -1).any(axis=1))) for a in (outputs, weights)]
    assert overflows[1] - 1 <= overflows[0] <= overflows[1]
    assert nans == [overflows[1] + 1] * 2


# ---- the whole demo


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(nan, "LONG", (1, 180))
    monkeypatch.setattr(nan, "SHORT", (4, 6))
    monkeypatch.setattr(nan, "AVERAGED_SEQUENCES", {(1, 180): 1, (4, 6): 2})


def test_same_seed_same_output(small, capsys, tmp_path):
    outputs = []
    for _ in range(2):
        assert main(["demo", "nan", "--out", str(tmp_path / "new" / "folder")]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    picture = tmp_path / "new" / "folder" / "nan.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    lines = outputs[0].splitlines()
    (printed,) = (line for line in lines if line.startswith("as printed ") and "NaN" in line)
    assert printed.split()[-1] == "0.01" and "NaN 5/5, 17" in printed  # at rate 1, step 17x
    for words in ERRORS.values():
        assert sum(f": {words} " in line for line in lines) == 3  # removed (long, short), added


def test_another_seed_gives_other_numbers():
    one, other, again = (reconstruction.train(NO_ERRORS, 2, 5, [seed], [0.1], ignore).norm for seed in (1, 2, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_progress_ends_at_its_total(small):
    from contextlib import contextmanager

    counts = []

    @contextmanager
    def progress(label, total, unit):
        counts.append(total)
        yield lambda n, total=None: counts.append(-n)

    nan.train_all([1], progress)
    assert sum(counts) == 0


def test_table_cell_shows_nan_rather_than_an_error():
    nan_step = np.array([0, 7, 0, 0, 0, 9, 0, 0])  # two seeds, four rates
    error = np.array([[0.5, np.nan, 2.0, 1e40, 0.7, np.nan, 4.0, 1e42]])
    curve = reconstruction.TrainingCurve(error, error, nan_step, [""] * 8)
    assert nan.table_cells(curve, nan.LONG) == ["0.6", "NaN 2/2, 8", "3", "5.1e+41"]


def test_invalid_options_are_refused_in_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    error = command_error(capsys, "demo", "nan", "--out", str(tmp_path / "file"))
    assert error.startswith(f"{tmp_path / 'file'}: ")
    assert command_error(capsys, "demo", "nan", "--seed", "-1").startswith("--seed -1: ")
    with pytest.raises(SystemExit) as exit:
        main(["demo", "inf"])
    assert exit.value.code == 2 and "'inf'" in capsys.readouterr().err
