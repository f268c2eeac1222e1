"""Evaluation of a model during training: its loss on the validation set, and a sample."""

from __future__ import annotations

from gluon_lstm.model import Model
from gluon_lstm.sampling.generator import TextGenerator, rng_for
from gluon_lstm.sampling.inference_cell import InferenceCell
from gluon_lstm.sampling.options import SamplingOptions
from gluon_lstm.sampling.prefix import Prefix
from gluon_lstm.sampling.scoring import Score, score
from gluon_lstm.text.corpus import Corpus
from gluon_lstm.training.recipe import Recipe


def validate(model: Model, corpus: Corpus) -> Score:
    """Score a model on the validation set, read as one stream with carried state and without dropout."""
    cell = InferenceCell(model.arrays, model.config)
    return score(cell, corpus.codec, corpus.validation, corpus.validation_chars)


def sample(model: Model, prefix: Prefix, recipe: Recipe, steps: int) -> str:
    """Generate `sample_length` characters after the prefix. The random generator depends on the seed and the step."""
    generator = TextGenerator(model, SamplingOptions(temperature=recipe.temperature))
    return "".join(generator.stream(prefix, rng_for(recipe.seed, steps), recipe.sample_length))[:-1]
