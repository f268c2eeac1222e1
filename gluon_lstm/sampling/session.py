"""Writing session: a person and a model write one text together. No terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from gluon_lstm.files import atomic_write, check_new
from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.progress import Notice, ignore
from gluon_lstm.sampling.generator import TextGenerator, fresh_seed, rng_for
from gluon_lstm.sampling.options import SamplingOptions, SessionOptions

PICKED = 10  # tokens that the picker offers
RAW_LENGTH = 60  # default length of a continuation of a raw model, in characters


@dataclass(frozen=True)
class Candidate:
    """A continuation of the text, or a next token with its probability; `ends`: the post is complete as it is."""

    text: str
    probability: float | None = None
    ends: bool = False


class WritingSession:
    """A text, candidates that continue it, and the texts before the last changes.

    The text stays as a person wrote it; the model reads it cleaned like its posts. The same seed and the same calls
    give the same candidates.
    """

    def __init__(
        self,
        model: Model,
        options: SessionOptions | None = None,
        sampling: SamplingOptions | None = None,
        notice: Notice = ignore,
    ) -> None:
        self.options = options or SessionOptions()
        self.raw = model.codec.settings.raw
        self.text = ""
        self.candidates: list[Candidate] = []
        self._generator = TextGenerator(model, sampling, notice)
        self._seed = fresh_seed() if self.options.seed is None else self.options.seed
        self._drawn = 0  # continuations drawn so far; each has its own random numbers
        self._history: list[tuple[str, list[Candidate]]] = []  # what `undo` restores

    @property
    def temperature(self) -> float:
        return self._generator.options.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        """Set the sampling temperature of the next candidates. Raises ValueError for an invalid one."""
        self._generator.options = replace(self._generator.options, temperature=value)

    def write(self, text: str) -> None:
        """Replace the text: a new beginning, or the text after an edit."""
        self._history.append((self.text, self.candidates))
        self.text, self.candidates = text, []

    def propose(self) -> None:
        """Set `candidates` to new continuations of the text, or to the likeliest next tokens."""
        self.candidates = self._next_tokens() if self.options.picker else self._continuations()

    def choose(self, number: int) -> Candidate:
        """Append candidate `number`, counted from 1, to the text, and return it. Raises ValueError if there is none."""
        if not 1 <= number <= len(self.candidates):
            offered = _("none are offered now")
            if self.candidates:
                offered = _("choose 1 to {candidates}").format(candidates=len(self.candidates))
            raise ValueError(
                _("no continuation {number}: {offered}; an empty line offers new ones").format(
                    number=number, offered=offered
                )
            )
        candidate = self.candidates[number - 1]
        self.write(self.text + candidate.text)
        return candidate

    def undo(self) -> None:
        """Restore text and candidates before the last change of the text. Raises ValueError if there is none."""
        if not self._history:
            raise ValueError(_("nothing to undo: the text is as it was at the beginning"))
        self.text, self.candidates = self._history.pop()

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write the text and a newline to `path`, atomically, as UTF-8.

        Raises FileExistsError for an existing file without `overwrite`, ValueError for an empty text.
        """
        if not self.text:
            raise ValueError(_("the text is empty: write or choose a beginning before it is saved"))
        if not overwrite:
            check_new(path, _("use another name, or /overwrite in place of /save"))
        with atomic_write(path, "wb") as file:
            file.write(f"{self.text}\n".encode("utf-8", "replace"))  # a vocabulary may contain lone surrogates

    def _continuations(self) -> list[Candidate]:
        """Return different continuations of the text, each to the end of its post or `length` characters long."""
        first, self._drawn = self._drawn, self._drawn + self.options.continuations
        rngs = [rng_for(self._seed, k) for k in range(first, self._drawn)]
        prefix = self._generator.prefix(self.text)
        length, posts = (self.options.length or RAW_LENGTH, None) if self.raw else (None, 1)
        texts = self._generator.generate_posts(prefix, rngs, length, posts)
        continuations = (text[0][len(prefix.text) :][: self.options.length] for text in texts)
        return list(map(Candidate, dict.fromkeys(continuations)))

    def _next_tokens(self) -> list[Candidate]:
        """Return the likeliest next tokens, the likeliest first."""
        totals = self._generator.next_texts(self._generator.prefix(self.text))
        likeliest = sorted(totals.items(), key=lambda item: (-item[1], item[0] or ""))[:PICKED]
        return [Candidate(text or "", p, ends=text is None) for text, p in likeliest]
