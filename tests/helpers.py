"""Paths and builders shared by the tests."""

from __future__ import annotations

import json
import math
import os
import time
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gluon_lstm.config import ModelConfig, WindowSize
from gluon_lstm.model import Model, ModelError
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.sources.reading import ReadingOptions, TextError, read_sources
from gluon_lstm.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from gluon_lstm.lstm.agreement import Case, Comparison

ROOT = Path(__file__).resolve().parent.parent
DOCS, SCRIPTS = ROOT / "docs", ROOT / "scripts"
POSTS = ROOT / "data" / "posts_ja.txt"
REFUSAL_SECONDS = 5.0  # maximum CPU time of refusing a file
END, BOUNDARY, UNKNOWN = "<post>", "<word>", "<unk>"  # names of the special tokens in tables of `bigram_model`
IMPOSSIBLE = -60.0  # logit of a token of negligible probability
CORPORA = Path(os.environ.get("GLUON_LSTM_CORPORA", ROOT.parent / "shared" / "corpora"))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def reference_step(variant, x, h, c, W):
    """Return h, c of one lane after one step, from the printed equations: x (D,), with D = V (one-hot) or H."""
    if variant == "rnn":  # the simple RNN of notes 003
        return np.tanh(x @ W["Wxh"] + h @ W["Whh"] + W["bh"]), c
    g, i, f, o = (x @ W[f"Wx{k}"] + h @ W[f"Wh{k}"] + W[f"b{k}"] for k in "gifo")
    if variant == "peephole":  # a diagonal matrix, written as the matrix
        i, f = i + c @ np.diag(W["Wci"]), f + c @ np.diag(W["Wcf"])
    if variant == "peephole-full":  # notes 000: v[0] c[t-1], v[2] c[t-1], and below v[1] c[t]
        i, f = i + c @ W["Wci"], f + c @ W["Wcf"]
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    if variant == "peephole":
        o = o + c @ np.diag(W["Wco"])
    if variant == "peephole-full":
        o = o + c @ W["Wco"]
    return sigmoid(o) * (c if variant == "no-output-tanh" else np.tanh(c)), c


def central_difference(loss, array, index, step=1e-5):
    """Return dloss/darray[index]; `loss()` reads `array`, which is changed in place and restored."""
    value = array[index]
    losses = []
    for moved in (value + step, value - step):
        array[index] = moved
        losses.append(loss())
    array[index] = value
    return (losses[0] - losses[1]) / (2 * step)


def command_error(capsys, *argv):
    """Run a command that is refused; return the sentence on stderr, without the name of the program."""
    from gluon_lstm.cli.main import main

    assert main(list(argv)) == 2
    error = capsys.readouterr().err
    assert error.startswith("gluon-lstm: ") and error.endswith("\n") and error.count("\n") == 1, error
    return error[len("gluon-lstm: ") : -1]


def finite_differences(loss, array, step=1e-5):
    """Return dloss/darray, entry by entry; `loss()` reads `array`."""
    found = np.empty_like(array)
    for index in np.ndindex(array.shape):
        found[index] = central_difference(loss, array, index, step)
    return found


def random_case(
    N: int,
    T: int,
    H: int,
    V: int,
    carried: bool = True,
    dropout: float = 0.0,
    variant: str = "standard",
    layers: int = 1,
    seed: int | Sequence[int] = 0,
) -> Case:
    """Return a random window and float32 weights: see `agreement.random_case`."""
    from gluon_lstm.lstm import agreement  # MXNet

    size, rng = WindowSize(N, T, H, V), np.random.default_rng(seed)
    return agreement.random_case(size, rng, carried, dropout, variant, layers)


def violations(comparisons: list[Comparison]) -> list[Comparison]:
    """Return the comparisons above their tolerance."""
    return [comparison for comparison in comparisons if not comparison.ok]


def state_gradients(implementation: Any, case: Case, dtype: str = "float32") -> list[np.ndarray]:
    """Return dL/dh, dL/dc of the initial state and all dL/dW, for an L that depends on the last state too."""
    from gluon_lstm.compat import mx
    from gluon_lstm.lstm.parameters import Parameters

    nd = mx.nd
    W = Parameters(case.W, dtype=dtype, config=case.config)
    h, c = nd.array(case.h, dtype=dtype), nd.array(case.c, dtype=dtype)
    h.attach_grad()
    c.attach_grad()
    u, v = (nd.array(np.random.default_rng(k).standard_normal(case.h.shape), dtype=dtype) for k in range(2))
    with mx.autograd.record():
        loss, last_h, last_c = implementation(case.x, case.y, h, c, W, case.input_mask, case.hidden_mask)
        whole = 3 * loss + (u * last_h).sum() + (v * last_c).sum()
    whole.backward()
    return [h.grad.asnumpy(), c.grad.asnumpy(), *W.gradients().values()]


