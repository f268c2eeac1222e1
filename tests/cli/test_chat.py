"""The command `chat`: in a pipe line by line, and driven on a pseudo-terminal."""

from __future__ import annotations

import io
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import END, ROOT, bigram_model, command_error

from gluon_lstm.cli.main import main
from gluon_lstm.cli.terminal import escape
from gluon_lstm.model import Model
from gluon_lstm.sampling.chat import Chat
from gluon_lstm.sampling.options import SessionOptions
from gluon_lstm.sampling.session import WritingSession
from gluon_lstm.text.settings import TextSettings

SECONDS = 60  # maximum wait for an answer on the terminal
ARGUMENTS = ["--seed", "3"]
PROMPT, PROMPT_END, CURSOR_ON = (
    b"\x1b[?2004h",
    b"\x1b[?2004l",
    b"\x1b[?25h",
)  # bracketed paste is on while a line is read


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A model of posts 今日は晴れ and 今日も雨, with an escape sequence in a third."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    bigram_model(
        TextSettings(),
        [*"今日は晴れも雨", "\x1b", "\u202e"],
        {
            END: {"今": 1}, "今": {"日": 1}, "日": {"は": 0.5, "も": 0.5}, "は": {"晴": 0.7, "\x1b": 0.3},
            "晴": {"れ": 1}, "れ": {END: 1}, "も": {"雨": 1}, "雨": {END: 1}, "\x1b": {"\u202e": 1}, "\u202e": {END: 1},
        },
    ).save(path)  # fmt: skip
    return path


def answers(model: Path, lines: list[str]) -> list[str]:
    """Return the lines that the library answers."""
    chat = Chat(WritingSession(Model.load(model), SessionOptions(seed=3)))
    return [answer for line in lines for answer in chat.answer(line)]


# ---- pipe


def piped(monkeypatch, capsys, model: Path, text: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    code = main(["chat", str(model), *ARGUMENTS])
    return (code, *capsys.readouterr())


def test_a_pipe_is_answered_line_by_line(model, tmp_path, monkeypatch, capsys):
    lines = ["今日", "1", "/undo", "", "2", "/temperature 0.5", f"/save {tmp_path / 'post.txt'}"]
    expected = "".join(f"{line}\n" for line in answers(model, [*lines[:-1], ""]))
    (tmp_path / "post.txt").unlink(missing_ok=True)
    code, out, error = piped(monkeypatch, capsys, model, "\r\n".join([*lines, "", "/quit", "/nosuch"]))
    assert (code, error) == (0, "")
    assert out.replace(f"{tmp_path / 'post.txt'}: saved\n", "") == expected
    assert (tmp_path / "post.txt").read_text(encoding="utf-8").startswith("今日")


def test_the_first_invalid_line_of_a_pipe_ends_the_command(model, tmp_path, monkeypatch, capsys):
    existing = tmp_path / "post.txt"
    existing.write_text("old", encoding="utf-8")
    code, out, error = piped(monkeypatch, capsys, model, f"今日\n/save {existing}\n今\n")
    assert code == 2 and out == "".join(f"{line}\n" for line in answers(model, ["今日"]))
    assert error.startswith(f"gluon-lstm: line 2: {existing}: ") and error.count("\n") == 1
    assert existing.read_text(encoding="utf-8") == "old"
    assert piped(monkeypatch, capsys, model, f"今日\n/overwrite {existing}\n")[0] == 0
    assert existing.read_text(encoding="utf-8") == "今日\n"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n"])
def test_an_empty_pipe_and_invalid_bytes(model, content):
    command = [sys.executable, "-m", "gluon_lstm", "chat", str(model)]
    done = subprocess.run(command, input=content, capture_output=True, env=environment(), timeout=60, check=False)
    assert done.returncode == (2 if content else 0)
    assert done.stderr.count(b"\n") == (1 if content else 0) and b"Traceback" not in done.stderr


def test_a_reader_may_close_the_pipe(model):
    command = [sys.executable, "-m", "gluon_lstm", "chat", str(model)]
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    child = subprocess.Popen(command, encoding="utf-8", env=environment(), **streams)
    child.stdin.write("今日\n")
    child.stdin.flush()
    assert child.stdout.readline().startswith("  1  ")
    child.stdout.close()
    child.stdin.write("\n" * 99)
    assert child.communicate(timeout=60)[1] == "" and child.returncode == 0


@pytest.mark.parametrize(
    "arguments", [["--continuations", "0"], ["--length", "0"], ["--seed", "-1"], ["--temperature", "-1"]]
)
def test_invalid_options_are_named(model, capsys, arguments):
    assert arguments[0] in command_error(capsys, "chat", str(model), *arguments)


# ---- terminal


def environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return {
        **inherited, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1",
    }  # fmt: skip


class Terminal:
    """The command on a pseudo-terminal: keys go in, what it shows is collected."""

    def __init__(self, model: Path, *arguments: str) -> None:
        pty = pytest.importorskip("pty")
        import fcntl
        import struct
        import termios

        self.keyboard, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.before = termios.tcgetattr(self.keyboard)
        self.child = subprocess.Popen(
            [sys.executable, "-m", "gluon_lstm", "chat", str(model), *ARGUMENTS, *arguments],
            stdin=other, stdout=other, stderr=other, env=environment(),
        )  # fmt: skip
        os.close(other)
        self.received = self.all = b""

    def wait_for(self, shown: str) -> str:
        """Return what was shown since the last call, up to the text `shown`, without escape sequences."""
        end = time.monotonic() + SECONDS
        while shown not in self.text():
            assert time.monotonic() < end, self.text()
            assert self._read(), self.text()
        text, self.received = self.text(), b""
        return text

    def _read(self) -> bool:
        if not select.select([self.keyboard], [], [], 1)[0]:
            return self.child.poll() is None
        try:
            read = os.read(self.keyboard, 65536)
        except OSError:  # Linux: EIO after the child closed the other end
            return False
        self.received += read
        self.all += read
        return bool(read)

    def text(self) -> str:
        return re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])", "", self.received.decode("utf-8", "replace")).replace("\r", "")

    def type(self, keys: str) -> None:
        """Type keys at the prompt: before it appears the terminal itself would take Ctrl-C and Ctrl-D."""
        end = time.monotonic() + SECONDS
        while CURSOR_ON not in self.all[self.all.rfind(PROMPT) :] or self.all.rfind(PROMPT) < self.all.rfind(
            PROMPT_END
        ):
            assert time.monotonic() < end and self._read(), self.text()
        os.write(self.keyboard, keys.encode())

    def close(self) -> int:
        """Return the exit code."""
        end = time.monotonic() + SECONDS
        while self._read() and time.monotonic() < end:
            pass
        try:
            return self.child.wait(timeout=SECONDS)
        finally:
            self.child.kill()
            os.close(self.keyboard)


