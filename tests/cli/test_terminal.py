"""What reaches a terminal cannot steer it; what reaches a pipe is exact; and no character is an error anywhere."""

from __future__ import annotations

import doctest
import io
import os
import struct
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT

from gluon_lstm.cli import terminal
from gluon_lstm.cli.terminal import EscapingStream, escape
from gluon_lstm.config import ModelConfig
from gluon_lstm.model import Model
from gluon_lstm.text.codec import Codec
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary

STEERING = ["\x1b", "\x9b", "\u202e", "\r", "\b", "\x07", "\ud83d", "\u2028"]
HARMLESS = ["あ", "👨\u200d👧", "か\u3099", "❤\ufe0f", "\t"]
SHOWN = {"\x1b": "␛", "\r": "␍", "\b": "␈", "\x07": "␇"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A raw model that writes each of its tokens as often as any other."""
    folder = tmp_path_factory.mktemp("model")
    tokens = ["<unk>", *STEERING, *HARMLESS]
    arrays = {name: np.zeros(shape, np.float32) for name, shape in ModelConfig(1).shapes(len(tokens)).items()}
    codec = Codec(TextSettings(raw=True), Vocabulary(tokens, 1))
    Model(ModelConfig(1), codec, arrays).save(folder / "model.safetensors")
    return folder / "model.safetensors"


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return {**kept, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **changes}


def piped(*argv: object, code: str = "", **changes: str) -> tuple[int, bytes, bytes]:
    """Exit code, standard output and standard error of `python -m gluon_lstm`, or of some code, in pipes."""
    start = ["-c", code] if code else ["-m", "gluon_lstm"]
    done = subprocess.run(
        [sys.executable, *start, *map(os.fsencode, map(str, argv))],
        capture_output=True,
        env=environment(**changes),
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def on_a_terminal(*argv: object, code: str = "", output: str = "both", **changes: str) -> tuple[int, bytes]:
    """Exit code, and all that a terminal gets; `output` "stderr": of that alone, standard output goes nowhere."""
    pty = pytest.importorskip("pty")
    main, other = pty.openpty()
    import fcntl
    import termios

    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))  # a bar needs room
    start = ["-c", code] if code else ["-m", "gluon_lstm"]
    child = subprocess.Popen(
        [sys.executable, *start, *map(os.fsencode, map(str, argv))],
        stdin=other,
        stdout=other if output == "both" else subprocess.DEVNULL,
        stderr=other,
        env=environment(TERM="xterm", **changes),
    )
    os.close(other)
    said = b""
    while True:
        try:
            read = os.read(main, 65536)
        except OSError:  # Linux: nobody holds the other end any more
            break
        if not read:
            break
        said += read
    os.close(main)
    return child.wait(timeout=60), said.replace(b"\r\n", b"\n")  # a terminal makes CR LF of a line end


def expected(model: Path, seed: int, length: int) -> str:
    from gluon_lstm.sampling.generator import TextGenerator, rng_for

    generator = TextGenerator(Model.load(model))
    return "".join(generator.stream(generator.prefix(""), rng_for(seed), length=length))


def steers(said: bytes) -> list[str]:
    """The characters in it that a terminal would obey."""
    text = said.decode("utf-8")
    return [c for c in text if c not in "\n\t" and (unicodedata.category(c) in ("Cc", "Zl", "Zp") or c == "\u202e")]


# ---- one character after another


def test_the_example_in_its_docstring():
    assert doctest.testmod(terminal).failed == 0 and doctest.testmod(terminal).attempted > 0


def test_every_control_character_becomes_one_that_is_seen():
    for code in [*range(0x20), 0x7F, *range(0x80, 0xA0)]:
        character = chr(code)
        shown = escape(character)
        assert len(shown) == 1
        assert (shown == character) == (character in "\t\n")
        assert character in "\t\n" or unicodedata.category(shown) == "So"
    assert escape("\0\x1b\x7f") == "␀␛␡"


@pytest.mark.parametrize("first, last", [(0x202A, 0x202E), (0x2066, 0x2069), (0x2028, 0x2029), (0xD800, 0xDFFF)])
def test_what_turns_text_around_or_is_no_character_is_replaced(first, last):
    assert {escape(chr(code)) for code in range(first, last + 1)} == {"\ufffd"}
    assert escape("\u200e\u200f\u061c") == "\ufffd" * 3


def test_all_that_text_is_made_of_stays():
    text = "ねこ\u3000漢字 Aé e\u0301 か\u3099 ｶﾞ 👨\u200d👩\u200d👧 ❤\ufe0f 葛\U000e0100 नि \u200c 한 العربية\t\n"
    text += "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 🇯🇵 👍🏽 𠮟 ﷽ \xa0\xad\u200b\ufeff"
    assert escape(text) == text


def test_a_stream_may_be_written_in_pieces():
    beneath = io.StringIO()
    stream = EscapingStream(beneath)
    assert stream.write("\x1b[2J\u202e") == 5
    stream.writelines(["\x07あ", "\n"])
    print("\r", file=stream, flush=True)
    assert beneath.getvalue() == "␛[2J\ufffd␇あ\n␍\n" and not stream.isatty()


# ---- the command line


def test_a_pipe_gets_exactly_what_the_model_writes(model):
    code, out, err = piped("generate", model, "--seed", "4", "--length", "200")
    text = expected(model, 4, 200)
    assert (code, err) == (0, b"") and set(STEERING) <= set(text)
    assert out == text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("arguments", [[], ["--count", "2"]])
def test_a_terminal_gets_it_made_visible(model, arguments):
    code, out = on_a_terminal("generate", model, "--seed", "4", "--length", "200", *arguments)
    assert code == 0 and not steers(out)
    text = "".join(SHOWN.get(c, "\ufffd" if c in STEERING else c) for c in expected(model, 4, 200))
    assert out.decode("utf-8").startswith(text)


@pytest.mark.parametrize(
    "locale",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C"},
        {"LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "cp932"},
        {"PYTHONIOENCODING": "utf-16"},
    ],
    ids=lambda locale: "-".join(locale.values()),
)
def test_no_encoding_is_too_small(model, locale):
    """What it lacks is written as an escape, which says which character was meant."""
    code, out, err = piped("generate", model, "--seed", "4", "--length", "80", "--prefix", "あ", **locale)
    assert code == 0 and b"Traceback" not in err
    if locale.get("PYTHONIOENCODING") == "ascii":
        text = "あ" + expected(model, 4, 80)
        assert out == text.encode("ascii", "backslashreplace")
    if locale.get("PYTHONIOENCODING") != "utf-16":
        code, shown = on_a_terminal("generate", model, "--seed", "4", "--length", "80", **locale)
        assert code == 0 and not set(shown) & {0x1B, 0x07, 0x08, 0x0D}


@pytest.mark.skipif(os.name == "nt", reason="closes streams as a shell of Unix does")
def test_closed_streams_are_no_error(model):
    start = f"exec '{sys.executable}' -m gluon_lstm generate '{model}' --length 9 --prefix 鬱"
    for closed, shown in ((">&-", (False, True)), ("2>&-", (True, False)), (">&- 2>&-", (False, False))):
        command = ["sh", "-c", f"{start} {closed}"]
        done = subprocess.run(command, capture_output=True, env=environment(), timeout=60, check=False)
        assert done.returncode == 0 and (bool(done.stdout), bool(done.stderr)) == shown
        assert b"Traceback" not in done.stderr


NAME = "\x1b[31m\u202e\x07.txt"


def test_an_error_sentence_does_not_steer_a_terminal(tmp_path):
    for argv in (["generate", tmp_path / NAME], ["clean", tmp_path / NAME], ["clean", "a", "--\x1b[31m"]):
        code, said = on_a_terminal(*argv)
        assert code == 2 and not steers(said) and said.count(b"\n") == 1 and "␛[31m".encode() in said
        code, _, said = piped(*argv)
        assert code == 2 and b"\x1b[31m" in said


def test_what_commands_print_and_notice_does_not_steer_a_terminal(model, tmp_path):
    """File names and posts, on standard output and error, while a bar moves."""
    posts = tmp_path / NAME
    posts.write_bytes("あ\x1b[2J\x9bあ\nあか\u202e\n".encode() * 50)
    sjis = tmp_path / f"sjis{NAME}"
    sjis.write_bytes("今日は晴れ\n明日は雨\n".encode("cp932") * 50)
    for argv in (
        ["clean", posts, sjis, "--out", tmp_path / f"out{NAME}", "--control-chars", "keep"],
        ["evaluate", model, posts, sjis],
        ["generate", model, "--prefix", "あ\x1b[31m", "--length", "5"],
    ):
        code, said = on_a_terminal(*argv)
        assert code == 0
        # A bar draws itself anew with CR; between its lines nothing else may steer.
        assert set(steers(said)) <= {"\r"}, said
    code, out, err = piped("clean", posts, sjis, "--out", tmp_path / f"out{NAME}", "--control-chars", "keep")
    assert code == 0 and NAME.encode() in out and NAME.encode() in err


def test_a_bar_is_drawn_and_its_label_steers_nothing():
    code = (
        "from gluon_lstm.cli.terminal import notice, progress, escape_output\n"
        "with escape_output(), progress('label\\x1b[31m', 3, 'steps') as advance:\n"
        "    for n in range(3):\n"
        "        advance(1)\n"
        "        notice('line\\x1b[2J\\r' + chr(0xd83d))\n"
    )
    status, said = on_a_terminal(code=code, output="stderr")
    text = said.decode("utf-8")
    assert status == 0 and "\x1b" not in text
    assert "label␛[31m" in text and text.count("line␛[2J␍\ufffd\n") == 3 and "\r" in text


def test_the_samples_of_training_do_not_steer_a_terminal(tmp_path):
    posts = tmp_path / "posts.txt"
    posts.write_bytes("あ\x1b[2J\x9b\u202e\x07\n".encode() * 40)
    arguments = ["--steps", "2", "--hidden", "4", "--batch-size", "2", "--seq-len", "4", "--sample-every", "1"]
    run = tmp_path / "run"
    code, said = on_a_terminal("train", posts, "--out", run, "--raw", "--no-cache", *arguments, "--prefix", "あ\x1b")
    assert code == 0, said
    # The bar moves the cursor up with ESC [A when it has to; nothing that was learned does.
    assert set(steers(said)) <= {"\r"} and "␛".encode() in said
    assert "\x1b" in (run / "samples.txt").read_text(encoding="utf-8")
