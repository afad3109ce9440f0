"""Sharpened cosine similarity of every patch of an image, or of a signal, with every kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from scs.errors import OptionError, ShapeError
from scs.nn.sharpening import sharpen_cosines
from scs.nn.squares import sum_squares

Padding = int | Sequence[int] | Literal["valid", "same", "full"]
PaddingMode = Literal["zeros", "circular"]

# Under the square root of the patch energy: keeps the gradient of a norm finite on a blank patch, and is far below the
# energy of the faintest patch that means anything in float32.
ENERGY_FLOOR = 1e-12
HALF_ENERGY_FLOOR = 1e-4

_CONVOLUTIONS = {3: F.conv1d, 4: F.conv2d}
_AVERAGE_POOLS = {3: F.avg_pool1d, 4: F.avg_pool2d}


def sharpened_cosine_similarity(
    x: Tensor,
    w: Tensor,
    p: float | Tensor = 2.0,
    q: float | Tensor = 0.1,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    padding_mode: PaddingMode = "zeros",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    eps: float = 1e-6,
) -> Tensor:
    r"""Compare every patch of an image with every kernel by sharpened cosine.

    For a patch ``s`` and a kernel ``k``::

        y = sign(s·k) * (|s·k| / ((‖s‖ + q) * (‖k‖ + q))) ** p

    It is computed as ``a * (|a| + eps) ** (p - 1)`` with ``a`` the cosine, which has that value and that sign, passes
    through zero without a jump and has a finite slope there for every ``p > 0``.

    Args:
        x: images ``(N, C, H, W)`` or signals ``(N, C, L)``, floating point.
        w: kernels ``(K, C / groups, kH, kW)`` or ``(K, C / groups, kL)``, of the same kind as ``x``.
        p: exponent > 0, no unit; one number, or ``(K,)``, one per kernel. Larger is sharper.
        q: noise floor >= 0, in the units of the norms; mutes patches (and kernels) fainter than it.
        stride: pixels between neighbouring patches; one number, or one per axis.
        padding: pixels added on each side; one number, one per axis, or by name. ``"valid"`` adds none. ``"same"``
            gives ``ceil(H / stride)`` outputs, the odd pixel added at the end. ``"full"`` adds as much as lets a patch
            overlap the image in a single pixel.
        padding_mode: what the added pixels hold: ``"zeros"``, or ``"circular"``, the opposite side of the image.
        dilation: pixels between neighbouring taps of a kernel; one number, or one per axis.
        groups: channels and kernels are split into this many groups that do not see each other.
        eps: keeps blank patches, and their gradients, finite.

    Returns:
        ``(N, K, H', W')`` or ``(N, K, L')`` within [-1, 1], in the type of ``x``, with
        ``H' = (H + padding before and after - dilation * (kH - 1) - 1) // stride + 1``; ``W'`` and ``L'`` likewise.
        float16 and bfloat16 take their norms and power in float32; float16 has a higher ``eps`` and floor.

    Raises:
        ShapeError: x, w and p do not fit each other; the message gives their shapes.
        OptionError: an unknown padding or padding mode.

    Source:
        B. Rohrer (2020); R. Pisoni, "Sharpened Cosine Distance as an Alternative for Convolutions" (2022).

    Example:
        >>> x = torch.tensor([[[[0.0, 3.0], [0.0, 4.0]]]])
        >>> round(sharpened_cosine_similarity(-x, x, p=2.0, q=5.0).item(), 6)
        -0.0625
    """
    _check_shapes(x, w, p, groups)
    axes = x.ndim - 2
    strides = per_axis(stride, axes, "stride")
    dilations = per_axis(dilation, axes, "dilation")
    before, after = resolve_padding(padding, w.shape[2:], dilations)
    pads = before
    if before != after or (padding_mode != "zeros" and any(before)):
        x = _pad(x, before, after, padding_mode)
        pads = (0,) * axes

    precise = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    floor = ENERGY_FLOOR
    if x.dtype == torch.float16:  # gradients at blank patches have to stay below 65504
        floor, eps = HALF_ENERGY_FLOOR, max(eps, torch.finfo(x.dtype).eps)
    w = w.to(precise)
    kernel_norm = torch.sqrt(w.square().flatten(1).sum(1) + floor) + q
    w = w / kernel_norm.view(-1, *[1] * (axes + 1))

    convolve = _CONVOLUTIONS[x.ndim]
    dot = convolve(x, w.to(x.dtype), None, strides, pads, dilations, groups)  # (N, K, H', W')
    energy = _patch_energy(x.to(precise), w.shape[2:], strides, pads, dilations, groups)  # (N, groups, H', W')
    return sharpen(dot.to(precise), energy, p, q, eps, floor).to(x.dtype)


def sharpen(
    dot: Tensor,
    energy: Tensor,
    p: float | Tensor,
    q: float | Tensor,
    eps: float = 1e-6,
    floor: float = ENERGY_FLOOR,
) -> Tensor:
    """Turn products with normalised kernels and patch energies into sharpened cosines.

    Args:
        dot: ``(N, K, …)``, products of each patch with kernels already divided by their norm plus ``q``.
        energy: ``(N, G, …)``, sums of squares of each patch; the K kernels fall into G equal groups.
        p: exponent; one number, or ``(K,)``.
        q: noise floor of the patch norm.
        eps: keeps the logarithm finite at zero.
        floor: keeps the gradient of the norm finite at zero.

    Returns:
        ``(N, K, …)``.
    """
    reciprocal = _spread_over_kernels(1 / (torch.sqrt(energy + floor) + q), dot.shape[1])
    exponent = torch.as_tensor(p, dtype=dot.dtype, device=dot.device) - 1
    return sharpen_cosines(dot, reciprocal, exponent, eps)


def resolve_padding(
    padding: Padding, kernel_size: Sequence[int], dilation: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Turn a padding by number or by name into the pixels added before and after, one pair of numbers an axis."""
    reach = [d * (k - 1) for k, d in zip(kernel_size, dilation, strict=True)]
    if isinstance(padding, str):
        if padding == "valid":
            return (0,) * len(reach), (0,) * len(reach)
        if padding == "same":
            return tuple(r // 2 for r in reach), tuple(r - r // 2 for r in reach)
        if padding == "full":
            return tuple(reach), tuple(reach)
        raise OptionError(f"padding is a number, 'valid', 'same' or 'full'; '{padding}' came")
    pads = per_axis(padding, len(reach), "padding")
    return pads, pads


def per_axis(value: int | Sequence[int], axes: int, name: str) -> tuple[int, ...]:
    """Repeat one number for every axis, or check that there is one number for each."""
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes:
        raise ShapeError(f"{name} needs one number or {axes}, one per axis; {len(values)} came")
    return values


def _check_shapes(x: Tensor, w: Tensor, p: float | Tensor, groups: int) -> None:
    shapes = f"x is {tuple(x.shape)}, w is {tuple(w.shape)}"
    if x.ndim not in _CONVOLUTIONS or w.ndim != x.ndim:
        raise ShapeError(f"x and w are both (., ., H, W) or both (., ., L), but {shapes}")
    if x.shape[1] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"with {groups} group(s) x needs {groups} times the channels of w, and w whole groups of kernels; {shapes}"
        )
    if isinstance(p, Tensor) and p.shape not in ((), (w.shape[0],)):
        raise ShapeError(f"p is one number or one per kernel, {w.shape[0]} here; p is {tuple(p.shape)}, {shapes}")


def _pad(x: Tensor, before: tuple[int, ...], after: tuple[int, ...], mode: str) -> Tensor:
    if mode not in ("zeros", "circular"):
        raise OptionError(f"padding_mode is 'zeros' or 'circular'; '{mode}' came")
    if mode == "circular" and any(max(b, a) > n for b, a, n in zip(before, after, x.shape[2:], strict=True)):
        came = f"{before} and {after} around {tuple(x.shape[2:])}"
        raise ShapeError(f"circular padding goes round an image at most once; {came} came")
    amounts = [amount for pair in reversed(list(zip(before, after, strict=True))) for amount in pair]
    return F.pad(x, amounts, mode="constant" if mode == "zeros" else "circular")


def _patch_energy(
    x: Tensor,
    kernel_size: Sequence[int],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Sum of squares of every patch, ``(N, groups, H', W')``: over channels first, then one box filter."""
    if groups == 1:
        energy = sum_squares(x)
    elif groups == x.shape[1]:
        energy = x.square()
    else:
        energy = x.square().unflatten(1, (groups, -1)).sum(2)
    if max(*kernel_size, *strides) == 1 and not any(pads):
        return energy
    if any(d > 1 for d in dilations):
        box = energy.new_ones(groups, 1, *kernel_size)
        return _CONVOLUTIONS[x.ndim](energy, box, None, strides, pads, dilations, groups)
    # Pooling adds the squares up as they are; convolution may do it by Winograd's method, whose rounding can make the
    # energy of a faint patch beside a bright one wrong in its first digit, or negative.
    if any(2 * pad > size for pad, size in zip(pads, kernel_size, strict=True)):
        energy, pads = _pad(energy, pads, pads, "zeros"), (0,) * len(pads)
    return _AVERAGE_POOLS[x.ndim](energy, tuple(kernel_size), strides, pads) * math.prod(kernel_size)


def _spread_over_kernels(per_group: Tensor, kernels: int) -> Tensor:
    groups = per_group.shape[1]
    return per_group if groups in (1, kernels) else per_group.repeat_interleave(kernels // groups, dim=1)
