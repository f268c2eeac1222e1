"""The LSTM of notes 000: the reconstruction is their code, its repair is right, each error does what is said of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gluon_lstm.cli.main import main
from gluon_lstm.demos import divergence, reconstruction, repaired
from gluon_lstm.demos.reconstruction import ERRORS, PRINTED, N

NOTHING = frozenset()
RATES = [0.01, 0.1, 0.3, 1.0]


def ignore(n):
    pass


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


class Notes:
    """Notes 000 for one network, read line by line: column vectors, gates in their order: i, o, f, activation."""

    def __init__(self, W):
        arrays = reconstruction.by_name(W, 0)
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
        """Forward, backward with e_h = 1, and the weights of the next step in place of these."""
        i, f, a, o, c_prev, c, h_prev, h, y = self.forward(x, h, c)
        e_c = o * (1 - np.tanh(c) ** 2)
        e = [e_c * a * i * (1 - i), np.tanh(c) * o * (1 - o), e_c * c_prev * f * (1 - f), e_c * i * (1 - a**2)]
        for k, seen in enumerate((c_prev, c, c_prev, None)):
            self.w[k] -= rate * np.dot(e[k], x)  # one number
            self.u[k] -= rate * np.dot(e[k], h_prev)
            if seen is not None:
                self.v[k] -= rate * np.dot(e[k], seen)
            self.b[k] -= rate * e[k]
        self.vv = self.vv - rate * np.dot(y - target, h)
        self.d1 = self.d1 - rate * (y - target)
        return h, c, y


def test_as_printed_it_is_the_printed_code():
    """Over two sequences: the second begins with the first one's last state, and with the weights of the very first."""
    T, rate = 25, 0.1
    course = reconstruction.train(PRINTED, 2, T, [3], [rate], ignore)
    rngs = reconstruction.generators([3], [rate], 1)
    h = c = np.zeros(N)
    norms = []
    for sequence in range(2):
        notes = Notes(reconstruction.begin(reconstruction.generators([3], [rate], 0)))
        x, y = reconstruction.task(rngs, T)
        answers = np.empty_like(y)
        for t in range(T):
            h, c, answers[t, 0] = notes.printed_step(x[t, 0], y[t, 0], h, c, rate)
            norms.append(math.sqrt(sum((a**2).sum() for a in vars(notes).values())))
        assert course.error[sequence, 0] == pytest.approx(((answers - y) ** 2).sum() / (y**2).sum(), rel=1e-9)
    np.testing.assert_allclose(course.norm[:, 0], norms, rtol=1e-9)


def test_without_errors_the_gradients_are_the_slopes_of_the_loss_in_every_place():
    T, epsilon = 4, 1e-5
    rng = np.random.default_rng(0)
    W = reconstruction.Weights(*(0.5 * rng.standard_normal(a.shape) for a in reconstruction.begin([rng])))
    W.W[:, 3, 2] = 0  # the activation has no peephole
    x, y = reconstruction.task([rng], T)
    x = x + 0.3 * rng.standard_normal(x.shape)  # so that no two inputs are the same
    zero = np.zeros((1, N))
    _, grads = reconstruction.gradients(x, y, zero, zero, [W] * (T + 1), np.zeros(1), NOTHING)
    for array, grad in zip(W, reconstruction.total(grads)):
        places = [place for place in np.ndindex(array.shape) if array.ndim < 5 or place[1:3] != (3, 2)]
        for place in [places[k] for k in rng.permutation(len(places))[:60]]:
            losses = []
            for moved in (array[place] + epsilon, array[place] - epsilon):
                kept, array[place] = array[place], moved
                notes, h, c, loss = Notes(W), np.zeros(N), np.zeros(N), 0.0
                notes.b, notes.d1 = W.b[0, [0, 2, 1, 3]], W.by[0]
                for t in range(T):
                    *_, c, _, h, answer = notes.forward(x[t, 0], h, c)
                    loss += ((answer - y[t, 0]) ** 2).sum() / 2
                losses.append(loss)
                array[place] = kept
            assert grad[place] == pytest.approx((losses[0] - losses[1]) / (2 * epsilon), rel=1e-5, abs=1e-8)


def test_without_errors_it_trains_as_the_cell_of_the_reference_does():
    ours = reconstruction.train(NOTHING, 30, 10, [1, 2, 3], [0.3], ignore)
    theirs = repaired.train(30, 10, [1, 2, 3], 0.3, ignore)
    np.testing.assert_allclose(ours.error, theirs.error, rtol=1e-7)
    np.testing.assert_allclose(ours.norm, theirs.norm, rtol=1e-7)


def test_a_check_of_the_gradients_finds_four_of_the_errors_and_not_the_others():
    found = {error for error in ERRORS if repaired.gradient_error(frozenset({error}), 16, [1, 2]) > 1e-3}
    assert found == {"signal", "direction", "products", "peepholes"}
    assert repaired.gradient_error(NOTHING, 16, [1, 2]) < 1e-12


def test_as_printed_the_output_weights_overflow_when_the_rate_times_n_squared_says_so():
    course = reconstruction.train(PRINTED, 1, 450, [1, 2], RATES, ignore)
    slow, *fast = course.nan_at.reshape(2, -1).T.tolist()
    assert slow == [0, 0]  # 0.01 (1 + 8^2) < 2
    for rate, steps in zip(RATES[1:], fast):
        expected = math.log(np.finfo(float).max) / math.log(rate * (1 + N**2) - 1)
        assert all(expected < step < expected + 20 for step in steps)
    assert {kind for kind in course.nan_in if kind} <= {"vv", "d1", "vv, d1"}  # never w, u, v and b


