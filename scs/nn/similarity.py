"""Sharpened cosine similarity of every patch of an image, or of a signal, with every kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from scs.errors import DtypeError, OptionError, ShapeError
from scs.nn.channels_last import tracing
from scs.nn.sharpening import sharpen_cosines
from scs.nn.squares import UNIT, square, sum_squares

Padding = int | Sequence[int] | Literal["valid", "same", "full"]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]

# Under the square root of the patch energy: keeps the gradient of a norm finite on a blank patch, and is far below the
# energy of the faintest patch that means anything in float32.
ENERGY_FLOOR = 1e-12
HALF_ENERGY_FLOOR = 1e-4

_CONVOLUTIONS = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
_AVERAGE_POOLS = {3: F.avg_pool1d, 4: F.avg_pool2d, 5: F.avg_pool3d}
_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
_HALVES = (torch.float16, torch.bfloat16)


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
    mute_kernels: bool = True,
) -> Tensor:
    r"""Compare every patch of an image with every kernel by sharpened cosine.

    For a patch ``s`` and a kernel ``k``::

        y = sign(s·k) * (|s·k| / ((‖s‖ + q) * (‖k‖ + q))) ** p

    It is computed as ``a * (|a| + eps) ** (p - 1)`` with ``a`` the cosine, which has that value and that sign, passes
    through zero without a jump and has a finite slope there for every ``p > 0``.

    Args:
        x: images ``(N, C, H, W)``, signals ``(N, C, L)`` or volumes ``(N, C, D, H, W)``, floating point; one alone may
            come without ``N``.
        w: kernels ``(K, C / groups, kH, kW)``, ``(K, C / groups, kL)`` or ``(K, C / groups, kD, kH, kW)``, of the
            type of ``x``.
        p: exponent > 0, no unit; one number, or ``(K,)``, one per kernel. Larger is sharper.
        q: noise floor >= 0, in the units of the norms; mutes patches (and kernels) fainter than it.
        stride: pixels between neighbouring patches; one number, or one per axis.
        padding: pixels added on each side; one number, one per axis, or by name. ``"valid"`` adds none. ``"same"``
            gives ``ceil(H / stride)`` outputs, the odd pixel added at the end. ``"full"`` adds as much as lets a patch
            overlap the image in a single pixel.
        padding_mode: what the added pixels hold: ``"zeros"``, ``"reflect"``, the image mirrored at its edge pixels,
            ``"replicate"``, the edge pixels, or ``"circular"``, the opposite side of the image.
        dilation: pixels between neighbouring taps of a kernel; one number, or one per axis.
        groups: channels and kernels are split into this many groups that do not see each other.
        eps: keeps blank patches, and their gradients, finite.
        mute_kernels: add ``q`` to the norm of the kernels, too; else only to that of the patches.

    Returns:
        ``(N, K, H', W')`` within [-1, 1], with
        ``H' = (H + padding before and after - dilation * (kH - 1) - 1) // stride + 1``; signals and volumes likewise,
        without ``N`` where ``x`` came without. The type is that of ``x``, or autocast's.
        In float32, patches and kernels have norms up to 1e24, up to 1e20 for gradients; beyond, the value is 0.
        float16 and bfloat16 take their norms and power in float32; float16 has a higher ``eps`` and floor.

    Raises:
        ShapeError: x, w and p do not fit each other; the message gives their shapes.
        OptionError: an unknown padding or padding mode, or a number out of its range.
        DtypeError: x or w is not floating point, or they are of two types and autocast is off.

    Source:
        B. Rohrer (2020); R. Pisoni, "Sharpened Cosine Distance as an Alternative for Convolutions" (2022).

    Example:
        >>> x = torch.tensor([[[[0.0, 3.0], [0.0, 4.0]]]])
        >>> round(sharpened_cosine_similarity(-x, x, p=2.0, q=5.0).item(), 6)
        -0.0625
    """
    alone = x.ndim == w.ndim - 1
    _check_shapes(x, w, p, q, groups)
    if alone:
        x = x.unsqueeze(0)
    _check_values(p, q)
    dtype = _result_type(x, w)
    axes = x.ndim - 2
    strides = per_axis(stride, axes, "stride")
    dilations = per_axis(dilation, axes, "dilation")
    before, after = resolve_padding(padding, w.shape[2:], dilations)
    pads = before
    _check_sizes(x, w, before, after, dilations)
    if padding_mode not in _MODES:
        raise OptionError(f"padding_mode is 'zeros', 'reflect', 'replicate' or 'circular'; '{padding_mode}' came")
    if before != after or (padding_mode != "zeros" and any(before)):
        x = _pad(x, before, after, padding_mode)
        pads = (0,) * axes

    precise = torch.float32 if x.dtype in _HALVES else x.dtype
    floor = ENERGY_FLOOR
    if dtype == torch.float16:  # gradients at blank patches have to stay below 65504
        floor, eps = HALF_ENERGY_FLOOR, max(eps, torch.finfo(dtype).eps)
    w = w.to(precise)
    kernel_norm = _norm(square(w).flatten(1).sum(1), floor)
    if mute_kernels:
        kernel_norm = kernel_norm + q
    w = w / kernel_norm.view(-1, *[1] * (axes + 1))

    convolve = _CONVOLUTIONS[x.ndim]
    dot = convolve(x, w.to(x.dtype), None, strides, pads, dilations, groups)  # (N, K, H', W')
    energy = _patch_energy(x.to(precise), w.shape[2:], strides, pads, dilations, groups)  # (N, groups, H', W')
    y = sharpen(dot.to(precise), energy, p, q, eps, floor).to(dtype)
    return y.squeeze(0) if alone else y


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
        energy: ``(N, G, …)``, sums of squares of each patch over ``UNIT``; the K kernels fall into G equal groups.
        p: exponent; one number, or ``(K,)``.
        q: noise floor of the patch norm.
        eps: keeps the logarithm finite at zero.
        floor: keeps the gradient of the norm finite at zero.

    Returns:
        ``(N, K, …)``.
    """
    reciprocal = _spread_over_kernels(1 / (_norm(energy, floor) + q), dot.shape[1])
    exponent = torch.as_tensor(p, dtype=dot.dtype, device=dot.device) - 1
    return sharpen_cosines(dot, reciprocal, exponent, eps)


