"""Training by this package, by the loop of notes 003, and by the usual code for Gluon and PyTorch.

Each program runs in a process of its own (`bench_process`), so a library is imported only by the class that uses it.
All train with Adam, clip the global gradient norm to 1, and carry the detached state from window to window. Sizes: N
lanes, T steps, H hidden units, V tokens; ids (T, N).
"""

from __future__ import annotations

import math
import time
from typing import Any, Callable

import numpy as np
from bench_process import peak_memory

from gluon_lstm.system import available_cores

LEARNING_RATE, CLIP = 3e-3, 1.0
WINDOWS = 16  # different windows, read in a cycle
ADAM_OPTIONS: tuple[dict[str, bool], ...] = (
    {"fused": True},
    {"foreach": True},
    {"foreach": False},
)  # implementations in PyTorch


def zipf_ids(V: int, T: int, N: int, seed: int = 1) -> np.ndarray:
    """Return random ids (WINDOWS*T + 1, N) with the frequencies of Zipf's law."""
    weights = 1 / (np.arange(V) + 2.7)  # Zipf-Mandelbrot
    return np.random.default_rng(seed).choice(V, (WINDOWS * T + 1, N), p=weights / weights.sum()).astype(np.int32)


class Training:
    """Training of one program at one size."""

    def __init__(self, name: str, N: int, T: int, H: int, V: int) -> None:
        self.T, self.ids = T, zipf_ids(V, T, N)
        self.model = TRAINERS[name](N, H, V)
        self.state, self.position = self.model.begin_state(), 0
        self.model.tune(*self._window(0))

    def check(self, updates: int) -> list[float]:
        """Return the losses of updates on one window from the zero state; also warms up."""
        x, y = self._window(0)
        return [self.model.update(x, y, self.model.begin_state())[0] for _ in range(updates)]

    def measure(self, updates: int) -> float:
        """Return seconds per update, the mean of `updates`."""
        return self._timed(updates, self._update)

    def gradients(self, updates: int) -> float:
        """Return seconds per forward and backward pass."""
        return self._timed(updates, self.model.gradients)

    def peak_memory(self) -> int:
        return peak_memory()

    def settings(self) -> str:
        return self.model.settings

    def _update(self, x: Any, y: Any) -> None:
        _, self.state = self.model.update(x, y, self.state)

    def _timed(self, count: int, work: Callable[[Any, Any], Any]) -> float:
        """Return seconds per call. The first call is not timed: the CPU caches hold data of other processes."""
        windows = [self._window(self.position + k) for k in range(count + 1)]
        self.position += len(windows)
        work(*windows[0])
        self.model.wait()
        start = time.perf_counter()
        for window in windows[1:]:
            work(*window)
        self.model.wait()
        return (time.perf_counter() - start) / count

    def _window(self, k: int) -> tuple[Any, Any]:
        start = k % WINDOWS * self.T
        rows = self.ids[start : start + self.T + 1]
        return self.model.window(rows[:-1], rows[1:])


