"""The layers of notes 001: values and gradients against the reference, finite differences, PyTorch and MXNet."""

from __future__ import annotations

import doctest
import re
from itertools import permutations

import numpy as np
import pytest
from helpers import DOCS, finite_differences
from hypothesis import given, settings
from hypothesis import strategies as st

from gluon_lstm.config import ARRAY_NAMES, GATES, NOTES_GATE_ORDER, ModelConfig
from gluon_lstm.lstm import reference
from gluon_lstm.lstm.layers import LSTM, TimeLSTM, fuse_gates, split_gates
from gluon_lstm.numerics import log_softmax, reorder_gates

SIZES = [(4, 10, 5), (1, 1, 1), (3, 2, 4), (5, 3, 1)]  # N, D, H; first the sizes of the notes
WINDOWS = [(2, 4, 3, 3), (1, 1, 1, 1), (3, 1, 4, 2), (1, 6, 2, 3)]  # N, T, D, H
orders = st.permutations(GATES).map("".join)


def normal(*shapes, seed=0, dtype="float64"):
    rng = np.random.default_rng([seed, *sum(shapes, ())])
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def weights_of(D, H, **options):
    return normal((D, 4 * H), (H, 4 * H), (4 * H,), **options)


def assert_match_finite_differences(L, gradients, arrays):
    for gradient, array in zip(gradients, arrays):
        np.testing.assert_allclose(gradient, finite_differences(L, array), rtol=1e-6, atol=1e-9)


# One time step


def test_one_step_computed_by_hand():
    """With N = D = H = 1, x = 2 and h_prev = -1; f, g, i, o come out as 3/4, 3/5, 1/4, 1/2."""
    log2, log3 = np.log(2), np.log(3)  # sigmoid(log 3) = 3/4, sigmoid(-log 3) = 1/4, tanh(log 2) = 3/5
    Wx = np.array([[log3, log2, -log3, 1.0]])
    Wh = np.array([[log3, 0.5, 0.0, 3.0]])
    b = np.array([0.0, 0.5 - log2, log3, 1.0])
    # f: 2 log3 - log3 + 0 = log3        g: 2 log2 - 0.5 + 0.5 - log2 = log2
    # i: -2 log3 - 0 + log3 = -log3      o: 2 - 3 + 1 = 0
    c_prev = (log2 - 0.15) / 0.75  # so that c = 3/4 c_prev + 3/5 * 1/4 is log 2, and tanh(c) = 3/5
    layer = LSTM(Wx, Wh, b)
    h, c = layer.forward(np.array([[2.0]]), np.array([[-1.0]]), np.array([[c_prev]]))
    assert (h.item(), c.item()) == pytest.approx((0.3, log2), rel=1e-14)

    # dh = 1, dc = 0.1: dL/dc = 0.1 + 1 * 1/2 * (1 - 9/25) = 0.42, times the derivative of each gate
    dA = np.array([0.42 * c_prev * 3 / 16, 0.42 / 4 * 16 / 25, 0.42 * 0.6 * 3 / 16, 0.6 / 4])
    dx, dh_prev, dc_prev = layer.backward(np.array([[1.0]]), np.array([[0.1]]))
    assert dx.item() == pytest.approx(dA[0] * log3 + dA[1] * log2 - dA[2] * log3 + dA[3], rel=1e-13)
    assert dh_prev.item() == pytest.approx(dA[0] * log3 + dA[1] * 0.5 + dA[3] * 3, rel=1e-13)
    assert dc_prev.item() == pytest.approx(0.42 * 0.75, rel=1e-13)
    for grad, expected in zip(layer.grads, ([2 * dA], [-dA], dA)):
        np.testing.assert_allclose(grad, expected, rtol=1e-13)


@pytest.mark.parametrize(("N", "V", "H"), SIZES)
def test_step_matches_the_reference(weights, window, N, V, H):
    W, (x, _, h_prev, c_prev) = weights(V, H), window(1, N, V, H)
    _, h, c, _ = reference.forward(x, h_prev, c_prev, W, ModelConfig(H))
    h_next, c_next = LSTM(*fuse_gates(W)).forward(np.eye(V)[x[0]], h_prev, c_prev)
    np.testing.assert_allclose(h_next, h, rtol=1e-13)
    np.testing.assert_allclose(c_next, c, rtol=1e-13)


