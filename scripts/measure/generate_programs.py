"""Generation and scoring by this package and by PyTorch, generation by the sampler of notes 003; random weights.

Each program runs in a process of its own (`bench_process`).
"""

from __future__ import annotations

import time
from typing import Any, Callable

import numpy as np
from train_programs import Notes, torch_model

from gluon_lstm.blas import blas_kernels
from gluon_lstm.system import available_cores

TEMPERATURE = 0.8


class Writing:
    """Generation, and scoring, by one program, with random weights and a fixed temperature."""

    def __init__(self, name: str, H: int, V: int) -> None:
        self.H, self.V = H, V
        self.writer = WRITERS[name](H, V)

    def measure(self, characters: int) -> float:
        """Return seconds per character of one text."""
        start = time.perf_counter()
        self.writer.write(characters)
        return (time.perf_counter() - start) / characters

    def together(self, count: int, length: int) -> float:
        """Return seconds per character of `count` texts generated as one batch."""
        return self.writer.together(count, length) / (count * length)

    def one_by_one(self, count: int, length: int) -> float:
        """Return seconds per character of `count` texts generated one after another."""
        return self.writer.one_by_one(count, length) / (count * length)

    def score(self, tokens: int) -> float:
        """Return seconds per token of scoring one stream."""
        ids = np.random.default_rng(1).integers(2, self.V, tokens).astype(np.int32)
        start = time.perf_counter()
        self.writer.score(ids)
        return (time.perf_counter() - start) / tokens

    def step_product(self, steps: int) -> float:
        """Return seconds of the recurrent product of a step, alone and repeated."""
        h, W = np.ones(self.H, np.float32), np.ones((self.H, 4 * self.H), np.float32)
        out = np.empty(4 * self.H, np.float32)
        start = time.perf_counter()
        for _ in range(steps):
            np.dot(h, W, out=out)
        return (time.perf_counter() - start) / steps

    def kernels(self) -> str:
        """Return library, kernels and threads of NumPy's products."""
        return "{}, {} kernels, {} threads".format(*blas_kernels())

    def save(self, path: str) -> None:
        self.writer.model.save(path)


def random_model(H: int, V: int) -> Any:
    """Return a model with V - 2 characters and small random weights."""
    from gluon_lstm.config import ModelConfig
    from gluon_lstm.model import Model
    from gluon_lstm.text.codec import Codec
    from gluon_lstm.text.settings import TextSettings
    from gluon_lstm.text.vocabulary import END_OF_POST, UNKNOWN, Vocabulary

    rng = np.random.default_rng(1)
    shapes = ModelConfig(H).shapes(V)
    arrays = {name: (0.1 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
    characters = [chr(ord("一") + k) for k in range(V - 2)]
    return Model(ModelConfig(H), Codec(TextSettings(), Vocabulary([UNKNOWN, END_OF_POST, *characters], 2)), arrays)


class OurWriter:
    """Generation by this package."""

    def __init__(self, H: int, V: int) -> None:
        from gluon_lstm.sampling.generator import TextGenerator
        from gluon_lstm.sampling.options import SamplingOptions

        self.model = random_model(H, V)
        self.generator = TextGenerator(self.model, SamplingOptions(temperature=TEMPERATURE))
        self.prefix = self.generator.prefix("")
        self.written = 0
        self.write(10)

    def write(self, characters: int) -> None:
        for _ in self.generator.stream(self.prefix, self._rngs(1)[0], characters):
            pass

    def score(self, ids: np.ndarray) -> None:
        from gluon_lstm.sampling.scoring import score

        score(self.generator.cell, self.model.codec, ids, len(ids))

    def together(self, count: int, length: int) -> float:
        rngs, start = self._rngs(count), time.perf_counter()
        self.generator.generate_batch(self.prefix, rngs, length=length)
        return time.perf_counter() - start

    def one_by_one(self, count: int, length: int) -> float:
        rngs, start = self._rngs(count), time.perf_counter()
        for rng in rngs:
            "".join(self.generator.stream(self.prefix, rng, length))
        return time.perf_counter() - start

    def _rngs(self, count: int) -> list[np.random.Generator]:
        from gluon_lstm.sampling.generator import rng_for

        self.written += count
        return [rng_for(1, self.written + k) for k in range(count)]


class NotesWriter:
    """Generation by `sample` of notes 003."""

    def __init__(self, H: int, V: int) -> None:
        self.notes, self.V = Notes(1, H, V), V
        np.random.seed(1)
        self.write(10)

    def write(self, characters: int) -> None:
        h, c = self.notes.begin_state()
        input = self._one_hots([1])
        for _ in range(characters):
            outputs, h, c = self.notes.lstm_rnn(input, h, c, temperature=TEMPERATURE)
            choice = np.random.choice(self.V, p=outputs[-1][0].asnumpy())
            input = self._one_hots([choice])

    def _one_hots(self, ids: list[int]) -> Any:
        result = self.notes.nd.zeros((len(ids), self.V))
        for k, id in enumerate(ids):
            result[k, int(id)] = 1.0
        return result.reshape((len(ids), 1, self.V))


class TorchWriter:
    """Generation by PyTorch, one token at a time, with 1 thread or all, whichever is faster."""

    def __init__(self, H: int, V: int) -> None:
        import torch

        torch.manual_seed(1)
        self.torch, self.model = torch, torch_model(V, H).eval()
        seconds = {}
        for threads in (1, available_cores()):
            torch.set_num_threads(threads)
            self.write(50)
            start = time.perf_counter()
            self.write(200)
            seconds[time.perf_counter() - start] = threads
        torch.set_num_threads(seconds[min(seconds)])

    def write(self, characters: int) -> None:
        torch = self.torch
        with torch.inference_mode():
            x, state, ids = torch.ones((1, 1), dtype=torch.long), None, []
            for _ in range(characters):
                logits, state = self.model(x, state)
                x = torch.multinomial(torch.softmax(logits[0] / TEMPERATURE, dim=-1), 1)
                ids.append(x.item())

    def score(self, ids: np.ndarray) -> None:
        """Score 256 tokens at a time, the state carried."""
        torch, state = self.torch, None
        with torch.inference_mode():
            x = torch.from_numpy(ids.astype(np.int64))
            for inputs, targets in zip(x[:-1].split(256), x[1:].split(256)):
                logits, state = self.model(inputs[:, None], state)
                torch.nn.functional.cross_entropy(logits.reshape(len(targets), -1), targets, reduction="sum").item()


WRITERS: dict[str, Callable[[int, int], Any]] = {"ours": OurWriter, "notes": NotesWriter, "pytorch": TorchWriter}