def random_model(
    text_settings: TextSettings,
    tokens: Sequence[str],
    config: ModelConfig | None = None,
    seed: int = 0,
    scale: float = 1.0,
    metadata: dict[str, Any] | None = None,
) -> Model:
    """Return an untrained model with the special tokens of the settings and `tokens`; `config` None: 3 hidden units."""
    config = config or ModelConfig(3)
    special = text_settings.special_tokens
    vocabulary = Vocabulary([*special, *tokens], len(special))
    rng, shapes = np.random.default_rng(seed), config.shapes(len(vocabulary))
    arrays = {name: (scale * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    return Model(config, Codec(text_settings, vocabulary), arrays, metadata or {})


def read_safetensors(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return our metadata in a model file and its arrays, read by the library `safetensors`."""
    from safetensors.numpy import load

    size = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + size])["__metadata__"]["gluon_lstm"]), load(content)


def model_refusal(path: Path, content: bytes | None = None) -> str:
    """Return the reason for which a model file is refused: one short sentence that names it, raised in little time.

    `content`: written to `path` first.
    """
    if content is not None:
        path.write_bytes(content)
    begun = time.process_time()
    with pytest.raises(ModelError) as caught:
        Model.load(path)
    assert time.process_time() - begun < REFUSAL_SECONDS
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ") and "\n" not in sentence and len(sentence) < len(str(path)) + 500
    return sentence.removeprefix(f"{path}: ")


def save(path: Path, *contents: str | bytes) -> Path:
    """Write the contents, str as UTF-8, to a file and return its path."""
    with open(path, "wb") as file:
        for content in contents:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def as_folder(path: Path, members: Mapping[str, str | bytes]) -> Path:
    """Write the members, by their names with slashes, to files of a folder and return its path."""
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        save(path / name, content)
    return path


def as_zip(path: Path, members: Mapping[str, str | bytes]) -> Path:
    """Write the members to a zip file and return its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


def posts_file(folder: Path, posts, name: str = "posts.txt") -> Path:
    """Write a file with a post a line."""
    return save(folder / name, "".join(f"{post}\n" for post in posts))


def corpus_file(name: str) -> Path:
    """Return the path of a real text, or skip the test where it is missing."""
    if not (CORPORA / name).is_file():
        pytest.skip(f"no {name} in {CORPORA}: set GLUON_LSTM_CORPORA to a folder with the real texts")
    return CORPORA / name


def corpus_lines(name: str) -> list[str]:
    """Return the lines of a real text, or skip the test where it is missing."""
    return corpus_file(name).read_bytes().decode("utf-8", errors="replace").split("\n")


def bigram_model(text_settings: TextSettings, tokens: Sequence[str], table: Mapping[str, Mapping[str, float]]) -> Model:
    """Return a model in which token b follows token a with probability table[a][b].

    The input and output gates are 1 and the forget gate is 0; the candidate of token a is 1 at index a. So c = g is the
    one-hot row of a, h = tanh(1) times it, and row a of Why, divided by tanh(1), gives the logits.
    """
    names = [*text_settings.special_tokens, *tokens]
    V = len(names)
    arrays = {name: np.zeros(shape, np.float32) for name, shape in ModelConfig(V).shapes(V).items()}
    arrays["Wxg"][:] = 30 * np.eye(V)
    arrays["bi"][:] = arrays["bo"][:] = 60
    arrays["bf"][:] = -60
    Why = np.full((V, V), IMPOSSIBLE)
    for before, nexts in table.items():
        for after, p in nexts.items():
            Why[names.index(before), names.index(after)] = math.log(p)
    arrays["Why"][:] = Why / math.tanh(1)
    return Model(ModelConfig(V), Codec(text_settings, Vocabulary(names, len(text_settings.special_tokens))), arrays)


def chain_model(text_settings: TextSettings, text: Sequence[str], *more: str) -> Model:
    """Return a model in which each token of `text` is always followed by the next; `more` are unused tokens."""
    nexts = {before: {after: 1.0} for before, after in zip(text, text[1:])}
    tokens = [token for token in dict.fromkeys([*text, *more]) if token not in (END, BOUNDARY, UNKNOWN)]
    return bigram_model(text_settings, tokens, nexts)


def joined(pieces: Iterable[str]) -> str:
    """Return the text of the first 20,000 pieces, so that an endless stream fails the test."""
    return "".join(islice(pieces, 20_000))


# ---- posts of files


def read_files(*paths, notice=lambda message: None, **options):
    """Return the posts of files, and the log of the last."""
    posts, log = [], None
    for source in read_sources(paths, ReadingOptions(**options), notice):
        posts += source.posts
        log = source.log
    return posts, log


def posts_of(*paths, **options):
    """Return the texts of the posts of files."""
    return [post.text for post in read_files(*paths, **options)[0]]


def dated(*paths, **options):
    """Return (text, date) of the posts of files."""
    return [(post.text, post.date) for post in read_files(*paths, **options)[0]]


def left_out(*paths, **options):
    """Return what reading left out of the last file, by reason."""
    return dict(read_files(*paths, **options)[1].left_out)


def refusal(*paths, **options):
    """Return the sentence with which files are refused."""
    with pytest.raises(TextError) as caught:
        posts_of(*paths, **options)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 1500
    return message


def japan(*fields):
    """Return the date of a local time in Japan."""
    return int(datetime(*fields, tzinfo=timezone.utc).timestamp())