def _norm(energy: Tensor, floor: float) -> Tensor:
    """Turn sums of squares over ``UNIT`` into norms, the floor added under the root."""
    return torch.sqrt(energy + floor / UNIT**2) * UNIT


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
    pads = per_axis(padding, len(reach), "padding", least=0)
    return pads, pads


def per_axis(value: int | Sequence[int], axes: int, name: str, least: int = 1) -> tuple[int, ...]:
    """Repeat one whole number for every axis, or check that there is one for each, and none below the least."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * axes
    if len(values) != axes:
        raise ShapeError(f"{name} needs one number or {axes}, one per axis; {len(values)} came")
    if not all(isinstance(v, int | torch.SymInt) and v >= least for v in values):  # type: ignore[redundant-expr]
        raise OptionError(f"{name} is a whole number, {least} or more; {value} came")
    return values


def _check_shapes(x: Tensor, w: Tensor, p: float | Tensor, q: float | Tensor, groups: int) -> None:
    shapes = f"x is {tuple(x.shape)}, w is {tuple(w.shape)}"
    if w.ndim not in _CONVOLUTIONS or x.ndim not in (w.ndim - 1, w.ndim):
        raise ShapeError(f"x and w are both (., ., L), both (., ., H, W) or both (., ., D, H, W), but {shapes}")
    if groups < 1:
        raise OptionError(f"groups is 1 or more; {groups} came")
    if 0 in w.shape:
        raise ShapeError(f"there is one kernel or more, of one tap or more; {shapes}")
    if tracing():
        return
    if x.shape[1 - w.ndim] != w.shape[1] * groups or w.shape[0] % groups:
        raise ShapeError(
            f"with {groups} group(s) x needs {groups} times the channels of w, and w whole groups of kernels; {shapes}"
        )
    if isinstance(p, Tensor) and p.shape not in ((), (w.shape[0],)):
        raise ShapeError(f"p is one number or one per kernel, {w.shape[0]} here; p is {tuple(p.shape)}, {shapes}")
    if isinstance(q, Tensor) and q.ndim:
        raise ShapeError(f"q is one number; q is {tuple(q.shape)}, {shapes}")


def _check_values(p: float | Tensor, q: float | Tensor) -> None:
    """Check numbers that are given as such; what tensors hold is not looked at, which would wait for a GPU."""
    if not isinstance(p, Tensor) and not p > 0:
        raise OptionError(f"p is above 0; {p} came")
    if not isinstance(q, Tensor) and not q >= 0:
        raise OptionError(f"q is 0 or more; {q} came")


def _check_sizes(
    x: Tensor,
    w: Tensor,
    before: tuple[int, ...],
    after: tuple[int, ...],
    dilations: tuple[int, ...],
) -> None:
    if tracing():
        return
    padded = tuple(n + b + a for n, b, a in zip(x.shape[2:], before, after, strict=True))
    reach = tuple(d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilations, strict=True))
    if any(n < r for n, r in zip(padded, reach, strict=True)):
        raise ShapeError(f"kernels fit into the padded image, but they reach over {reach} and it has {padded}")


def _result_type(x: Tensor, w: Tensor) -> torch.dtype:
    """Return the type of the similarities: that of both inputs, or autocast's, except for doubles."""
    if not (x.is_floating_point() and w.is_floating_point()):
        raise DtypeError(f"x and w are floating point; x is {x.dtype}, w is {w.dtype}")
    if _autocast(x) and x.dtype != torch.float64:
        return torch.get_autocast_dtype(x.device.type)
    if x.dtype != w.dtype:
        raise DtypeError(f"x and w are of one type where autocast is off; x is {x.dtype}, w is {w.dtype}")
    return x.dtype


