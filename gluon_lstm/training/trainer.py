"""One update: a window of ids -> loss -> gradients of the arrays -> new arrays."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from gluon_lstm.compat import mx
from gluon_lstm.lstm import fused, initializers, scratch
from gluon_lstm.lstm.fast import window as fast
from gluon_lstm.lstm.fast.inplace_function import is_viewable, view_or_copy
from gluon_lstm.lstm.parameters import Parameters
from gluon_lstm.training.optimizer import SGD, Adam, Optimizer, clip_coef, global_norm
from gluon_lstm.training.recipe import Recipe

MAX_UPDATE_NORM = 1e30  # of an update by SGD: far from what float32 can hold, so that weights stay finite numbers


class TrainingError(ValueError):
    """Training that went astray; the message says where."""


def random(recipe: Recipe, purpose: str, count: int = 0) -> np.random.Generator:
    """The generator for one purpose and occasion of a run: nothing random has a state that must be kept."""
    return np.random.default_rng([recipe.seed, *purpose.encode(), count])


class Trainer:
    """The weights of one run on one device, and the way they are changed."""

    def __init__(
        self,
        recipe: Recipe,
        V: int,
        ctx: Any = None,
        arrays: Mapping[str, np.ndarray] | None = None,
        counts: np.ndarray | None = None,
    ) -> None:
        """`arrays`: weights to begin with, instead of new ones as the recipe wants them; `counts` (V,): how often each
        token occurs, for those.
        """
        self.recipe = recipe
        if arrays is None:
            rng = random(recipe, "weights")
            if recipe.weights == "standard":
                arrays = initializers.standard(recipe.config, V, rng, counts=counts)
            else:
                arrays = initializers.notes(recipe.config, V, rng)
        self.W = Parameters(arrays, ctx, config=recipe.config)
        adam = recipe.optimizer == "adam"
        rates = (recipe.input_rate, recipe.output_rate, recipe.weight_decay)
        self.optimizer: Optimizer = Adam(self.W, *rates) if adam else SGD()
        self.cell: Any = scratch if recipe.cell == "scratch" else fast if is_viewable(self.W.by) else fused
        self.steps = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that updates change: the weights under their names, and what the optimizer remembers.

        Not copies where the memory can be seen: the next update changes them.
        """
        return {**self.weights(), **self.optimizer.arrays()}

    def weights(self) -> dict[str, np.ndarray]:
        """The weights alone, in the same way."""
        return {name: view_or_copy(param) for name, param in self.W.items()}

    def restore(self, arrays: Mapping[str, np.ndarray], steps: int) -> None:
        """Go on from what `arrays` gave behind so many steps."""
        self.W.assign(arrays)
        self.optimizer.restore(arrays)
        self.steps = steps

    def begin_state(self, N: int) -> tuple[Any, Any]:
        """The zero state (h, c), each (N, H), or for L layers (L*N, H)."""
        return scratch.begin_state(N, self.W)

    def update(self, x: np.ndarray, y: np.ndarray, h: Any, c: Any, rate: float) -> tuple[float, Any, Any]:
        """One step of training on ids x, y (T, N): the loss before it (nats a token), and the state carried on.

        Raises TrainingError, with the weights left as they were, when the loss or the gradients are not finite.
        """
        loss, h, c = self.gradients(x, y, h, c)
        mx.nd.waitall()  # from here on the memory of the arrays is ours
        ids = np.unique(x)
        norm = global_norm(self.W, ids)
        scale = clip_coef(norm, self.recipe.clip) if self.recipe.clip else 1.0
        value = float(loss.asscalar())
        if not np.isfinite(value) or not rate * scale * norm < MAX_UPDATE_NORM:  # which NaN is not, either
            raise TrainingError(
                f"the loss is no longer a finite number (step {self.steps + 1}, learning rate {rate:.3g}): the"
                " gradients have exploded"
            )
        self.optimizer.update(self.W, rate, scale, ids)
        self.steps += 1
        return value, h, c

    def gradients(self, x: np.ndarray, y: np.ndarray, h: Any, c: Any) -> tuple[Any, Any, Any]:
        """The loss of a window (its gradients are then in W), and the last state, cut off from the graph."""
        input_mask = self._mask("input rows", self.recipe.input_dropout, (*x.shape, 1))
        hidden_mask = self._mask("hidden states", self.recipe.dropout, (self.recipe.layers * x.size, self.W.H))
        with self._fewer_recurrent_weights():
            with mx.autograd.record():
                loss, h, c = self.cell.loss(x, y, h, c, self.W, input_mask, hidden_mask)
            loss.backward()
        return loss, h.detach(), c.detach()

    @contextmanager
    def _fewer_recurrent_weights(self) -> Iterator[None]:
        """DropConnect: a share of the recurrent weights is 0 for one window, the same ones at each step of it.

        (Merity, Keskar & Socher 2018, arXiv:1708.02182, section 2.) A weight that was 0 has no gradient.
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
            keep = mx.nd.array(mask, ctx=self.W.ctx)
            dropped.append((param, param.copy(), keep))
            param *= keep
        try:
            yield
        finally:
            mx.nd.waitall()  # the gradients are computed from the memory of the weights
            for param, whole, keep in dropped:
                param[:] = whole
                param.grad[:] = param.grad * keep

    def time_step(self, x: np.ndarray, y: np.ndarray) -> float:
        """Seconds that one update takes, measured without changing anything. The first of two runs warms MXNet up."""
        for _ in range(2):
            start = time.perf_counter()
            self.gradients(x, y, *self.begin_state(x.shape[1]))[0].asscalar()
        return time.perf_counter() - start

    def _mask(self, purpose: str, P: float, shape: tuple[int, ...]) -> Any:
        """Dropout: 0 for a share P of the places, 1 / (1 - P) for the others; None where P is 0.

        It acts on what goes upward, never on the recurrence (Zaremba, Sutskever & Vinyals 2014, arXiv:1409.2329).
        """
        if not P:
            return None
        kept = random(self.recipe, purpose, self.steps).integers(0, 1 << 16, shape, dtype=np.uint16) >= P * (1 << 16)
        return np.multiply(kept, np.float32(1 / (1 - P)), dtype=np.float32)