@pytest.fixture
def terminal(model):
    opened: list[Terminal] = []

    def open_terminal(*arguments: str) -> Terminal:
        opened.append(Terminal(model, *arguments))
        opened[-1].wait_for("commands\n>")
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.child.kill()


def test_a_person_writes_on_a_terminal(terminal, model, tmp_path):
    path, chat = tmp_path / "post.txt", terminal()
    lines = answers(model, ["今日", "1"])
    chat.type("今日\r")
    chat.wait_for("\n".join(map(escape, lines[:-1])))
    chat.type("1\r")
    chat.wait_for(escape(lines[-1]))
    chat.type("/edit\r")
    chat.wait_for("edit> 今日")
    chat.type("\x01\x0b猫も雨\r")  # Ctrl-A, Ctrl-K: the line is emptied
    chat.wait_for("猫も雨  (6/280)")
    chat.type("/undo\r")
    chat.wait_for("/280)")
    chat.type("/nosuch\r")
    chat.wait_for("/nosuch: no command")
    chat.type("/temperature 0\r")
    chat.wait_for("temperature 0")
    chat.type("も\x03")  # Ctrl-C discards the line
    chat.type("猫も\r")
    chat.wait_for("  1  雨")
    chat.type("1\r")
    chat.wait_for("猫も雨  (6/280)")
    chat.type(f"/save {path}\r")
    chat.wait_for(": saved")
    chat.type(f"/save {path}\r")
    chat.wait_for("already exists")
    chat.type("\x04")  # Ctrl-D
    assert chat.close() == 0
    assert path.read_text(encoding="utf-8") == "猫も雨\n"


def test_picker_on_a_terminal(terminal):
    chat = terminal("--picker")
    chat.type("今日も\r")
    assert "100.0%  雨" in chat.wait_for(" 10 ")
    chat.type("1\r")
    assert "(end of the post)" in chat.wait_for("%  (end of the post)")
    chat.type("/quit\r")
    assert chat.close() == 0


def test_control_characters_of_a_text_are_escaped_on_the_terminal(terminal):
    """Also in the line that is edited."""
    chat = terminal("--temperature", "1", "--continuations", "60")
    chat.type("今日は\r")
    shown = chat.wait_for("  2  ")
    number = re.search(r"(\d)  ␛\ufffd", shown)
    assert number
    chat.type(f"{number[1]}\r")
    chat.wait_for("今日は␛\ufffd  (")
    chat.type("/edit\r")
    assert "\u202e" not in chat.wait_for("edit> 今日は␛\ufffd")
    chat.type("\r")
    assert "\u202e" not in chat.wait_for("今日は␛\ufffd  (")
    chat.type("\x04")
    assert chat.close() == 0


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_at_the_prompt_ends_the_command_and_restores_the_terminal(terminal, number, code):
    import termios

    before = signal.signal(number, signal.SIG_DFL)  # a child inherits an ignored signal, which nohup makes of SIGHUP
    chat = terminal()
    signal.signal(number, before)
    chat.child.send_signal(number)
    assert chat.child.wait(timeout=SECONDS) == code
    assert termios.tcgetattr(chat.keyboard) == chat.before
    assert "Traceback" not in chat.text()
    chat.close()
