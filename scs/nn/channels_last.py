"""Tensors that compiled loops read and write in place: float32 images on the CPU, channels last (NHWC)."""

from __future__ import annotations

from typing import Any

import numba
import torch
from numpy.typing import NDArray
from torch import Tensor


def torch_follows() -> bool:
    """Tell whether torch is compiling or tracing, and has to see every operation."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def loops_serve(*images: Tensor) -> bool:
    """Tell whether compiled loops can take these tensors, and torch is not compiling or tracing."""
    return not torch_follows() and all(
        x.dtype == torch.float32
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
    threads = torch.get_num_threads()
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, most))
    if torch.get_num_threads() != threads:  # Numba's first call sets OpenMP's number, which torch's loops go by, too
        torch.set_num_threads(threads)
