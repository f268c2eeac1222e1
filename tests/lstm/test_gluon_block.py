"""The Gluon block has the logits and gradients of the reference, and its weights round-trip unchanged."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import random_case

from gluon_lstm.compat import mx
from gluon_lstm.config import ModelConfig
from gluon_lstm.lstm import initializers, reference
from gluon_lstm.lstm.agreement import relative_difference
from gluon_lstm.lstm.gluon_block import LSTMLanguageModel
from gluon_lstm.model import Model
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

nd = mx.nd
SIZES = [(3, 5, 7, 11), (1, 1, 1, 1), (2, 9, 16, 30), (4, 1, 5, 3)]  # N, T, H, V
layers = pytest.mark.parametrize("layers", [1, 2, 3])


def arguments(p):
    """Return the arguments of the block: ids, and the state (L, N, H)."""
    shape = (p.config.layers, -1, p.config.hidden)
    return nd.array(p.x, dtype="int32"), nd.array(p.h).reshape(shape), nd.array(p.c).reshape(shape)


def loss_of(logits, y):
    return mx.gluon.loss.SoftmaxCrossEntropyLoss()(logits.reshape((-1, logits.shape[2])), nd.array(y.ravel())).mean()


@layers
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("hybrid", [False, True])
def test_logits_states_and_gradients_match_the_reference(sizes, layers, hybrid):
    p = random_case(*sizes, layers=layers, seed=[layers, *sizes])
    block = LSTMLanguageModel.from_arrays(p.W, p.config)
    if hybrid:
        block.hybridize(static_alloc=True, static_shape=True)
    with mx.autograd.record():
        logits, h, c = block(*arguments(p))
        loss = loss_of(logits, p.y)
    loss.backward()

    W = {name: array.astype(np.float64) for name, array in p.W.items()}
    given = p.h.astype(np.float64), p.c.astype(np.float64), W, p.config
    hidden = reference.forward(p.x, *given)[0]
    expected = reference.loss_and_gradients(p.x, p.y, *given)
    assert relative_difference(logits.asnumpy(), reference.logits(hidden, W), 1) < 2e-5
    assert relative_difference(loss.asnumpy()[0], np.asarray(expected[0]), 1) < 2e-5
    assert relative_difference(h.asnumpy().reshape(expected[1].shape), expected[1], 1) < 2e-5
    assert relative_difference(c.asnumpy().reshape(expected[2].shape), expected[2], 1) < 2e-5
    floor = 0.05 * max(np.abs(grad).max() for grad in expected[3].values())
    found = block.gradients()
    assert list(found) == list(expected[3])
    for name, grad in expected[3].items():
        assert relative_difference(found[name], grad, floor) < 1e-3, name


@layers
def test_weights_round_trip_bit_for_bit(layers):
    p = random_case(1, 1, 6, 9, layers=layers)
    back = LSTMLanguageModel.from_arrays(p.W, p.config).to_arrays()
    assert list(back) == list(p.W)
    for name, array in p.W.items():
        assert back[name].dtype == np.float32
        np.testing.assert_array_equal(back[name], array)


@pytest.mark.filterwarnings("ignore:Cannot decide type")
def test_exported_block_gives_the_same_outputs(tmp_path):
    p = random_case(2, 4, 5, 7, layers=2)
    block = LSTMLanguageModel.from_arrays(p.W, p.config)
    block.hybridize()
    expected = [array.asnumpy() for array in block(*arguments(p))]
    block.export(str(tmp_path / "exported"))
    files = str(tmp_path / "exported-symbol.json"), str(tmp_path / "exported-0000.params")
    again = mx.gluon.SymbolBlock.imports(files[0], ["data0", "data1", "data2"], files[1])
    for found, array in zip(again(*arguments(p)), expected):
        np.testing.assert_allclose(found.asnumpy(), array, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("variant", ["peephole", "no-output-tanh", "rnn"])
def test_other_variants_are_refused(variant):
    with pytest.raises(ValueError, match=f"`variant` {variant}"):
        LSTMLanguageModel(ModelConfig(3, variant), 5)


def test_missing_array_is_named():
    p = random_case(1, 1, 2, 3)
    with pytest.raises(ValueError, match=r"Whf$"):
        LSTMLanguageModel.from_arrays({name: array for name, array in p.W.items() if name != "Whf"})


def test_block_trained_by_gluon_trainer_generates_text():
    """Trained on one cycle of letters, it continues the cycle; its fixed parameters have not changed."""
    letters = "あいうえお"
    codec = Codec(TextSettings(raw=True), Vocabulary(["<unk>", *letters], 1))
    config = ModelConfig(12, layers=2)
    model = Model(config, codec, initializers.standard(config, 6, np.random.default_rng(0)))
    block = LSTMLanguageModel.from_arrays(model.arrays, model.config)
    block.hybridize()
    trainer = mx.gluon.Trainer(block.collect_params(), "adam", {"learning_rate": 0.03})
    text = np.array(codec.ids("あ") + codec.ids("い") + codec.ids("う") + codec.ids("え") + codec.ids("お"))
    ids = np.tile(text, 5)[:, None]  # (T + 1, 1)
    losses = []
    for _ in range(60):
        with mx.autograd.record():
            logits, _, _ = block(nd.array(ids[:-1], dtype="int32"), *block.begin_state(1))
            loss = loss_of(logits, ids[1:])
        loss.backward()
        trainer.step(1)
        losses.append(float(loss.asscalar()))
    assert losses[-1] < 0.1 < 1 < losses[0]
    np.testing.assert_array_equal(block.lstm.l0_i2h_weight.data().asnumpy(), np.eye(48))
    assert not block.lstm.l1_h2h_bias.data().asnumpy().any()

    generator = TextGenerator(Model(config, codec, block.to_arrays()))
    written = "".join(generator.stream(generator.prefix("あいう"), rng_for(1), 12))
    assert written == "あいうえおあいうえおあいうえお\n"
