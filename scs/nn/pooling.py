"""Max-abs pooling, which keeps the value of largest magnitude, with its sign."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from scs.nn import training_loops
from scs.nn.channels_last import as_array, loops_serve, plain_gradient, use_torch_threads


def max_abs_pool(x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0) -> Tensor:
    """Keep the value of largest magnitude, with its sign, of every window; of opposites the positive one.

    Args:
        x: images ``(N, C, H, W)`` or signals ``(N, C, L)``.
        kernel_size: pixels on each side of a window.
        stride: pixels between windows; the kernel size unless given.
        padding: pixels added on each side; they never win.

    Returns:
        ``(N, C, H', W')`` or ``(N, C, L')``, ``H' = (H + 2 * padding - kernel_size) // stride + 1``; ``W'`` and ``L'``
        likewise.

    Source:
        B. Rohrer, "Sharpened cosine similarity" (2022).

    Example:
        >>> max_abs_pool(torch.tensor([[[1.0, -3.0, 2.0, 0.0]]]), kernel_size=2)
        tensor([[[-3.,  2.]]])
    """
    stride = stride or kernel_size
    halves = (kernel_size, stride, padding) == (2, 2, 0) and min(x.shape[2:]) >= 2
    if halves and loops_serve(x):
        return cast(Tensor, _Halving.apply(x)[0])  # type: ignore[no-untyped-call]
    keep_highest = F.max_pool2d if x.ndim == 4 else F.max_pool1d
    highest = keep_highest(x, kernel_size, stride, padding)
    lowest = -keep_highest(-x, kernel_size, stride, padding)
    return torch.where(highest >= -lowest, highest, lowest)


class _Halving(torch.autograd.Function):
    """Max-abs pooling of 2x2 windows with a stride of 2, by compiled loops."""

    @staticmethod
    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        images, channels, height, width = x.shape
        y = torch.empty((images, channels, height // 2, width // 2), memory_format=torch.channels_last)
        winner = torch.empty_like(y, dtype=torch.uint8)
        use_torch_threads()
        training_loops.pool(as_array(x), as_array(y), as_array(winner))
        return y, winner

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.shape = inputs[0].shape
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> Tensor:
        (winner,) = ctx.saved_tensors
        if not (plain_gradient(grad) and loops_serve()):
            return _to_winners(grad, winner, ctx.shape)
        grad = grad.contiguous(memory_format=torch.channels_last)
        to_x = torch.empty(ctx.shape, memory_format=torch.channels_last)
        to_x[:, :, 2 * grad.shape[2] :], to_x[:, :, :, 2 * grad.shape[3] :] = 0, 0  # odd edges are in no window
        use_torch_threads()
        training_loops.pool_gradient(as_array(grad), as_array(winner), as_array(to_x))
        return to_x


def _to_winners(grad: Tensor, winner: Tensor, shape: torch.Size) -> Tensor:
    """Give each window's gradient to the pixel that won, by operations that can be differentiated."""
    quarters = torch.stack([grad * (winner == place) for place in range(4)], -1)  # (N, C, H', W', 4)
    rows = quarters.unflatten(-1, (2, 2)).movedim(-2, 3)  # (N, C, H', 2, W', 2)
    to_x = rows.flatten(4, 5).flatten(2, 3)
    return F.pad(to_x, (0, shape[3] - to_x.shape[3], 0, shape[2] - to_x.shape[2]))
