"""Choice of the device: CPU or GPU."""

from __future__ import annotations

import re
from typing import Any

from gluon_lstm.compat import mx
from gluon_lstm.language import _, ngettext


class ContextError(ValueError):
    """A device that is unknown or that this MXNet does not have."""


def choose(name: str = "auto", gpus: int | None = None) -> Any:
    """Return the mx.Context named `auto`, `cpu`, `gpu` or `gpu:K`; `auto` is GPU 0 where MXNet has one, else the CPU.

    `gpus`: the number of GPUs; None asks MXNet. Raises ContextError for any other name, and for a GPU that MXNet does
    not have. The wheels with GPU support hold machine code for compute capability 5.0 to 8.6. Code for 8.6 runs on
    8.6 and later 8.x, so also on 8.9 (Ada: RTX 40), but not on 9.0 (Hopper) and later.
    """
    match = re.fullmatch(r"auto|cpu|gpu(?::(\d+))?", name)
    if not match:
        raise ContextError(_("`ctx` {name!r}: use auto, cpu, gpu or gpu:K with K = 0, 1, …").format(name=name))
    if name == "cpu":
        return mx.cpu()
    gpus = mx.context.num_gpus() if gpus is None else gpus
    if name == "auto":
        return mx.gpu(0) if gpus else mx.cpu()
    index = int(match.group(1) or 0)
    if index >= gpus:
        found = ngettext("finds {gpus} GPU", "finds {gpus} GPUs", gpus).format(gpus=gpus)
        if gpus:
            found += _(" (gpu:0 to gpu:{last})").format(last=gpus - 1)
        raise ContextError(
            _(
                "`ctx` {name}: MXNet {version} {found}; GPU support comes with the wheels mxnet-cu101 to"
                " mxnet-cu117 (with CUDA 11, cuDNN 8 and NCCL 2) for compute capability 5.0 to 8.9 (up to"
                " Ada: RTX 40), not for 9.0 (Hopper) and later; use `ctx` cpu"
            ).format(name=name, version=mx.__version__, found=found)
        )
    return mx.gpu(index)


def describe(ctx: Any) -> str:
    """Return the name of the device, for the log: "CPU", "GPU 0"."""
    return "CPU" if ctx.device_type == "cpu" else f"GPU {ctx.device_id}"
