"""Targets of fuzzing: guarantees that hold for any bytes in a model file, a text file or a command line.

Each of TARGETS has `seeds`, small valid inputs, and `check`, which raises for an input that violates a guarantee: an
invalid input is refused by the documented exception in one sentence, a valid one works. `fuzz.py` and
tests/scripts/test_fuzz.py search for such inputs.
"""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any, Callable, Protocol

import numpy as np
from safetensors.numpy import save

from gluon_lstm import array_file
from gluon_lstm.cli.main import main, parser
from gluon_lstm.config import MAX_SIZES, ModelConfig
from gluon_lstm.model import Model, ModelError
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.scoring import score
from gluon_lstm.text.cleaning import Cleaner, CleaningOptions
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.reading import ReadingOptions, read_posts, read_text
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.user_dictionary import read_user_dictionary
from gluon_lstm.text.vocabulary import Vocabulary

MAX_SENTENCE_LENGTH = 1000  # characters, with the path
LETTERS = ["こ", "ん", "に", "ち", "は", "!", "\n", "👨‍👩‍👧", "a"]
ENTRIES = ("朝霧てまり,カスタム名詞,アサギリテマリ", "こん,名詞,コン")
POSTS = ["こんにちは!", "RT @name: 晴天なり https://example.com/x", "ﾃﾞｨｱ &amp; 改行\nを含む 👨‍👩‍👧 #タグ", "", "www"]
ENCODINGS = ("utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp_ext", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
OPTIONS = (
    ReadingOptions(),
    *(ReadingOptions(column=column, field=column) for column in ("all", "1", "2", "²", "text", "tweet.full_text", "")),
    *(ReadingOptions(encoding=encoding) for encoding in (*ENCODINGS, "utf-7", "idna", "unicode_escape", "hz")),
)
Snippets = Sequence[tuple[str, bytes]]  # suffix of a file (.txt), and a part of its bytes


class Target(Protocol):
    seeds: list[bytes]

    def check(self, data: bytes) -> None: ...


@contextmanager
def allow_refusal(*kinds: type[Exception]) -> Iterator[None]:
    """Allow a refusal by an exception of these kinds with one sentence as message."""
    try:
        yield
    except kinds as error:
        message = str(error)
        assert message.strip() and "\n" not in message, f"not one sentence: {message[:2000]!r}"
        assert len(message) < MAX_SENTENCE_LENGTH, f"too long: {message[:2000]!r}"


# ---- models


def small_models() -> list[Model]:
    """Return models with different cells, layers, tokenizers and text settings."""
    char, raw = TextSettings("char"), TextSettings("char", raw=True)
    words = TextSettings("janome-chars", user_dictionary=ENTRIES)
    cases = [(char, "standard", 1), (raw, "peephole", 2), (char, "peephole-full", 1), (words, "rnn", 1)]
    models: list[Model] = []
    for settings, variant, layers in cases:
        config = ModelConfig(2, variant, layers)
        vocabulary = Vocabulary([*settings.special_tokens, *LETTERS], len(settings.special_tokens))
        rng = np.random.default_rng(len(models))
        shapes = config.shapes(len(vocabulary))
        arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        models.append(Model(config, Codec(settings, vocabulary), arrays, {"steps": 7, "val_bpc": 4.5}))
    return models


def same_model(one: Model, other: Model) -> bool:
    """Return whether two models have the same arrays, vocabulary and settings."""
    return json.dumps(one.file_metadata()) == json.dumps(other.file_metadata()) and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.config.shapes(len(one.vocabulary))
    )


class ModelFile:
    """A damaged model file is refused, or loads as the original model."""

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "model.safetensors"
        self.models, self.seeds = small_models(), []
        for model in self.models:
            model.save(self.path)
            self.seeds.append(self.path.read_bytes())

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        with allow_refusal(ModelError, OSError):
            loaded = Model.load(self.path)
            assert any(same_model(loaded, model) for model in self.models), "a damaged model was accepted"


