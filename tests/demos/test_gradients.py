"""`demo gradients`: dL/dh[t] against finite differences and closed forms, and the rule of clipping."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from helpers import DOCS, command_error, finite_differences, reference_step
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.cli.main import main, parser
from gluon_lstm.config import ModelConfig
from gluon_lstm.demos import DEMOS, gradients
from gluon_lstm.demos.gradients import CLIP_THRESHOLD, MODELS, global_norm, measure
from gluon_lstm.lstm import initializers
from gluon_lstm.numerics import clip_coef

PAGE = DOCS / "notes-004.md"
variants = pytest.mark.parametrize("variant", ["rnn", "standard"])


def problem(variant, T=6, N=3, H=4, V=5, seed=0):
    rng = np.random.default_rng(seed)
    config = ModelConfig(H, variant)
    W = {name: 0.8 * rng.standard_normal(shape) for name, shape in config.shapes(V).items()}
    return rng.integers(V, size=(T, N)), rng.integers(V, size=N), W, config


def loss_from(t, x, y, h, c, W, variant):
    """Loss of the last step, continued lane by lane after step t (-1: from the beginning) from h, c (N, H)."""
    V, total = len(W["by"]), 0.0
    for n in range(len(y)):
        h_n, c_n = h[n], c[n]
        for ids in x[t + 1 :]:
            h_n, c_n = reference_step(variant, np.eye(V)[ids[n]], h_n, c_n, W)
        z = h_n @ W["Why"] + W["by"]
        total -= z[y[n]] - np.log(np.exp(z).sum())
    return total / len(y)


def states(x, W, variant):
    """h and c (N, H) after each step."""
    V, H, found = len(W["by"]), len(W["Why"]), []
    h, c = np.zeros((2, x.shape[1], H))
    for ids in x:
        lanes = [reference_step(variant, np.eye(V)[ids[n]], h[n], c[n], W) for n in range(len(ids))]
        h, c = (np.stack(state) for state in zip(*lanes))
        found.append((h, c))
    return found


@variants
def test_dh_equals_finite_differences_of_the_last_loss(variant):
    x, y, W, config = problem(variant)
    dh, _, _ = gradients.gradients(x, y, W, config)
    wanted = np.stack(
        [
            finite_differences(lambda: loss_from(t, x, y, h, c, W, variant), h)  # noqa: B023 (called immediately)
            for t, (h, c) in enumerate(states(x, W, variant))
        ]
    )
    assert np.abs(wanted[0]).max() > 1e-4  # also at the first step
    np.testing.assert_allclose(dh, wanted, rtol=1e-6, atol=1e-10)


@variants
def test_weight_gradients_equal_finite_differences_of_the_last_loss(variant, assert_same):
    x, y, W, config = problem(variant, T=4, N=2, H=3)
    zero = np.zeros((2, 3))
    wanted = {
        name: finite_differences(lambda: loss_from(-1, x, y, zero, zero, W, variant), array)
        for name, array in W.items()
    }
    assert_same(gradients.gradients(x, y, W, config)[1], wanted, rtol=1e-6, atol=1e-9)


@variants
def test_far_part_equals_finite_differences_of_the_weights_of_the_first_half(variant):
    """The recurrent weights are changed in the first half of the steps only."""
    x, y, W, config = problem(variant)
    half = len(x) // 2
    step = 1e-5
    far = gradients.gradients(x, y, W, config)[2]
    for name, grad in far.items():
        direction = np.random.default_rng(7).standard_normal(grad.shape)
        losses = []
        for signed in (step, -step):
            h, c = states(x[:half], {**W, name: W[name] + signed * direction}, variant)[-1]
            losses.append(loss_from(half - 1, x, y, h, c, W, variant))
        assert np.vdot(grad, direction) == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-6, abs=1e-10)


def norms_of_linear_rnn(Whh, T):
    """Norms of dL/dh[t], t = T ... 1, of an RNN whose h stays 0, where the derivative of tanh is 1."""
    H = len(Whh)
    config = ModelConfig(H, "rnn")
    W = {name: np.zeros(shape) for name, shape in config.shapes(3).items()}
    rng = np.random.default_rng(1)
    W.update(Whh=Whh, Why=rng.standard_normal((H, 3)))
    dh, _, _ = gradients.gradients(rng.integers(3, size=(T, 2)), rng.integers(3, size=2), W, config)
    return np.linalg.norm(dh, axis=(1, 2))[::-1]


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.1, 2.0])
def test_without_tanh_a_scaled_orthogonal_matrix_multiplies_norms_by_its_scale(scale):
    norms = norms_of_linear_rnn(scale * initializers.orthogonal(8, np.random.default_rng(0)), 60)
    np.testing.assert_allclose(norms, norms[0] * scale ** np.arange(60), rtol=1e-10)


@pytest.mark.parametrize("radius", [0.7, 1.0, 1.3])
def test_without_tanh_norms_grow_by_the_spectral_radius_in_the_long_run(radius):
    matrix = np.random.default_rng(3).standard_normal((8, 8))
    matrix *= radius / np.abs(np.linalg.eigvals(matrix)).max()
    norms = norms_of_linear_rnn(matrix, 400)
    assert (norms[399] / norms[100]) ** (1 / 299) == pytest.approx(radius, rel=0.01)


@pytest.mark.parametrize("forget", [0.0, 1.0, 5.0])
def test_a_step_back_along_the_cell_multiplies_by_the_forget_gate(forget):
    """With recurrent weights near 0 the gradient flows through the cell only, and f = sigmoid(bf)."""
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
    return {(model, scale): measure(model, scale, 1) for model in MODELS for scale in (0.5, 1.5)}


def test_rnn_gradients_vanish_or_explode_and_those_of_an_open_forget_gate_do_not(flows):
    assert flows[gradients.RNN, 0.5].growth < 0.5 and flows[gradients.RNN, 0.5].norms[50] < 1e-14
    assert flows[gradients.RNN, 1.5].growth > 1.02 and flows[gradients.RNN, 1.5].norm > 100
    assert flows["LSTM, bf = 0", 0.5].norms[50] < 1e-10  # a cell alone does not prevent vanishing
    assert flows["LSTM, bf = 0", 0.5].growth < flows["LSTM, bf = 1", 0.5].growth < 0.9
    assert 1e-3 < flows["LSTM, bf = 5", 0.5].norms[50] < 1


def test_clipping_keeps_the_direction_and_limits_the_norm(flows):
    for f in flows.values():
        assert f.clipped_norm == pytest.approx(min(f.norm, CLIP_THRESHOLD), rel=1e-12)
        assert f.cosine == pytest.approx(1, abs=1e-12)


def test_clipping_keeps_the_share_of_far_steps(flows):
    for f in flows.values():
        assert f.far_clipped_norm <= f.far_norm
        assert f.far_clipped_norm / f.clipped_norm == pytest.approx(f.far_norm / f.norm, rel=1e-10)
    assert flows[gradients.RNN, 0.5].far_clipped_norm < 1e-14


numbers = st.floats(-1e6, 1e6, allow_subnormal=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(numbers, min_size=1, max_size=8), st.lists(numbers, min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_clipping_rule_of_the_notes(one, other, threshold):
    grads = {"one": np.array(one), "other": np.array(other)}
    norm = float(np.linalg.norm([*one, *other]))
    assert global_norm(grads) == pytest.approx(norm, rel=1e-12)
    factor = clip_coef(global_norm(grads), threshold)
    assert 0 < factor <= 1
    assert (factor == 1) == (global_norm(grads) <= threshold)
    assert factor * norm <= threshold * (1 + 1e-12)
    if norm:
        assert factor * norm == pytest.approx(min(norm, threshold), rel=1e-12)


def test_rows_shown_in_the_docs_are_current():
    block, japanese = re.findall(r"^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert block == japanese
    documented = [line for line in block.splitlines() if line and not line.startswith(" ")]
    models = {(line[:13].rstrip(), float(line[13:18])) for line in documented}
    flows = [measure(model, scale, 1) for model, scale in models]
    assert len(documented) > len(models) > 5 and set(documented) <= set(gradients.lines(flows))


def test_same_seed_same_numbers():
    assert measure("LSTM, bf = 1", 1.1, 3) == measure("LSTM, bf = 1", 1.1, 3)
    assert measure("LSTM, bf = 1", 1.1, 3).norms != measure("LSTM, bf = 1", 1.1, 4).norms


def test_command_prints_and_plots_the_result(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gradients, "SCALES", (0.5, 2.0))
    monkeypatch.setattr(gradients, "MODELS", {name: MODELS[name] for name in ("RNN", "LSTM, bf = 1")})
    assert main(["demo", "gradients", "--seed", "2", "--out", str(tmp_path / "new" / "pictures")]) == 0
    out = capsys.readouterr().out.splitlines()
    flows = gradients.run(seed=2)
    assert out == gradients.lines(flows)
    assert [path.name for path in (tmp_path / "new" / "pictures").iterdir()] == ["gradients.png"]
    assert (tmp_path / "new" / "pictures" / "gradients.png").read_bytes().startswith(b"\x89PNG")
    (last,) = (f for f in flows if (f.model, f.scale) == ("RNN", 2.0))
    row = next(line.split() for line in out if line.startswith("RNN") and line.split()[1] == "2.0")
    cells = [f"{last.norms[back]:.1e}" for back in (0, 1, 10, 25, 50, 99)]
    assert row[2:] == [*cells, f"{(last.norms[99] / last.norms[50]) ** (1 / 49):.3f}"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--seed", "-1"], "--seed -1: "),
        (["--out", "{file}"], "{file}: "),
    ],
)
def test_invalid_options_are_refused_in_one_sentence(tmp_path, capsys, arguments, part):
    file = tmp_path / "file"
    file.write_text("mine", encoding="utf-8")
    error = command_error(capsys, "demo", "gradients", *(argument.format(file=file) for argument in arguments))
    assert error.startswith(part.format(file=file))
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", sorted(DEMOS))
def test_help_of_each_demo_has_its_summary_and_options(name, capsys):
    with pytest.raises(SystemExit) as exit:
        parser().parse_args(["demo", name, "--help"])
    text = capsys.readouterr().out
    assert exit.value.code == 0 and text.startswith(f"usage: gluon-lstm demo {name} ")
    assert "--out DIR" in text and "--seed S" in text
    assert DEMOS[name].summary in " ".join(text.split())
    assert all(option.help in " ".join(text.split()) for option in DEMOS[name].options)
