"""Layers of a network: sharpened cosine similarity and max-abs pooling, for signals and for images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scs.errors import OptionError
from scs.nn.pooling import max_abs_pool
from scs.nn.similarity import Padding, PaddingMode, per_axis, sharpened_cosine_similarity

# Below an exponent of 1 the slope at zero grows without bound and noise is amplified, not sharpened.
P_MIN = 1.0


class _SharpenedCosineSimilarity(nn.Module):
    """What the layer for signals and the layer for images share; see :class:`SharpenedCosineSimilarity2d`."""

    axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: Padding = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        *,
        padding_mode: PaddingMode = "zeros",
        p: float = 2.0,
        q: float = 0.1,
        gain: bool = False,
    ) -> None:
        super().__init__()
        if p <= P_MIN:
            raise OptionError(f"p starts above {P_MIN}, where it stays; {p} came")
        if q <= 0:
            raise OptionError(f"q starts above 0, where it stays; {q} came")
        if in_channels % groups or out_channels % groups:
            raise OptionError(f"groups divides both channel counts; {groups} came for {in_channels} and {out_channels}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_axis(kernel_size, self.axes, "kernel_size")
        self.stride = per_axis(stride, self.axes, "stride")
        self.dilation = per_axis(dilation, self.axes, "dilation")
        self.padding, self.padding_mode = padding, padding_mode
        self._p_at_start, self._q_at_start = p, q

        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.raw_p = nn.Parameter(torch.empty(out_channels))
        self.raw_q = nn.Parameter(torch.empty(()))
        self.gain = nn.Parameter(torch.empty(())) if gain else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the kernels from torch's generator and put p, q and the gain back to where they start."""
        fan_in = self.weight[0].numel()
        nn.init.normal_(self.weight, std=1 / math.sqrt(fan_in))  # a kernel's norm is 1, about
        nn.init.constant_(self.raw_p, _inverse_softplus(self._p_at_start - P_MIN))
        nn.init.constant_(self.raw_q, _inverse_softplus(self._q_at_start))
        if self.gain is not None:
            nn.init.constant_(self.gain, fan_in ** (self._p_at_start / 2))  # random cosines are about fan_in ** -0.5

    @property
    def p(self) -> Tensor:
        """Exponents ``(K,)``, each above ``P_MIN``."""
        return P_MIN + F.softplus(self.raw_p)

    @property
    def q(self) -> Tensor:
        """The noise floor, one number above 0."""
        return F.softplus(self.raw_q)

    def forward(self, x: Tensor) -> Tensor:
        """Compare every patch of ``x`` with every kernel; ``(N, C, …)`` to ``(N, K, …)``."""
        y = sharpened_cosine_similarity(
            x,
            self.weight,
            self.p,
            self.q,
            stride=self.stride,
            padding=self.padding,
            padding_mode=self.padding_mode,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if self.gain is None else y * self.gain

    def extra_repr(self) -> str:
        """Return the settings of this layer for a printed network."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, gain={self.gain is not None}"
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

    Args:
        in_channels: C, channels of the images ``(N, C, H, W)``.
        out_channels: K, the number of kernels.
        kernel_size: pixels; one number, or height and width.
        stride: pixels between neighbouring patches.
        padding: pixels added on each side, or ``"valid"``, ``"same"``, ``"full"``.
        dilation: pixels between neighbouring taps of a kernel.
        groups: groups of channels and kernels that do not see each other; ``in_channels`` for a depthwise layer.
        padding_mode: ``"zeros"`` or ``"circular"``.
        p: where every exponent starts, above 1.
        q: where the noise floor starts, above 0.
        gain: learn one factor on the whole output. Cosines of random kernels are small and powers of them smaller; the
            factor starts where it makes up for that, so that a deep stack without normalisation keeps its scale.

    Raises:
        OptionError: p, q or groups out of range.
        ShapeError: an image that does not fit the kernels.

    Source:
        B. Rohrer, "Sharpened cosine similarity" (2022); the gain follows the experience of its users.

    Example:
        >>> layer = SharpenedCosineSimilarity2d(3, 32, kernel_size=3, padding="same", gain=True)
        >>> layer(torch.zeros(1, 3, 24, 32)).shape
        torch.Size([1, 32, 24, 32])
    """

    axes = 2


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


def _inverse_softplus(y: float) -> float:
    return y + math.log(-math.expm1(-y))
