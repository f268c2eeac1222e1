"""Every implementation of the cell gives the numbers of the float64 reference, and one that does not is found out."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np
import pytest

from gluon_lstm.cli.main import main
from gluon_lstm.compat import mx
from gluon_lstm.config import ARRAY_NAMES, WindowSize
from gluon_lstm.lstm import fused, reference, scratch
from gluon_lstm.lstm.agreement import (
    IMPLEMENTATIONS,
    NUMERICAL,
    Case,
    Comparison,
    check_agreement,
    random_case,
    reference_results,
    relative_difference,
    run_implementation,
)
from gluon_lstm.lstm.fast import window as fast
from gluon_lstm.lstm.parameters import Parameters

nd = mx.nd
QUANTITIES = ["loss", "h", "c", *(f"dL/d{name}" for name in ARRAY_NAMES)]
SIZES = [  # N, T, H, V: odd ones, that meet each way in which the fast cell cuts time and columns
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
WAYS = [(True, 0.0), (False, 0.0), (True, 0.4)]  # carried, dropout
TINY = ["agree", "--batch-size", "2", "--seq-len", "5", "--hidden", "3", "--vocab-size", "4"]
cells = pytest.mark.parametrize("cell", [fast.loss, fused.loss, scratch.loss], ids=["fast", "packed", "scratch"])


def problem(N: int, T: int, H: int, V: int, carried: bool = True, dropout: float = 0.0, seed: int = 0) -> Case:
    return random_case(WindowSize(N, T, H, V), np.random.default_rng(seed), carried, dropout)


def not_met(rows: list[Comparison]) -> list[Comparison]:
    return [row for row in rows if not row.ok]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize(("carried", "dropout"), WAYS, ids=["carried", "zero state", "masks"])
@pytest.mark.parametrize("seed", [1, 2])
def test_all_agree(sizes, carried, dropout, seed):
    rng = np.random.default_rng(seed)
    assert not_met(check_agreement(random_case(WindowSize(*sizes), rng, carried, dropout), rng)) == []


def test_every_quantity_of_every_implementation_is_compared():
    rows = check_agreement(problem(2, 5, 3, 4), np.random.default_rng(0))
    wanted = {(name, quantity) for name in ("scratch", "fast", "packed") for quantity in QUANTITIES}
    wanted |= {(NUMERICAL, quantity) for quantity in QUANTITIES[3:]}
    assert {(row.implementation, row.quantity) for row in rows} == wanted and len(rows) == len(wanted)
    assert all(0 <= row.difference <= row.tolerance <= 1e-3 for row in rows)


def test_ids_that_come_again_in_a_batch_gather_all_their_gradients():
    p = problem(6, 7, 5, 9)
    x = np.full_like(p.x, 2)
    x[1, :3] = 4
    p = replace(p, x=x, y=x)
    assert not_met(check_agreement(p, np.random.default_rng(0))) == []
    touched = run_implementation(fast.loss, p)["dL/dWxg"].any(axis=1)
    assert list(np.flatnonzero(touched)) == [2, 4]


def test_masks_count():
    """Without them the values differ, so that a cell that forgets one is found out."""
    p = problem(3, 5, 7, 11, dropout=0.4)
    for forgotten in ("input_mask", "hidden_mask"):
        rows = relative_difference(
            run_implementation(fast.loss, replace(p, **{forgotten: None}))["loss"], reference_results(p)["loss"]
        )
        assert rows > 1e-3


def test_a_problem_is_that_of_its_seed():
    one, same, other = problem(2, 3, 4, 5), problem(2, 3, 4, 5), problem(2, 3, 4, 5, seed=1)
    assert all(np.array_equal(one.W[name], same.W[name]) and one.W[name].dtype == np.float32 for name in ARRAY_NAMES)
    assert not any(np.array_equal(one.W[name], other.W[name]) for name in ARRAY_NAMES)
    assert one.h.all() and one.c.all() and not problem(2, 3, 4, 5, carried=False).c.any()


# A cell that is wrong


def with_swapped(loss, one: str, other: str):
    """The cell, but with two arrays of the weights exchanged."""

    def wrong(x, y, h, c, W, input_mask=None, hidden_mask=None):
        swapped, arrays = copy(W), dict(W.items())
        swapped._arrays = {**arrays, one: arrays[other], other: arrays[one]}
        return loss(x, y, h, c, swapped, input_mask, hidden_mask)

    return wrong


@pytest.mark.parametrize("name", ["scratch", "fast", "packed"])
@pytest.mark.parametrize("pair", [("Wxi", "Wxf"), ("Whg", "Who"), ("bi", "bo")], ids=str)
def test_exchanged_gates_are_found_out(name, pair, monkeypatch, capsys):
    wrong = replace(IMPLEMENTATIONS[name], loss=with_swapped(IMPLEMENTATIONS[name].loss, *pair))
    p = problem(2, 5, 3, 4)
    missed = not_met(check_agreement(p, np.random.default_rng(0), {**IMPLEMENTATIONS, name: wrong}))
    assert {row.implementation for row in missed} == {name}
    assert {"h", "c", f"dL/d{pair[0]}", f"dL/d{pair[1]}"} <= {row.quantity for row in missed}

    assert main(TINY) == 0
    assert capsys.readouterr().out.endswith("all within the tolerances\n")
    monkeypatch.setitem(IMPLEMENTATIONS, name, wrong)
    assert main(TINY) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"above the tolerance: {name} ") and f"{name} dL/d{pair[0]}" in last


def test_a_wrong_reference_is_found_out_by_its_slopes(monkeypatch):
    right = reference.loss_and_gradients

    def wrong(*arguments):
        loss, h, c, gradients = right(*arguments)
        return loss, h, c, {**gradients, "bf": 1.001 * gradients["bf"]}

    monkeypatch.setattr(reference, "loss_and_gradients", wrong)
    missed = not_met(check_agreement(problem(2, 5, 3, 4), np.random.default_rng(0), {}))
    assert [(row.implementation, row.quantity) for row in missed] == [(NUMERICAL, "dL/dbf")]


@pytest.mark.parametrize("found", [[1.0, np.nan], [1.0, np.inf], [[1.0, 2.0]], [1.0]])
def test_what_cannot_be_compared_does_not_agree(found):
    assert not Comparison("h", "fast", relative_difference(np.array(found), np.array([1.0, 2.0])), 1e-3).ok


def test_a_difference_is_a_share_of_the_largest_number():
    true = np.array([0.0, -4.0])
    assert relative_difference(np.array([0.2, -4.0]), true) == pytest.approx(0.05)
    assert relative_difference(np.array([0.2, -4.0]), true, small=8.0) == pytest.approx(0.025)
    assert relative_difference(np.array([0.2, 0.0]), np.zeros(2)) == 0.2


# The command


def test_the_command_prints_each_quantity_of_each_implementation(capsys):
    assert main([*TINY, "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["scratch", "fast", "packed", NUMERICAL]
    assert [line.split()[0] for line in lines[2:-1]] == QUANTITIES
    for line in lines[5:-1]:
        differences, tolerances = line.split()[1::3], line.split()[3::3]
        assert len(tolerances) == 4 and all(float(a) <= float(b) for a, b in zip(differences, tolerances))
    assert main([*TINY, "--seed", "4"]) == 0
    assert capsys.readouterr().out.splitlines() != lines


@pytest.mark.parametrize("option", ["--batch-size", "--seq-len", "--hidden", "--vocab-size", "--seed"])
def test_sizes_that_cannot_be_are_refused_in_one_sentence(option, capsys):
    assert main(["agree", option, "-1"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err == f"gluon-lstm: {option} -1: use at least {0 if option == '--seed' else 1}\n"


# What training rests on


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_fast_cell_repeats_itself_to_the_last_bit(dropout):
    p = problem(4, 17, 19, 50, dropout=dropout)
    first = run_implementation(fast.loss, p)
    again = run_implementation(fast.loss, p)
    run_implementation(fast.loss, problem(3, 9, 23, 70))  # its buffers are then of another size
    after = run_implementation(fast.loss, p)
    run_implementation(fast.loss, problem(4, 17, 19, 50, seed=5))  # or full of other numbers
    last = run_implementation(fast.loss, p)
    for quantity in QUANTITIES:
        for other in (again, after, last):
            np.testing.assert_array_equal(other[quantity], first[quantity], quantity)


def state_gradients(cell, p: Case, dtype: str = "float32") -> list[np.ndarray]:
    """dL/dh and dL/dc of the state that a window begins with, for an L that the last state has a part in."""
    W = Parameters(p.W, dtype=dtype, config=p.config)
    h, c = nd.array(p.h, dtype=dtype), nd.array(p.c, dtype=dtype)
    h.attach_grad()
    c.attach_grad()
    u, v = (nd.array(np.random.default_rng(k).standard_normal(p.h.shape), dtype=dtype) for k in range(2))
    with mx.autograd.record():
        loss, last_h, last_c = cell(p.x, p.y, h, c, W, p.input_mask, p.hidden_mask)
        whole = 3 * loss + (u * last_h).sum() + (v * last_c).sum()
    whole.backward()
    return [h.grad.asnumpy(), c.grad.asnumpy(), *W.gradients().values()]


@pytest.mark.parametrize("cell", [fast.loss, fused.loss], ids=["fast", "packed"])
@pytest.mark.parametrize(("sizes", "dropout"), [((3, 5, 7, 11), 0.0), ((1, 1, 5, 7), 0.0), ((2, 17, 9, 20), 0.4)])
def test_gradients_reach_the_state_and_come_from_it(cell, sizes, dropout):
    p = problem(*sizes, dropout=dropout)
    for found, true in zip(state_gradients(cell, p), state_gradients(scratch.loss, p, "float64")):
        assert relative_difference(found, true, 0.05) < 2e-5


@cells
def test_gradients_of_a_state_alone_are_those_of_scratch(cell):
    """No part of the loss: dL/d(loss) is 0."""
    p = problem(3, 5, 7, 11)

    def gradients(cell, dtype):
        W = Parameters(p.W, dtype=dtype)
        with mx.autograd.record():
            _, h, c = cell(p.x, p.y, nd.array(p.h, dtype=dtype), nd.array(p.c, dtype=dtype), W)
            whole = (h * c).sum()
        whole.backward()
        return W.gradients()

    true = gradients(scratch.loss, "float64")
    for name, found in gradients(cell, "float32").items():
        assert relative_difference(found, true[name], 0.05) < 2e-5, name
    assert not true["Why"].any() and true["Wxg"].any()


@cells
def test_gradients_are_added_where_they_are_asked_to_be(cell):
    p, q = problem(3, 5, 7, 11), problem(3, 9, 7, 11, seed=1)
    W = Parameters(p.W)
    h = nd.array(p.h)
    for array in (*W, h):
        array.attach_grad(grad_req="add")
    for window in (p, q):
        with mx.autograd.record():
            loss, _, _ = cell(window.x, window.y, h, nd.array(p.c), W)
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


@cells
def test_only_what_is_asked_for_gets_a_gradient(cell):
    p = problem(3, 5, 7, 11)
    W = Parameters(p.W)
    W.Whg.attach_grad(grad_req="null")
    with mx.autograd.record():
        loss, _, _ = cell(p.x, p.y, nd.array(p.h), nd.array(p.c), W)
    loss.backward()
    assert relative_difference(W.Who.grad.asnumpy(), reference_results(p)["dL/dWho"], 0.05) < 2e-5
    assert W.Whg.grad is None or not W.Whg.grad.asnumpy().any()


@cells
@pytest.mark.parametrize("cut", [1, 5, 12])
def test_two_windows_in_one_record_are_one_long_window(cell, cut):
    """The state that the first hands to the second carries gradients back; the losses are weighed by their steps."""
    p = problem(3, 17, 7, 11)
    W = Parameters(p.W)
    h, c = nd.array(p.h), nd.array(p.c)
    with mx.autograd.record():
        loss1, h, c = cell(p.x[:cut], p.y[:cut], h, c, W)
        loss2, h, c = cell(p.x[cut:], p.y[cut:], h, c, W)
        whole = (cut * loss1 + (17 - cut) * loss2) / 17
    whole.backward()
    true = reference_results(p)
    assert float(whole.asscalar()) == pytest.approx(float(true["loss"]), abs=1e-5)
    assert relative_difference(h.asnumpy(), true["h"]) < 1e-5 and relative_difference(c.asnumpy(), true["c"]) < 1e-5
    for name, found in W.gradients().items():
        assert relative_difference(found, true[f"dL/d{name}"]) < 1e-4, name


@cells
def test_losses_of_windows_of_one_size_add_up(cell):
    """The second window needs buffers of its own as long as the first one waits to be gone back through."""
    p = problem(3, 10, 7, 11)
    W = Parameters(p.W)
    h, c = nd.array(p.h), nd.array(p.c)
    with mx.autograd.record():
        loss1, h, c = cell(p.x[:5], p.y[:5], h, c, W)
        loss2, h, c = cell(p.x[5:], p.y[5:], h, c, W)
        (loss1 + loss2).backward()
    for name, found in W.gradients().items():
        assert relative_difference(found, 2 * reference_results(p)[f"dL/d{name}"]) < 1e-4, name


@cells
def test_ids_and_masks_may_be_ndarrays_or_numpy_arrays(cell):
    p = problem(3, 5, 7, 11, dropout=0.4)
    ids = {"x": nd.array(p.x, dtype="int32"), "y": nd.array(p.y, dtype="int32")}
    masks = {"input_mask": nd.array(p.input_mask), "hidden_mask": nd.array(p.hidden_mask)}
    wide = {"x": p.x.astype(np.int64), "y": p.y[:, ::-1].copy()[:, ::-1]}  # another type, other strides
    found = run_implementation(cell, p)
    for other in (run_implementation(cell, replace(p, **ids, **masks)), run_implementation(cell, replace(p, **wide))):
        for quantity in QUANTITIES:
            np.testing.assert_array_equal(other[quantity], found[quantity], quantity)


@cells
def test_ids_beyond_what_float32_can_count_stay_what_they_are(cell):
    """nd.array makes float32 of int64: 2^24 + 1 would be 2^24."""
    id = 2**24 + 1
    (found, _, _, _) = scratch.to_device(Parameters(problem(1, 1, 1, 1).W), np.array([[id]]), [[0]], None, None)
    assert found.asnumpy()[0, 0] == id


# Where and in which type


@pytest.mark.parametrize("cell", [fused.loss, scratch.loss], ids=["packed", "scratch"])
def test_everything_lives_on_the_device_of_the_weights(cell, monkeypatch):
    device = mx.cpu(1)
    p = problem(3, 5, 7, 11, dropout=0.4)
    W = Parameters(p.W, device)
    h, c = nd.array(p.h, ctx=device), nd.array(p.c, ctx=device)
    h.attach_grad()
    c.attach_grad()
    made = []
    create = nd.array
    monkeypatch.setattr(nd, "array", lambda *args, **options: made.append(create(*args, **options)) or made[-1])
    with mx.autograd.record():
        outputs = cell(p.x, p.y, h, c, W, p.input_mask, p.hidden_mask)
    outputs[0].backward()
    assert len(made) == 4
    for array in (*made, *outputs, h.grad, c.grad, *(array.grad for array in W)):
        assert array.context == device
    found, true = run_implementation(cell, p, ctx=device), reference_results(p)
    assert all(relative_difference(found[quantity], true[quantity], 0.05) < 1e-4 for quantity in QUANTITIES)


@pytest.mark.parametrize("cell", [fused.loss, scratch.loss], ids=["packed", "scratch"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_in_float64_they_agree_to_float64(cell, sizes, dropout):
    p = problem(*sizes, dropout=dropout)
    found, true = run_implementation(cell, p, "float64"), reference_results(p)
    assert all(relative_difference(found[quantity], true[quantity], 1e-3) < 1e-11 for quantity in QUANTITIES)


# Numbers at the edge


@cells
def test_large_logits_give_the_loss_of_the_reference(cell):
    p = problem(3, 5, 7, 11)
    p = replace(p, W={name: 100 * array for name, array in p.W.items()})
    found, true = run_implementation(cell, p), reference_results(p)
    assert np.isfinite(true["loss"]) and true["loss"] > 20
    assert found["loss"] == pytest.approx(true["loss"], rel=1e-5)
    assert relative_difference(found["dL/dby"], true["dL/dby"]) < 1e-5


@cells
@pytest.mark.parametrize("name", ARRAY_NAMES)
@pytest.mark.parametrize("nan", np.float32([np.nan, -np.nan]), ids=["nan", "-nan"])
def test_a_weight_that_is_no_number_makes_the_loss_none(cell, name, nan):
    p = problem(3, 5, 7, 11)
    damaged = p.W[name].copy()
    damaged[(p.x[0, 0],) if name.startswith("Wx") else (0,) * damaged.ndim] = nan
    assert np.isnan(run_implementation(cell, replace(p, W={**p.W, name: damaged}))["loss"])


@cells
@pytest.mark.parametrize("state", ["h", "c"])
def test_a_state_that_is_no_number_makes_the_loss_none(cell, state):
    p = problem(3, 5, 7, 11)
    damaged = getattr(p, state).copy()
    damaged[1, 2] = np.nan
    assert np.isnan(run_implementation(cell, replace(p, **{state: damaged}))["loss"])


# What the fast cell does not do


@pytest.mark.filterwarnings("ignore")
def test_gradients_are_computed_once_and_refused_a_second_time(capfd):
    """The first pass back uses up what the forward pass left."""
    p = problem(3, 5, 7, 11)
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
def test_an_id_outside_the_vocabulary_is_refused(which, id):
    """MXNet's own look-up would take the nearest row without a word."""
    p = problem(3, 5, 7, 11)
    ids = [p.x.copy(), p.y.copy()]
    ids[which][2, 1] = id
    with pytest.raises(ValueError, match="0 to 10"):
        fast.loss(*ids, nd.array(p.h), nd.array(p.c), Parameters(p.W))


def test_float64_is_refused():
    p = problem(3, 5, 7, 11)
    with pytest.raises(ValueError, match="float32 on the CPU"):
        fast.loss(p.x, p.y, nd.array(p.h), nd.array(p.c), Parameters(p.W, dtype="float64"))
