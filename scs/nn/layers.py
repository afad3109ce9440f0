"""Layers of a network: sharpened cosine similarity and max-abs pooling, for signals and for images."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from scs.errors import OptionError, ShapeError
from scs.nn.channels_last import tracing
from scs.nn.pooling import max_abs_pool
from scs.nn.similarity import Padding, PaddingMode, per_axis, resolve_padding, sharpened_cosine_similarity

# Below an exponent of 1 the slope at zero grows without bound and noise is amplified, not sharpened.
P_MIN = 1.0


class _SharpenedCosineSimilarity(nn.Module):
    """What the layers for signals, images and volumes share; see :class:`SharpenedCosineSimilarity2d`."""

    axes: int
    # Of layers that were pickled before there were these.
    p_min = P_MIN
    shared_weights = False
    mute_kernels = True
    raw_q: nn.Parameter | None
    gain: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = False,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        p: float | Sequence[float] = 2.0,
        q: float = 0.1,
        gain: bool = False,
        shared_weights: bool = False,
        mute_kernels: bool = True,
    ) -> None:
        super().__init__()
        _check_channels(in_channels, out_channels, groups)
        if padding_mode not in get_args(PaddingMode):
            raise OptionError(f"padding_mode is one of {', '.join(get_args(PaddingMode))}; '{padding_mode}' came")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(kernel_size, self.axes, "kernel_size")
        self.stride = per_axis(stride, self.axes, "stride")
        self.dilation = per_axis(dilation, self.axes, "dilation")
        self.padding, self.padding_mode = padding, padding_mode
        resolve_padding(padding, self.kernel_size, self.dilation)
        self.shared_weights, self.mute_kernels = shared_weights, mute_kernels
        kernels = out_channels // groups if shared_weights else out_channels
        self._p_at_start, self._q_at_start = _starts_of_p(p, kernels), _start_of_q(q)
        self.p_min = P_MIN if min(self._p_at_start) > P_MIN else 0.0

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))

        self.weight = parameter(kernels, in_channels // groups, *self.kernel_size)
        self.raw_p = parameter(kernels)
        self.register_parameter("raw_q", parameter() if q else None)
        self.register_parameter("gain", parameter() if gain else None)
        self.register_parameter("bias", parameter(out_channels) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the kernels from torch's generator and put p, q, the gain and the bias back to where they start."""
        fan_in = self.weight[0].numel()
        nn.init.normal_(self.weight, std=1 / math.sqrt(fan_in))  # a kernel's norm is 1, about
        starts = self._p_at_start
        with torch.no_grad():
            self.raw_p.copy_(torch.tensor([_inverse_softplus(p - self.p_min) for p in starts], dtype=torch.float64))
        if self.raw_q is not None:
            nn.init.constant_(self.raw_q, _inverse_softplus(self._q_at_start))
        if self.gain is not None:
            mean = sum(starts) / len(starts)
            nn.init.constant_(self.gain, fan_in ** (mean / 2))  # random cosines are about fan_in ** -0.5
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @property
    def p(self) -> Tensor:
        """Exponents ``(K,)``, each above ``p_min``: 1, or 0 for a layer that started at 1 or below."""
        return self._for_every_group(self.p_min + F.softplus(self.raw_p))

    @property
    def q(self) -> Tensor:
        """The noise floor, one number above 0; 0, and not learned, for a layer that started there."""
        return self.raw_p.new_zeros(()) if self.raw_q is None else F.softplus(self.raw_q)

    @property
    def kernels(self) -> Tensor:
        """All K kernels: ``weight``, or with shared weights, as often as there are groups."""
        return self._for_every_group(self.weight)

    def _for_every_group(self, x: Tensor) -> Tensor:
        return x.repeat(self.groups, *[1] * (x.ndim - 1)) if self.shared_weights else x

    def forward(self, x: Tensor) -> Tensor:
        """Compare every patch of ``x`` with every kernel; ``(N, C, …)`` to ``(N, K, …)``."""
        axes = self.weight.ndim - 2
        fits = x.ndim in (axes + 1, axes + 2) and (tracing() or x.shape[-axes - 1] == self.in_channels)
        if not fits:
            needed = f"(N, {self.in_channels}{', …' * axes})"
            raise ShapeError(f"the layer takes {needed}, or one without N; {tuple(x.shape)} came")
        y = sharpened_cosine_similarity(
            x,
            self.kernels,
            self.p,
            self.q,
            stride=self.stride,
            padding=self.padding,
            padding_mode=self.padding_mode,
            dilation=self.dilation,
            groups=self.groups,
            mute_kernels=self.mute_kernels,
        )
        if self.gain is not None:
            y = y * self.gain
        return y if self.bias is None else y + self.bias.to(y.dtype).view(-1, *[1] * axes)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, as any layer does, but for weights fused with batch normalisation.

        Raises:
            OptionError: ``fuse_conv_bn_eval`` sets it; kernels are normalised, so that its scale would be lost.
        """
        if sys._getframe(1).f_code is fuse_conv_bn_eval.__code__:
            raise OptionError(f"{type(self).__name__} cannot be fused with batch normalisation: it normalises kernels")
        super().__setattr__(name, value)

    def __prepare_scriptable__(self) -> None:
        """Refuse ``torch.jit.script``, which cannot read this layer.

        Raises:
            OptionError: always.
        """
        raise OptionError(
            f"{type(self).__name__} cannot be scripted; torch.jit.trace, torch.export and compile take it"
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take a pickled layer, also of a version that had no bias, and one exponent to start from."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._parameters.setdefault("bias", None)
        if isinstance(self._p_at_start, float):
            self._p_at_start = [self._p_at_start] * len(self.raw_p)

    def extra_repr(self) -> str:
        """Return the settings of this layer for a printed network."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding!r}, dilation={self.dilation}, groups={self.groups}, "
            f"padding_mode={self.padding_mode!r}, bias={self.bias is not None}, gain={self.gain is not None}, "
            f"p>{self.p_min:g}, q{'=0' if self.raw_q is None else '>0'}"
            + ", shared_weights=True" * self.shared_weights
            + ", mute_kernels=False" * (not self.mute_kernels)
        )


