"""Hostile model files: refused in one sentence or a valid model, at little cost of time and memory.

An attacker can compute the checksum, so nearly every file here has a correct one.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import REFUSAL_SECONDS, ROOT, model_refusal, random_model, read_safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from gluon_lstm import array_file
from gluon_lstm.cli.main import main
from gluon_lstm.config import VARIANTS, ModelConfig
from gluon_lstm.model import LAST, MAX_WEIGHT, Model, ModelError
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.memorization import memorization
from gluon_lstm.sampling.sampler import NOT_FINITE, SamplingOptions, sample_batch
from gluon_lstm.sampling.scoring import score
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.sources.reading import ReadingOptions
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.user_dictionary import MAX_ENTRIES_PER_SURFACE, check_entries
from gluon_lstm.text.vocabulary import MAX_TOKEN_LENGTH, Vocabulary

SETTINGS = TextSettings("char")
LETTERS = ["あ", "い", "\n", "\x1b", "\ud83d"]


def model_of(
    letters: list[str] = LETTERS, settings: TextSettings = SETTINGS, scale: float = 0.5, **config: Any
) -> Model:
    metadata = {"steps": 7, "recipe": {"validation": 0.05}}
    return random_model(settings, letters, ModelConfig(**{"hidden": 2, **config}), 3, scale, metadata)


def file_bytes(metadata: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """Return a file with a correct checksum and any contents."""
    stored = {**metadata, "checksum": array_file.checksum(metadata, arrays)}
    return save(arrays, metadata={"gluon_lstm": json.dumps(stored)})


def file_of(header: str | bytes, data: bytes = b"") -> bytes:
    header = header.encode() if isinstance(header, str) else header
    return len(header).to_bytes(8, "little") + header + data


@pytest.fixture
def path(tmp_path) -> Path:
    model_of().save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


# ---- metadata


def places(value: Any, before: tuple = ()) -> Iterator[tuple]:
    """Yield the key path of every value: ("config", "hidden") and so on."""
    if before:
        yield before
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*before, key))


def changed(metadata: dict[str, Any], place: tuple, value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(metadata)
    parent = whole
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    return whole


HOSTILE = [
    None, True, False, 0, -1, 1, 2, 10**18, 10**40, 1.5, 1e300, float("nan"), "", "a", "<unk>", "x" * 100_000, "1",
    [], [[]], ["あ"] * 3, [1, 2], {}, {"a": {"b": []}}, {"__class__": "os.system"},
]  # fmt: skip


def test_any_value_anywhere_in_the_metadata_is_refused_or_a_valid_model(path):
    """A valid model keeps its metadata, generates text and can be saved and loaded again."""
    metadata, arrays = read_safetensors(path.read_bytes())
    refused = 0
    for place in places({key: value for key, value in metadata.items() if key != "checksum"}):
        for value in HOSTILE:
            hostile = changed(metadata, place, value)
            path.write_bytes(file_bytes(hostile, arrays))
            try:
                model = Model.load(path)
            except ModelError:
                model_refusal(path)
                refused += 1
                continue
            assert json.dumps(model.file_metadata()["vocabulary"]) == json.dumps(hostile["vocabulary"])
            assert json.dumps(model.file_metadata()["metadata"]) == json.dumps(hostile["metadata"])
            assert model.config == ModelConfig(2)
            generator = TextGenerator(model)
            assert len("".join(generator.stream(generator.prefix("あ!!!"), rng_for(1), length=9))) >= 10
            model.save(path)
            assert Model.load(path).codec.settings == model.codec.settings
    assert refused > 300


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (("config", "hidden"), 10**18, "`hidden`"),
        (("config", "hidden"), True, "`hidden`"),
        (("config", "hidden"), 2.0, "`hidden`"),
        (("config", "layers"), 10**9, "`layers`"),
        (("config", "layers"), 2, "shapes"),
        (("config", "variant"), ["standard"], "`variant`"),
        (("config", "variant"), "x\n" * 10**6, "`variant`"),
        (("config", "variant"), "rnn", "shapes"),
        (("config", "x" * 10**6), 1, "unexpected keyword"),
        (("text", "raw"), 1, "raw"),
        (("text", "raw"), True, "special tokens"),
        (("text", "tokenizer"), "janome-chars", "special tokens"),
        (("text", "tokenizer"), "codepoint", "tokenizer"),
        (("text", "cleaning", "max_repeats"), 2**40, "max_repeats"),
        (("text", "cleaning", "max_repeats"), True, "max_repeats"),
        (("text", "cleaning", "urls"), "eat", "urls"),
        (("text", "cleaning"), [], "mapping"),
        (("text", "user_dictionary"), "犬,イヌ,イヌ", "list"),
        (("vocabulary", 2), "", "1 to 1,000 characters"),
        (("vocabulary", 2), "x" * (MAX_TOKEN_LENGTH + 1), "1 to 1,000 characters"),
        (("vocabulary", 2), 3, "strings"),
        (("vocabulary", 1), "<other>", "special tokens"),
        (("vocabulary", 3), "あ", "each token once"),
        (("num_specials",), 3, "special tokens"),
        (("num_specials",), True, "the number"),
        (("metadata",), [], "`metadata`"),
        (("format",), array_file.FORMAT + 1, "update gluon-lstm"),
        (("format",), array_file.FORMAT - 1, "train the model again"),
        (("format",), True, "no format number"),
        (("format",), float(array_file.FORMAT), "no format number"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_error_names_the_invalid_field(path, place, value, reason):
    metadata, arrays = read_safetensors(path.read_bytes())
    assert reason in model_refusal(path, file_bytes(changed(metadata, place, value), arrays))


@pytest.mark.parametrize("key", ["config", "text", "vocabulary", "num_specials", "metadata", "format"])
def test_missing_metadata_key_is_refused(path, key):
    metadata, arrays = read_safetensors(path.read_bytes())
    del metadata[key]
    assert key in model_refusal(path, file_bytes(metadata, arrays))


def test_control_characters_and_lone_surrogates_are_valid_tokens(path):
    assert "\x1b" in Model.load(path).vocabulary and "\ud83d" in Model.load(path).vocabulary


@pytest.mark.parametrize(
    "entries",
    [
        [1], [None], [[]], [{}], [""], ["犬"], ["犬,a,b", 5], ["犬,a,b", "猫,1,2,3,a,b,c,d,e,f,g,h,i"], ["\ud83d,a,b"],
        ["犬\n猫,a,b"], ["犬," + "9" * 10**6 + ",0,0,a,b,c,d,e,f,g,h,i"],
        ["犬,0,0," + "9" * 10**6 + ",a,b,c,d,e,f,g,h,i"], ["犬,²,0,0,a,b,c,d,e,f,g,h,i"],
        ["犬,-1,0,0,a,b,c,d,e,f,g,h,i"], ["犬,a,b"] * (MAX_ENTRIES_PER_SURFACE + 1),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_invalid_user_dictionary_is_refused(path, entries):
    metadata, arrays = read_safetensors(path.read_bytes())
    hostile = changed(changed(metadata, ("text", "tokenizer"), "janome"), ("text", "user_dictionary"), entries)
    model_refusal(path, file_bytes(hostile, arrays))


def test_large_user_dictionaries_are_fast():
    """Janome's own dictionary takes minutes to compile the second of these, and crashes on the third."""
    text = "あ" * 60
    for entries in (
        [f"{k:06},名詞,ヨミ" for k in range(100_000)],
        [f"{'あ' * n}{k:03},名詞,ヨミ" for n in range(1, 300) for k in range(20)],
        [f"{'あ' * n},{k},{k},0,名詞,*,*,*,*,*,あ,ア,ア" for n in range(1, 60) for k in range(MAX_ENTRIES_PER_SURFACE)],
    ):
        begun = time.process_time()
        check_entries(entries)
        tokenizer = make_tokenizer("janome", entries)
        assert tokenizer.detokenize(tokenizer.tokenize(text)) == text
        assert time.process_time() - begun < REFUSAL_SECONDS