def test_of_all_the_errors_taking_out_no_clipping_alone_keeps_the_weights_finite():
    def highest(errors):
        return reconstruction.train(errors, 1, 450, [1], [1.0], ignore).norm.max()

    assert highest(PRINTED - {"clipping"}) < 1e4
    for error in ("peepholes", "index", "products"):
        assert not highest(PRINTED - {error}) < 1e300


def learned(*errors):
    """The error left at the rate that is best for the repaired version."""
    course = reconstruction.train(frozenset(errors), *divergence.SHORT, [1, 2], [0.3], ignore)
    return course.error[-20:].mean(axis=0).max()


def test_which_errors_learn_nothing_and_which_do_no_harm():
    assert learned() < 0.15
    assert learned("peepholes") < 0.25
    assert learned("steps") > 0.95 and learned("signal") > 0.95
    assert 0.7 < learned("direction") < 0.95 and 0.7 < learned("products") < 0.95


def test_no_clipping_alone_becomes_nan_and_that_at_a_high_rate_only():
    course = reconstruction.train(frozenset({"clipping"}), *divergence.SHORT, [1], [0.01, 1.0], ignore)
    assert course.nan_at[0] == 0 and course.nan_at[1] > 0
    assert "w, u, v" in course.nan_in[1]
    assert course.error[-20:, 0].mean() < 0.6


def test_as_printed_nothing_of_the_output_reaches_the_gates():
    T = 20
    x, y = reconstruction.task(reconstruction.generators([1], [0.1], 1), T)
    zero = np.zeros((1, N))
    ends = []
    for target in (y, y + 1e6):
        W = [reconstruction.begin(reconstruction.generators([1], [0.1], 0))] * (T + 1)
        reconstruction.gradients(x, target, zero, zero, W, np.array([0.1]), PRINTED)
        ends.append(W[T])
    assert np.array_equal(ends[0].W, ends[1].W) and np.array_equal(ends[0].b, ends[1].b)
    assert not np.array_equal(ends[0].Why, ends[1].Why)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_output_and_its_weights_overflow_within_a_step_and_are_nan_together(seed):
    T = 200
    W = [reconstruction.begin(reconstruction.generators([seed], [1.0], 0))] * (T + 1)
    x, y = reconstruction.task(reconstruction.generators([seed], [1.0], 1), T)
    zero = np.zeros((1, N))
    with np.errstate(all="ignore"):
        steps, _ = reconstruction.gradients(x, y, zero, zero, W, np.ones(1), PRINTED)
    answers, weights = np.array([step.y for step in steps]), np.array([weights.Why for weights in W[:T]])
    overflows = [int(np.argmax(~np.isfinite(a).reshape(T, -1).all(axis=1))) for a in (answers, weights)]
    nans = [int(np.argmax(np.isnan(a).reshape(T, -1).any(axis=1))) for a in (answers, weights)]
    assert overflows[1] - 1 <= overflows[0] <= overflows[1]
    assert nans == [overflows[1] + 1] * 2


# ---- the demonstration as a whole


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(divergence, "LONG", (1, 180))
    monkeypatch.setattr(divergence, "SHORT", (4, 6))
    monkeypatch.setattr(divergence, "LAST", {(1, 180): 1, (4, 6): 2})


def test_the_same_seed_tells_the_same_story(small, capsys, tmp_path):
    told = []
    for _ in range(2):
        assert main(["demo", "nan", "--out", str(tmp_path / "new" / "folder")]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    picture = tmp_path / "new" / "folder" / "nan.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    lines = told[0].splitlines()
    (printed,) = (line for line in lines if line.startswith("as printed ") and "NaN" in line)
    assert printed.split()[-1] == "0.01" and "NaN 5/5, 17" in printed  # at rate 1, step 17x
    for words in ERRORS.values():
        assert sum(f": {words} " in line for line in lines) == 3  # without it (long, short), with it


def test_another_seed_is_another_story():
    one, other, again = (reconstruction.train(NOTHING, 2, 5, [seed], [0.1], ignore).norm for seed in (1, 2, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_the_progress_ends_at_its_total(small):
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def progress(label, total, unit):
        seen.append(total)
        yield lambda n, total=None: seen.append(-n)

    divergence.run([1], progress)
    assert sum(seen) == 0


def test_a_cell_tells_of_nan_before_it_tells_of_an_error():
    nan_at = np.array([0, 7, 0, 0, 0, 9, 0, 0])  # two seeds, four rates
    error = np.array([[0.5, np.nan, 2.0, 1e40, 0.7, np.nan, 4.0, 1e42]])
    course = reconstruction.Course(error, error, nan_at, [""] * 8)
    assert divergence.cells(course, divergence.LONG) == ["0.6", "NaN 2/2, 8", "3", "5.1e+41"]


def test_bad_input_is_said_in_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["demo", "nan", "--out", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"gluon-lstm: {tmp_path / 'file'}: File exists\n"
    assert main(["demo", "nan", "--seed", "-1"]) == 2
    assert capsys.readouterr().err == "gluon-lstm: --seed -1: use at least 0\n"
    with pytest.raises(SystemExit) as exit:
        main(["demo", "inf"])
    assert exit.value.code == 2 and "'inf'" in capsys.readouterr().err
