"""`demo gradients`: dL/dh[t] is the slope of the loss, grows as the weights say, and is clipped as the rule says."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from helpers import DOCS, reference_step
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.cli.demo import DEMOS
from gluon_lstm.cli.main import main, parser
from gluon_lstm.cli.options import summary
from gluon_lstm.config import ModelConfig
from gluon_lstm.demos import gradients
from gluon_lstm.demos.gradients import MODELS, THRESHOLD, Flow, flow, norm
from gluon_lstm.lstm import initializers
from gluon_lstm.training.optimizer import clip_coef

EPSILON = 1e-5
PAGE = DOCS / "notes-004.md"
variants = pytest.mark.parametrize("variant", ["rnn", "standard"])


def problem(variant, T=6, N=3, H=4, V=5, seed=0):
    rng = np.random.default_rng(seed)
    config = ModelConfig(H, variant)
    W = {name: 0.8 * rng.standard_normal(shape) for name, shape in config.shapes(V).items()}
    return rng.integers(V, size=(T, N)), rng.integers(V, size=N), W, config


def loss_from(t, x, y, h, c, W, variant):
    """The loss of the last step, lane by lane, going on behind step t (-1: before the first) from h, c (N, H)."""
    V, total = len(W["by"]), 0.0
    for n in range(len(y)):
        h_n, c_n = h[n], c[n]
        for ids in x[t + 1 :]:
            h_n, c_n = reference_step(variant, np.eye(V)[ids[n]], h_n, c_n, W)
        z = h_n @ W["Why"] + W["by"]
        total -= z[y[n]] - np.log(np.exp(z).sum())
    return total / len(y)


def states(x, W, variant):
    """h and c (N, H) behind each step."""
    V, H, found = len(W["by"]), len(W["Why"]), []
    h, c = np.zeros((2, x.shape[1], H))
    for ids in x:
        lanes = [reference_step(variant, np.eye(V)[ids[n]], h[n], c[n], W) for n in range(len(ids))]
        h, c = (np.stack(state) for state in zip(*lanes))
        found.append((h, c))
    return found


@variants
def test_dh_is_the_slope_of_the_last_loss_in_every_state(variant):
    x, y, W, config = problem(variant)
    dh, _, _ = gradients.gradients(x, y, W, config)
    slopes = np.empty_like(dh)
    for t, (h, c) in enumerate(states(x, W, variant)):
        for place in np.ndindex(h.shape):
            moved = np.zeros_like(h)
            moved[place] = EPSILON
            losses = [loss_from(t, x, y, h + step, c, W, variant) for step in (moved, -moved)]
            slopes[(t, *place)] = (losses[0] - losses[1]) / (2 * EPSILON)
    assert np.abs(slopes[0]).max() > 1e-4  # of the step that is farthest away, too
    np.testing.assert_allclose(dh, slopes, rtol=1e-6, atol=1e-10)


@variants
def test_the_gradients_of_all_arrays_are_the_slopes_of_the_last_loss(variant, assert_same):
    x, y, W, config = problem(variant, T=4, N=2, H=3)
    zero = np.zeros((2, 3))
    slopes = {}
    for name, array in W.items():
        slopes[name] = np.empty_like(array)
        for place in np.ndindex(array.shape):
            moved = np.zeros_like(array)
            moved[place] = EPSILON
            losses = [loss_from(-1, x, y, zero, zero, {**W, name: array + step}, variant) for step in (moved, -moved)]
            slopes[name][place] = (losses[0] - losses[1]) / (2 * EPSILON)
    assert_same(gradients.gradients(x, y, W, config)[1], slopes, rtol=1e-6, atol=1e-9)


@variants
def test_the_far_part_is_the_slope_where_only_the_first_half_has_the_weight(variant):
    """The recurrent weights moved in the first half of the steps alone, and the loss from there with those unmoved."""
    x, y, W, config = problem(variant)
    half = len(x) // 2
    far = gradients.gradients(x, y, W, config)[2]
    for name, grad in far.items():
        direction = np.random.default_rng(7).standard_normal(grad.shape)
        losses = []
        for step in (EPSILON, -EPSILON):
            h, c = states(x[:half], {**W, name: W[name] + step * direction}, variant)[-1]
            losses.append(loss_from(half - 1, x, y, h, c, W, variant))
        assert np.vdot(grad, direction) == pytest.approx((losses[0] - losses[1]) / (2 * EPSILON), rel=1e-6, abs=1e-10)


def linear(Whh, T):
    """Norms of dL/dh[t], from the last step back, of an RNN that stays at h = 0, where tanh is the identity."""
    H = len(Whh)
    config = ModelConfig(H, "rnn")
    W = {name: np.zeros(shape) for name, shape in config.shapes(3).items()}
    rng = np.random.default_rng(1)
    W.update(Whh=Whh, Why=rng.standard_normal((H, 3)))
    dh, _, _ = gradients.gradients(rng.integers(3, size=(T, 2)), rng.integers(3, size=2), W, config)
    return np.linalg.norm(dh, axis=(1, 2))[::-1]


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_where_tanh_does_nothing_an_orthogonal_matrix_multiplies_by_its_scale(scale):
    norms = linear(scale * initializers.orthogonal(8, np.random.default_rng(0)), 60)
    np.testing.assert_allclose(norms, norms[0] * scale ** np.arange(60), rtol=1e-10)


@pytest.mark.parametrize("radius", [0.7, 1.0, 1.3])
def test_where_tanh_does_nothing_any_matrix_multiplies_by_its_spectral_radius_in_the_long_run(radius):
    matrix = np.random.default_rng(3).standard_normal((8, 8))
    matrix *= radius / np.abs(np.linalg.eigvals(matrix)).max()
    norms = linear(matrix, 400)
    assert (norms[399] / norms[100]) ** (1 / 299) == pytest.approx(radius, rel=0.01)


@pytest.mark.parametrize("forget", [0.0, 1.0, 5.0])
def test_a_cell_keeps_of_its_gradient_what_the_forget_gate_lets_through(forget):
    """With recurrent weights near 0 the cell is the only way back, and its gate stands at sigmoid(bf)."""
    H, V, T = 4, 3, 40
    config = ModelConfig(H)
    W = {name: np.zeros(shape) for name, shape in config.shapes(V).items()}
    rng = np.random.default_rng(1)
    W["bf"][:] = forget
    W["Why"] = rng.standard_normal((H, V))
    W["Whg"] = 1e-6 * initializers.orthogonal(H, rng)
    dh, _, _ = gradients.gradients(np.zeros((T, 1), int), np.zeros(1, int), W, config)
    norms = np.linalg.norm(dh, axis=(1, 2))[::-1]
    np.testing.assert_allclose(norms[2:] / norms[1:-1], 1 / (1 + math.exp(-forget)), rtol=1e-4)


@pytest.fixture(scope="module")
def flows():
    return {(model, scale): flow(model, scale, 1) for model in MODELS for scale in (0.5, 1.5)}


def test_the_rnn_forgets_or_explodes_and_a_wide_open_cell_does_neither(flows):
    assert flows[gradients.RNN, 0.5].growth < 0.5 and flows[gradients.RNN, 0.5].norms[50] < 1e-14
    assert flows[gradients.RNN, 1.5].growth > 1.02 and flows[gradients.RNN, 1.5].length > 100
    assert flows["LSTM, bf = 0", 0.5].norms[50] < 1e-10  # a cell alone does not prevent it
    assert flows["LSTM, bf = 0", 0.5].growth < flows["LSTM, bf = 1", 0.5].growth < 0.9
    assert 1e-3 < flows["LSTM, bf = 5", 0.5].norms[50] < 1


def test_clipping_keeps_the_direction_and_cuts_the_length(flows):
    for f in flows.values():
        assert f.clipped == pytest.approx(min(f.length, THRESHOLD), rel=1e-12)
        assert f.cosine == pytest.approx(1, abs=1e-12)


def test_clipping_brings_nothing_back(flows):
    """What is far stays the share of the whole that it was."""
    for f in flows.values():
        assert f.far_clipped <= f.far
        assert f.far_clipped / f.clipped == pytest.approx(f.far / f.length, rel=1e-10)
    assert flows[gradients.RNN, 0.5].far_clipped < 1e-14


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=8), st.lists(numbers, min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_the_rule_of_the_notes(one, other, threshold):
    grads = {"one": np.array(one), "other": np.array(other)}
    length = float(np.linalg.norm([*one, *other]))
    assert norm(grads) == pytest.approx(length, rel=1e-12)
    factor = clip_coef(norm(grads), threshold)
    assert 0 < factor <= 1
    assert (factor == 1) == (norm(grads) <= threshold)
    assert factor * length <= threshold * (1 + 1e-12)
    if length:
        assert factor * length == pytest.approx(min(length, threshold), rel=1e-12)


def test_the_rows_that_docs_show_are_those_of_the_command():
    (block,) = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    shown = [line for line in block.splitlines() if line and not line.startswith(" ")]
    models = {(line[:13].rstrip(), float(line[13:18])) for line in shown}
    found = [flow(model, scale, 1) for model, scale in models]
    assert len(shown) > len(models) > 5 and set(shown) <= set(gradients.lines(found))


def test_a_seed_gives_the_same_numbers_and_another_one_others():
    assert flow("LSTM, bf = 1", 1.1, 3) == flow("LSTM, bf = 1", 1.1, 3)
    assert flow("LSTM, bf = 1", 1.1, 3).norms != flow("LSTM, bf = 1", 1.1, 4).norms


def test_the_command_prints_and_draws_what_the_library_finds(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gradients, "SCALES", (0.5, 2.0))
    monkeypatch.setattr(gradients, "MODELS", {name: MODELS[name] for name in ("RNN", "LSTM, bf = 1")})
    assert main(["demo", "gradients", "--seed", "2", "--out", str(tmp_path / "new" / "pictures")]) == 0
    out = capsys.readouterr().out.splitlines()
    found: list[Flow] = gradients.run(seed=2)
    assert out == gradients.lines(found)
    assert [path.name for path in (tmp_path / "new" / "pictures").iterdir()] == ["gradients.png"]
    assert (tmp_path / "new" / "pictures" / "gradients.png").read_bytes().startswith(b"\x89PNG")
    (last,) = (f for f in found if (f.model, f.scale) == ("RNN", 2.0))
    row = next(line.split() for line in out if line.startswith("RNN") and line.split()[1] == "2.0")
    shown = [f"{last.norms[back]:.1e}" for back in (0, 1, 10, 25, 50, 99)]
    assert row[2:] == [*shown, f"{(last.norms[99] / last.norms[50]) ** (1 / 49):.3f}"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seed", "-1"], "--seed -1: use at least 0"),
        (["--out", "{file}"], "{file}: File exists"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(tmp_path, capsys, arguments, sentence):
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    assert main(["demo", "gradients", *(argument.format(file=file) for argument in arguments)]) == 2
    assert capsys.readouterr().err == f"gluon-lstm: {sentence.format(file=file)}\n"
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", sorted(DEMOS))
def test_every_demo_says_what_it_is_and_every_option_of_it(name, capsys):
    with pytest.raises(SystemExit) as exit:
        parser().parse_args(["demo", name, "--help"])
    said = capsys.readouterr().out
    assert exit.value.code == 0 and said.startswith(f"usage: gluon-lstm demo {name} ")
    assert "--out DIR" in said and "--seed S" in said
    assert summary(DEMOS[name]) in " ".join(said.split())