# ---- the container


def test_invalid_headers_are_refused(path):
    ours = json.dumps({"__metadata__": {"gluon_lstm": json.dumps({"format": array_file.FORMAT})}})
    end = f"{array_file.FORMAT}}}"
    for content, reason in (
        (b"", "inside its header"),
        (bytes(7), "inside its header"),
        (b"\xff" * 100, "inside its header"),
        (file_of("{}")[:-1], "inside its header"),
        (file_of(" " * (array_file.MAX_HEADER_BYTES + 1)), "longer than"),
        (file_of(""), "not JSON"),
        (file_of(b'{"\xff": 1}'), "not JSON"),
        (file_of("[]"), "not a JSON object"),
        (file_of("{} {}"), "not JSON"),
        (file_of("{}"), "no metadata"),
        (file_of('{"__metadata__": []}'), "no metadata"),
        (file_of('{"__metadata__": {"gluon_lstm": {}}}'), "no metadata"),
        (file_of(ours.replace('"gluon_lstm"', '"other": "", "gluon_lstm"', 1)), "no metadata"),
        (file_of(ours.replace("{", '{"__metadata__": {}, ', 1)), "duplicate key"),
        (file_of(ours.replace('{\\"', '{\\"format\\": 9, \\"', 1)), "duplicate key"),
        (file_of(ours.replace(end, "1" * 65 + "}")), "number of 65 digits"),
        (file_of(ours.replace(end, "1." + "1" * 10**6 + "}")), "digits"),
        (file_of(ours.replace(end, "[" * 40 + "]" * 40 + "}")), "nested too deeply"),
        (file_of(ours.replace(end, "[" * 10**5 + "}")), "nested too deeply"),
        (file_of(ours.replace(end, "[" + "0," * array_file.MAX_JSON_VALUES + "0]}")), "values"),
        (file_of(ours.replace(end, "1e999}")), "no format"),
        (file_of(ours), "missing"),
        (file_of(ours) + b"\0", "longer or shorter"),
    ):
        assert reason in model_refusal(path, content), content[:200]


