"""Tensors that compiled loops read and write in place: float32 images on the CPU, channels last (NHWC)."""

from __future__ import annotations

import os
from typing import Any

import numba
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd import forward_ad

_have_threads = False  # loops ran here, so threads of Numba wait for more
_lost_threads = False  # a fork took their state along and left the threads themselves behind


def tracing() -> bool:
    """Tell whether torch.jit traces: sizes are tensors there, and checks of them would be traced, too."""
    return torch._C._get_tracing_state() is not None


def torch_follows() -> bool:
    """Tell whether torch has to see every operation: it compiles, traces or transforms (torch.func)."""
    return (
        torch.compiler.is_compiling()
        or tracing()
        or torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
    )


def plain_gradient(grad: Tensor) -> bool:
    """Tell whether a gradient is an end in itself: not to be differentiated in its turn, and not many in one (vmap)."""
    batched = torch._C._functorch.is_batchedtensor(grad) or torch._C._functorch.is_legacy_batchedtensor(grad)
    return not (torch.is_grad_enabled() or batched or torch_follows())


def loops_serve(*images: Tensor) -> bool:
    """Tell whether compiled loops can take these tensors, have their threads, and torch need not follow."""
    return not (_lost_threads or torch_follows()) and all(
        type(x) in (Tensor, nn.Parameter)  # a subclass sees to its operations itself
        and x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.ndim == 4
        and x.is_contiguous(memory_format=torch.channels_last)
        for x in images
    )


def as_array(x: Tensor) -> NDArray[Any]:
    """View the memory of images ``(N, C, H, W)`` as an array ``(N, H, W, C)``, without a copy."""
    return x.detach().permute(0, 2, 3, 1).numpy()


def as_pixels(x: Tensor) -> NDArray[Any]:
    """View the memory of images ``(N, C, H, W)`` as an array of pixels ``(N * H * W, C)``, without a copy."""
    return as_array(x).reshape(-1, x.shape[1])


def use_torch_threads() -> None:
    """Give the Numba loops of this thread as many threads as torch has, and keep torch's own number."""
    global _have_threads
    _have_threads = True
    threads = torch.get_num_threads()
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, most))
    if torch.get_num_threads() != threads:  # Numba's first call sets OpenMP's number, which torch's loops go by, too
        torch.set_num_threads(threads)


def _forked() -> None:
    """Leave the loops alone in a forked process, such as a data loader's: OpenMP ends it where they want threads."""
    global _lost_threads
    _lost_threads = _lost_threads or _have_threads


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
