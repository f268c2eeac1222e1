"""What must hold for any bytes whatever, in a model file, in a file of text, and on the command line.

Each of TARGETS has `seeds`, small inputs that are what they should be, and `check`, which raises for an input that
breaks a promise: what cannot be used is refused by an exception of the kind that is documented, in one sentence; what
is not refused works. `scripts/measure/fuzz.py` and tests/test_fuzz.py look for such inputs.
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
from gluon_lstm.text.codec import Codec, TextSettings
from gluon_lstm.text.sources.encodings import TextError
from gluon_lstm.text.sources.reading import ReadingOptions, read_posts, read_text
from gluon_lstm.text.tokenizers.registry import make_tokenizer
from gluon_lstm.text.user_dictionary import read_user_dictionary
from gluon_lstm.text.vocabulary import Vocabulary

LONGEST_SENTENCE = 1000  # characters, the path besides
LETTERS = ["こ", "ん", "に", "ち", "は", "!", "\n", "👨‍👩‍👧", "a"]
ENTRIES = ("朝霧てまり,カスタム名詞,アサギリテマリ", "こん,名詞,コン")
POSTS = ["こんにちは!", "RT @name: 晴天なり https://example.com/x", "ﾃﾞｨｱ &amp; 改行\nを含む 👨‍👩‍👧 #タグ", "", "www"]
ENCODINGS = ("utf-8", "utf-8-sig", "cp932", "euc_jp", "iso2022_jp_ext", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
OPTIONS = (
    ReadingOptions(),
    *(ReadingOptions(column=column, field=column) for column in ("all", "1", "2", "²", "text", "tweet.full_text", "")),
    *(ReadingOptions(encoding=encoding) for encoding in (*ENCODINGS, "utf-7", "idna", "unicode_escape", "hz")),
)
Snippets = Sequence[tuple[str, bytes]]  # the ending of a file's name (.txt), and a part of it


class Target(Protocol):
    seeds: list[bytes]

    def check(self, data: bytes) -> None: ...


@contextmanager
def refused(*kinds: type[Exception]) -> Iterator[None]:
    """An input may be refused by an exception of these kinds, if it says why in one sentence."""
    try:
        yield
    except kinds as error:
        said = str(error)
        assert said.strip() and "\n" not in said and len(said) < LONGEST_SENTENCE, f"not one sentence: {said[:2000]!r}"


# ---- models


def small_models() -> list[Model]:
    """One of each kind of cell, text and vocabulary."""
    char, raw = TextSettings("char"), TextSettings("char", raw=True)
    words = TextSettings("janome-chars", user_dictionary=ENTRIES)
    kinds = [(char, "standard", 1), (raw, "peephole", 2), (char, "peephole-full", 1), (words, "rnn", 1)]
    models: list[Model] = []
    for settings, variant, layers in kinds:
        built = ModelConfig(2, variant, layers)
        vocabulary = Vocabulary([*settings.special_tokens, *LETTERS], len(settings.special_tokens))
        rng = np.random.default_rng(len(models))
        shapes = built.shapes(len(vocabulary))
        arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        models.append(Model(built, Codec(settings, vocabulary), arrays, {"steps": 7, "val_bpc": 4.5}))
    return models


def same(one: Model, other: Model) -> bool:
    """Whether they have the same arrays, vocabulary and settings."""
    return json.dumps(one.file_metadata()) == json.dumps(other.file_metadata()) and all(
        np.array_equal(one.arrays[name], other.arrays[name]) for name in one.config.shapes(len(one.vocabulary))
    )


class ModelFile:
    """A damaged model file is refused, or it is the model that it was."""

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "model.safetensors"
        self.models, self.seeds = small_models(), []
        for model in self.models:
            model.save(self.path)
            self.seeds.append(self.path.read_bytes())

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        with refused(ModelError, OSError):
            loaded = Model.load(self.path)
            assert any(same(loaded, model) for model in self.models), "a damaged model was accepted"


class SealedModel:
    """Whatever a model file says under a checksum that is right, it is refused, or it is a model one can work with.

    An input is its description, a line of JSON, and then the bytes of its weights, as many as there may be.
    """

    MOST_WEIGHTS = 100_000

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "model.safetensors"
        self.seeds = []
        for model in small_models():
            described = json.dumps({"format": array_file.FORMAT, **model.file_metadata()}, ensure_ascii=False)
            weights = b"".join(array.tobytes() for array in model.arrays.values())
            self.seeds.append(described.encode() + b"\n" + weights)

    def check(self, data: bytes) -> None:
        line, _, weights = data.partition(b"\n")
        try:
            described = json.loads(line)
        except (ValueError, RecursionError):
            return
        if not isinstance(described, dict):
            return
        arrays = self._arrays(described, weights)
        described["checksum"] = array_file.checksum(json.loads(json.dumps({**described, "checksum": ""})), arrays)
        self.path.write_bytes(save(arrays, metadata={array_file.METADATA_KEY: json.dumps(described)}))
        with refused(ModelError, OSError):
            usable(Model.load(self.path), self.path)

    def _arrays(self, described: Mapping[str, Any], weights: bytes) -> dict[str, np.ndarray]:
        """Arrays of the shapes that the description asks for, where that makes sense."""
        try:
            shapes = ModelConfig(**described["config"]).shapes(len(described["vocabulary"]))
        except (KeyError, TypeError, ValueError):
            return {}
        if sum(map(math.prod, shapes.values())) > self.MOST_WEIGHTS:
            return {}
        numbers = np.frombuffer(weights[: len(weights) // 4 * 4] or bytes(4), np.float32)
        return {name: np.resize(numbers, shape) for name, shape in shapes.items()}


def usable(model: Model, path: Path) -> None:
    """The model writes 20 characters, says how likely a text is, and comes back when it is saved."""
    shapes = model.config.shapes(len(model.vocabulary))
    assert {name: array.shape for name, array in model.arrays.items()} == shapes
    generator = TextGenerator(model)
    try:
        text = "".join(generator.stream(generator.prefix("こん"), rng_for(1), length=20))
    except ValueError as error:
        assert len(model.vocabulary) == model.vocabulary.num_specials, f"it writes nothing: {error}"
    else:
        assert len(text) > 20, f"it wrote {text!r}"
    ids = np.array(model.codec.encode("こんにちは!"), np.int32)
    assert math.isfinite(score(InferenceCell(model.arrays, model.config), model.codec, ids, 6).bpc)
    model.save(path)
    assert same(Model.load(path), model)


# ---- files of text


def in_format(name: str, posts: Sequence[str]) -> str:
    """A file of these posts as text; its kind is that of `name`."""
    tweets = [{"tweet": {"full_text": post, "id_str": str(k), "created_at": DATE}} for k, post in enumerate(posts)]
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


DATE = "Sun Sep 02 12:00:00 +0000 2018"


def zipped(script: str, method: int) -> bytes:
    """A Twitter archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("data/tweets.js"), script, method)
        archive.writestr(zipfile.ZipInfo("data/direct-messages.js"), "window.YTD", method)
    return file.getvalue()


