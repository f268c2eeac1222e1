"""Choice of the device, on machines with and without GPUs."""

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
def test_choose_returns_the_named_device(name, gpus, chosen):
    assert choose(name, gpus) == chosen


@pytest.mark.parametrize(
    ("name", "gpus", "found"),
    [
        ("gpu", 0, "0 GPUs; "),
        ("gpu:0", 0, "0 GPUs; "),
        ("gpu:1", 1, "1 GPU (gpu:0 to gpu:0); "),
        ("gpu:2", 2, "2 GPUs (gpu:0 to gpu:1); "),
    ],
)
def test_missing_gpu_is_refused_in_one_sentence(name, gpus, found):
    with pytest.raises(ContextError) as error:
        choose(name, gpus)
    sentence = str(error.value)
    assert sentence.startswith(f"`ctx` {name}: MXNet {mx.__version__} ") and found in sentence
    for fact in ("mxnet-cu101", "mxnet-cu117", "CUDA 11", "cuDNN 8", "NCCL 2", "`ctx` cpu"):
        assert fact in sentence
    assert "\n" not in sentence


def test_missing_gpu_error_names_the_supported_compute_capabilities():
    """Machine code for 8.6 runs on later 8.x too (8.9: Ada, RTX 40), not on 9.0 (Hopper) and later."""
    with pytest.raises(
        ContextError, match=r"compute capability 5\.0 to 8\.9 .*RTX 40.* not for 9\.0 \(Hopper\) and later"
    ):
        choose("gpu", 0)


@pytest.mark.parametrize("name", ["", "tpu", "GPU", "gpu:", "gpu:-1", "gpu:x", "gpu:1.0", "cpu:1", "auto ", "gpu\n"])
@pytest.mark.parametrize("gpus", [0, 2])
def test_unknown_device_name_is_refused(name, gpus):
    with pytest.raises(ContextError) as error:
        choose(name, gpus)
    assert str(error.value).startswith(f"`ctx` {name!r}: use auto, cpu, gpu or gpu:K")


def test_number_of_gpus_comes_from_mxnet(monkeypatch):
    monkeypatch.setattr(mx.context, "num_gpus", lambda: 3)
    assert choose("auto") == mx.gpu(0)
    assert choose("gpu:2") == mx.gpu(2)
    with pytest.raises(ContextError, match=r"3 GPUs \(gpu:0 to gpu:2\)"):
        choose("gpu:3")


def test_cpu_needs_no_query_of_gpus(monkeypatch):
    def query():
        raise AssertionError("the number of GPUs was queried")

    monkeypatch.setattr(mx.context, "num_gpus", query)
    assert choose("cpu") == mx.cpu()


def test_describe_names_the_device():
    assert [describe(ctx) for ctx in (mx.cpu(), mx.gpu(0), mx.gpu(3))] == ["CPU", "GPU 0", "GPU 3"]
