"""Every variant of the cell, in one or several layers: equations, gradients, all implementations, commands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers import finite_differences, random_case, reference_step, state_gradients, violations
from safetensors.numpy import load_file, save_file

from gluon_lstm.cli.main import main
from gluon_lstm.config import ARRAY_NAMES, VARIANTS, ModelConfig, WindowSize
from gluon_lstm.lstm import agreement, fused, initializers, reference, scratch
from gluon_lstm.lstm.agreement import NUMERICAL, check_agreement, relative_difference
from gluon_lstm.lstm.fast import window as fast
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.model import Model, ModelError
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

variants = pytest.mark.parametrize("variant", list(VARIANTS))
layers = pytest.mark.parametrize("layers", [1, 2, 3])


def slow(x, y, h, c, W, config, input_mask=None, hidden_mask=None):
    """Return loss and last state, computed lane by lane, step by step, layer by layer."""
    (T, N), L, V = x.shape, config.layers, len(W["by"])
    h, c = h.reshape(L, N, -1).copy(), c.reshape(L, N, -1).copy()
    loss = 0.0
    for n in range(N):
        for t in range(T):
            layer_input = np.eye(V)[x[t, n]] * (1 if input_mask is None else input_mask[t, n])
            for k in range(L):
                W_k = {name[: -len(f"_{k + 1}")] if k else name: W[name] for name in W if layer_of(name) == k + 1}
                h[k, n], c[k, n] = reference_step(config.variant, layer_input, h[k, n], c[k, n], W_k)
                layer_input = h[k, n] * (1 if hidden_mask is None else hidden_mask.reshape(L, T, N, -1)[k, t, n])
            z = layer_input @ W["Why"] + W["by"]
            loss -= z[y[t, n]] - np.log(np.exp(z).sum())
    return loss / (T * N), np.concatenate(h), np.concatenate(c)


def layer_of(name):
    return int(name.split("_")[1]) if "_" in name else 1


def arguments_of(variant, layers, sizes=(2, 4, 3, 5), seed=0, dropout=0.4):
    """Return random arguments of `reference.loss_and_gradients` in float64: ids, carried state, weights, masks."""
    p = random_case(*sizes, True, dropout, variant, layers, seed=[seed, layers])
    W = {name: array.astype(np.float64) for name, array in p.W.items()}
    return p.x, p.y, p.h.astype(np.float64), p.c.astype(np.float64), W, p.config, p.input_mask, p.hidden_mask


@variants
@layers
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_reference_matches_the_equations_of_the_papers(variant, layers, dropout):
    arguments = arguments_of(variant, layers, dropout=dropout)
    loss, h, c, _ = reference.loss_and_gradients(*arguments)
    slow_loss, slow_h, slow_c = slow(*arguments)
    assert loss == pytest.approx(slow_loss, rel=1e-12) and loss == reference.loss(*arguments)
    np.testing.assert_allclose(h, slow_h, rtol=1e-11)
    np.testing.assert_allclose(c, slow_c, rtol=1e-11)


@variants
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_every_gradient_entry_matches_finite_differences(variant, layers, dropout, assert_same):
    arguments = arguments_of(variant, layers, sizes=(2, 3, 2, 3), dropout=dropout)
    W = arguments[4]
    expected = {name: finite_differences(lambda: slow(*arguments)[0], array) for name, array in W.items()}
    assert_same(reference.loss_and_gradients(*arguments)[3], expected, rtol=1e-6, atol=1e-9)


@variants
@pytest.mark.parametrize(
    ("sizes", "layers"), [((1, 1, 1, 1), 1), ((3, 5, 7, 11), 1), ((3, 5, 7, 11), 3), ((2, 17, 5, 9), 2)], ids=str
)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_all_implementations_agree_on_every_variant(variant, layers, sizes, dropout):
    rng = np.random.default_rng(1)
    rows = check_agreement(agreement.random_case(WindowSize(*sizes), rng, True, dropout, variant, layers), rng)
    assert violations(rows) == []
    implementations = {"scratch", NUMERICAL} | (set() if VARIANTS[variant].scratch_only else {"fast", "fused"})
    assert {row.implementation for row in rows} == implementations


@variants
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("implementation", [fast.loss, fused.loss], ids=["fast", "fused"])
def test_gradients_flow_to_and_from_the_state(variant, layers, implementation):
    if VARIANTS[variant].scratch_only:
        pytest.skip("only scratch implements it")
    p = random_case(2, 9, 5, 7, True, 0.4, variant, layers)
    for found, expected in zip(state_gradients(implementation, p), state_gradients(scratch.loss, p, "float64")):
        assert relative_difference(found, expected, 0.05) < 2e-5


@variants
@layers
def test_inference_cell_matches_the_reference(variant, layers):
    """A batch of texts with different tokens at each step."""
    x, _, _, _, W, config, _, _ = arguments_of(variant, layers, sizes=(3, 6, 5, 7))
    zero = np.zeros((3 * layers, 5))
    hidden = reference.forward(x, zero, zero, W, config)[0]  # (T, N, H)
    cell = InferenceCell({name: array.astype(np.float32) for name, array in W.items()}, config)
    lanes = cell.zero_state(3)
    for t, ids in enumerate(x):
        lanes.step(ids)
        if t == 2:
            lanes = lanes.select(np.array([2, 0, 1])).select(np.array([1, 2, 0]))  # a permutation and its inverse
        np.testing.assert_allclose(lanes.top.T, hidden[t], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(lanes.logits().T, reference.logits(hidden[t], W), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(cell.logits(lanes.top.T), lanes.logits().T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("variant", [name for name in VARIANTS if not ModelConfig(4, name).cell.scratch_only])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_window_that_is_not_finite_leaves_nothing_to_the_next(variant, layers):
    """The fast path reuses its buffers; with H = 7 their rows have padding."""
    case = random_case(3, 5, 7, 11, dropout=0.4, variant=variant, layers=layers)
    before = state_gradients(fast.loss, case)
    for name in (min(case.W), "Why", "by"):
        weights = np.full_like(case.W[name], np.nan)
        state_gradients(fast.loss, replace(case, W={**case.W, name: weights}))
        for expected, found in zip(before, state_gradients(fast.loss, case)):
            assert np.array_equal(expected, found), name


@pytest.mark.parametrize("variant", ["peephole", "peephole-full"])
def test_zero_peepholes_equal_the_standard_cell(variant):
    """Both variants differ from the standard cell by the peephole terms alone."""
    x, y, h, c, W, config, *_ = arguments_of(variant, 2)
    W = {name: 0 * array if name.startswith("Wc") else array for name, array in W.items()}
    standard = {name: array for name, array in W.items() if not name.startswith("Wc")}
    found = reference.loss_and_gradients(x, y, h, c, W, config)
    expected = reference.loss_and_gradients(x, y, h, c, standard, replace(config, variant="standard"))
    assert found[0] == expected[0]
    for name, grad in expected[3].items():
        np.testing.assert_allclose(found[3][name], grad, rtol=1e-12)


def test_diagonal_peepholes_equal_diagonal_matrices():
    x, y, h, c, W, config, *_ = arguments_of("peephole", 2)
    full = {name: np.diag(array) if name.startswith("Wc") else array for name, array in W.items()}
    diagonal = reference.loss_and_gradients(x, y, h, c, W, config)
    matrix = reference.loss_and_gradients(x, y, h, c, full, replace(config, variant="peephole-full"))
    assert diagonal[0] == pytest.approx(matrix[0], rel=1e-13)
    for name, grad in diagonal[3].items():
        expected = np.diag(matrix[3][name]) if name.startswith("Wc") else matrix[3][name]
        np.testing.assert_allclose(grad, expected, rtol=1e-11, atol=1e-15)


@variants
@pytest.mark.parametrize("layers", [1, 2])
def test_model_file_keeps_variant_and_arrays(tmp_path, variant, layers):
    config = ModelConfig(3, variant, layers)
    codec = Codec(TextSettings(), Vocabulary(["<unk>", "<post>", "あ", "い"], 2))
    arrays = initializers.standard(config, 4, np.random.default_rng(0))
    Model(config, codec, arrays).save(tmp_path / "a.safetensors")
    loaded = Model.load(tmp_path / "a.safetensors")
    assert loaded.config == config and list(loaded.arrays) != []
    assert loaded.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded.arrays[name], array)

    for name in arrays:  # a missing array is refused
        rest = {other: array for other, array in load_file(tmp_path / "a.safetensors").items() if other != name}
        save_file(rest, tmp_path / "b.safetensors")
        with pytest.raises(ModelError):
            Model.load(tmp_path / "b.safetensors")


def test_the_standard_model_has_the_14_arrays_of_the_notes():
    assert (
        *("Wxg", "Wxi", "Wxf", "Wxo"), *("Whg", "Whi", "Whf", "Who"), *("bg", "bi", "bf", "bo"), "Why", "by"
    ) == ARRAY_NAMES  # fmt: skip


def test_arrays_of_higher_layers_have_suffixes():
    shapes = ModelConfig(3, "peephole", 2).shapes(7)
    assert shapes["Wxg"] == (7, 3) and shapes["Wxg_2"] == (3, 3)
    assert shapes["Wci"] == shapes["Wco_2"] == (3,)
    assert ModelConfig(3, "rnn", 2).shapes(7) == {
        "Wxh": (7, 3), "Whh": (3, 3), "bh": (3,), "Wxh_2": (3, 3), "Whh_2": (3, 3), "bh_2": (3,),
        "Why": (3, 7), "by": (7,),
    }  # fmt: skip


@variants
def test_layer_exposes_arrays_under_equation_names(variant):
    config = ModelConfig(3, variant, 2)
    W = Parameters(initializers.standard(config, 5, np.random.default_rng(0)), config=config)
    exposed = [getattr(layer, name) for k, layer in enumerate(W.layers, 1) for name in config.names(k)]
    assert [id(array) for array in exposed] == [id(array) for array in W][:-2]  # all but Why and by; not copied


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(["--variant", "peephole-full"], "variant"), (["--layers", "0"], "layers"), (["--hidden", "0"], "hidden")],
)
def test_untrainable_configuration_is_refused_in_one_sentence(tmp_path, capsys, arguments, field):
    assert main(["train", "no.txt", "--out", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gluon-lstm: ") and error.count("\n") == 1
    assert field in error and arguments[1] in error


@pytest.mark.parametrize("implementation", [fast.loss, fused.loss], ids=["fast", "fused"])
def test_fast_implementations_refuse_full_peepholes(implementation):
    p = random_case(1, 1, 1, 2, variant="peephole-full")
    with pytest.raises(ValueError, match="`variant` peephole-full"):
        implementation(p.x, p.y, None, None, Parameters(p.W, config=p.config))


@variants
def test_every_variant_trains_generates_and_evaluates(tmp_path, capsys, variant):
    text = tmp_path / "posts.txt"
    text.write_text("今日はいい天気です\n明日もいい天気でしょう\n昨日は雨でした\n" * 30, encoding="utf-8")
    cell = ["--implementation", "scratch"] if VARIANTS[variant].scratch_only else []
    sizes = ["--hidden", "8", "--batch-size", "4", "--seq-len", "8", "--layers", "2", "--variant", variant]
    run = str(tmp_path / "run")
    assert main(["train", str(text), "--out", run, "--steps", "20", *sizes, *cell]) == 0
    capsys.readouterr()
    assert main(["generate", run, "--prefix", "今日", "--length", "20", "--seed", "1"]) == 0
    assert capsys.readouterr().out.startswith("今日")
    assert main(["evaluate", run, str(text)]) == 0
    assert Model.load(run).config == ModelConfig(8, variant, 2)


def test_agree_command_accepts_variants_and_layers(capsys):
    sizes = ["--batch-size", "2", "--seq-len", "3", "--hidden", "3", "--vocab-size", "4"]
    assert main(["agree", *sizes, "--variant", "peephole", "--layers", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"dL/dWci", "dL/dWco_2", "dL/dWxg_2"} <= {line.split()[0] for line in lines[2:-1]}
