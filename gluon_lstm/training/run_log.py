"""Log lines at the start of a training run, and at its resume."""

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
    """Return the sizes of text, model and run, and the baselines."""
    corpus, trainer, V = run.corpus, run.trainer, len(run.corpus.codec.vocabulary)
    lines = []
    if (run.recipe.batch_size, run.recipe.seq_len) != (run.N, run.T):
        lines.append(f"the text is short: batch size reduced to {run.N} lanes, windows to {run.T} steps")
    minutes = run.limits.seconds_left(run.elapsed, trainer.time_step(*next(run.windows()))) / 60
    lines += [
        f"{corpus.posts:,} posts, {corpus.characters:,} characters; vocabulary {V:,};"
        f" {len(corpus.train):,} training tokens, {len(corpus.validation):,} validation tokens",
        f"{trainer.W.count():,} parameters on {describe(trainer.W.ctx)}; an epoch is {run.steps_per_epoch:,} updates"
        f" of {run.N} x {run.T} tokens; about {minutes:.1f} minutes{' more' if trainer.steps else ''}",
    ]
    if run.baselines:
        costs = [f"{name} {loss:.3f} = {_bits_per_character(corpus, loss):.3f}" for name, loss in run.baselines.items()]
        lines.append(f"baselines, nats per token = bits per character: {'; '.join(costs)}")
    elif run.recipe.validation:
        lines.append("the text is too short for a validation set")
    return lines


def resumption(run: Run, found: Checkpoint) -> list[str]:
    """Return where a run resumes, and which settings or library versions have changed."""
    lines = [f"resuming from step {found.steps:,}, after {found.state.seconds:,.0f} s of training"]
    before, here = found.environment, run.environment
    other = [f"{name} {before.get(name)} -> {here[name]}" for name in here if here[name] != before.get(name)]
    if other:
        lines.append(f"another environment than at the start ({', '.join(other)}): the last digits may differ")
    if found.run_config != run.run_config and not run.is_over:
        lines.append(
            f"the limit has changed: the run is now {100 * run.done:.0f} % complete, and the learning rate continues"
            f" its new schedule at {run.learning_rate():.3g}"
        )
    return lines


def _bits_per_character(corpus: Corpus, loss: float) -> float:
    """Convert nats per token of the validation set to bits per character."""
    ids, unknown = corpus.validation, corpus.codec.vocabulary.unknown
    return Score(loss * len(ids), len(ids), int(np.sum(ids == unknown)), corpus.validation_chars).bpc
