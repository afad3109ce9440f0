"""Tensors that compiled loops can read and write where they lie: float32 images on the CPU, channels last."""

from __future__ import annotations

from typing import Any

import numba
import torch
from numpy.typing import NDArray
from torch import Tensor


def torch_follows() -> bool:
    """Whether torch is compiling or tracing what is done, and has to see every step of it."""
    return torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None


def loops_serve(*images: Tensor) -> bool:
    """Whether compiled loops can take these tensors, and nobody is following what is done with them."""
    return not torch_follows() and all(
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and x.ndim == 4
        and x.is_contiguous(memory_format=torch.channels_last)
        for x in images
    )


def as_array(x: Tensor) -> NDArray[Any]:
    """The memory of images ``(N, C, H, W)`` as an array ``(N, H, W, C)``; what is written to one is in the other."""
    return x.detach().permute(0, 2, 3, 1).numpy()


def as_pixels(x: Tensor) -> NDArray[Any]:
    """The same as an array ``(N * H * W, C)``."""
    return as_array(x).reshape(-1, x.shape[1])


def use_torch_threads() -> None:
    """Let the loops that this thread starts have as many threads as torch has, and torch no more than before."""
    threads = torch.get_num_threads()
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(threads, most))
    if torch.get_num_threads() != threads:  # Numba's first call sets OpenMP's number, which torch's loops go by, too
        torch.set_num_threads(threads)
