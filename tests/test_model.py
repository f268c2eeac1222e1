"""A model file: what is saved is what comes back, or the file is refused by name; and it needs no MXNet."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from gluon_lstm.config import ARRAY_NAMES, ModelConfig
from gluon_lstm.files import atomic_write
from gluon_lstm.model import BEST, LAST, Model, ModelError
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.text.cleaning import CleaningOptions
from gluon_lstm.text.codec import Codec, TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

CLEANING = CleaningOptions(urls="keep", mentions="remove", runs=5, width="keep", duplicates="keep")
KINDS = [
    TextSettings("char", cleaning=CLEANING),
    TextSettings("janome", cleaning=CLEANING),
    TextSettings("janome-chars", cleaning=CLEANING),
    TextSettings(raw=True, cleaning=CLEANING),
]


def random_model(text_settings: TextSettings = KINDS[0], H: int = 3, seed: int = 0) -> Model:
    """A model that nothing was taught, with a line end, <post> spelled out and an emoji among its tokens."""
    tokens = [*text_settings.specials, "あ", "\n", "犬", "👨\u200d👧", "<post>", "こんにちは", '"\\', "\ud83d"]
    V = len(tokens)
    rng = np.random.default_rng(seed)
    shapes = ModelConfig(H).shapes(V)
    arrays = {name: rng.standard_normal(shapes[name]).astype(np.float32) for name in ARRAY_NAMES}
    codec = Codec(text_settings, Vocabulary(tokens, len(text_settings.specials)))
    return Model(ModelConfig(H), codec, arrays, {"steps": 7, "recipe": {"name": "犬", "clip": None}})


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


def parts(content: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """Our own description in a model file, and its arrays."""
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["gluon_lstm"]), load(content)


def with_header(content: bytes, **changes: object) -> bytes:
    header, arrays = parts(content)
    return save(arrays, metadata={"gluon_lstm": json.dumps({**header, **changes})})


@pytest.fixture
def saved(tmp_path) -> Path:
    random_model().save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("text_settings", KINDS, ids=["char", "janome", "janome-chars", "raw"])
def test_what_is_saved_comes_back_and_writes_the_same_text(tmp_path, text_settings):
    model = random_model(text_settings, H=5)
    model.save(tmp_path / "a.safetensors")
    again = Model.load(tmp_path / "a.safetensors")
    assert same(again, model)
    assert text_of(again) == text_of(model)
    again.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_arrays_are_saved_as_float32_in_row_order(tmp_path):
    model = random_model()
    turned = {name: np.asfortranarray(array.astype(np.float64)) for name, array in model.arrays.items()}
    Model(model.config, model.codec, turned, model.metadata).save(tmp_path / "a.safetensors")
    assert same(Model.load(tmp_path / "a.safetensors"), model)


def test_a_run_folder_means_its_best_weights_else_its_last(tmp_path):
    with pytest.raises(ModelError, match=str(tmp_path)):
        Model.load(tmp_path)
    last, best = random_model(seed=1), random_model(seed=2)
    last.save(tmp_path / LAST)
    assert same(Model.load(tmp_path), last)
    best.save(tmp_path / BEST)
    assert same(Model.load(str(tmp_path)), best)


# ---- damaged files


def refused(path: Path, content: bytes) -> None:
    """The file must be refused as no whole model, in one sentence with its name."""
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        Model.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_every_cut_is_refused(saved):
    content = saved.read_bytes()
    for size in (0, 1, 7, 8, 9, 100, *range(200, len(content), 50), len(content) - 1):
        refused(saved, content[:size])
    refused(saved, content + b"\0")


@pytest.mark.parametrize(
    "content",
    ["これはモデルではない\n".encode() * 50, b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(9999), b"\xff" * 99, b'{"a": 1}'],
)
def test_other_files_are_refused(tmp_path, content):
    refused(tmp_path / "other.safetensors", content)


def test_safetensors_of_someone_else_are_refused(saved):
    _, arrays = parts(saved.read_bytes())
    for metadata in (None, {}, {"format": "pt"}, {"gluon_lstm": ""}, {"gluon_lstm": "3"}, {"gluon_lstm": "{}"}):
        refused(saved, save(arrays, metadata=metadata))
    refused(saved, save(arrays, metadata={"gluon_lstm": "[" * 200_000}))  # deeper than JSON is read


def test_a_missing_file_says_so_in_the_words_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        Model.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 2),
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
        ("specials", 1),
        ("specials", 3),
        ("specials", "2"),
        ("specials", -8),
        ("about", {"steps": 8}),
        ("checksum", "0" * 64),
        ("checksum", None),
    ],
)
def test_a_changed_description_is_refused(saved, key, value):
    refused(saved, with_header(saved.read_bytes(), **{key: value}))


def test_a_description_that_lacks_something_is_refused(saved):
    header, arrays = parts(saved.read_bytes())
    for key in header:
        rest = {name: value for name, value in header.items() if name != key}
        refused(saved, save(arrays, metadata={"gluon_lstm": json.dumps(rest)}))


def test_a_missing_or_changed_array_is_refused(saved):
    header, arrays = parts(saved.read_bytes())
    metadata = {"gluon_lstm": json.dumps(header)}
    for name in ARRAY_NAMES:
        refused(saved, save({other: arrays[other] for other in ARRAY_NAMES if other != name}, metadata=metadata))
        refused(saved, save({**arrays, name: arrays[name][..., :-1]}, metadata=metadata))
        refused(saved, save({**arrays, name: arrays[name].astype(np.float64)}, metadata=metadata))
        refused(saved, save({**arrays, name: -arrays[name]}, metadata=metadata))
    refused(saved, save({**arrays, "Wxg": arrays["Wxi"], "Wxi": arrays["Wxg"]}, metadata=metadata))


def test_weights_of_a_type_that_numpy_lacks_are_refused(saved):
    """bfloat16, as other tools write it: half as many bytes for each number."""
    content = saved.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    description = json.loads(content[8 : 8 + size])
    for name in ARRAY_NAMES:
        description[name]["dtype"] = "BF16"
        description[name]["data_offsets"] = [n // 2 for n in description[name]["data_offsets"]]
    head = json.dumps(description).encode()
    refused(saved, struct.pack("<Q", len(head)) + head + content[8 + size :][: (len(content) - 8 - size) // 2])


@pytest.mark.parametrize("name", ["Wxg", "Who", "bf", "Why", "by"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, name, value):
    model = random_model()
    arrays = {**model.arrays, name: model.arrays[name].copy()}
    arrays[name].flat[-1] = value
    Model(model.config, model.codec, arrays).save(tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", (tmp_path / "a.safetensors").read_bytes())


@pytest.mark.parametrize("name", ARRAY_NAMES)
def test_whole_files_with_wrong_shapes_are_refused(tmp_path, name):
    model = random_model()
    arrays = {**model.arrays, name: model.arrays[name][:-1]}
    Model(model.config, model.codec, arrays).save(tmp_path / "a.safetensors")
    refused(tmp_path / "a.safetensors", (tmp_path / "a.safetensors").read_bytes())


def refused_or_equal(path: Path, content: bytes, model: Model) -> None:
    path.write_bytes(content)
    try:
        loaded = Model.load(path)
    except ModelError as error:
        assert str(path) in str(error)
    else:
        assert same(loaded, model)


def test_no_single_changed_byte_passes(saved):
    """One bit of every byte, of the description and of the weights: damage is refused, or it has changed nothing."""
    model, content = Model.load(saved), saved.read_bytes()
    for at in range(len(content)):
        changed = bytes([content[at] ^ (1 << at % 8)])
        refused_or_equal(saved, content[:at] + changed + content[at + 1 :], model)


def mutations(content: bytes) -> st.SearchStrategy[bytes]:
    place = st.integers(0, len(content) - 1)

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
    return st.builds(mutate, place, place, how, st.one_of(digits, st.binary(min_size=1, max_size=8)))


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> tuple[Path, bytes, Model]:
    """A file to damage, what is in it, and what that means. (Hypothesis has no use for a new one each time.)"""
    path = tmp_path_factory.mktemp("small") / "model.safetensors"
    random_model(H=1).save(path)
    return path, path.read_bytes(), Model.load(path)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_mutated_file_is_refused_or_equal(small, data):
    path, content, model = small
    refused_or_equal(path, data.draw(mutations(content)), model)


# ---- writing


@pytest.fixture
def target(tmp_path) -> Iterator[Path]:
    """A file with something old in it; whatever a test does, nothing may be left beside it."""
    path = tmp_path / "a.txt"
    path.write_text("old", encoding="utf-8")
    yield path
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_a_failed_write_leaves_the_old_file(target, error):
    with pytest.raises(error), atomic_write(target) as file:
        file.write("half of the ne")
        file.flush()
        assert target.read_text(encoding="utf-8") == "old"
        raise error
    assert target.read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(target, monkeypatch, function):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match="No space left"), atomic_write(target) as file:
        file.write("new")
    assert target.read_text(encoding="utf-8") == "old"


def test_a_write_that_goes_well_replaces_the_file(target):
    with atomic_write(target) as file:
        file.write("犬\nneu\n")
        assert target.read_text(encoding="utf-8") == "old"
    assert target.read_bytes() == "犬\nneu\n".encode()


def test_a_model_that_cannot_be_saved_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.safetensors"
    model = random_model()
    model.save(path)
    without = {name: array for name, array in model.arrays.items() if name != "by"}
    with pytest.raises(KeyError):
        Model(model.config, model.codec, without).save(path)
    with pytest.raises(TypeError):
        Model(model.config, model.codec, model.arrays, {"path": path}).save(path)  # no JSON
    assert same(Model.load(path), model) and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        random_model().save(tmp_path / "none" / "a.safetensors")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        random_model().save(tmp_path / "folder")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


# ---- without MXNet


def test_a_model_loads_and_writes_where_there_is_no_mxnet(saved):
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