def test_array_entries_that_contradict_the_data_are_refused(path):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    table, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    name = next(name for name in table if table[name].get("data_offsets", [1])[0] == 0)
    begin, end = table[name]["data_offsets"]
    rows, columns = table[name]["shape"]

    def with_entry(**entry: Any) -> bytes:
        return file_of(json.dumps({**table, name: {**table[name], **entry}}), data)

    model_refusal(path, with_entry(shape=[columns * rows]))
    for reason, entries in {
        "other dtypes": [{"dtype": type} for type in ("BF16", "F8_E4M3", "I16", "U64", "O", "", None, 5, [], {})],
        "invalid shapes": [
            {"shape": shape}
            for shape in (None, 3, "ab", {}, [-rows, -columns], [True, 2], [2.0], ["2"], [[2]], [1] * 9, [0, 2**62])
        ],
        "longer or shorter than their shapes": [
            {"shape": [rows, columns + 1]}, {"shape": []}, {"shape": [0]}, {"shape": [2**24, 2**24]}, {"dtype": "F64"},
            {"dtype": "F16"}, {"dtype": "I8"},
            {"data_offsets": [begin, end + 4]}, {"data_offsets": [end, begin]}, {"data_offsets": [0, 10**60]},
        ],
        "invalid data_offsets": [
            {"data_offsets": place}
            for place in (None, 0, [], [0], [begin, end, end], [-4, end - 4], [begin, float(end)], [False, end])
        ],
        "not contiguous": [{"data_offsets": [4, end + 4]}, {"data_offsets": [10**9, 10**9 + end]}],
        "give dtype, shape and data_offsets": [{"more": 1}],
    }.items():  # fmt: skip
        for entry in entries:
            assert reason in model_refusal(path, with_entry(**entry)), entry
    for entry in (None, [], "", {}, {"dtype": "F32", "shape": [1]}):
        content = file_of(json.dumps({**table, name: entry}), data)
        assert "give dtype, shape and data_offsets" in model_refusal(path, content)
    many = {f"{k}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for k in range(array_file.MAX_ARRAYS + 1)}
    assert "more than" in model_refusal(path, file_of(json.dumps({**table, **many}), data))
    one_more = {"\ud83d": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}
    assert "shapes" in model_refusal(path, file_of(json.dumps({**table, **one_more}), data))
    double = json.dumps(table).replace("{", "{" + json.dumps(name) + ": " + json.dumps(table[name]) + ", ", 1)
    assert "duplicate key" in model_refusal(path, file_of(double, data))


def test_arrays_with_wrong_dtype_name_or_shape_are_refused(path):
    metadata, arrays = read_safetensors(path.read_bytes())
    for hostile in (
        {**arrays, "Whg": arrays["Whg"].astype(np.float64)},
        {**arrays, "Whg": arrays["Whg"].astype(np.int64)},
        {**arrays, "../../Whg": arrays["Whg"]},
        {name: array for name, array in arrays.items() if name != "Whg"},
        {**arrays, "Whg": arrays["Whg"][:, :1]},
        {**arrays, "bg": arrays["bg"][None]},
        {},
    ):
        assert "shapes" in model_refusal(path, file_bytes(metadata, hostile))


def test_arrays_and_metadata_round_trip(tmp_path):
    arrays = {
        "moment": np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3).T,
        "counts": np.array([2**62, -1]),
        "rate": np.array(0.1),
        "none": np.zeros((0, 3)),
    }
    metadata = {"rng": 2**127 - 1, "epoch": 3, "nested": [{"a": (1, 2)}, {1: None}], "loss": float("nan")}
    array_file.save(tmp_path / "state.safetensors", metadata, arrays)
    loaded, found = array_file.load(tmp_path / "state.safetensors")
    assert loaded["rng"] == 2**127 - 1 and loaded["nested"] == [{"a": [1, 2]}, {"1": None}]
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        assert np.array_equal(found[name], array) and found[name].flags.writeable, name
    with pytest.raises(ValueError, match="complex128"):
        array_file.save(tmp_path / "state.safetensors", {}, {"z": np.zeros(2, complex)})


