"""Base of a run: the model whose weights are its start, and what follows from it for text and recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gluon_lstm.language import _
from gluon_lstm.model import Model
from gluon_lstm.pretrained.transfer import check_text, transfer, usable_tokens
from gluon_lstm.progress import Notice
from gluon_lstm.text.corpus import Corpus, TokenizedFiles
from gluon_lstm.text.scripts import is_japanese
from gluon_lstm.text.settings import TextSettings
from gluon_lstm.text.vocabulary import Vocabulary
from gluon_lstm.training.recipe import AUTO, NO_BASE, STANDARD, Recipe, recipe_of

DEFAULT_BASE = "ja"
# Hyperparameters that continue a trained model, as measured in docs/pretrained.md. The text is read few times: a model
# that already knows the language begins to memorize after some epochs.
FINE_TUNING = {
    "epochs": 9,
    "batch_size": 12,
    "learning_rate": 2e-3,
    "dropout": 0.3,
    "input_dropout": 0.05,
    "recurrent_dropout": 0.3,
    "weight_decay": 0.1,
    "patience": 0.5,
}


@dataclass(frozen=True)
class Base:
    """A model to start from. `name`: as the user calls it, without folders, which could name a person."""

    name: str
    model: Model

    @classmethod
    def load(cls, path: str, settings: TextSettings, given: Mapping[str, Any]) -> Base:
        """Return the model `path`. Raises ValueError if it contradicts text settings or given options, and OSError."""
        base = cls(Path(path).name, Model.load(path))
        check_text(base.model, settings, base.name)
        base.check(given)
        return base

    def check(self, given: Mapping[str, Any]) -> None:
        """Raise ValueError for a given option of the recipe that contradicts the model."""
        for option, value in asdict(self.model.config).items():
            if given.get(option, value) != value:
                raise ValueError(
                    _(
                        "`{option}` {given}: the model {name} has {value}; leave the option out, or use `from_` {none}"
                    ).format(option=option, given=given[option], name=self.name, value=value, none=NO_BASE)
                )
        if "init" in given:
            raise ValueError(
                _(
                    "`init` {given}: the weights are those of {name}; leave the option out, or use `from_` {none}"
                ).format(given=given["init"], name=self.name, none=NO_BASE)
            )

    def recipe(self, recipe: Recipe, given: Mapping[str, Any]) -> Recipe:
        """Return the recipe of a run: the size of the model and, for the standard recipe, values for fine-tuning.

        A number of updates replaces the number of epochs; minutes do not.
        """
        tuned = dict(FINE_TUNING) if recipe.name == STANDARD.name else {}
        if "steps" in given:
            tuned.pop("epochs", None)
        values = {**asdict(self.model.config), **tuned, **given, "raw": recipe.raw, "from_": self.name}
        return recipe_of(recipe.name, **values)

    def arrays(self, vocabulary: Vocabulary, notice: Notice) -> Mapping[str, np.ndarray]:
        """Return the initial weights for a vocabulary, and report what is taken over."""
        found = transfer(self.model, vocabulary)
        notice(
            _(
                "starts from {name}: its cell, and the weights of {known:,} tokens; {new:,} tokens that it"
                " does not know begin at the mean"
            ).format(name=self.name, known=found.known, new=found.new)
        )
        return found.arrays


def given_base(recipe: Recipe, settings: TextSettings, given: Mapping[str, Any]) -> Base | None:
    """Return the model that the recipe names, None if it names none. Raises the errors of `Base.load`."""
    return None if recipe.from_ in (AUTO, NO_BASE) else Base.load(recipe.from_, settings, given)


def default_base(recipe: Recipe, files: TokenizedFiles, given: Mapping[str, Any], notice: Notice) -> Base | None:
    """Return the default model where it serves a text: for posts in Japanese, as characters.

    Given options that contradict it, and an installation without it, are reported.
    """
    settings = files.settings
    if recipe.from_ != AUTO or settings.raw or settings.tokenizer != "char" or not is_japanese(files.counts):
        return None
    try:
        return Base.load(DEFAULT_BASE, settings, given)
    except ValueError as error:
        notice(_("starts from random weights: {error}").format(error=error))
        return None


def prepare_run(
    files: TokenizedFiles, base: Base | None, recipe: Recipe, given: Mapping[str, Any], notice: Notice
) -> tuple[Corpus, Recipe, Mapping[str, np.ndarray] | None]:
    """Return corpus, recipe and initial weights of a run on `files` from `base`; without it the weights are None.

    `given`: the options of the recipe that the user chose; they stay as they are.
    """
    if base is None:
        return files.corpus(), replace(recipe, from_=NO_BASE), None
    corpus = files.corpus(usable_tokens(base.model.vocabulary, files.counts))
    return corpus, base.recipe(recipe, given), base.arrays(corpus.codec.vocabulary, notice)
