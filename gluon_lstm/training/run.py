"""A training run: epochs over the corpus, validation, samples, and what is left in the run's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from gluon_lstm import __version__
from gluon_lstm.context import describe
from gluon_lstm.model import BEST, LAST, Model
from gluon_lstm.progress import Advance, Notice, Progress, ignore, silent
from gluon_lstm.sampling.cell import Cell
from gluon_lstm.sampling.generator import Generator, generator_of
from gluon_lstm.sampling.prefix import Prefix
from gluon_lstm.sampling.sampler import SamplingOptions
from gluon_lstm.sampling.scoring import Score, score
from gluon_lstm.text import lanes
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training import history
from gluon_lstm.training.baselines import baselines
from gluon_lstm.training.folder import CURVE, HISTORY, SAMPLES
from gluon_lstm.training.history import History, Record
from gluon_lstm.training.interrupt import heard_between_steps
from gluon_lstm.training.recipe import Recipe, learning_rate
from gluon_lstm.training.trainer import Trainer, random

RECORD_STEPS = 50  # a record at least this often
OFTEN = 30.0  # seconds of training after which it is time to validate, to sample, to save
VALIDATION_SHARE = 0.05  # of the time, at the most


class Run:
    """One corpus, one recipe, one folder.

    `run()` leaves best.safetensors (the weights that did best on the held-back part, where there is one),
    last.safetensors, history.jsonl, samples.txt and curve.png. Raises ValueError for a text too short to train on.
    `validate_every` so many seconds of training, whatever it costs (None: as often as costs little).
    """

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        out: Path,
        ctx: Any = None,
        prefix: str = "",
        notice: Notice = ignore,
        progress: Progress = silent,
        validate_every: float | None = None,
    ) -> None:
        self.corpus, self.recipe, self.out = corpus, recipe, out
        self.notice, self.progress, self.validate_every = notice, progress, validate_every
        self.trainer = Trainer(recipe, len(corpus.codec.vocabulary), ctx, counts=corpus.counts)
        if len(corpus.train) < 2:
            raise ValueError("the text has one token only: a model needs at least two to learn what follows what")
        usable = len(corpus.train) - (recipe.layout == "notebook")  # its last target lies behind its last input
        self.N, self.T = lanes.fit(usable, recipe.batch_size, recipe.seq_len)
        self.steps_per_epoch = lanes.windows_per_epoch(usable, self.N, self.T)
        self.prefix = Prefix(prefix, corpus.codec, notice)
        self.baselines = baselines(corpus) if len(corpus.held_back) else {}
        self.history = History(out / HISTORY)
        self.epoch = self.tokens = 0
        self.seconds = 0.0  # of training alone
        self.moving_loss: float | None = None
        self.best: Score | None = None
        self._done_at_best = 0.0
        self._losses: list[float] = []  # since the last record
        self._validated_at = self._saved_at = self._sampled_at = 0.0
        self._validation_seconds = 0.0  # that the last one took

    @property
    def done(self) -> float:
        """The share of the run that is behind, by the limit that is nearest: 0 to 1."""
        steps, recipe = self.trainer.steps, self.recipe
        shares = [
            recipe.steps and steps / recipe.steps,
            recipe.epochs and steps / (recipe.epochs * self.steps_per_epoch),
            recipe.minutes and self.seconds / (recipe.minutes * 60),
        ]
        return min(max(share or 0.0 for share in shares), 1.0)

    @property
    def is_over(self) -> bool:
        """A limit is reached, or validation has not got better for too long."""
        patience = self.recipe.patience
        return self.done >= 1 or bool(patience and self.best and self.done - self._done_at_best > patience)

    def opening(self) -> list[str]:
        """What a reader of the log wants to know first."""
        corpus, V = self.corpus, len(self.corpus.codec.vocabulary)
        lines = []
        if (self.recipe.batch_size, self.recipe.seq_len) != (self.N, self.T):
            lines.append(f"the text is short: it can fill a batch of {self.N} lanes and windows of {self.T} steps")
        lines += [
            f"{corpus.posts:,} posts, {corpus.characters:,} characters; vocabulary {V:,};"
            f" {len(corpus.train):,} tokens to train on, {len(corpus.held_back):,} held back",
            f"{self.trainer.W.count():,} parameters on {describe(self.trainer.W.ctx)}; an epoch is"
            f" {self.steps_per_epoch:,} updates of {self.N} x {self.T} tokens; about"
            f" {self.expected_seconds() / 60:.1f} minutes",
        ]
        if self.baselines:
            told = [f"{name} {loss:.3f} = {self._bits(loss):.3f}" for name, loss in self.baselines.items()]
            lines.append(f"without a network, in nats a token = bits a character: {'; '.join(told)}")
        elif self.recipe.validation:
            lines.append("the text is too short to hold a part of it back")
        return lines

    def _bits(self, loss: float) -> float:
        """Nats a token on the held-back part as bits a character."""
        held, unknown = self.corpus.held_back, self.corpus.codec.vocabulary.unknown
        return Score(loss * len(held), len(held), int(np.sum(held == unknown)), self.corpus.held_units).bpc

    def expected_seconds(self) -> float:
        """About how long the run will take, from the time of one update."""
        update = self.trainer.time_step(*next(self._windows()))
        limits = [
            self.recipe.steps and self.recipe.steps * update,
            self.recipe.epochs and self.recipe.epochs * self.steps_per_epoch * update,
            self.recipe.minutes and self.recipe.minutes * 60,
        ]
        return min(seconds for seconds in limits if seconds)

    def run(self) -> None:
        """Train until the run is over.

        An interrupt (KeyboardInterrupt) goes on to the caller, after the weights so far were saved. Raises
        TrainingError when the loss is no longer a finite number; the weights saved are then the last good ones.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        try:
            with self.progress("training", None, "tokens") as advance, heard_between_steps() as check:
                while not self.is_over:
                    self._run_epoch(advance, check)
                    self.epoch += 1
            if self.done < 1:
                self.notice("validation has stopped improving: the run ends here, and its best weights are kept")
        finally:
            self.model().save(self.out / LAST)
            history.draw(self.history.records, self.out / CURVE, self.baselines)

    def model(self) -> Model:
        """The weights as they are now."""
        about = {"gluon_lstm": __version__, "steps": self.trainer.steps, "recipe": asdict(self.recipe)}
        return Model(self.recipe.configuration, self.corpus.codec, self.trainer.W.to_numpy(), about)

    def _run_epoch(self, advance: Advance, check: Callable[[], None]) -> None:
        h, c = self.trainer.begin_state(self.N)
        for k, (x, y) in enumerate(self._windows(), start=1):
            start = perf_counter()
            rate = learning_rate(self.recipe, self.epoch, self.done)
            loss, h, c = self.trainer.update(x, y, h, c, rate)
            self.seconds += perf_counter() - start
            self.tokens += x.size
            self._losses.append(loss)
            self.moving_loss = loss if self.moving_loss is None else 0.99 * self.moving_loss + 0.01 * loss  # notes 003
            advance(x.size, round(self.tokens / self.done))
            self._measure(rate, ends_epoch=k == self.steps_per_epoch)
            check()
            if self.is_over:
                return

    def _windows(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The windows of this epoch."""
        ids = self.corpus.train
        if self.recipe.layout == "notebook":
            return lanes.notebook(ids, self.N, self.T)
        # The notes begin each epoch at the same place; elsewhere each time, the windows are never cut twice alike.
        start = 0 if self.recipe.name == "notes" else int(random(self.recipe, "lanes", self.epoch).integers(len(ids)))
        return lanes.contiguous(ids, self.N, self.T, start, self.corpus.codec.end_of_post)

    def _measure(self, rate: float, ends_epoch: bool) -> None:
        """Whatever is due behind a step: a record, validation, a sample, the weights on disk."""
        ends = self.is_over  # where patience ends it, only after one more validation
        validates = bool(len(self.corpus.held_back)) and (ends or self._validation_is_due(ends_epoch))
        if validates or ends or ends_epoch or self.trainer.steps % RECORD_STEPS == 0:
            self._record(rate, self._validate() if validates else None, told=validates or ends or ends_epoch)
        if self._sample_is_due(ends, ends_epoch):
            self._sample()
        if self._is_time(self._saved_at):
            self.model().save(self.out / LAST)
            self._saved_at = self.seconds

    def _sample_is_due(self, ends: bool, ends_epoch: bool) -> bool:
        if self.recipe.sample_every:
            return self.trainer.steps % self.recipe.sample_every == 0
        if self.recipe.name == "notes":  # which print one behind each epoch
            return ends_epoch
        return ends or self._is_time(self._sampled_at)

    def _is_time(self, last: float) -> bool:
        return self.seconds - last >= OFTEN

    def _validation_is_due(self, ends_epoch: bool) -> bool:
        since = self.seconds - self._validated_at
        if self.validate_every:
            return since >= self.validate_every
        return (ends_epoch or since >= OFTEN) and since >= self._validation_seconds / VALIDATION_SHARE

    def _validate(self) -> Score:
        start = perf_counter()
        model = self.model()
        cell = Cell(model.arrays, model.configuration)
        result = score(cell, self.corpus.codec, self.corpus.held_back, self.corpus.held_units)
        if self.best is None or result.bpc < self.best.bpc:
            self.best, self._done_at_best = result, self.done
            model.save(self.out / BEST)
        self._validated_at, self._validation_seconds = self.seconds, perf_counter() - start
        return result

    def _record(self, rate: float, held_back: Score | None, told: bool) -> None:
        record = Record(
            step=self.trainer.steps,
            epoch=self.epoch,
            seconds=round(self.seconds, 3),
            tokens=self.tokens,
            train_loss=float(np.mean(self._losses)),
            moving_loss=self.moving_loss,
            val_loss=held_back.loss if held_back else None,
            val_bpc=held_back.bpc if held_back else None,
            val_perplexity=held_back.perplexity if held_back else None,
            learning_rate=rate,
        )
        self._losses = []
        self.history.append(record)
        if told:
            measured = f", held back {held_back.loss:.4f} = {held_back.bpc:.3f} bits a character" if held_back else ""
            self.notice(
                f"Epoch {self.epoch}. Loss: {self.moving_loss:.4f}{measured}"
                f"  (step {record.step}, {self.seconds:.0f} s, {self.tokens / self.seconds:,.0f} tokens/s)"
            )

    def _sample(self) -> None:
        options = SamplingOptions(temperature=self.recipe.temperature)
        rng = generator_of(self.recipe.seed, self.trainer.steps)
        text = "".join(Generator(self.model(), options).text(self.prefix, rng, self.recipe.sample_length))[:-1]
        with open(self.out / SAMPLES, "a", encoding="utf-8", newline="\n") as file:
            file.write(f"== step {self.trainer.steps}, epoch {self.epoch}, loss {self.moving_loss:.4f}\n{text}\n\n")
        self.notice(text)
        self._sampled_at = self.seconds