@pytest.mark.parametrize(("N", "D", "H"), SIZES)
def test_step_gradients_match_finite_differences(N, D, H):
    params = weights_of(D, H)
    inputs = normal((N, D), (N, H), (N, H), seed=1)
    dh_next, dc_next = normal((N, H), (N, H), seed=2)

    def L():
        h_next, c_next = LSTM(*params).forward(*inputs)
        return (h_next * dh_next).sum() + (c_next * dc_next).sum()

    layer = LSTM(*params)
    layer.forward(*inputs)
    input_gradients = layer.backward(dh_next, dc_next)
    assert_match_finite_differences(L, (*layer.grads, *input_gradients), (*params, *inputs))


# A window


@pytest.mark.parametrize("stateful", [False, True])
@pytest.mark.parametrize(("N", "T", "D", "H"), WINDOWS)
def test_window_gradients_match_finite_differences(N, T, D, H, stateful):
    params = weights_of(D, H)
    xs, h, c = normal((N, T, D), (N, H), (N, H), seed=1)
    (dhs,) = normal((N, T, H), seed=2)

    def run():
        layer = TimeLSTM(*params, stateful=stateful)
        if stateful:
            layer.set_state(h, c)
        return layer, layer.forward(xs)

    layer, _ = run()
    gradients, arrays = [layer.backward(dhs), *layer.grads], [xs, *params]
    if stateful:
        gradients, arrays = [*gradients, layer.dh, layer.dc], [*arrays, h, c]
    assert_match_finite_differences(lambda: (run()[1] * dhs).sum(), gradients, arrays)


