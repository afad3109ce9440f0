"""Sums of squares over channels, and their gradient, in a unit that leaves room for large values."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from scs.nn import training_loops
from scs.nn.channels_last import as_pixels, loops_serve, plain_gradient, torch_follows, use_torch_threads

# Squares are taken of x / UNIT, so that float32 holds the energy of patches up to a norm of 1e24. A power of two rounds
# nothing. A larger one would make second derivatives at blank patches overflow where q is 0.
UNIT = 2.0**16


def square(x: Tensor) -> Tensor:
    """Square ``x / UNIT``; in eager mode in one pass, which multiplies the scale in first."""
    if torch_follows():  # exporters take the factors in another order
        return (x / UNIT).square()
    return torch.addcmul(x.new_zeros(()), x, x, value=UNIT**-2)


def sum_squares(x: Tensor) -> Tensor:
    """Sum the squares of every pixel of ``x / UNIT``, ``(N, C, …)`` to ``(N, 1, …)``.

    On the CPU, channels last, compiled loops do it.
    """
    if loops_serve(x):
        return cast(Tensor, _SumSquares.apply(x))  # type: ignore[no-untyped-call]
    return square(x).sum(1, keepdim=True)


class _SumSquares(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        # Of one channel both formats are the same memory; torch pools it several times as fast as contiguous.
        sums = torch.empty_like(x[:, :1], memory_format=torch.contiguous_format)
        use_torch_threads()
        training_loops.sum_squares(as_pixels(x), np.float32(1 / UNIT), as_pixels(sums)[:, 0])
        return sums

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        if not (plain_gradient(grad) and loops_serve(x)):
            doubled: Tensor = 2 * UNIT**-2 * grad * x
            return doubled
        to_x = torch.empty_like(x)
        use_torch_threads()
        grad = grad.contiguous(memory_format=torch.channels_last)
        scale = np.float32(1 / UNIT)
        training_loops.sum_squares_gradient(as_pixels(grad)[:, 0], as_pixels(x), scale, as_pixels(to_x))
        return to_x
