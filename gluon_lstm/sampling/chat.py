"""Conversation about a writing session, line by line: a line a person types -> lines of answer. No terminal."""

from __future__ import annotations

from collections.abc import Iterator

from gluon_lstm.columns import ljust, width
from gluon_lstm.language import N_, _
from gluon_lstm.sampling.session import Candidate, WritingSession
from gluon_lstm.text.weighted_length import MAX_WEIGHTED_LENGTH, weighted_length

HELP = {
    N_("TEXT"): N_("a beginning; the model continues it"),
    N_("(empty line)"): N_("other continuations of the text"),
    N_("NUMBER"): N_("choose a continuation"),
    N_("/edit TEXT"): N_("replace the text; on a terminal without TEXT: edit it"),
    N_("/begin TEXT"): N_("a beginning that looks like a number or a command"),
    "/undo": N_("the text before the last change"),
    "/temperature X": N_("change the sampling temperature; without X: show it"),
    N_("/save FILE"): N_("write the text to a new file"),
    N_("/overwrite FILE"): N_("write the text to a file that may exist"),
    "/help": N_("this list"),
    "/quit": N_("end"),
}
COMMANDS = [name.split()[0][1:] for name in HELP if name.startswith("/")]
_SHOWN = {"\n": "⏎", " ": "␣", "\u3000": "□", "\t": "⇥"}  # tokens that cannot be seen


class Chat:
    """Answers to the lines of a person; `finished` after /quit.

    A command may be abbreviated, as /t for /temperature.
    """

    def __init__(self, session: WritingSession) -> None:
        self.session = session
        self.finished = False

    def answer(self, line: str) -> list[str]:
        """Return the lines that answer one line. Raises ValueError or OSError for an invalid one."""
        command, argument = parse(line)
        return list(getattr(self, f"_{command}")(argument))

    def edits(self, line: str) -> bool:
        """Return whether the line asks for an edit without giving the new text."""
        return line.startswith("/e") and parse(line) == ("edit", "")

    def _begin(self, text: str) -> Iterator[str]:
        self.session.write(text)
        yield from self._continue()

    def _continue(self, _argument: str = "") -> Iterator[str]:
        self.session.propose()
        yield from self._candidates()

    def _choose(self, number: str) -> Iterator[str]:
        chosen = self.session.choose(int(number))
        if self.session.options.picker and not chosen.ends:
            self.session.propose()
        yield from self._text()
        yield from self._candidates()

    def _edit(self, text: str) -> Iterator[str]:
        if not text:
            raise ValueError(_("/edit: give the new text after it"))
        self.session.write(text)
        return self._text()

    def _undo(self, _argument: str) -> Iterator[str]:
        self.session.undo()
        yield from self._text()
        yield from self._candidates()

    def _temperature(self, value: str) -> Iterator[str]:
        if value:
            try:
                self.session.temperature = float(value)
            except ValueError as error:
                raise ValueError(_("/temperature {value}: use a number, at least 0").format(value=value)) from error
        yield _("temperature {temperature:g}").format(temperature=self.session.temperature)

    def _save(self, path: str, overwrite: bool = False) -> Iterator[str]:
        if not path:
            raise ValueError(_("/save and /overwrite: give the name of a file after it"))
        self.session.save(path, overwrite)
        yield _("{path}: saved").format(path=path)

    def _overwrite(self, path: str) -> Iterator[str]:
        return self._save(path, overwrite=True)

    def _help(self, _argument: str) -> Iterator[str]:
        columns = max(width(_(name)) for name in HELP) + 1
        return (ljust(_(name), columns) + _(meaning) for name, meaning in HELP.items())

    def _quit(self, _argument: str) -> Iterator[str]:
        self.finished = True
        return iter(())

    def _text(self) -> Iterator[str]:
        """Yield the text; of a post with its length as X counts it."""
        text = self.session.text
        yield text if self.session.raw else f"{text}  ({weighted_length(text)}/{MAX_WEIGHTED_LENGTH})"

    def _candidates(self) -> Iterator[str]:
        for number, candidate in enumerate(self.session.candidates, 1):
            yield f"{number:>3}  {_shown(candidate)}"


def parse(line: str) -> tuple[str, str]:
    """Return the command of a line and its argument. Raises ValueError for an unknown command.

    >>> parse("今日は"), parse(""), parse("2"), parse("/t 0.5"), parse("/begin 2024")
    (('begin', '今日は'), ('continue', ''), ('choose', '2'), ('temperature', '0.5'), ('begin', '2024'))
    """
    if not line.strip():
        return "continue", ""
    if line.strip().isdecimal():
        return "choose", line.strip()
    if not line.startswith("/"):
        return "begin", line
    word, _space, argument = line[1:].partition(" ")
    matching = [name for name in COMMANDS if word and name.startswith(word)]
    if len(matching) != 1:
        raise ValueError(
            _("/{word}: no command; /help lists them, and /begin TEXT begins with any text").format(word=word[:20])
        )
    return matching[0], argument


def _shown(candidate: Candidate) -> str:
    """Return a candidate as one or more lines, those after the first indented."""
    if candidate.probability is None:
        return candidate.text.replace("\n", "\n     ")
    token = _("(end of the post)") if candidate.ends else _SHOWN.get(candidate.text, candidate.text)
    return f"{candidate.probability:>6.1%}  {token}"