class TextFile:
    """Any file is read or refused, and what is read can be cleaned.

    The first byte of an input chooses the options, the others are the file.
    """

    def __init__(self, name: str, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / name
        if name.endswith(".zip"):
            script = in_format("tweets.js", POSTS)
            files = [zipped(script, method) for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)]
        else:
            text = in_format(name, POSTS)
            files = [text.encode(encoding, "ignore") for encoding in ENCODINGS]
        files += [part for ending, part in snippets if ending == self.path.suffix]
        self.seeds = [b"\0" + file for file in files] + [bytes([k]) + files[0] for k in range(len(OPTIONS))]

    def check(self, data: bytes) -> None:
        options = OPTIONS[data[0] % len(OPTIONS)] if data else OPTIONS[0]
        self.path.write_bytes(data[1:])
        posts: list[str] = []
        with refused(TextError, OSError):
            posts.extend(read_posts([self.path], options))
        for post in Cleaner(CleaningOptions()).clean_posts(posts):
            assert post and post.encode("utf-8")
        with refused(TextError, OSError):
            assert "\r" not in "".join(read_text([self.path], options))


class UserDictionary:
    """Any file is refused, or Janome finds every word of a text with the entries in it."""

    TEXT = "朝霧てまりとこんにちは"

    def __init__(self, folder: Path, snippets: Snippets = ()) -> None:
        self.path = folder / "words.csv"
        long = "\n".join(f"{word},1288,1288,-4569,名詞,固有名詞,人名,*,*,*,{word},ア,ア" for word in ("てまり", "ん"))
        self.seeds = [text.encode(encoding) for text in ("\n".join(ENTRIES), long) for encoding in ENCODINGS]
        self.seeds += [part for ending, part in snippets if ending == ".csv"]

    def check(self, data: bytes) -> None:
        self.path.write_bytes(data)
        with refused(TextError, OSError):
            entries = read_user_dictionary(self.path)
            with refused(ValueError):
                TextSettings("janome", user_dictionary=entries)
                tokenizer = make_tokenizer("janome", entries)
                assert tokenizer.detokenize(tokenizer.tokenize(self.TEXT)) == self.TEXT


