"""The device that is meant by a name, on machines with and without GPUs."""

from __future__ import annotations

import pytest

from gluon_lstm.compat import mx
from gluon_lstm.context import ContextError, choose, describe


@pytest.mark.parametrize(
    ("name", "gpus", "chosen"),
    [
        ("auto", 0, mx.cpu()),
        ("auto", 1, mx.gpu(0)),
        ("auto", 2, mx.gpu(0)),
        ("cpu", 0, mx.cpu()),
        ("cpu", 2, mx.cpu()),
        ("gpu", 1, mx.gpu(0)),
        ("gpu", 2, mx.gpu(0)),
        ("gpu:0", 1, mx.gpu(0)),
        ("gpu:1", 2, mx.gpu(1)),
        ("gpu:11", 12, mx.gpu(11)),
    ],
)
def test_a_name_means_a_device(name, gpus, chosen):
    assert choose(name, gpus) == chosen


@pytest.mark.parametrize(
    ("name", "gpus", "sees"),
    [
        ("gpu", 0, "sees 0 GPUs; "),
        ("gpu:0", 0, "sees 0 GPUs; "),
        ("gpu:1", 1, "sees 1 GPU (gpu:0 to gpu:0); "),
        ("gpu:2", 2, "sees 2 GPUs (gpu:0 to gpu:1); "),
    ],
)
def test_a_gpu_that_is_not_there_is_refused_in_one_sentence(name, gpus, sees):
    with pytest.raises(ContextError) as error:
        choose(name, gpus)
    sentence = str(error.value)
    assert sentence.startswith(f"{name} is not there: MXNet {mx.__version__} {sees}")
    for told in ("mxnet-cu101", "mxnet-cu117", "CUDA 11", "cuDNN 8", "NCCL 2", "compute capability 8.6", "--ctx cpu"):
        assert told in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("name", ["", "tpu", "GPU", "gpu:", "gpu:-1", "gpu:x", "gpu:1.0", "cpu:1", "auto ", "gpu\n"])
@pytest.mark.parametrize("gpus", [0, 2])
def test_any_other_name_is_refused_with_those_that_are_allowed(name, gpus):
    with pytest.raises(ContextError) as error:
        choose(name, gpus)
    assert str(error.value).startswith(f"unknown device {name!r}: use auto, cpu, gpu or gpu:K")


def test_mxnet_is_asked_how_many_gpus_there_are(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 3)
    assert choose("auto") == mx.gpu(0)
    assert choose("gpu:2") == mx.gpu(2)
    with pytest.raises(ContextError, match=r"sees 3 GPUs \(gpu:0 to gpu:2\)"):
        choose("gpu:3")


def test_a_cpu_is_chosen_without_asking(monkeypatch):
    def ask():
        raise AssertionError("a driver was looked for")

    monkeypatch.setattr(mx.context, "num_gpus", ask)
    assert choose("cpu") == mx.cpu()


def test_devices_in_words():
    assert [describe(ctx) for ctx in (mx.cpu(), mx.gpu(0), mx.gpu(3))] == ["CPU", "GPU 0", "GPU 3"]
