"""CPU or GPU: the choice, and the words for when it is not there."""

from __future__ import annotations

import re
from typing import Any

from gluon_lstm.compat import mx


class ContextError(ValueError):
    """A device that this MXNet does not have."""


def choose(name: str = "auto", gpus: int | None = None) -> Any:
    """The mx.Context meant by `auto`, `cpu`, `gpu` or `gpu:K`; `auto` takes a GPU when this MXNet has one.

    `gpus` is the number of GPUs that MXNet sees; None asks it. Raises ContextError for a name that is none of these,
    and for a GPU that is not there.
    """
    match = re.fullmatch(r"auto|cpu|gpu(?::(\d+))?", name)
    if not match:
        raise ContextError(f"unknown device {name!r}: use auto, cpu, gpu or gpu:K with K = 0, 1, …")
    if name == "cpu":
        return mx.cpu()
    gpus = mx.context.num_gpus() if gpus is None else gpus
    if name == "auto":
        return mx.gpu(0) if gpus else mx.cpu()
    index = int(match.group(1) or 0)
    if index >= gpus:
        sees = f"sees {gpus} GPU{'s' * (gpus != 1)}" + (f" (gpu:0 to gpu:{gpus - 1})" if gpus else "")
        raise ContextError(
            f"{name} is not there: MXNet {mx.__version__} {sees}; GPU support comes with the wheels mxnet-cu101 to"
            " mxnet-cu117 (beside CUDA 11, cuDNN 8 and NCCL 2) and stops at compute capability 8.6; use --ctx cpu"
        )
    return mx.gpu(index)


def describe(ctx: Any) -> str:
    """The device in words, for the log."""
    return "CPU" if ctx.device_type == "cpu" else f"GPU {ctx.device_id}"