class Ours:
    """This package as `gluon-lstm train` uses it, without dropout."""

    settings = ""

    def __init__(self, N: int, H: int, V: int) -> None:
        from gluon_lstm.compat import mx
        from gluon_lstm.training.recipe import recipe_of
        from gluon_lstm.training.trainer import Trainer

        recipe = recipe_of("standard", hidden=H, dropout=0.0, input_dropout=0.0, recurrent_dropout=0.0, clip=CLIP)
        self.trainer, self.N, self.wait = Trainer(recipe, V), N, mx.nd.waitall

    def begin_state(self) -> Any:
        return self.trainer.begin_state(self.N)

    def tune(self, x: Any, y: Any) -> None:
        pass

    def window(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        return x, y

    def update(self, x: Any, y: Any, state: Any) -> tuple[float, Any]:
        h, c = state
        loss, h, c = self.trainer.update(x, y, h, c, LEARNING_RATE)
        return loss, [h, c]

    def gradients(self, x: Any, y: Any) -> None:
        self.trainer.gradients(x, y, *self.begin_state())
        self.wait()  # as an update does before it reads the gradients


class Notes:
    """Loop of notes 003: dense one-hot inputs, one operator for each term of a gate, a softmax at each step.

    Differences from the notes: Adam and clipping, as in all programs here, and one-hot arrays created by one operator
    (before training, not timed).
    """

    settings = ""

    def __init__(self, N: int, H: int, V: int) -> None:
        from gluon_lstm.compat import mx

        self.nd, self.autograd, self.wait = mx.nd, mx.autograd, mx.nd.waitall
        self.N, self.H, self.V = N, H, V
        shapes = [*[(V, H)] * 4, *[(H, H)] * 4, *[(H,)] * 4, (H, V), (V,)]
        self.params = [mx.nd.random_normal(shape=shape) * 0.01 for shape in shapes]
        self.moments = [(mx.nd.zeros_like(param), mx.nd.zeros_like(param)) for param in self.params]
        self.steps = 0
        for param in self.params:
            param.attach_grad()

    def begin_state(self, N: int | None = None) -> Any:
        return [self.nd.zeros((N or self.N, self.H)) for _ in range(2)]

    def tune(self, x: Any, y: Any) -> None:
        pass

    def window(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        return self.nd.one_hot(self.nd.array(x), self.V), self.nd.one_hot(self.nd.array(y), self.V)  # (T, N, V)

    def softmax(self, y_linear: Any, temperature: float = 1.0) -> Any:
        nd = self.nd
        exp = nd.exp((y_linear - nd.max(y_linear)) / temperature)
        return exp / nd.sum(exp, axis=0, exclude=True).reshape((-1, 1))

    def lstm_rnn(self, inputs: Any, h: Any, c: Any, temperature: float = 1.0) -> tuple[list[Any], Any, Any]:
        nd = self.nd
        Wxg, Wxi, Wxf, Wxo, Whg, Whi, Whf, Who, bg, bi, bf, bo, Why, by = self.params
        outputs = []
        for X in inputs:
            g = nd.tanh(nd.dot(X, Wxg) + nd.dot(h, Whg) + bg)
            i = nd.sigmoid(nd.dot(X, Wxi) + nd.dot(h, Whi) + bi)
            f = nd.sigmoid(nd.dot(X, Wxf) + nd.dot(h, Whf) + bf)
            o = nd.sigmoid(nd.dot(X, Wxo) + nd.dot(h, Who) + bo)
            c = f * c + i * g
            h = o * nd.tanh(c)
            outputs.append(self.softmax(nd.dot(h, Why) + by, temperature))
        return outputs, h, c

    def update(self, x: Any, y: Any, state: Any) -> tuple[float, Any]:
        nd = self.nd
        with self.autograd.record():
            outputs, h, c = self.lstm_rnn(x, *state)
            loss: Any = 0.0
            for output, label in zip(outputs, y):
                loss = loss - nd.mean(nd.sum(label * nd.log(output), axis=0, exclude=True))
            loss = loss / len(outputs)
        loss.backward()
        self._adam()
        return float(loss.asscalar()), [h.detach(), c.detach()]

    def _adam(self) -> None:
        nd = self.nd
        self.steps += 1
        scale = min(1.0, CLIP / _global_norm(nd, [param.grad for param in self.params]))
        rate = LEARNING_RATE * math.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for param, (mean, variance) in zip(self.params, self.moments):
            nd.adam_update(param, param.grad, mean, variance, out=param, lr=rate, rescale_grad=scale)


def _global_norm(nd: Any, gradients: list[Any]) -> float:
    """Return the global norm as `gluon.utils.clip_global_norm`, computed by one operator."""
    return math.sqrt(float(nd.multi_sum_sq(*gradients, num_arrays=len(gradients)).sum().asscalar()))


class Gluon:
    """Gluon: Embedding, rnn.LSTM and Dense, hybridized with static memory."""

    settings = ""

    def __init__(self, N: int, H: int, V: int) -> None:
        from gluon_lstm.compat import mx

        gluon = mx.gluon

        class LanguageModel(gluon.HybridBlock):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.embedding = gluon.nn.Embedding(V, H)
                self.lstm = gluon.rnn.LSTM(H, input_size=H)
                self.output = gluon.nn.Dense(V, in_units=H, flatten=False)

            def hybrid_forward(self, F: Any, x: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
                hidden, (h, c) = self.lstm(self.embedding(x), [h, c])
                return self.output(hidden), h, c

        self.nd, self.autograd, self.wait = mx.nd, mx.autograd, mx.nd.waitall
        self.N, self.H, self.V = N, H, V
        self.model = LanguageModel()
        self.model.initialize()
        self.loss = gluon.loss.SoftmaxCrossEntropyLoss()
        for block in (self.model, self.loss):
            block.hybridize(static_alloc=True, static_shape=True)
        params = self.model.collect_params()
        self.params = list(params.values())
        self.trainer = gluon.Trainer(params, "adam", {"learning_rate": LEARNING_RATE}, kvstore=None)

    def begin_state(self) -> Any:
        return [self.nd.zeros((1, self.N, self.H)) for _ in range(2)]

    def tune(self, x: Any, y: Any) -> None:
        pass

    def window(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        return self.nd.array(x, dtype="int32"), self.nd.array(y, dtype="int32")

    def update(self, x: Any, y: Any, state: Any) -> tuple[float, Any]:
        with self.autograd.record():
            logits, h, c = self.model(x, *state)
            loss = self.loss(logits.reshape((-1, self.V)), y.reshape(-1)).mean()
        loss.backward()
        # `step` divides the gradients by its argument, so clipping needs no extra pass
        self.trainer.step(max(1.0, _global_norm(self.nd, [param.grad() for param in self.params]) / CLIP))
        return float(loss.asscalar()), [h.detach(), c.detach()]


def torch_model(V: int, H: int, dropout: float = 0.0) -> Any:
    """Return Embedding, LSTM and Linear, with dropout on embedding and hidden states, not on the recurrence."""
    import torch

    class LanguageModel(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(V, H)
            self.lstm = torch.nn.LSTM(H, H)
            self.output = torch.nn.Linear(H, V)
            self.dropout = torch.nn.Dropout(dropout)

        def forward(self, x: Any, state: Any = None) -> tuple[Any, Any]:
            hidden, state = self.lstm(self.dropout(self.embedding(x)), state)
            return self.output(self.dropout(hidden)), state

    return LanguageModel()


class Torch:
    """PyTorch, with the fastest of its three implementations of Adam."""

    def __init__(self, N: int, H: int, V: int, dropout: float = 0.0) -> None:
        import torch

        torch.manual_seed(1)
        torch.set_num_threads(available_cores())
        self.torch, self.model = torch, torch_model(V, H, dropout)
        self._choose(ADAM_OPTIONS[0])

    def _choose(self, adam: dict[str, bool]) -> None:
        self.optimizer = self.torch.optim.Adam(self.model.parameters(), LEARNING_RATE, **adam)
        self.settings = f"Adam {adam}"

    def begin_state(self) -> Any:
        return None

    def tune(self, x: Any, y: Any) -> None:
        """Select the fastest Adam, and restore the weights."""
        weights = {name: value.clone() for name, value in self.model.state_dict().items()}
        seconds = []
        for adam in ADAM_OPTIONS:
            self._choose(adam)
            self.update(x, y, None)
            each = []
            for _ in range(3):
                start = time.perf_counter()
                self.update(x, y, None)
                each.append(time.perf_counter() - start)
            seconds.append(min(each))
        self.model.load_state_dict(weights)
        self._choose(ADAM_OPTIONS[seconds.index(min(seconds))])

    def window(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        return tuple(self.torch.from_numpy(ids.astype(np.int64)) for ids in (x, y))

    def update(self, x: Any, y: Any, state: Any, rate: float = LEARNING_RATE) -> tuple[float, Any]:
        torch = self.torch
        self.optimizer.param_groups[0]["lr"] = rate
        logits, state = self.model(x, state)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        return loss.item(), tuple(part.detach() for part in state)

    def wait(self) -> None:
        pass


TRAINERS: dict[str, Callable[[int, int, int], Any]] = {"ours": Ours, "notes": Notes, "gluon": Gluon, "pytorch": Torch}
