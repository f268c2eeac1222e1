"""Model files in float16 and int8: rounded once, then exact; small; hostile contents refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers import model_refusal, random_model, read_safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save

from gluon_lstm import array_file, quantization
from gluon_lstm.config import VARIANTS, ModelConfig
from gluon_lstm.model import MAX_WEIGHT, Model
from gluon_lstm.text.settings import TextSettings

LETTERS = ["あ", "い", "\n", "\x1b"]
LIMIT = float(np.float32(1e20))
WEIGHTS = st.floats(-LIMIT, LIMIT, width=32)
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=WEIGHTS)


def model_of(variant="standard", hidden=7, layers=1):
    return random_model(TextSettings("char"), LETTERS, ModelConfig(hidden, variant, layers), 3)


def saved_as(precision, path, **config):
    model_of(**config).save(path, precision)
    return path


@settings(max_examples=200, deadline=None)
@given(MATRICES)
def test_an_int8_weight_is_off_by_at_most_half_a_level_of_its_row(matrix):
    found = quantization.decode(quantization.encode({"W": matrix}, "int8"))["W"]
    largest = np.abs(matrix.astype(np.float64)).max(1, keepdims=True)
    assert found.dtype == np.float32
    assert np.all(np.abs(found - matrix.astype(np.float64)) <= largest / 254 * (1 + 1e-5) + 1e-44)


@settings(max_examples=200, deadline=None)
@given(MATRICES)
def test_a_float16_weight_is_the_nearest_one(matrix):
    found = quantization.decode(quantization.encode({"W": matrix}, "float16"))["W"]
    assert np.array_equal(found, np.clip(matrix, -65504, 65504).astype(np.float16).astype(np.float32))


@settings(max_examples=200, deadline=None)
@given(MATRICES, st.sampled_from(["float32", "float16", "int8"]))
def test_decoded_weights_are_stored_without_further_loss(matrix, precision):
    """A model that is loaded and saved again stays the same to the last bit of float32, up to the scale's rounding."""
    once = quantization.decode(quantization.encode({"W": matrix}, precision))
    twice = quantization.decode(quantization.encode(once, precision))
    assert np.allclose(twice["W"], once["W"], rtol=3e-7, atol=0)


def test_rows_of_zeros_stay_zeros():
    stored = quantization.encode({"W": np.zeros((2, 3), np.float32)}, "int8")
    assert not quantization.decode(stored)["W"].any()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("precision", quantization.PRECISIONS)
def test_a_model_in_each_precision_round_trips(tmp_path, precision, variant):
    model = model_of(variant, layers=2)
    model.save(tmp_path / "a.safetensors", precision)
    found = Model.load(tmp_path / "a.safetensors")
    expected = quantization.decode(quantization.encode(model.arrays, precision))
    assert list(found.arrays) and found.arrays.keys() == model.arrays.keys()
    for name, array in found.arrays.items():
        assert array.dtype == np.float32 and np.array_equal(array, expected[name]), name
        assert array.ndim > 1 or np.array_equal(array, model.arrays[name]), name  # vectors are not rounded


def test_sizes_on_disk(tmp_path):
    """Of the bytes of float32, float16 needs about a half and int8 about a quarter."""
    sizes = {p: saved_as(p, tmp_path / p, hidden=300).stat().st_size for p in quantization.PRECISIONS}
    assert sizes["float16"] / sizes["float32"] == pytest.approx(0.5, abs=0.01)
    assert sizes["int8"] / sizes["float32"] == pytest.approx(0.25, abs=0.01)


def test_unknown_precision_writes_nothing(tmp_path):
    with pytest.raises(ValueError, match="`precision` int4: use one of float32, float16, int8"):
        saved_as("int4", tmp_path / "a")
    assert not list(tmp_path.iterdir())


# ---- hostile files, with a correct checksum


def rewritten(path, change):
    """Write the file again with `change(arrays)` applied to its arrays."""
    metadata, stored = read_safetensors(path.read_bytes())
    change(stored)
    metadata["checksum"] = array_file.checksum({k: v for k, v in metadata.items() if k != "checksum"}, stored)
    path.write_bytes(save(stored, metadata={"gluon_lstm": json.dumps(metadata)}))
    return path


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_a_scale_that_is_not_finite_or_too_large_is_refused(tmp_path, value):
    def change(stored):
        stored["Whg"][0, 0] = 1
        stored["Whg.scale"][0] = value

    model_refusal(rewritten(saved_as("int8", tmp_path / "a"), change))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_float16_weight_that_is_not_finite_is_refused(tmp_path, value):
    model_refusal(
        rewritten(saved_as("float16", tmp_path / "a"), lambda stored: stored["Why"].__setitem__((0, 0), value))
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: stored.pop("Whg.scale"),
        lambda stored: stored.update({"Whg.scale": stored["Whg.scale"][:-1]}),
        lambda stored: stored.update({"Whg.scale": stored["Whg.scale"].astype(np.float64)}),
        lambda stored: stored.update({"by.scale": np.ones(1, np.float32)}),
        lambda stored: stored.update({"Why": stored["Why"].astype(np.float32)}),
        lambda stored: stored.update({"by": stored["by"].astype(np.int8)}),
        lambda stored: stored.update({"Why": stored["Why"].astype(np.float16)}),
    ],
)
def test_missing_further_and_mixed_arrays_are_refused(tmp_path, change):
    model_refusal(rewritten(saved_as("int8", tmp_path / "a"), change))


def test_the_level_that_encode_never_writes_is_harmless(tmp_path):
    path = rewritten(saved_as("int8", tmp_path / "a"), lambda stored: stored["Why"].fill(-128))
    assert np.abs(Model.load(path).arrays["Why"]).max() < MAX_WEIGHT


def test_every_changed_byte_of_an_int8_file_is_refused_or_harmless(tmp_path):
    path = saved_as("int8", tmp_path / "a", hidden=1)
    content, model = path.read_bytes(), Model.load(path)
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << at % 8)]) + content[at + 1 :])
        try:
            found = Model.load(path)
        except ValueError:
            continue
        assert all(np.array_equal(found.arrays[name], array) for name, array in model.arrays.items())