class ModelMetadata:
    """A model file with arbitrary metadata and a valid checksum is refused, or loads as a usable model.

    An input is the metadata, one line of JSON, followed by bytes of weights.
    """

    MAX_WEIGHTS = 100_000

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "model.safetensors"
        self.seeds = []
        for model in small_models():
            metadata = json.dumps({"format": array_file.FORMAT, **model.file_metadata()}, ensure_ascii=False)
            weights = b"".join(array.tobytes() for array in model.arrays.values())
            self.seeds.append(metadata.encode() + b"\n" + weights)

    def check(self, data: bytes) -> None:
        line, _, weights = data.partition(b"\n")
        try:
            metadata = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(metadata, dict):
            return
        arrays = self._arrays(metadata, weights)
        metadata["checksum"] = array_file.checksum(json.loads(json.dumps({**metadata, "checksum": ""})), arrays)
        self.path.write_bytes(save(arrays, metadata={array_file.METADATA_KEY: json.dumps(metadata)}))
        with allow_refusal(ModelError, OSError):
            check_usable(Model.load(self.path), self.path)

    def _arrays(self, metadata: Mapping[str, Any], weights: bytes) -> dict[str, np.ndarray]:
        """Return arrays of the shapes that the metadata require, or none for invalid metadata."""
        try:
            shapes = ModelConfig(**metadata["config"]).shapes(len(metadata["vocabulary"]))
        except (KeyError, TypeError, ValueError):
            return {}
        if sum(map(math.prod, shapes.values())) > self.MAX_WEIGHTS:
            return {}
        numbers = np.frombuffer(weights[: len(weights) // 4 * 4] or bytes(4), np.float32)
        return {name: np.resize(numbers, shape) for name, shape in shapes.items()}


def check_usable(model: Model, path: Path) -> None:
    """Raise unless the model generates 20 characters, scores a text, and can be saved and loaded."""
    shapes = model.config.shapes(len(model.vocabulary))
    assert {name: array.shape for name, array in model.arrays.items()} == shapes
    generator = TextGenerator(model)
    try:
        text = "".join(generator.stream(generator.prefix("こん"), rng_for(1), length=20))
    except ValueError as error:
        assert len(model.vocabulary) == model.vocabulary.num_specials, f"nothing can be generated: {error}"
    else:
        assert len(text) > 20, f"generated {text!r}"
    ids = np.array(model.codec.encode("こんにちは!"), np.int32)
    assert math.isfinite(score(InferenceCell(model.arrays, model.config), model.codec, ids, 6).bpc)
    model.save(path)
    assert same_model(Model.load(path), model)


# ---- files of text


def posts_file(name: str, posts: Sequence[str]) -> str:
    """Return the content of a file with these posts in the format of the file name."""
    tweets = [
        {"tweet": {"full_text": post, "id_str": str(k), "created_at": TWEET_DATE}} for k, post in enumerate(posts)
    ]
    records = [{"id": k, "text": post, "user": {"name": "a"}} for k, post in enumerate(posts)]
    quoted = [post.replace('"', '""') for post in posts]
    return {
        "posts.txt": "\n".join(posts) + "\n",
        "posts.csv": "date,text\r\n" + "".join(f'2018-09-02,"{post}"\r\n' for post in quoted),
        "posts.tsv": "text\tdate\n" + "".join(f'"{post}"\t2018-09-02\n' for post in quoted),
        "posts.json": json.dumps({"statuses": records}, ensure_ascii=False),
        "posts.jsonl": "".join(json.dumps(record) + "\n" for record in records),
        "tweets.js": "window.YTD.tweets.part0 = " + json.dumps(tweets, indent=1),
    }[name]


TWEET_DATE = "Sun Sep 02 12:00:00 +0000 2018"


def twitter_archive(script: str, method: int) -> bytes:
    """Return a Twitter archive (zip) with the given tweets.js."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("data/tweets.js"), script, method)
        archive.writestr(zipfile.ZipInfo("data/direct-messages.js"), "window.YTD", method)
    return file.getvalue()


class TextFile:
    """Any file is read or refused, and the posts read can be cleaned.

    The first byte of an input selects the options, the others are the file.
    """

    def __init__(self, name: str, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / name
        if name.endswith(".zip"):
            script = posts_file("tweets.js", POSTS)
            files = [twitter_archive(script, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
        else:
            text = posts_file(name, POSTS)
            files = [text.encode(encoding, "ignore") for encoding in ENCODINGS]
        files += [part for ending, part in snippets if ending == self.path.suffix]
        self.seeds = [b"\0" + file for file in files] + [bytes([k]) + files[0] for k in range(len(OPTIONS))]

    def check(self, data: bytes) -> None:
        options = OPTIONS[data[0] % len(OPTIONS)] if data else OPTIONS[0]
        self.path.write_bytes(data[1:])
        posts: list[str] = []
        with allow_refusal(TextError, OSError):
            posts.extend(read_posts([self.path], options))
        for post in Cleaner(CleaningOptions()).clean_posts(posts):
            assert post and post.encode("utf-8")
        with allow_refusal(TextError, OSError):
            assert "\r" not in "".join(read_text([self.path], options))


class UserDictionary:
    """Any dictionary is refused, or a text is tokenized with it without loss."""

    TEXT = "朝霧てまりとこんにちは"

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "words.csv"
        long = "\n".join(f"{word},1288,1288,-4569,名詞,固有名詞,人名,*,*,*,{word},ア,ア" for word in ("てまり", "ん"))
        self.seeds = [text.encode(encoding) for text in ("\n".join(ENTRIES), long) for encoding in ENCODINGS]
        self.seeds += [part for ending, part in snippets if ending == ".csv"]

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        with allow_refusal(TextError, OSError):
            entries = read_user_dictionary(self.path)
            with allow_refusal(ValueError):
                TextSettings("janome", user_dictionary=entries)
                tokenizer = make_tokenizer("janome", entries)
                assert tokenizer.detokenize(tokenizer.tokenize(self.TEXT)) == self.TEXT


# ---- the command line

MAX_SNIPPETS = 5  # each seed runs a whole command
# option -> maximum value that is fast; larger values are run only beyond the maximum allowed value
MAX_CHEAP = {"length": 200, "posts": 2, "count": 3, "sample_length": 100, "steps": 2, "hidden": 16, "layers": 3}


class Command:
    """Any command line ends with exit code 0, or with 2 and one sentence.

    An input is the arguments after the command, one a line, an empty line, and the content of the files named.
    """

    FILES = (
        "posts.txt", "posts.csv", "posts.tsv", "posts.json", "posts.jsonl", "tweets.js", "archive.zip", "words.csv",
        "damaged.safetensors",
    )  # fmt: skip

    def __init__(
        self, name: str, lines: Sequence[str], folder: Path, snippets: Snippets = (), needs: Sequence[str] = ()
    ) -> None:
        """`lines`: command lines of the seeds. `needs`: options without which a command line is skipped."""
        self.name, self.needs, self.folder = name, needs, folder / "work"
        self.parser = parser()
        small_models()[0].save(folder / "model.safetensors")
        self.model = (folder / "model.safetensors").read_bytes()
        contents = self._contents()
        self.seeds = []
        for line in lines:
            named = [contents[name] for name in self.FILES if name in line] or [b""]
            self.seeds.append(as_input(line, named[0]))
        first = next((line for line in lines if "posts.txt" in line), None)
        texts = [part for ending, part in snippets if ending == ".txt"]
        self.seeds += [as_input(first, part) for part in texts[:MAX_SNIPPETS] if first]

    def _contents(self) -> dict[str, bytes]:
        """Return valid content for each file."""
        return {
            **{name: posts_file(name, POSTS * 4).encode() for name in self.FILES[:6]},
            "archive.zip": twitter_archive(posts_file("tweets.js", POSTS), zipfile.ZIP_DEFLATED),
            "words.csv": "\n".join(ENTRIES).encode(),
            "damaged.safetensors": self.model,
        }

    def check(self, data: bytes) -> None:
        head, _, content = data.partition(b"\n\n")
        given = [os.fsdecode(argument.replace(b"\0", b"")) for argument in head.split(b"\n")]
        if any("/" in argument or "\\" in argument or ".." in argument for argument in given):
            return  # no file outside of the working directory may be written or deleted
        argv = [self.name, *given]
        if not self._is_cheap(argv):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "model.safetensors").write_bytes(self.model)
        for name in self.FILES:
            if any(name in argument for argument in given):
                (self.folder / name).write_bytes(content)
        with working_directory(self.folder):
            code, output = run_command(argv)
        assert code in (0, 2), f"exit code {code}: {output}"
        assert "Traceback (most recent" not in output, output
        if code == 2:
            errors = [line for line in output.split("\n") if line.startswith("gluon-lstm")]
            assert len(errors) == 1 and output.endswith(errors[0] + "\n"), f"not one sentence: {output!r}"

    def _is_cheap(self, argv: Sequence[str]) -> bool:
        """Return whether the command is fast; invalid options are."""
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                args = self.parser.parse_args(argv)
        except SystemExit:
            return True
        values = {name: getattr(args, name, None) for name in MAX_CHEAP}
        given = {name: value for name, value in values.items() if value is not None}
        return set(self.needs) <= set(given) and not any(
            maximum < given.get(name, 0) <= MAX_SIZES.get(name, math.inf) for name, maximum in MAX_CHEAP.items()
        )


def as_input(line: str, content: bytes) -> bytes:
    """Return the input of a command line and the content of its files."""
    return "\n".join(line.split()).encode() + b"\n\n" + content


@contextmanager
def working_directory(folder: Path) -> Iterator[None]:
    """Change the current directory and the cache directory to `folder`."""
    before, cache = os.getcwd(), os.environ.get("XDG_CACHE_HOME")
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = str(folder)
    try:
        yield
    finally:
        os.chdir(before)
        if cache is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = cache


def run_command(argv: Sequence[str]) -> tuple[Any, str]:
    """Return the exit code of a command and its output on stderr."""
    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, newline="\n", write_through=True)
        for errors in ("strict", "backslashreplace")
    )
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code: Any = main(argv)
        except SystemExit as ended:
            code = ended.code
    return code, err.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined]


# ---- targets by name

READING = ["--encoding cp932", "--encoding utf-7", "--column 2", "--column all", "--field tweet.full_text"]
GENERATE = [
    "model.safetensors",
    "model.safetensors --prefix こん --length 5 --seed 1",
    "model.safetensors --posts 2 --count 3 --temperature 0.5 --top-k 3 --top-p 0.9 --repetition-penalty 1.2",
    "model.safetensors --temperature 1e999 --top-p nan --seed 99999999999999999999 --prefix \ufeff",
    "model.safetensors --temperature 0 --repetition-penalty inf --length 20",
    "damaged.safetensors --length 3",
]
EVALUATE = [f"model.safetensors {name}" for name in Command.FILES[:7]] + [
    "model.safetensors posts.txt --json",
    *(f"model.safetensors posts.csv {options}" for options in READING),
    "damaged.safetensors posts.txt",
]
CLEAN = [
    *Command.FILES[:7],
    "posts.txt --out a.jsonl --entities keep --control-chars keep --urls keep --retweets strip --mentions remove",
    "posts.txt --out a.txt --hashtags remove --emoji remove --width keep --blanks keep --max-repeats 0",
    *(f"posts.json {options}" for options in READING),
    ". --max-repeats 1 --duplicates keep",
]
CACHE = ["clear", "clear --cache .", "clear --cache model.safetensors"]
TRAIN = [
    f"posts.txt --out a --steps 1 --hidden 4 {options}"
    for options in (
        "", "--raw", "--recipe notes", "--implementation scratch --variant peephole-full",
        "--variant rnn --layers 2 --no-cache",
        "--batch-size 2 --seq-len 3 --learning-rate 0.1 --schedule halving --optimizer sgd --clip 0 --layout notebook",
        "--validation 0.5 --dropout 0.5 --input-dropout 0.5 --recurrent-dropout 0.9 --warmup 1 --patience 0",
        "--sample-every 1 --sample-length 5 --temperature 2 --prefix こん --min-count 2 --max-vocab 5 --seed 3",
        "--resume --checkpoint-minutes 0.001 --input-lr-scale 2 --output-lr-scale 1 --weight-decay 0.1 --rollbacks 1",
        "--ctx gpu:9 --init notes --encoding cp932 --retweets keep --max-repeats 0 --minutes 1 --epochs 1",
    )
]  # fmt: skip
TRAIN += ["words.csv --column 1 --out a --steps 1 --hidden 4 --tokenizer janome-chars --user-dictionary words.csv"]

TARGETS: dict[str, Callable[[Path, Snippets], Target]] = {
    "model": ModelFile,
    "model-metadata": ModelMetadata,
    **{name: partial(TextFile, name) for name in Command.FILES[:7]},
    "user-dictionary": UserDictionary,
    "generate": partial(Command, "generate", GENERATE),
    "evaluate": partial(Command, "evaluate", EVALUATE),
    "clean": partial(Command, "clean", CLEAN),
    "cache": partial(Command, "cache", CACHE),
    "train": partial(Command, "train", TRAIN, needs=("steps", "hidden")),
}