@pytest.mark.parametrize(("N", "T", "V", "H"), WINDOWS)
def test_language_model_gradients_match_the_reference(weights, window, assert_same, N, T, V, H):
    """The whole language model of `reference`, with the layer for its steps: one-hot rows, carried state, loss."""
    W, (x, y, h, c) = weights(V, H), window(T, N, V, H)
    _, h_last, c_last, expected = reference.loss_and_gradients(x, y, h, c, W)
    layer = TimeLSTM(*fuse_gates(W), stateful=True)
    layer.set_state(h, c)
    hs = layer.forward(np.eye(V)[x.T])  # (N, T, H)
    dz = (np.exp(log_softmax(reference.logits(hs, W))) - np.eye(V)[y.T]) / (T * N)
    layer.backward(dz @ W["Why"].T)
    gates = ARRAY_NAMES[:12]
    assert_same(split_gates(*layer.grads), {name: expected[name] for name in gates}, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(layer.h, h_last, rtol=1e-12)
    np.testing.assert_allclose(layer.c, c_last, rtol=1e-12)


def test_stateful_layer_continues_from_the_last_state():
    params, (xs, h, c, dhs) = weights_of(3, 4), normal((2, 7, 3), (2, 4), (2, 4), (2, 7, 4), seed=1)
    whole, parts = TimeLSTM(*params, stateful=True), TimeLSTM(*params, stateful=True)
    for layer in (whole, parts):
        layer.set_state(h, c)
    hs = whole.forward(xs)
    np.testing.assert_allclose(np.concatenate([parts.forward(xs[:, :3]), parts.forward(xs[:, 3:])], axis=1), hs)
    # backpropagation is truncated at the window: same gradients as a new layer with this state
    other = TimeLSTM(*params, stateful=True)
    for t in range(3):
        h, c = LSTM(*params).forward(xs[:, t], h, c)
    other.set_state(h, c)
    other.forward(xs[:, 3:])
    for layer in (parts, other):
        layer.backward(dhs[:, 3:])
    for found, expected in zip((*parts.grads, parts.dh, parts.dc), (*other.grads, other.dh, other.dc)):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_state_can_be_set_and_reset():
    params, (xs, h, c) = weights_of(3, 4), normal((2, 5, 3), (2, 4), (2, 4), seed=1)
    fresh = TimeLSTM(*params)
    from_zeros = fresh.forward(xs)
    assert np.array_equal(fresh.forward(xs), from_zeros)  # not stateful: the second window starts from zeros too
    layer = TimeLSTM(*params, stateful=True)
    assert np.array_equal(layer.forward(xs), from_zeros)
    assert np.abs(layer.forward(xs) - from_zeros).max() > 1e-2
    layer.reset_state()
    assert np.array_equal(layer.forward(xs), from_zeros)
    layer.set_state(h)
    without_c = layer.forward(xs)
    layer.set_state(h, np.zeros_like(c))
    assert np.array_equal(layer.forward(xs), without_c)
    layer.set_state(h, c)
    assert np.abs(layer.forward(xs) - without_c).max() > 1e-2


# Properties of both layers


def run(layers, N=3, T=2, dtype="float64", scale=1.0):
    """Run an LSTM and a TimeLSTM forward and backward; return all results, the gradients as copies."""
    one, window = layers
    D, H = len(one.params[0]), len(one.params[1])
    x, h, c, xs, dhs = normal((N, D), (N, H), (N, H), (N, T, D), (N, T, H), dtype=dtype)
    given = [*one.forward(scale * x, h, c), *one.backward(h, c), window.forward(scale * xs), window.backward(dhs)]
    given += [window.h, window.c, window.dh, window.dc]
    return [*given, *(grad.copy() for layer in layers for grad in layer.grads)]


def test_parameters_and_gradients_keep_their_identity():
    params = weights_of(4, 3)
    layers = LSTM(*params), TimeLSTM(*params)
    grads = [grad for layer in layers for grad in layer.grads]
    first = run(layers)
    assert all(np.array_equal(*pair) for pair in zip(run(layers), first))  # overwritten, not accumulated
    for param in params:
        param *= 0.5  # as an optimizer does
    expected = run((LSTM(*params), TimeLSTM(*params)))
    assert all(np.array_equal(*pair) for pair in zip(run(layers), expected))
    assert all(np.abs(array - old).max() > 1e-3 for array, old in zip(expected, first))
    for array, kept in zip((grad for layer in layers for grad in layer.grads), grads):
        assert array is kept


@pytest.mark.parametrize("inputs", ["float64", "float32", "int64"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_dtype_of_the_weights_is_kept(dtype, inputs):
    params = weights_of(4, 3, dtype=dtype)
    exact = [param.astype("float64") for param in params]
    given, expected = (run((LSTM(*weights), TimeLSTM(*weights)), dtype=inputs) for weights in (params, exact))
    for found, array in zip(given, expected):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, array, rtol=0, atol=50 * max(np.finfo(dtype).eps, 1e-16))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gates_never_overflow(dtype):
    """exp(-a) overflows at 709, in float32 at 88."""
    params = weights_of(4, 3, dtype=dtype)
    with np.errstate(all="raise", under="ignore"):
        given = run((LSTM(*params), TimeLSTM(*params)), dtype=dtype, scale=1e4)
    assert all(np.isfinite(array).all() for array in given)


@pytest.mark.parametrize("kind", [LSTM, TimeLSTM])
@pytest.mark.parametrize(
    ("Wx", "Wh", "b", "message"),
    [
        ((10, 20), (5, 20), (5,), r"b has the shape \(5,\): expected Wx \(D, 4H\), Wh \(H, 4H\), b \(4H,\)"),
        ((10, 20), (5, 20), (1, 20), r"b has the shape \(1, 20\)"),
        ((10, 16), (5, 20), (20,), r"Wx has the shape \(10, 16\).* H = 5"),
        ((20,), (5, 20), (20,), r"Wx has the shape \(20,\)"),
        ((), (5, 20), (20,), r"Wx has the shape \(\)"),
        ((10, 20), (20, 5), (20,), r"Wh has the shape \(20, 5\).* H = 5"),
    ],
)
def test_weights_with_wrong_shapes_are_refused(kind, Wx, Wh, b, message):
    with pytest.raises(ValueError, match=message):
        kind(np.zeros(Wx), np.zeros(Wh), np.zeros(b))


@pytest.mark.parametrize("types", [("int64",) * 3, ("float32", "float64", "float32"), ("complex128",) * 3])
def test_mixed_or_integer_dtypes_are_refused(types):
    """Integer weights would have integer gradients."""
    with pytest.raises(ValueError, match=f"Wx, Wh, b are {', '.join(types)}: expected one floating-point"):
        LSTM(*(array.astype(dtype) for array, dtype in zip(weights_of(3, 2), types)))


def test_inputs_with_wrong_shapes_are_refused():
    one, window = LSTM(*weights_of(10, 5)), TimeLSTM(*weights_of(10, 5), stateful=True)
    x, h = np.zeros((4, 10)), np.zeros((4, 5))
    for call, message in [
        (lambda: one.forward(x[:, :9], h, h), r"x has the shape \(4, 9\): expected \(N, D\) with D = 10"),
        (lambda: one.forward(x[0], h, h), r"x has the shape \(10,\): expected \(N, D\)"),
        (lambda: one.forward(x, h[:1], h), r"h_prev has the shape \(1, 5\): expected \(N, H\) with N = 4, H = 5"),
        (lambda: one.forward(x, h, h[0]), r"c_prev has the shape \(5,\)"),
        (lambda: window.forward(x), r"xs has the shape \(4, 10\): expected \(N, T, D\) with D = 10"),
        (lambda: window.set_state(h.T), r"h has the shape \(5, 4\)"),
        (lambda: window.set_state(h, h[:3]), r"c has the shape \(3, 5\): expected \(N, H\) with N = 4, H = 5"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    one.forward(x, h, h)
    window.forward(np.zeros((4, 3, 10)))
    for call, message in [
        (lambda: one.backward(h[:3], h), r"dh_next has the shape \(3, 5\): expected \(N, H\) with N = 4, H = 5"),
        (lambda: one.backward(h, 0), r"dc_next has the shape \(\)"),
        (lambda: window.backward(np.zeros((4, 2, 5))), r"dhs has the shape \(4, 2, 5\).* N = 4, T = 3, H = 5"),
        (lambda: window.forward(np.zeros((2, 3, 10))), r"carried h \(see reset_state\) has the shape \(4, 5\).* N = 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_backward_before_forward_and_set_state_unless_stateful_are_refused():
    one, window = LSTM(*weights_of(3, 2)), TimeLSTM(*weights_of(3, 2))
    dh = np.zeros((1, 2))
    for call in (lambda: one.backward(dh, dh), lambda: window.backward(dh[None])):
        with pytest.raises(ValueError, match="call forward first"):
            call()
    with pytest.raises(ValueError, match="stateful=True"):
        window.set_state(dh)


# Gate orders, and the names of a model


@settings(max_examples=60, deadline=None)
@given(orders, orders, orders, st.lists(st.integers(1, 3), max_size=2), st.integers(1, 4))
def test_reorder_gates_is_invertible_and_composes(source, middle, target, before, H):
    (gates,) = normal((4, *before, H))
    by_name = dict(zip(GATES, gates))
    one, other = (np.concatenate([by_name[k] for k in order], axis=-1) for order in (source, target))
    assert np.array_equal(reorder_gates(one, source, target), other)
    assert np.array_equal(reorder_gates(reorder_gates(one, source, middle), middle, target), other)
    assert np.array_equal(reorder_gates(other, target, source), one)


def test_reorder_gates_returns_a_copy():
    (fused,) = normal((2, 8))
    assert not any(
        np.shares_memory(reorder_gates(fused, "fgio", "".join(order)), fused) for order in permutations(GATES)
    )


@settings(max_examples=40, deadline=None)
@given(orders, st.integers(1, 5), st.integers(1, 4), st.sampled_from(["float32", "float64"]))
def test_fuse_gates_and_split_gates_are_inverse(order, D, H, dtype):
    params = weights_of(D, H, dtype=dtype)
    arrays = split_gates(*params, order)
    assert tuple(arrays) == ARRAY_NAMES[:12]
    for role, fused in zip(("Wx", "Wh", "b"), params):
        for k, gate in enumerate(order):
            assert np.array_equal(arrays[f"{role}{gate}"], fused[..., k * H : (k + 1) * H])
    for fused, param in zip(fuse_gates(arrays, order), params):
        assert fused.dtype == dtype and np.array_equal(fused, param)
    for fused, param in zip(fuse_gates(arrays), params):
        assert np.array_equal(fused, reorder_gates(param, order, NOTES_GATE_ORDER))


@pytest.mark.parametrize("order", ["", "fgi", "fgioo", "ffgi", "abcd"])
def test_invalid_gate_order_is_refused(weights, order):
    for call in (
        lambda: reorder_gates(np.zeros(8), order, "fgio"),
        lambda: reorder_gates(np.zeros(8), "fgio", order),
        lambda: fuse_gates(weights(3, 2), order),
        lambda: split_gates(*weights_of(3, 2), order),
    ):
        with pytest.raises(ValueError, match=f"gate order '{order}': name each of the gates f, g, i, o once"):
            call()


def test_arrays_without_four_gates_are_refused(weights):
    W = weights(3, 2)
    with pytest.raises(ValueError, match=r"the fused array has the shape \(3, 6\): expected \(..., 4H\)"):
        reorder_gates(np.zeros((3, 6)), "fgio", "ifgo")
    with pytest.raises(ValueError, match="Whf, bo"):
        fuse_gates({name: array for name, array in W.items() if name not in ("Whf", "bo")})
    with pytest.raises(ValueError, match=r"Wxo has the shape \(3, 1\): expected \(3, 2\)"):
        fuse_gates({**W, "Wxo": W["Wxo"][:, :1]})
    with pytest.raises(ValueError, match=r"Wh has the shape \(3, 8\)"):
        split_gates(np.zeros((3, 8)), np.zeros((3, 8)), np.zeros(8))


# Other implementations


def ours(params, xs, h, c, dhs):
    """Return values, then gradients, those of the weights in the layout of PyTorch and MXNet: i f g o, transposed."""
    layer = TimeLSTM(*params, stateful=True)
    layer.set_state(h, c)
    hs = layer.forward(xs)
    return [hs, layer.h, layer.c, layer.backward(dhs), layer.dh, layer.dc, *to_other_layout(layer.grads)]


def to_other_layout(params):
    return [reorder_gates(param, "fgio", "ifgo").T for param in params]


def assert_agree(found, expected, dtype):
    assert len(found) == len(expected)
    for array, other in zip(found, expected):
        np.testing.assert_allclose(array, other, rtol=0, atol=1e-12 if dtype == "float64" else 1e-5)


@pytest.fixture(params=["float32", "float64"])
def case(request):
    """The sizes of the notes, over six steps: dtype, fused weights, xs, h, c, dL/dhs."""
    N, T, D, H = 4, 6, 10, 5
    arrays = normal((N, T, D), (N, H), (N, H), (N, T, H), seed=1, dtype=request.param)
    return request.param, weights_of(D, H, dtype=request.param), *arrays


def test_values_and_gradients_match_pytorch(case):
    torch = pytest.importorskip("torch")
    dtype, params, *arrays = case
    Wx, Wh, b = to_other_layout(params)
    lstm = torch.nn.LSTM(Wx.shape[1], Wh.shape[1], batch_first=True, dtype=getattr(torch, dtype))
    named = dict(lstm.named_parameters())
    with torch.no_grad():  # only the sum of its two biases matters
        for name, value in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"), (Wx, Wh, 3 * b, -2 * b)):
            named[name].copy_(torch.from_numpy(value.copy()))
    xs, h, c, dhs = map(torch.from_numpy, arrays)
    for tensor in (xs, h, c):
        tensor.requires_grad_()
    hs, (h_last, c_last) = lstm(xs, (h[None], c[None]))
    hs.backward(dhs)
    gradients = [tensor.grad for tensor in (xs, h, c, *named.values())]
    theirs = [tensor.detach().numpy() for tensor in (hs, h_last[0], c_last[0], *gradients)]
    expected = ours(params, *arrays)
    assert_agree(theirs, [*expected, expected[-1]], dtype)


def test_values_and_gradients_match_mxnet(case):
    mx = pytest.importorskip("gluon_lstm.compat", exc_type=ImportError).mx

    dtype, params, *arrays = case
    Wx, Wh, b = to_other_layout(params)
    lstm = mx.gluon.rnn.LSTM(Wh.shape[1], layout="NTC", input_size=Wx.shape[1], dtype=dtype)
    lstm.initialize()
    weights = [lstm.l0_i2h_weight, lstm.l0_h2h_weight, lstm.l0_i2h_bias, lstm.l0_h2h_bias]
    for weight, value in zip(weights, (Wx, Wh, 3 * b, -2 * b)):  # only the sum of its two biases matters
        weight.set_data(mx.nd.array(value, dtype=dtype))
    xs, h, c, dhs = (mx.nd.array(array, dtype=dtype) for array in arrays)
    inputs = [xs, h.expand_dims(0), c.expand_dims(0)]
    for array in inputs:
        array.attach_grad()
    with mx.autograd.record():
        hs, (h_last, c_last) = lstm(inputs[0], inputs[1:])
    hs.backward(dhs)
    dxs, dh, dc = (array.grad for array in inputs)
    theirs = [hs, h_last[0], c_last[0], dxs, dh[0], dc[0], *(weight.grad() for weight in weights)]
    expected = ours(params, *arrays)
    assert_agree([array.asnumpy() for array in theirs], [*expected, expected[-1]], dtype)


# docs/notes-001.md


@pytest.mark.parametrize("language", [0, 1], ids=["English", "Japanese"])
def test_session_in_notes_001_page_runs(language):
    half = (DOCS / "notes-001.md").read_text(encoding="utf-8").split("\n# 記事 001")[language]
    session = "\n".join(re.findall(r"^```python\n(.*?)^```", half, re.DOTALL | re.MULTILINE))
    parsed = doctest.DocTestParser().get_doctest(session, {}, "docs/notes-001.md", None, 0)
    result = doctest.DocTestRunner().run(parsed)
    assert result.attempted > 20 and not result.failed
