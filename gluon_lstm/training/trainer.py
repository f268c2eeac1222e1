"""Trainer: one update of the weights, from a window of ids to loss, gradients and new weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.language import _
from gluon_lstm.lstm import fused, initializers, scratch
from gluon_lstm.lstm.fast import window as fast
from gluon_lstm.lstm.fast.inplace_function import is_viewable, view_or_array, view_or_copy
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.numerics import clip_coef
from gluon_lstm.training.optimizer import OPTIMIZERS, global_norm
from gluon_lstm.training.recipe import NO_BASE, Recipe
from gluon_lstm.training.rng import random_uint16, training_rng

ALL_LANES = slice(None)
MAX_UPDATE_NORM = 1e30  # maximum norm of an SGD update: far below the float32 maximum, so weights stay finite


class TrainingError(ValueError):
    """Training diverged; the message names the step."""


class Trainer:
    """Weights and optimizer of a run on one device."""

    def __init__(
        self,
        recipe: Recipe,
        V: int,
        ctx: Any = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        counts: np.ndarray | None = None,
    ) -> None:
        """Initialize the weights as in the recipe, or copy `arrays`. `counts`: those of the tokens in the text (V,)."""
        self.recipe = recipe
        if arrays is None:
            rng = training_rng(recipe, "weights")
            if recipe.init == "standard":
                arrays = initializers.standard(recipe.config, V, rng, counts=counts)
            else:
                arrays = initializers.notes(recipe.config, V, rng)
        self.W = Parameters(arrays, ctx, config=recipe.config)
        self.optimizer = OPTIMIZERS[recipe.optimizer](self.W, recipe)
        self.cell: Any = scratch if recipe.implementation == "scratch" else fast if is_viewable(self.W.by) else fused
        self._outputs = self._trained_outputs(counts)
        self.steps = 0

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the weights and the optimizer state by name: on a CPU views, which the next update changes."""
        return {**self.weights(), **self.optimizer.state_dict()}

    def weights(self) -> dict[str, np.ndarray]:
        """Return the weights by name: on a CPU views, which the next update changes."""
        return {name: view_or_copy(param) for name, param in self.W.items()}

    def load_state_dict(self, arrays: Mapping[str, np.ndarray], steps: int) -> None:
        """Restore what `state_dict` returned after `steps` updates."""
        self.W.assign(arrays)
        self.optimizer.load_state_dict(arrays)
        self.steps = steps

    def begin_state(self, N: int) -> tuple[Any, Any]:
        """Return the zero state (h, c), each (N, H), or (L*N, H) for L layers."""
        return scratch.begin_state(N, self.W)

    def update(self, x: np.ndarray, y: np.ndarray, h: Any, c: Any, rate: float) -> tuple[float, Any, Any]:
        """Update the weights on ids x, y (T, N). Return the loss before the update (nats per token) and the new h, c.

        Raises TrainingError, without changing the weights, if the loss or the gradients are not finite.
        """
        loss, h, c = self.gradients(x, y, h, c)
        ids = np.unique(x)
        norm = global_norm(self.W, ids)
        scale = clip_coef(norm, self.recipe.clip) if self.recipe.clip else 1.0
        value = float(loss.asscalar())
        if not np.isfinite(value) or not rate * scale * norm < MAX_UPDATE_NORM:  # also for NaN
            raise TrainingError(
                _(
                    "the loss or its gradient is not finite (step {steps}, learning rate {rate:.3g}):"
                    " training has diverged"
                ).format(steps=self.steps + 1, rate=rate)
            )
        self.optimizer.update(self.W, rate, scale, ids)
        self.steps += 1
        return value, h, c

    def gradients(self, x: np.ndarray, y: np.ndarray, h: Any, c: Any, lanes: slice = ALL_LANES) -> tuple[Any, Any, Any]:
        """Compute the gradients of some lanes of x, y (T, N) into W; h, c are the state of these lanes.

        Return the loss () and the last state h, c, detached from the graph.
        """
        (T, N), L = x.shape, self.recipe.layers
        input_mask = self._mask("input rows", self.recipe.input_dropout, (T, N, 1), lanes)
        hidden_mask = self._mask("hidden states", self.recipe.dropout, (L * T, N, self.W.H), lanes)
        if hidden_mask is not None:
            hidden_mask = hidden_mask.reshape(-1, self.W.H)
        with self._dropconnect():
            with mx.autograd.record():
                loss, h, c = self.cell.loss(x[:, lanes], y[:, lanes], h, c, self.W, input_mask, hidden_mask)
            loss.backward()
        if self._outputs is not None:
            for param in (self.W.Why, self.W.by):
                gradient = view_or_array(param.grad)
                gradient *= self._outputs
        return loss, h.detach(), c.detach()

    def _trained_outputs(self, counts: np.ndarray | None) -> Any:
        """Return 1 per token whose column of `Why` and entry of `by` are trained, else 0 (V,); None if all are.

        In a run from a model these are the tokens of the text. Each update would lower the logits of the others, at the
        full rate of Adam, though the model has learnt them from more text.
        """
        if counts is None or self.recipe.from_ == NO_BASE or counts.all():
            return None
        trained = (counts > 0).astype(np.float32)
        return trained if is_viewable(self.W.by) else mx.nd.array(trained, ctx=self.W.ctx, dtype=self.W.by.dtype)

    @contextmanager
    def _dropconnect(self) -> Iterator[None]:
        """Set a random part of the recurrent weights to 0 for one window; a dropped weight has no gradient.

        DropConnect on hidden-to-hidden weights, with one mask for all time steps (Merity, Keskar & Socher 2018,
        arXiv:1708.02182, section 2).
        """
        P = self.recipe.recurrent_dropout
        if not P:
            yield
            return
        names = self.W.config.recurrent_names
        H = self.W.H
        masks = self._mask("recurrent weights", P, (len(names), H, H))
        dropped = []
        for name, mask in zip(names, masks):
            param = getattr(self.W, name)
            weights, gradient = view_or_array(param), view_or_array(param.grad)
            if weights is param:
                mask = mx.nd.array(mask, ctx=self.W.ctx, dtype=param.dtype)
            dropped.append((weights, weights.copy(), gradient, mask))
            weights *= mask
        try:
            yield
        finally:
            mx.nd.waitall()  # the backward pass still reads the weights
            for weights, before, gradient, mask in dropped:
                weights[:] = before
                gradient *= mask

    def _mask(self, purpose: str, P: float, shape: tuple[int, int, int], lanes: slice = ALL_LANES) -> Any:
        """Return an inverted dropout mask: 0 with probability P, else 1 / (1 - P); None if P is 0.

        Of some lanes (the second axis) it is the same part of the mask of all.
        It applies between layers, never to the recurrence (Zaremba, Sutskever & Vinyals 2014, arXiv:1409.2329).
        """
        if not P:
            return None
        kept = random_uint16(self.recipe, purpose, self.steps, shape, lanes) >= math.ceil(P * (1 << 16))
        return np.multiply(kept, np.float32(1 / (1 - P)), dtype=np.float32)