# ---- the command line

SNIPPETS = 5  # each of them is a whole command, and the time short
# What may well take long: more is not tried, unless it is more than there can be.
CHEAP = {"length": 200, "posts": 2, "count": 3, "sample_length": 100, "steps": 2, "hidden": 16, "layers": 3}


class Command:
    """Whatever the command line, it ends with 0, or with 2 and a sentence.

    An input is the arguments behind the command, a line each, an empty line, and what is in the files that they name.
    """

    FILES = (
        "posts.txt", "posts.csv", "posts.tsv", "posts.json", "posts.jsonl", "tweets.js", "archive.zip", "words.csv",
        "damaged.safetensors",
    )  # fmt: skip

    def __init__(
        self, name: str, lines: Sequence[str], folder: Path, snippets: Snippets = (), needs: Sequence[str] = ()
    ) -> None:
        """`lines`: command lines to begin with. `needs`: options without which one is not tried."""
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
        self.seeds += [as_input(first, part) for part in texts[:SNIPPETS] if first]

    def _contents(self) -> dict[str, bytes]:
        """What could be in each of the files."""
        return {
            **{name: in_format(name, POSTS * 4).encode() for name in self.FILES[:6]},
            "archive.zip": zipped(in_format("tweets.js", POSTS), zipfile.ZIP_DEFLATED),
            "words.csv": "\n".join(ENTRIES).encode(),
            "damaged.safetensors": self.model,
        }

    def check(self, data: bytes) -> None:
        head, _, content = data.partition(b"\n\n")
        given = [os.fsdecode(argument.replace(b"\0", b"")) for argument in head.split(b"\n")]
        if any("/" in argument or "\\" in argument or ".." in argument for argument in given):
            return  # nothing is to be written, or cleared, outside of the folder that is made for it
        argv = [self.name, *given]
        if not self._is_cheap(argv):
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "model.safetensors").write_bytes(self.model)
        for name in self.FILES:
            if any(name in argument for argument in given):
                (self.folder / name).write_bytes(content)
        with inside(self.folder):
            code, said = run(argv)
        assert code in (0, 2), f"exit code {code}: {said}"
        assert "Traceback (most recent" not in said, said
        if code == 2:
            complaints = [line for line in said.split("\n") if line.startswith("gluon-lstm")]
            assert len(complaints) == 1 and said.endswith(complaints[0] + "\n"), f"not one sentence: {said!r}"

    def _is_cheap(self, argv: Sequence[str]) -> bool:
        """Whether it is known beforehand that this takes a moment; complaints do."""
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                args = self.parser.parse_args(argv)
        except SystemExit:
            return True
        values = {name: getattr(args, name, None) for name in CHEAP}
        given = {name: value for name, value in values.items() if value is not None}
        return set(self.needs) <= set(given) and not any(
            most < given.get(name, 0) <= MAX_SIZES.get(name, math.inf) for name, most in CHEAP.items()
        )


def as_input(line: str, content: bytes) -> bytes:
    """The arguments of a command line and what is in the file they name."""
    return "\n".join(line.split()).encode() + b"\n\n" + content


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """The current directory, and that of caches, is `folder`."""
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


def run(argv: Sequence[str]) -> tuple[Any, str]:
    """The exit code of a command and what it says on standard error."""
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


# ---- all of them

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
    "posts.txt --out a.txt --hashtags remove --emoji remove --width keep --blanks keep --duplicates keep"
    " --max-repeats 0",
    *(f"posts.json {options}" for options in READING),
    ". --max-repeats 1",
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
    "sealed-model": SealedModel,
    **{name: partial(TextFile, name) for name in Command.FILES[:7]},
    "user-dictionary": UserDictionary,
    "generate": partial(Command, "generate", GENERATE),
    "evaluate": partial(Command, "evaluate", EVALUATE),
    "clean": partial(Command, "clean", CLEAN),
    "cache": partial(Command, "cache", CACHE),
    "train": partial(Command, "train", TRAIN, needs=("steps", "hidden")),
}