def _autocast(x: Tensor) -> bool:
    return x.device.type != "meta" and torch.is_autocast_enabled(x.device.type)


def _pad(x: Tensor, before: tuple[int, ...], after: tuple[int, ...], mode: str) -> Tensor:
    if mode == "reflect" and any(max(b, a) >= n for b, a, n in zip(before, after, x.shape[2:], strict=True)):
        came = f"{before} and {after} around {tuple(x.shape[2:])}"
        raise ShapeError(f"reflected padding is narrower than the image; {came} came")
    if mode == "circular" and any(max(b, a) > n for b, a, n in zip(before, after, x.shape[2:], strict=True)):
        came = f"{before} and {after} around {tuple(x.shape[2:])}"
        raise ShapeError(f"circular padding goes round an image at most once; {came} came")
    amounts = [amount for pair in reversed(list(zip(before, after, strict=True))) for amount in pair]
    return F.pad(x, amounts, mode=_MODES[mode])


def _patch_energy(
    x: Tensor,
    kernel_size: Sequence[int],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Sum of squares of every patch over ``UNIT``, ``(N, groups, H', W')``: over channels, then one box filter."""
    if groups == 1:
        energy = sum_squares(x)
    elif groups == x.shape[1]:
        energy = square(x)
    else:
        energy = square(x).unflatten(1, (groups, -1)).sum(2)
    if max(*kernel_size, *strides) == 1 and not any(pads):
        return energy
    if any(d > 1 for d in dilations):
        box = energy.new_ones(groups, 1, *kernel_size)
        with torch.autocast(x.device.type, enabled=False) if _autocast(x) else nullcontext():
            return _CONVOLUTIONS[x.ndim](energy, box, None, strides, pads, dilations, groups)
    # Pooling adds the squares up as they are; convolution may do it by Winograd's method, whose rounding can make the
    # energy of a faint patch beside a bright one wrong in its first digit, or negative.
    if any(2 * pad > size for pad, size in zip(pads, kernel_size, strict=True)):
        energy, pads = _pad(energy, pads, pads, "zeros"), (0,) * len(pads)
    return _AVERAGE_POOLS[x.ndim](energy, tuple(kernel_size), strides, pads) * math.prod(kernel_size)


def _spread_over_kernels(per_group: Tensor, kernels: int) -> Tensor:
    groups = per_group.shape[1]
    return per_group if groups in (1, kernels) else per_group.repeat_interleave(kernels // groups, dim=1)