class SharpenedCosineSimilarity1d(_SharpenedCosineSimilarity):
    """Sharpened cosine similarity as a layer for signals ``(N, C, L)``; see :class:`SharpenedCosineSimilarity2d`.

    Example:
        >>> layer = SharpenedCosineSimilarity1d(2, 16, kernel_size=5, padding="same")
        >>> layer(torch.zeros(1, 2, 100)).shape
        torch.Size([1, 16, 100])
    """

    axes = 1


class SharpenedCosineSimilarity2d(_SharpenedCosineSimilarity):
    """Sharpened cosine similarity as a layer for images, where a convolution would stand.

    Kernels, one exponent ``p`` per kernel and one noise floor ``q`` are learned. ``p`` and ``q`` are softplus functions
    of the parameters ``raw_p`` and ``raw_q``, so that every step of an optimiser leaves them in range (p > 1, q > 0).
    Arguments come in the order of ``torch.nn.Conv2d``'s.

    Args:
        in_channels: C, channels of the images ``(N, C, H, W)``.
        out_channels: K, the number of kernels.
        kernel_size: pixels; one number, or height and width.
        stride: pixels between neighbouring patches.
        padding: pixels added on each side, or ``"valid"``, ``"same"``, ``"full"``.
        dilation: pixels between neighbouring taps of a kernel.
        groups: groups of channels and kernels that do not see each other; ``in_channels`` for a depthwise layer.
        bias: learn a number per kernel that is added at the end; not, unless asked for.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        device: where the parameters are made.
        dtype: their type.
        p: where the exponents start, above 0; one number, or one per kernel. They stay above 1, or where one starts
            at 1 or below, above 0.
        q: where the noise floor starts and stays, above 0; with 0 it is 0 and is not learned.
        gain: learn one factor on the whole output. Cosines of random kernels are small and powers of them smaller; the
            factor starts where it makes up for that, so that a deep stack without normalisation keeps its scale. With
            neither, each layer keeps about ``(C * kH * kW) ** (-p / 2)`` of the scale: a few of them are silent.
        shared_weights: every group has the same kernels and exponents; ``weight`` is ``(K / groups, …)``.
        mute_kernels: add q to the norm of the kernels, too, which mutes faint kernels; else only to that of patches.

    Raises:
        OptionError: an argument out of range.
        DtypeError: images of another type than the parameters', where autocast is off.
        ShapeError: an image that does not fit the kernels.

    Source:
        B. Rohrer, "Sharpened cosine similarity" (2022); the gain follows the experience of its users.

    Example:
        >>> layer = SharpenedCosineSimilarity2d(3, 32, kernel_size=3, padding="same", gain=True)
        >>> layer(torch.zeros(1, 3, 24, 32)).shape
        torch.Size([1, 32, 24, 32])
    """

    axes = 2


