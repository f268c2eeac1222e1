"""What a reader of the log wants to know first, of a run that begins and of one that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gluon_lstm.context import describe
from gluon_lstm.sampling.scoring import Score
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from gluon_lstm.training.loop import Run


def opening(run: Run) -> list[str]:
    """The sizes of the text, of the model and of the run, and what prediction costs without a network."""
    corpus, trainer, V = run.corpus, run.trainer, len(run.corpus.codec.vocabulary)
    lines = []
    if (run.recipe.batch_size, run.recipe.seq_len) != (run.N, run.T):
        lines.append(f"the text is short: it can fill a batch of {run.N} lanes and windows of {run.T} steps")
    minutes = run.limits.seconds_left(run.place, trainer.time_step(*next(run.windows()))) / 60
    lines += [
        f"{corpus.posts:,} posts, {corpus.characters:,} characters; vocabulary {V:,};"
        f" {len(corpus.train):,} tokens to train on, {len(corpus.validation):,} held back",
        f"{trainer.W.count():,} parameters on {describe(trainer.W.ctx)}; an epoch is {run.steps_per_epoch:,} updates"
        f" of {run.N} x {run.T} tokens; about {minutes:.1f} minutes{' more' if trainer.steps else ''}",
    ]
    if run.baselines:
        run_config = [f"{name} {loss:.3f} = {_bits(corpus, loss):.3f}" for name, loss in run.baselines.items()]
        lines.append(f"without a network, in nats a token = bits a character: {'; '.join(run_config)}")
    elif run.recipe.validation:
        lines.append("the text is too short to hold a part of it back")
    return lines


def resumption(run: Run, found: Checkpoint) -> list[str]:
    """Where a run that was interrupted goes on, and what is not as it was."""
    lines = [f"going on from step {found.steps:,}, after {found.state.seconds:,.0f} s of training"]
    before, here = found.environment, run.environment
    other = [f"{name} {before.get(name)} -> {here[name]}" for name in here if here[name] != before.get(name)]
    if other:
        lines.append(f"not where the run was begun ({', '.join(other)}): the last digits may come out otherwise")
    if found.run_config != run.run_config and not run.is_over:
        lines.append(
            f"the limit is another one now: {100 * run.done:.0f} % of the run are behind, and the learning rate goes on"
            f" from where its schedule then is, at {run.learning_rate():.3g}"
        )
    return lines


def _bits(corpus: Corpus, loss: float) -> float:
    """Nats a token on the held-back part as bits a character."""
    held, unknown = corpus.validation, corpus.codec.vocabulary.unknown
    return Score(loss * len(held), len(held), int(np.sum(held == unknown)), corpus.validation_chars).bpc
