"""Sums of squares over channels, and their gradient."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from scs.nn import training_loops
from scs.nn.channels_last import as_pixels, loops_serve, plain_gradient, use_torch_threads


def sum_squares(x: Tensor) -> Tensor:
    """Sum the squares of every pixel, ``(N, C, …)`` to ``(N, 1, …)``; on the CPU, channels last, by compiled loops."""
    if loops_serve(x):
        return cast(Tensor, _SumSquares.apply(x))  # type: ignore[no-untyped-call]
    return x.square().sum(1, keepdim=True)


class _SumSquares(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        # Of one channel both formats are the same memory; torch pools it several times as fast as contiguous.
        sums = torch.empty_like(x[:, :1], memory_format=torch.contiguous_format)
        use_torch_threads()
        training_loops.sum_squares(as_pixels(x), as_pixels(sums)[:, 0])
        return sums

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        if not (plain_gradient(grad) and loops_serve(x)):
            doubled: Tensor = 2 * grad * x
            return doubled
        to_x = torch.empty_like(x)
        use_torch_threads()
        grad = grad.contiguous(memory_format=torch.channels_last)
        training_loops.sum_squares_gradient(as_pixels(grad)[:, 0], as_pixels(x), as_pixels(to_x))
        return to_x
