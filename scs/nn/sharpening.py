"""The sharpening of cosines, and its gradient."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from scs.nn import training_loops
from scs.nn.channels_last import as_pixels, loops_serve, plain_gradient, torch_follows, use_torch_threads

_PIXELS_A_PART = 4096  # of a sum over all pixels; enough to be worth a thread's while


def sharpen_cosines(dot: Tensor, reciprocal: Tensor, exponent: Tensor, eps: float) -> Tensor:
    """Compute ``a * (|a| + eps) ** exponent`` of the cosines ``a = dot * reciprocal``.

    Eager training has a gradient of its own, which keeps what it needs and takes no power again; on the CPU, float32
    images with the channels last take it through compiled loops. Where torch has to follow (it compiles, traces or
    transforms), it gets the formula.

    Args:
        dot: ``(N, K, …)``, products of patches with kernels.
        reciprocal: ``(N, 1, …)`` or ``(N, K, …)``, what makes cosines of them.
        exponent: one number, or ``(K,)``.
        eps: keeps the logarithm finite at zero.

    Returns:
        ``(N, K, …)``. It can be differentiated any number of times.
    """
    if torch_follows():
        cosine = dot * reciprocal
        return cosine * torch.exp(_beside(exponent, dot) * torch.log(cosine.abs() + eps))
    return cast(Tensor, _Sharpening.apply(dot, reciprocal, exponent, eps))  # type: ignore[no-untyped-call]


class _Sharpening(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dot: Tensor, reciprocal: Tensor, exponent: Tensor, eps: float) -> Tensor:
        ctx.eps = eps
        # Besides the inputs, which a second derivative needs, kept is only what is dear to compute.
        ctx.by_loops = reciprocal.shape[1] == 1 and exponent.dtype == torch.float32 and loops_serve(dot, reciprocal)
        if ctx.by_loops:
            ctx.save_for_backward(dot, reciprocal, exponent)
            return _sharpen_by_loops(dot, reciprocal, exponent, eps)
        cosine = dot * reciprocal
        logarithm = cosine.abs().add_(eps).log_()
        factor = (logarithm * _beside(exponent, dot)).exp_()
        ctx.save_for_backward(dot, reciprocal, exponent, logarithm, factor)
        return cosine * factor

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        dot, reciprocal, exponent, *rest = ctx.saved_tensors
        if not plain_gradient(grad) or (ctx.by_loops and not loops_serve(dot)):
            return *_gradients_by_formula(grad, dot, reciprocal, exponent, ctx.eps), None
        if ctx.by_loops:
            return *_gradients_by_loops(grad, dot, reciprocal, exponent, ctx.eps), None
        logarithm, factor = rest
        cosine = dot * reciprocal
        through = grad * factor
        product = through * cosine
        to_exponent = _sum_to(product * logarithm, exponent)
        above_zero = torch.full_like(cosine, ctx.eps).copysign_(cosine).add_(cosine)
        to_cosine = through.add_(product.div_(above_zero).mul_(_beside(exponent, grad)))
        to_reciprocal = _sum_to_groups(to_cosine * dot, reciprocal)
        return to_cosine * reciprocal, to_reciprocal, to_exponent, None


def _gradients_by_formula(
    grad: Tensor, dot: Tensor, reciprocal: Tensor, exponent: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients by operations that torch differentiates and transforms in their turn."""
    beside = _beside(exponent, dot)
    cosine = dot * reciprocal
    above_zero = cosine.abs() + eps
    logarithm = torch.log(above_zero)
    through = grad * torch.exp(beside * logarithm)
    to_cosine = through * (1 + beside * cosine.abs() / above_zero)
    to_exponent = _sum_to(through * cosine * logarithm, exponent)
    return to_cosine * reciprocal, _sum_to_groups(to_cosine * dot, reciprocal), to_exponent


def _sharpen_by_loops(dot: Tensor, reciprocal: Tensor, exponent: Tensor, eps: float) -> Tensor:
    y = torch.empty_like(dot)
    use_torch_threads()
    training_loops.sharpen(
        as_pixels(dot), as_pixels(reciprocal)[:, 0], _numbers(exponent, dot), np.float32(eps), as_pixels(y)
    )
    return y


def _gradients_by_loops(
    grad: Tensor, dot: Tensor, reciprocal: Tensor, exponent: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    grad = grad.contiguous(memory_format=torch.channels_last)
    to_dot, to_reciprocal = torch.empty_like(dot), torch.empty_like(reciprocal)
    pixels = as_pixels(dot)
    to_exponent = np.empty((-(-len(pixels) // _PIXELS_A_PART), pixels.shape[1]))
    use_torch_threads()
    training_loops.sharpen_gradient(
        as_pixels(grad),
        pixels,
        as_pixels(reciprocal)[:, 0],
        _numbers(exponent, dot),
        np.float32(eps),
        as_pixels(to_dot),
        as_pixels(to_reciprocal)[:, 0],
        to_exponent,
    )
    sums = torch.from_numpy(to_exponent.sum(0)).to(exponent.dtype)
    return to_dot, to_reciprocal, sums if exponent.ndim else sums.sum()


def _numbers(exponent: Tensor, dot: Tensor) -> training_loops.Array:
    return exponent.detach().expand(dot.shape[1]).contiguous().numpy()


def _beside(exponent: Tensor, dot: Tensor) -> Tensor:
    """Exponents in the shape in which they meet ``(N, K, …)``."""
    return exponent.view(-1, *[1] * (dot.ndim - 2)) if exponent.ndim else exponent


def _sum_to(x: Tensor, exponent: Tensor) -> Tensor:
    return x.sum([0, *range(2, x.ndim)]) if exponent.ndim else x.sum()


def _sum_to_groups(x: Tensor, reciprocal: Tensor) -> Tensor:
    return x.sum(1, keepdim=True) if reciprocal.shape[1] == 1 else x