class SharpenedCosineSimilarity3d(_SharpenedCosineSimilarity):
    """Sharpened cosine similarity as a layer for volumes ``(N, C, D, H, W)``; see :class:`SharpenedCosineSimilarity2d`.

    Example:
        >>> layer = SharpenedCosineSimilarity3d(1, 8, kernel_size=3, padding="same")
        >>> layer(torch.zeros(1, 1, 6, 24, 32)).shape
        torch.Size([1, 8, 6, 24, 32])
    """

    axes = 3


class MaxAbsPool1d(nn.Module):
    """Max-abs pooling of signals ``(N, C, L)``: the value of largest magnitude of every window, with its sign.

    See :class:`MaxAbsPool2d`.

    Example:
        >>> MaxAbsPool1d(2)(torch.tensor([[[1.0, -3.0, 2.0, 0.0]]]))
        tensor([[[-3.,  2.]]])
    """

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride or kernel_size, padding

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``(N, C, L)`` to ``(N, C, (L + 2 * padding - kernel_size) // stride + 1)``."""
        return max_abs_pool(x, self.kernel_size, self.stride, self.padding)


class MaxAbsPool2d(nn.Module):
    """Max-abs pooling of images ``(N, C, H, W)``: the value of largest magnitude of every window, with its sign.

    A strong negative match is as informative as a positive one; plain max pooling would throw it away. Of two values
    of equal magnitude the positive one is kept.

    Args:
        kernel_size: pixels on each side of a window.
        stride: pixels between windows; the kernel size unless given.
        padding: pixels added on each side; they never win.

    Source:
        B. Rohrer, "Sharpened cosine similarity" (2022).

    Example:
        >>> MaxAbsPool2d(2)(torch.tensor([[[[1.0, -3.0], [2.0, 0.0]]]]))
        tensor([[[[-3.]]]])
    """

    def __init__(self, kernel_size: int, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = kernel_size, stride or kernel_size, padding

    def forward(self, x: Tensor) -> Tensor:
        """Pool ``(N, C, H, W)`` to ``(N, C, H', W')``, ``H' = (H + 2 * padding - kernel_size) // stride + 1``."""
        return max_abs_pool(x, self.kernel_size, self.stride, self.padding)


def _check_channels(in_channels: int, out_channels: int, groups: int) -> None:
    if min(in_channels, out_channels, groups) < 1:
        raise OptionError(
            f"channels, kernels and groups are 1 or more; {in_channels}, {out_channels} and {groups} came"
        )
    if in_channels % groups or out_channels % groups:
        raise OptionError(f"groups divides both channel counts; {groups} came for {in_channels} and {out_channels}")


def _starts_of_p(p: float | Sequence[float], kernels: int) -> list[float]:
    starts = [float(p)] * kernels if isinstance(p, int | float) else [float(one) for one in p]
    if len(starts) != kernels:
        raise OptionError(f"p is one number or one per kernel, {kernels} here; {len(starts)} came")
    if not all(0 < one < math.inf for one in starts):
        raise OptionError(f"p starts above 0; {p} came")
    return starts


def _start_of_q(q: float) -> float:
    if not 0 <= q < math.inf:
        raise OptionError(f"q starts at 0 or above; {q} came")
    return q


def _inverse_softplus(y: float) -> float:
    return y + math.log(-math.expm1(-y))
