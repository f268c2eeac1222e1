"""gluon-lstm chat: write with a model: type a beginning, choose among continuations, edit, undo, save

Type a beginning and choose a continuation by its number; an empty line offers others, and /help lists all commands.
--picker chooses token by token. In a pipe the command works line by line, and the first invalid line ends it.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from gluon_lstm.cli.options import add_model, add_options, given_options
from gluon_lstm.cli.terminal import error_message, escape, input_lines, unescaped
from gluon_lstm.language import _
from gluon_lstm.signals import Interrupted, handlers_of_signals

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

    from gluon_lstm.progress import Notice
    from gluon_lstm.sampling.chat import Chat

EXAMPLES = (
    "gluon-lstm chat ja",
    "gluon-lstm chat runs/mine --picker --temperature 1.0",
    "gluon-lstm chat runs/mine --continuations 8 --length 20",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from gluon_lstm.sampling.options import SamplingOptions, SessionOptions

    add_model(parser)
    add_options(parser, SessionOptions)
    add_options(parser, SamplingOptions)


def run(args: argparse.Namespace) -> int:
    from gluon_lstm.model import Model
    from gluon_lstm.sampling.chat import Chat
    from gluon_lstm.sampling.options import SamplingOptions, SessionOptions
    from gluon_lstm.sampling.session import WritingSession

    options = SessionOptions(**given_options(args, SessionOptions))
    sampling = SamplingOptions(**given_options(args, SamplingOptions))
    chat = Chat(WritingSession(Model.load(args.model), options, sampling, args.notice))
    if sys.stdin and sys.stdin.isatty() and sys.stdout.isatty():
        _answer_terminal(chat, args.notice)
    else:
        _answer_pipe(chat)
    return 0


def _answer_pipe(chat: Chat) -> None:
    """Answer the lines of standard input. Raises ValueError for the first invalid one."""
    for number, line in enumerate(input_lines(), 1):
        try:
            answer = chat.answer(line)
        except (ValueError, OSError) as error:
            raise ValueError(_("line {line}: {problem}").format(line=number, problem=error_message(error))) from error
        _print(answer)
        if chat.finished:
            return


def _answer_terminal(chat: Chat, notice: Notice) -> None:
    """Answer the lines typed on a terminal until /quit or Ctrl-D; Ctrl-C discards a line."""
    prompt = _prompt_session()
    print(_("type a beginning; /help lists the commands"))
    while not chat.finished:
        try:
            line = _typed(prompt, "> ")
            if chat.edits(line):
                line = "/edit " + _typed(prompt, "edit> ", chat.session.text)
            _print(chat.answer(line))
        except EOFError:
            return
        except KeyboardInterrupt as interrupt:
            if type(interrupt) is not KeyboardInterrupt:  # a signal, not the key
                raise
        except (ValueError, OSError) as error:
            notice(error_message(error))


def _typed(prompt: PromptSession[str], message: str, default: str = "") -> str:
    """Return the line typed on the terminal. A signal is raised when the prompt has restored the terminal."""
    import asyncio

    handlers = handlers_of_signals()
    handlers.pop(signal.SIGINT, None)  # to the prompt this is the key

    def leave(number: int) -> None:
        if not prompt.app.is_done:
            prompt.app.exit(exception=Interrupted(number))

    def receive_signals() -> None:
        with suppress(NotImplementedError):  # Windows
            for number in handlers:
                asyncio.get_running_loop().add_signal_handler(number, leave, number)

    try:
        return prompt.prompt(message, default=default, pre_run=receive_signals)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # asyncio restores the one of the system


def _prompt_session() -> PromptSession[str]:
    """Return a prompt that shows control characters of a text escaped."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.layout.processors import Processor, Transformation, TransformationInput
    from prompt_toolkit.output import create_output

    class Escaped(Processor):
        def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
            return Transformation([(style, escape(text)) for style, text, *_rest in transformation_input.fragments])

    return PromptSession(input_processors=[Escaped()], output=create_output(unescaped(sys.stdout)))


def _print(lines: list[str]) -> None:
    for line in lines:
        print(line, flush=True)
