"""All implementations match the float64 reference, and the check detects one that does not."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from helpers import random_case, state_gradients, violations

from gluon_lstm.cli.main import main
from gluon_lstm.compat import mx
from gluon_lstm.config import ARRAY_NAMES, WindowSize
from gluon_lstm.lstm import agreement, fused, reference, scratch
from gluon_lstm.lstm.agreement import (
    IMPLEMENTATIONS,
    NUMERICAL,
    Case,
    Comparison,
    check_agreement,
    reference_results,
    relative_difference,
    run_implementation,
)
from gluon_lstm.lstm.fast import window as fast
from gluon_lstm.lstm.parameters import Parameters

nd = mx.nd
QUANTITIES = ["loss", "h", "c", *(f"dL/d{name}" for name in ARRAY_NAMES)]
SIZES = [  # N, T, H, V: odd sizes that reach every edge case of the blocking of time and columns in `fast`
    (1, 1, 1, 1),
    (1, 1, 5, 7),
    (3, 5, 7, 11),
    (2, 9, 13, 30),
    (4, 17, 19, 50),
    (2, 33, 9, 40),
    (3, 4, 8, 2100),
    (5, 3, 33, 2),
    (7, 6, 12, 1),
]
STATES_AND_DROPOUT = [(True, 0.0), (False, 0.0), (True, 0.4)]  # carried, dropout
TINY = ["agree", "--batch-size", "2", "--seq-len", "5", "--hidden", "3", "--vocab-size", "4"]
implementations = pytest.mark.parametrize(
    "implementation", [fast.loss, fused.loss, scratch.loss], ids=["fast", "fused", "scratch"]
)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("carried", "dropout"), STATES_AND_DROPOUT, ids=["carried", "zero state", "masks"])
@pytest.mark.parametrize("seed", [1, 2])
def test_all_implementations_agree(sizes, carried, dropout, seed):
    rng = np.random.default_rng(seed)
    assert violations(check_agreement(agreement.random_case(WindowSize(*sizes), rng, carried, dropout), rng)) == []


def test_every_quantity_of_every_implementation_is_compared():
    rows = check_agreement(random_case(2, 5, 3, 4), np.random.default_rng(0))
    expected = {(name, quantity) for name in ("scratch", "fast", "fused") for quantity in QUANTITIES}
    expected |= {(NUMERICAL, quantity) for quantity in QUANTITIES[3:]}
    assert {(row.implementation, row.quantity) for row in rows} == expected and len(rows) == len(expected)
    assert all(0 <= row.difference <= row.tolerance <= 1e-3 for row in rows)


def test_repeated_ids_accumulate_gradients():
    p = random_case(6, 7, 5, 9)
    x = np.full_like(p.x, 2)
    x[1, :3] = 4
    p = replace(p, x=x, y=x)
    assert violations(check_agreement(p, np.random.default_rng(0))) == []
    touched = run_implementation(fast.loss, p)["dL/dWxg"].any(axis=1)
    assert list(np.flatnonzero(touched)) == [2, 4]


def test_masks_change_the_loss():
    """The check can detect an implementation that ignores a mask."""
    p = random_case(3, 5, 7, 11, dropout=0.4)
    for ignored in ("input_mask", "hidden_mask"):
        found = relative_difference(
            run_implementation(fast.loss, replace(p, **{ignored: None}))["loss"], reference_results(p)["loss"]
        )
        assert found > 1e-3


def test_random_case_depends_on_the_seed_alone():
    one, same, other = random_case(2, 3, 4, 5), random_case(2, 3, 4, 5), random_case(2, 3, 4, 5, seed=1)
    assert all(np.array_equal(one.W[name], same.W[name]) and one.W[name].dtype == np.float32 for name in ARRAY_NAMES)
    assert not any(np.array_equal(one.W[name], other.W[name]) for name in ARRAY_NAMES)
    assert one.h.all() and one.c.all() and not random_case(2, 3, 4, 5, carried=False).c.any()


# Wrong implementations


def with_swapped(loss, one: str, other: str):
    """Return an implementation with two weight arrays swapped."""

    def wrong(x, y, h, c, W, input_mask=None, hidden_mask=None):
        swapped, arrays = copy(W), dict(W.items())
        swapped._arrays = {**arrays, one: arrays[other], other: arrays[one]}
        return loss(x, y, h, c, swapped, input_mask, hidden_mask)

    return wrong


@pytest.mark.parametrize("name", ["scratch", "fast", "fused"])
@pytest.mark.parametrize("pair", [("Wxi", "Wxf"), ("Whg", "Who"), ("bi", "bo")], ids=str)
def test_swapped_gates_are_detected(name, pair, monkeypatch, capsys):
    wrong = replace(IMPLEMENTATIONS[name], loss=with_swapped(IMPLEMENTATIONS[name].loss, *pair))
    p = random_case(2, 5, 3, 4)
    missed = violations(check_agreement(p, np.random.default_rng(0), {**IMPLEMENTATIONS, name: wrong}))
    assert {row.implementation for row in missed} == {name}
    assert {"h", "c", f"dL/d{pair[0]}", f"dL/d{pair[1]}"} <= {row.quantity for row in missed}

    assert main(TINY) == 0
    assert capsys.readouterr().out.endswith("all within the tolerances\n")
    monkeypatch.setitem(IMPLEMENTATIONS, name, wrong)
    assert main(TINY) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"above the tolerance: {name} ") and f"{name} dL/d{pair[0]}" in last


def test_wrong_reference_gradient_is_detected_by_finite_differences(monkeypatch):
    right = reference.loss_and_gradients

    def wrong(*arguments):
        loss, h, c, gradients = right(*arguments)
        return loss, h, c, {**gradients, "bf": 1.001 * gradients["bf"]}

    monkeypatch.setattr(reference, "loss_and_gradients", wrong)
    missed = violations(check_agreement(random_case(2, 5, 3, 4), np.random.default_rng(0), {}))
    assert [(row.implementation, row.quantity) for row in missed] == [(NUMERICAL, "dL/dbf")]


@pytest.mark.parametrize("found", [[1.0, np.nan], [1.0, np.inf], [[1.0, 2.0]], [1.0]])
def test_nan_infinity_and_wrong_shapes_never_agree(found):
    assert not Comparison("h", "fast", relative_difference(np.array(found), np.array([1.0, 2.0])), 1e-3).ok


def test_relative_difference_is_scaled_by_the_largest_value():
    expected = np.array([0.0, -4.0])
    assert relative_difference(np.array([0.2, -4.0]), expected) == pytest.approx(0.05)
    assert relative_difference(np.array([0.2, -4.0]), expected, floor=8.0) == pytest.approx(0.025)
    assert relative_difference(np.array([0.2, 0.0]), np.zeros(2)) == 0.2


# The command


def test_agree_command_prints_each_quantity_of_each_implementation(capsys):
    assert main([*TINY, "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["scratch", "fast", "fused", NUMERICAL]
    assert [line.split()[0] for line in lines[2:-1]] == QUANTITIES
    for line in lines[5:-1]:
        differences, tolerances = line.split()[1::3], line.split()[3::3]
        assert len(tolerances) == 4 and all(float(a) <= float(b) for a, b in zip(differences, tolerances))
    assert main([*TINY, "--seed", "4"]) == 0
    assert capsys.readouterr().out.splitlines() != lines


@pytest.mark.parametrize("option", ["--batch-size", "--seq-len", "--hidden", "--vocab-size", "--seed"])
def test_invalid_sizes_are_refused_in_one_sentence(option, capsys):
    assert main(["agree", option, "-1"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("gluon-lstm: ") and err.count("\n") == 1
    assert option.strip("-") in err and f"use at least {0 if option == '--seed' else 1}" in err


# Properties that training relies on


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_fast_results_are_reproducible_bit_for_bit(dropout):
    p = random_case(4, 17, 19, 50, dropout=dropout)
    first = run_implementation(fast.loss, p)
    again = run_implementation(fast.loss, p)
    run_implementation(fast.loss, random_case(3, 9, 23, 70))  # resizes the buffers
    after = run_implementation(fast.loss, p)
    run_implementation(fast.loss, random_case(4, 17, 19, 50, seed=5))  # fills the buffers with other numbers
    last = run_implementation(fast.loss, p)
    for quantity in QUANTITIES:
        for other in (again, after, last):
            np.testing.assert_array_equal(other[quantity], first[quantity], quantity)


@pytest.mark.parametrize("implementation", [fast.loss, fused.loss], ids=["fast", "fused"])
@pytest.mark.parametrize(("sizes", "dropout"), [((3, 5, 7, 11), 0.0), ((1, 1, 5, 7), 0.0), ((2, 17, 9, 20), 0.4)])
def test_gradients_flow_to_and_from_the_state(implementation, sizes, dropout):
    p = random_case(*sizes, dropout=dropout)
    for found, expected in zip(state_gradients(implementation, p), state_gradients(scratch.loss, p, "float64")):
        assert relative_difference(found, expected, 0.05) < 2e-5


@implementations
def test_gradients_of_a_loss_on_the_state_alone(implementation):
    """L does not depend on the loss of the window: dL/d(loss) is 0."""
    p = random_case(3, 5, 7, 11)

    def gradients(implementation, dtype):
        W = Parameters(p.W, dtype=dtype)
        with mx.autograd.record():
            _, h, c = implementation(p.x, p.y, nd.array(p.h, dtype=dtype), nd.array(p.c, dtype=dtype), W)
            whole = (h * c).sum()
        whole.backward()
        return W.gradients()

    expected = gradients(scratch.loss, "float64")
    for name, found in gradients(implementation, "float32").items():
        assert relative_difference(found, expected[name], 0.05) < 2e-5, name
    assert not expected["Why"].any() and expected["Wxg"].any()


@implementations
def test_grad_req_add_accumulates_gradients(implementation):
    p, q = random_case(3, 5, 7, 11), random_case(3, 9, 7, 11, seed=1)
    W = Parameters(p.W)
    h = nd.array(p.h)
    for array in (*W, h):
        array.attach_grad(grad_req="add")
    for window in (p, q):
        with mx.autograd.record():
            loss, _, _ = implementation(window.x, window.y, h, nd.array(p.c), W)
        loss.backward()
    first, second = (reference_results(replace(p, x=window.x, y=window.y)) for window in (p, q))
    for name, found in W.gradients().items():
        assert relative_difference(found, first[f"dL/d{name}"] + second[f"dL/d{name}"], 0.05) < 2e-5, name
    separate = [state_gradient(p, window) for window in (p, q)]
    assert relative_difference(h.grad.asnumpy(), sum(separate), 0.05) < 2e-5


def state_gradient(p: Case, window: Case) -> np.ndarray:
    W, h = Parameters(p.W, dtype="float64"), nd.array(p.h, dtype="float64")
    h.attach_grad()
    with mx.autograd.record():
        loss, _, _ = scratch.loss(window.x, window.y, h, nd.array(p.c, dtype="float64"), W)
    loss.backward()
    return h.grad.asnumpy()


@implementations
def test_grad_req_null_gets_no_gradient(implementation):
    p = random_case(3, 5, 7, 11)
    W = Parameters(p.W)
    W.Whg.attach_grad(grad_req="null")
    with mx.autograd.record():
        loss, _, _ = implementation(p.x, p.y, nd.array(p.h), nd.array(p.c), W)
    loss.backward()
    assert relative_difference(W.Who.grad.asnumpy(), reference_results(p)["dL/dWho"], 0.05) < 2e-5
    assert W.Whg.grad is None or not W.Whg.grad.asnumpy().any()


@implementations
@pytest.mark.parametrize("cut", [1, 5, 12])
def test_two_windows_in_one_record_equal_one_long_window(implementation, cut):
    """Gradients flow back through the state between the windows; the losses are weighted by their steps."""
    p = random_case(3, 17, 7, 11)
    W = Parameters(p.W)
    h, c = nd.array(p.h), nd.array(p.c)
    with mx.autograd.record():
        loss1, h, c = implementation(p.x[:cut], p.y[:cut], h, c, W)
        loss2, h, c = implementation(p.x[cut:], p.y[cut:], h, c, W)
        whole = (cut * loss1 + (17 - cut) * loss2) / 17
    whole.backward()
    expected = reference_results(p)
    assert float(whole.asscalar()) == pytest.approx(float(expected["loss"]), abs=1e-5)
    assert (
        relative_difference(h.asnumpy(), expected["h"]) < 1e-5
        and relative_difference(c.asnumpy(), expected["c"]) < 1e-5
    )
    for name, found in W.gradients().items():
        assert relative_difference(found, expected[f"dL/d{name}"]) < 1e-4, name


@implementations
def test_summed_losses_of_two_equal_windows(implementation):
    """The second window needs its own buffers while the backward pass of the first is pending."""
    p = random_case(3, 10, 7, 11)
    W = Parameters(p.W)
    h, c = nd.array(p.h), nd.array(p.c)
    with mx.autograd.record():
        loss1, h, c = implementation(p.x[:5], p.y[:5], h, c, W)
        loss2, h, c = implementation(p.x[5:], p.y[5:], h, c, W)
        (loss1 + loss2).backward()
    for name, found in W.gradients().items():
        assert relative_difference(found, 2 * reference_results(p)[f"dL/d{name}"]) < 1e-4, name


@implementations
def test_ids_and_masks_may_be_ndarrays_or_numpy_arrays(implementation):
    p = random_case(3, 5, 7, 11, dropout=0.4)
    ids = {"x": nd.array(p.x, dtype="int32"), "y": nd.array(p.y, dtype="int32")}
    masks = {"input_mask": nd.array(p.input_mask), "hidden_mask": nd.array(p.hidden_mask)}
    wide = {"x": p.x.astype(np.int64), "y": p.y[:, ::-1].copy()[:, ::-1]}  # another dtype, other strides
    found = run_implementation(implementation, p)
    for other in (
        run_implementation(implementation, replace(p, **ids, **masks)),
        run_implementation(implementation, replace(p, **wide)),
    ):
        for quantity in QUANTITIES:
            np.testing.assert_array_equal(other[quantity], found[quantity], quantity)


@implementations
def test_ids_above_2_to_the_24_stay_exact(implementation):
    """nd.array converts int64 to float32, which rounds 2^24 + 1 to 2^24."""
    id = 2**24 + 1
    (found, _, _, _) = scratch.to_device(Parameters(random_case(1, 1, 1, 1).W), np.array([[id]]), [[0]], None, None)
    assert found.asnumpy()[0, 0] == id


# Device and dtype


@pytest.mark.parametrize("implementation", [fused.loss, scratch.loss], ids=["fused", "scratch"])
def test_all_arrays_are_on_the_device_of_the_weights(implementation, monkeypatch):
    device = mx.cpu(1)
    p = random_case(3, 5, 7, 11, dropout=0.4)
    W = Parameters(p.W, device)
    h, c = nd.array(p.h, ctx=device), nd.array(p.c, ctx=device)
    h.attach_grad()
    c.attach_grad()
    made = []
    create = nd.array
    monkeypatch.setattr(nd, "array", lambda *args, **options: made.append(create(*args, **options)) or made[-1])
    with mx.autograd.record():
        outputs = implementation(p.x, p.y, h, c, W, p.input_mask, p.hidden_mask)
    outputs[0].backward()
    assert len(made) == 4
    for array in (*made, *outputs, h.grad, c.grad, *(array.grad for array in W)):
        assert array.context == device
    found, expected = run_implementation(implementation, p, ctx=device), reference_results(p)
    assert all(relative_difference(found[quantity], expected[quantity], 0.05) < 1e-4 for quantity in QUANTITIES)


@pytest.mark.parametrize("implementation", [fused.loss, scratch.loss], ids=["fused", "scratch"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_agreement_in_float64(implementation, sizes, dropout):
    p = random_case(*sizes, dropout=dropout)
    found, expected = run_implementation(implementation, p, "float64"), reference_results(p)
    assert all(relative_difference(found[quantity], expected[quantity], 1e-3) < 1e-11 for quantity in QUANTITIES)


# Extreme values


@implementations
def test_large_logits_match_the_reference(implementation):
    p = random_case(3, 5, 7, 11)
    p = replace(p, W={name: 100 * array for name, array in p.W.items()})
    found, expected = run_implementation(implementation, p), reference_results(p)
    assert np.isfinite(expected["loss"]) and expected["loss"] > 20
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert relative_difference(found["dL/dby"], expected["dL/dby"]) < 1e-5


@implementations
@pytest.mark.parametrize("name", ARRAY_NAMES)
@pytest.mark.parametrize("nan", np.float32([np.nan, -np.nan]), ids=["nan", "-nan"])
def test_nan_in_a_weight_propagates_to_the_loss(implementation, name, nan):
    p = random_case(3, 5, 7, 11)
    damaged = p.W[name].copy()
    damaged[(p.x[0, 0],) if name.startswith("Wx") else (0,) * damaged.ndim] = nan
    assert np.isnan(run_implementation(implementation, replace(p, W={**p.W, name: damaged}))["loss"])


@implementations
@pytest.mark.parametrize("state", ["h", "c"])
def test_nan_in_the_state_propagates_to_the_loss(implementation, state):
    p = random_case(3, 5, 7, 11)
    damaged = getattr(p, state).copy()
    damaged[1, 2] = np.nan
    assert np.isnan(run_implementation(implementation, replace(p, **{state: damaged}))["loss"])


# Limits of the fast implementation


@pytest.mark.filterwarnings("ignore")
def test_second_backward_is_refused(capfd):
    """The first backward pass consumes the values of the forward pass."""
    p = random_case(3, 5, 7, 11)
    W = Parameters(p.W)
    with mx.autograd.record():
        loss, _, _ = fast.loss(p.x, p.y, nd.array(p.h), nd.array(p.c), W)
    loss.backward(retain_graph=True)
    W.gradients()
    with pytest.raises(mx.base.MXNetError):
        loss.backward()
        W.gradients()
    assert "already computed" in capfd.readouterr().err


@pytest.mark.parametrize(("which", "id"), [(0, -1), (0, 11), (1, -1), (1, 11)])
def test_id_outside_the_vocabulary_is_refused(which, id):
    """MXNet's own embedding silently clips the id."""
    p = random_case(3, 5, 7, 11)
    ids = [p.x.copy(), p.y.copy()]
    ids[which][2, 1] = id
    with pytest.raises(ValueError, match="0 to 10"):
        fast.loss(*ids, nd.array(p.h), nd.array(p.c), Parameters(p.W))


def test_float64_is_refused():
    p = random_case(3, 5, 7, 11)
    with pytest.raises(ValueError, match="float32 on the CPU"):
        fast.loss(p.x, p.y, nd.array(p.h), nd.array(p.c), Parameters(p.W, dtype="float64"))
