"""Model files: they round-trip to the last bit or are refused by name, and need no MXNet."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import model_refusal, random_model, read_safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from gluon_lstm import array_file
from gluon_lstm.config import ARRAY_NAMES, ModelConfig
from gluon_lstm.files import atomic_write
from gluon_lstm.model import BEST, LAST, Model, ModelError
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.settings import TextSettings

CLEANING = CleaningOptions(urls="keep", mentions="remove", max_repeats=5, width="keep", duplicates="keep")
KINDS = [
    TextSettings("char", cleaning=CLEANING),
    TextSettings("janome", cleaning=CLEANING),
    TextSettings("janome-chars", cleaning=CLEANING),
    TextSettings(raw=True, cleaning=CLEANING),
]


TOKENS = ["あ", "\n", "犬", "👨\u200d👧", "<post>", "こんにちは", '"\\', "\ud83d"]  # with an emoji and a lone surrogate


def model_of(text_settings: TextSettings = KINDS[0], H: int = 3, seed: int = 0) -> Model:
    metadata = {"steps": 7, "recipe": {"name": "犬", "clip": None}}
    return random_model(text_settings, TOKENS, ModelConfig(H), seed, metadata=metadata)


def same(one: Model, other: Model) -> bool:
    return (
        one.config == other.config
        and one.codec.settings == other.codec.settings
        and one.vocabulary.tokens == other.vocabulary.tokens
        and one.vocabulary.num_specials == other.vocabulary.num_specials
        and dict(one.metadata) == dict(other.metadata)
        and one.arrays.keys() == other.arrays.keys()
        and all(one.arrays[name].dtype == other.arrays[name].dtype for name in ARRAY_NAMES)
        and all(np.array_equal(one.arrays[name], other.arrays[name]) for name in ARRAY_NAMES)
    )


def text_of(model: Model, length: int = 60) -> str:
    generator = TextGenerator(model)
    return "".join(generator.stream(generator.prefix("@x ｱあ！！！！！！"), rng_for(5), length=length))


def with_metadata(content: bytes, **changes: object) -> bytes:
    metadata, arrays = read_safetensors(content)
    return save(arrays, metadata={"gluon_lstm": json.dumps({**metadata, **changes})})


@pytest.fixture
def saved(tmp_path) -> Path:
    model_of().save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("text_settings", KINDS, ids=["char", "janome", "janome-chars", "raw"])
def test_saved_model_generates_the_same_text(tmp_path, text_settings):
    model = model_of(text_settings, H=5)
    model.save(tmp_path / "a.safetensors")
    again = Model.load(tmp_path / "a.safetensors")
    assert same(again, model)
    assert text_of(again) == text_of(model)
    again.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_arrays_are_saved_as_float32_in_c_order(tmp_path):
    model = model_of()
    converted = {name: np.asfortranarray(array.astype(np.float64)) for name, array in model.arrays.items()}
    Model(model.config, model.codec, converted, model.metadata).save(tmp_path / "a.safetensors")
    assert same(Model.load(tmp_path / "a.safetensors"), model)


def test_run_directory_loads_best_weights_else_last(tmp_path):
    with pytest.raises(ModelError, match=str(tmp_path)):
        Model.load(tmp_path)
    last, best = model_of(seed=1), model_of(seed=2)
    last.save(tmp_path / LAST)
    assert same(Model.load(tmp_path), last)
    best.save(tmp_path / BEST)
    assert same(Model.load(str(tmp_path)), best)


# ---- damaged files


def test_truncated_file_is_refused(saved):
    content = saved.read_bytes()
    for size in (0, 1, 7, 8, 9, 100, *range(200, len(content), 50), len(content) - 1):
        model_refusal(saved, content[:size])
    model_refusal(saved, content + b"\0")


@pytest.mark.parametrize(
    "content",
    ["これはモデルではない\n".encode() * 50, b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(9999), b"\xff" * 99, b'{"a": 1}'],
)
def test_files_of_other_kinds_are_refused(tmp_path, content):
    model_refusal(tmp_path / "other.safetensors", content)


def test_foreign_safetensors_files_are_refused(saved):
    _, arrays = read_safetensors(saved.read_bytes())
    for metadata in (None, {}, {"format": "pt"}, {"gluon_lstm": ""}, {"gluon_lstm": "3"}, {"gluon_lstm": "{}"}):
        model_refusal(saved, save(arrays, metadata=metadata))
    model_refusal(saved, save(arrays, metadata={"gluon_lstm": "[" * 200_000}))  # nested too deeply for the parser


def test_missing_file_raises_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        Model.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", array_file.FORMAT + 1),
        ("format", array_file.FORMAT - 1),
        ("format", None),
        ("config", {"hidden": 4}),
        ("config", {"hidden": "3"}),
        ("config", {"hidden": 3, "layers": 2}),
        ("config", None),
        ("text", {}),
        ("text", TextSettings("janome", cleaning=CLEANING).to_json()),
        ("text", TextSettings("char").to_json()),
        ("text", {**KINDS[0].to_json(), "tokenizer": "mecab"}),
        ("vocabulary", []),
        ("vocabulary", "<unk>"),
        ("vocabulary", ["<unk>", "<post>", *"いろはにほへとち"]),
        ("vocabulary", ["<unk>", "<post>", 1, 2, 3, 4, 5, 6, 7, 8]),
        ("vocabulary", ["<unk>", "<post>", *"いろはにほへとと"]),
        ("num_specials", 1),
        ("num_specials", 3),
        ("num_specials", "2"),
        ("num_specials", -8),
        ("metadata", {"steps": 8}),
        ("checksum", "0" * 64),
        ("checksum", None),
    ],
)
def test_changed_metadata_is_refused(saved, key, value):
    model_refusal(saved, with_metadata(saved.read_bytes(), **{key: value}))


def test_missing_metadata_key_is_refused(saved):
    metadata, arrays = read_safetensors(saved.read_bytes())
    for key in metadata:
        rest = {name: value for name, value in metadata.items() if name != key}
        model_refusal(saved, save(arrays, metadata={"gluon_lstm": json.dumps(rest)}))


def test_missing_or_changed_array_is_refused(saved):
    described, arrays = read_safetensors(saved.read_bytes())
    metadata = {"gluon_lstm": json.dumps(described)}
    for name in ARRAY_NAMES:
        model_refusal(saved, save({other: arrays[other] for other in ARRAY_NAMES if other != name}, metadata=metadata))
        model_refusal(saved, save({**arrays, name: arrays[name][..., :-1]}, metadata=metadata))
        model_refusal(saved, save({**arrays, name: arrays[name].astype(np.float64)}, metadata=metadata))
        model_refusal(saved, save({**arrays, name: -arrays[name]}, metadata=metadata))
    model_refusal(saved, save({**arrays, "Wxg": arrays["Wxi"], "Wxi": arrays["Wxg"]}, metadata=metadata))


def test_bfloat16_weights_are_refused(saved):
    """NumPy has no bfloat16, which other tools write: half as many bytes per number."""
    content = saved.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    for name in ARRAY_NAMES:
        header[name]["dtype"] = "BF16"
        header[name]["data_offsets"] = [n // 2 for n in header[name]["data_offsets"]]
    encoded = json.dumps(header).encode()
    data = content[8 + size :]
    model_refusal(saved, struct.pack("<Q", len(encoded)) + encoded + data[: len(data) // 2])


@pytest.mark.parametrize("name", ["Wxg", "Who", "bf", "Why", "by"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinite_weights_are_refused(tmp_path, name, value):
    model = model_of()
    arrays = {**model.arrays, name: model.arrays[name].copy()}
    arrays[name].flat[-1] = value
    Model(model.config, model.codec, arrays).save(tmp_path / "a.safetensors")
    model_refusal(tmp_path / "a.safetensors", (tmp_path / "a.safetensors").read_bytes())


@pytest.mark.parametrize("name", ARRAY_NAMES)
def test_intact_file_with_wrong_shapes_is_refused(tmp_path, name):
    model = model_of()
    arrays = {**model.arrays, name: model.arrays[name][:-1]}
    Model(model.config, model.codec, arrays).save(tmp_path / "a.safetensors")
    model_refusal(tmp_path / "a.safetensors", (tmp_path / "a.safetensors").read_bytes())


def refused_or_equal(path: Path, content: bytes, model: Model) -> None:
    path.write_bytes(content)
    try:
        loaded = Model.load(path)
    except ModelError as error:
        assert str(path) in str(error)
    else:
        assert same(loaded, model)


def test_single_changed_byte_is_refused_or_harmless(saved):
    """Flip one bit of every byte, of header and weights: the file is refused, or the model is unchanged."""
    model, content = Model.load(saved), saved.read_bytes()
    for at in range(len(content)):
        changed = bytes([content[at] ^ (1 << at % 8)])
        refused_or_equal(saved, content[:at] + changed + content[at + 1 :], model)


def mutations(content: bytes) -> st.SearchStrategy[bytes]:
    position = st.integers(0, len(content) - 1)

    def mutate(a: int, b: int, how: str, new: bytes) -> bytes:
        start, end = sorted((a, b))
        return {
            "replace": content[:start] + new + content[start + len(new) :],
            "insert": content[:start] + new + content[start:],
            "remove": content[:start] + content[end:],
            "double": content[:end] + content[start:end] + content[end:],
            "swap": content[end:] + content[:end],
        }[how]

    how = st.sampled_from(["replace", "insert", "remove", "double", "swap"])
    digits = st.sampled_from([b"0", b"1", b"-", b"null", b"[]", b"NaN", b"1e999", b"F16", b"BF16", b"\\u0061", b'"'])
    return st.builds(mutate, position, position, how, st.one_of(digits, st.binary(min_size=1, max_size=8)))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, bytes, Model]:
    """A file to mutate, its bytes and its model; shared by all examples of Hypothesis."""
    path = tmp_path_factory.mktemp("small") / "model.safetensors"
    model_of(H=1).save(path)
    return path, path.read_bytes(), Model.load(path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_mutated_file_is_refused_or_equal(small, data):
    path, content, model = small
    refused_or_equal(path, data.draw(mutations(content)), model)


# ---- writing


@pytest.fixture
def target(tmp_path) -> Iterator[Path]:
    """A file with old content; no other file may remain in its directory after the test."""
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    yield path
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_failed_write_keeps_the_old_file(target, error):
    with pytest.raises(error), atomic_write(target) as file:
        file.write("half of the ne")
        file.flush()
        assert target.read_text(encoding="utf-8") == "old"
        raise error
    assert target.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_full_disk_keeps_the_old_file(target, monkeypatch, function):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left"), atomic_write(target) as file:
        file.write("new")
    assert target.read_text(encoding="utf-8") == "old"


def test_completed_write_replaces_the_file(target):
    with atomic_write(target) as file:
        file.write("犬\nneu\n")
        assert target.read_text(encoding="utf-8") == "old"
    assert target.read_bytes() == "犬\nneu\n".encode()


def test_failed_save_keeps_the_old_model(tmp_path):
    path = tmp_path / "a.safetensors"
    model = model_of()
    model.save(path)
    without = {name: array for name, array in model.arrays.items() if name != "by"}
    with pytest.raises(KeyError):
        Model(model.config, model.codec, without).save(path)
    with pytest.raises(TypeError):
        Model(model.config, model.codec, model.arrays, {"path": path}).save(path)  # no JSON
    assert same(Model.load(path), model) and len(list(tmp_path.iterdir())) == 1


def test_missing_directory_raises_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        model_of().save(tmp_path / "none" / "a.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        model_of().save(tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


# ---- without MXNet


def test_model_generates_without_mxnet(saved):
    code = (
        "import sys\n"
        "sys.modules['mxnet'] = None\n"  # its import fails as if it were not installed
        "from gluon_lstm.model import Model\n"
        "from gluon_lstm.sampling.generator import TextGenerator, rng_for\n"
        "generator = TextGenerator(Model.load(sys.argv[1]))\n"
        "text = ''.join(generator.stream(generator.prefix('犬'), rng_for(3), length=50))\n"
        "sys.stdout.buffer.write(text.encode('utf-8', 'surrogatepass'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, check=True)
    generator = TextGenerator(Model.load(saved))
    expected = "".join(generator.stream(generator.prefix("犬"), rng_for(3), length=50))
    assert done.stdout.decode("utf-8", "surrogatepass") == expected