def test_every_flipped_bit_of_the_weights_is_detected(tmp_path):
    path = tmp_path / "model.safetensors"
    model_of(["あ"], hidden=1).save(path)
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    assert len(content) - begin == 4 * (4 * (3 + 1 + 1) + 3 + 3)
    for at in range(begin, len(content)):
        for bit in range(8):
            flipped = content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :]
            assert "damaged: the contents do not match the checksum" in model_refusal(path, flipped)


@given(st.integers(0, 10**9), st.integers(0, 7), st.integers(0, 10**9), st.integers(0, 7))
@settings(max_examples=300, deadline=None)
def test_two_flipped_bits_anywhere_are_detected(two_bits, at, bit, other, other_bit):
    path, content = two_bits
    damaged = bytearray(content)
    damaged[at % len(content)] ^= 1 << bit
    damaged[other % len(content)] ^= 1 << other_bit
    path.write_bytes(damaged)
    try:
        model = Model.load(path)
    except ModelError:
        return
    again = path.with_name("again")
    model.save(again)
    assert again.read_bytes() == content  # harmless: white space, or the same bit twice


@pytest.fixture(scope="module")
def two_bits(tmp_path_factory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("two") / "model.safetensors"
    model_of().save(path)
    return path, path.read_bytes()


# ---- other kinds of files; time and memory of the worst headers

LOADING = """
import json, re, sys, time
from gluon_lstm.model import Model, ModelError
for path in sys.argv[1:]:
    begun = time.process_time()
    try:
        Model.load(path)
        error = ""
    except (ModelError, OSError) as refused:
        error = str(refused)
    seconds = time.process_time() - begun
    try:  # getrusage would include the peak of the parent process
        with open("/proc/self/status") as status:
            peak = 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", status.read())[1])
    except OSError:
        peak = 0
    print(json.dumps([error, seconds, peak]), flush=True)
"""


def loaded_elsewhere(*paths: Path, seconds: float = 60) -> list[tuple[str, float, int]]:
    """Load files in another process; return (error or "", CPU seconds, peak memory so far or 0) for each."""
    command = [sys.executable, "-c", LOADING, *map(str, paths)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True, env=environment)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_pipes_and_devices_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "null").symlink_to("/dev/null")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / LAST)
    names = ["pipe", "zero", "null", "loop", "run"]
    results = loaded_elsewhere(*(tmp_path / name for name in names))
    for name, (error, seconds, _) in zip(names, results):
        assert str(tmp_path / name) in error and seconds < REFUSAL_SECONDS
    assert all("a device or a pipe" in error for error, *_ in results[:3])


def test_hostile_headers_cost_little_memory_and_time(tmp_path):
    most, room = array_file.MAX_JSON_VALUES, array_file.MAX_METADATA_BYTES // 2
    inner = {
        "lists": "[" + "[0]," * (most // 2 - 20) + "0]",
        "dicts": "[" + '{"":0},' * (most // 2 - 20) + "0]",
        "keys": "{" + ",".join(f'"{k:x}":0' for k in range(most - 20)) + "}",
        "wide": json.dumps(["\U00020b9f"] + ["x" * 13 + "€"] * 500_000, ensure_ascii=False),
        "one": json.dumps("\U00020b9f" + "x" * room, ensure_ascii=False),
        "many": "[" + "0," * (2 * most) + "0]",
        "deep": "[" * room,
        "digits": "1" * room,
    }
    paths = []
    for name, text in inner.items():
        metadata = f'{{"format": {array_file.FORMAT}, "metadata": ' + text + "}"
        paths.append(tmp_path / name)
        header = json.dumps({"__metadata__": {"gluon_lstm": metadata}}, ensure_ascii=False)
        paths[-1].write_bytes(file_of(header))
        assert paths[-1].stat().st_size < array_file.MAX_HEADER_BYTES + 8, name
    paths.append(tmp_path / "table")
    paths[-1].write_bytes(file_of("{" + ",".join(f'"{k:x}":{{}}' for k in range(most // 2 - 20)) + "}"))
    for error, seconds, peak in loaded_elsewhere(*paths):
        assert error and len(error) < 1000
        assert seconds < REFUSAL_SECONDS
        assert peak < 1_000_000_000


def test_loading_needs_little_more_memory_than_the_file_size(tmp_path):
    model_of().save(tmp_path / "small")
    model_of([chr(0x4E00 + k) for k in range(5000)], hidden=800).save(tmp_path / "large")
    size = (tmp_path / "large").stat().st_size
    (_, _, before), (error, _, after) = loaded_elsewhere(tmp_path / "small", tmp_path / "large")
    assert size > 80_000_000 and error == ""
    assert after == 0 or 0.9 * size < after - before < 1.2 * size


# ---- saving


def test_metadata_too_large_to_load_is_not_saved(tmp_path):
    path = tmp_path / "model.safetensors"

    def tokens(number: int) -> list[str]:
        return [f"{'あ' * 990}{k:010}" for k in range(number)]  # JSON needs 7 bytes for each あ

    full = array_file.MAX_METADATA_BYTES // (990 * 7 + 10 + 6)
    model_of(tokens(full - 5), hidden=1).save(path)
    assert len(Model.load(path).vocabulary) == full - 3
    before = path.read_bytes()
    large = model_of(tokens(full + 5), hidden=1)
    for refuse in (large.check_size, lambda: large.save(path)):
        with pytest.raises(ValueError, match="`max_vocab`"):
            refuse()
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_vocabulary_with_too_many_tokens_is_not_saved():
    letters = [f"{k:x}" for k in range(array_file.MAX_JSON_VALUES)]
    shapes = ModelConfig(1).shapes(len(letters) + 2)
    arrays = dict.fromkeys(shapes, np.zeros(0))
    with pytest.raises(ValueError, match="`max_vocab`"):
        Model(ModelConfig(1), Codec(SETTINGS, Vocabulary([*SETTINGS.special_tokens, *letters], 2)), arrays).check_size()


def test_token_too_long_for_a_model_file_is_split_into_characters():
    long, word = "あ" * (MAX_TOKEN_LENGTH + 1), "い" * MAX_TOKEN_LENGTH
    vocabulary = Vocabulary.from_counts({long: 5, word: 4}, SETTINGS.special_tokens, characters={"あ": 9, long: 1})
    assert vocabulary.tokens == ["<unk>", "<post>", "あ", word]
    assert vocabulary.ids(long, list) == [2] * (MAX_TOKEN_LENGTH + 1)


# ---- intact but malicious models


@pytest.fixture
def noisy() -> Iterator[None]:
    """Turn warnings into errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("variant", list(VARIANTS))
@pytest.mark.parametrize("layers", [1, 2])
def test_largest_allowed_weights_never_overflow(tmp_path, noisy, variant, layers):
    """Texts are generated and scored over many steps, so that the cell state grows."""
    model = model_of(variant=variant, layers=layers)
    rng = np.random.default_rng(5)
    for signs in (lambda shape: np.ones(shape), lambda shape: rng.choice([-1.0, 1.0], shape)):
        arrays = {n: (np.float32(MAX_WEIGHT) * signs(a.shape)).astype(np.float32) for n, a in model.arrays.items()}
        Model(model.config, model.codec, arrays).save(tmp_path / "a")
        loaded = Model.load(tmp_path / "a")
        for options in (SamplingOptions(), SamplingOptions(0), SamplingOptions(1e-40), SamplingOptions(0.5, 2, 0.5, 9)):
            generator = TextGenerator(loaded, options)
            prefix = generator.prefix("あい")
            assert len("".join(generator.stream(prefix, rng_for(1), length=99))) == 102
            assert len(generator.generate_batch(prefix, [rng_for(k) for k in range(5)], length=20)) == 5
        ids = np.array(loaded.codec.encode("あいあ") * 50)
        assert np.isfinite(score(InferenceCell(loaded.arrays, loaded.config), loaded.codec, ids, len(ids)).bpc)


@pytest.mark.parametrize("value", [1.1e20, -1.1e20, 3e38, -3e38, np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("name", ["Wxg", "Whf", "bo", "Why", "by"])
def test_weights_above_the_maximum_are_refused(path, noisy, value, name):
    metadata, arrays = read_safetensors(path.read_bytes())
    arrays[name] = arrays[name].copy()
    arrays[name].flat[-1] = value
    assert "not finite" in model_refusal(path, file_bytes(metadata, arrays))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("options", [SamplingOptions(), SamplingOptions(0), SamplingOptions(top_k=2)])
def test_nan_and_infinite_logits_are_refused(noisy, bad, options):
    z = np.float32([[0, 0], [1, bad], [2, 0]])
    with pytest.raises(ValueError, match=NOT_FINITE):
        sample_batch(z, options, [0.5, 0.5])


@pytest.mark.parametrize("temperature", [5e-324, 1e-46, 1e-30, 1e30, 1e39, 1e308])
def test_extreme_temperatures_work(noisy, temperature):
    for options in (SamplingOptions(temperature), SamplingOptions(temperature, repetition_penalty=1e308)):
        z = np.float32([[-np.inf, -np.inf], [1, 3], [2, -1]])
        ids = sample_batch(z, options, [0.9, 0.9], [[], []])
        assert ids == ([2, 1] if temperature < 1 else [2, 2])


@pytest.mark.parametrize(
    ("arguments", "longest"), [([], 1001), (["--posts", "3"], 3003), (["--length", "50"], 51), (["--count", "3"], 3005)]
)
def test_posts_have_a_maximum_length(tmp_path, capsys, arguments, longest):
    model = model_of(["あ", "い", "\x1b"])
    arrays = {**model.arrays, "by": model.arrays["by"].copy()}
    arrays["by"][1] = -MAX_WEIGHT
    path = tmp_path / "endless"
    Model(model.config, model.codec, arrays).save(path)
    begun = time.process_time()
    assert main(["generate", str(path), "--seed", "1", *arguments]) == 0
    assert time.process_time() - begun < REFUSAL_SECONDS
    assert 50 < len(capsys.readouterr().out) <= longest


def test_model_without_usable_tokens_is_reported(tmp_path, capsys):
    for settings_, letters in ((SETTINGS, []), (TextSettings(raw=True), []), (TextSettings("janome-chars"), [])):
        model_of(letters, settings_).save(tmp_path / "mute")
        assert main(["generate", str(tmp_path / "mute")]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "no token is left" in err


def test_ambiguous_prefix_costs_little_time(tmp_path, capsys):
    """Every tokenization of a prefix is scored, and each needs the ids of all words that it does not begin."""
    letters = ["犬", "犬" * 900, *(f"w{k}" for k in range(100_000))]
    model_of(letters, TextSettings("janome"), hidden=1).save(tmp_path / "model")
    begun = time.process_time()
    arguments = ["--prefix", "犬です。" * 100, "--length", "5", "--seed", "1"]
    assert main(["generate", str(tmp_path / "model"), *arguments]) == 0
    assert time.process_time() - begun < 2 * REFUSAL_SECONDS
    assert capsys.readouterr().out.startswith("犬です。" * 99)


@pytest.mark.parametrize("share", [None, "0.05", [], {}, True, -1, 5, 1e300, float("nan")])
def test_report_ignores_invalid_training_metadata(tmp_path, share):
    posts = tmp_path / "posts.txt"
    posts.write_text("あいあい\nいいあ\n" * 3, encoding="utf-8")
    for text_settings in (SETTINGS, TextSettings(raw=True)):
        model = model_of(settings=text_settings)
        Model(model.config, model.codec, model.arrays, {"recipe": {"validation": share}}).save(tmp_path / "a")
        found = memorization(tmp_path / "a", [posts], ReadingOptions(), 2, 1)
        assert len(found.samples) == 2
        "".join(sample.text for sample in found.samples).encode()  # so that it can stand in a page


def test_report_replaces_lone_surrogates(tmp_path):
    (tmp_path / "posts.txt").write_text("あいあい\nいいあ\n", encoding="utf-8")
    model_of(["\ud83d"], scale=0).save(tmp_path / "a")
    found = memorization(tmp_path / "a", [tmp_path / "posts.txt"], ReadingOptions(), 5, 1)
    assert {character for sample in found.samples for character in sample.text} == {"\ufffd"}
