"""Two families of classifiers with one architecture: sharpened cosine similarity, and convolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.normalisation import NORMALISE, Normalise, normalised
from models.slope import Slope
from models.style import PLAIN, Style
from scs.errors import OptionError, UnknownNameError
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d

CLASS_MAP = "class_map"


@dataclass(frozen=True)
class Family:
    """The building blocks of a family: its layers, its pooling, and what comes between the last maps and the head."""

    unit: Callable[[int, int, int, Style], nn.Module]  # channels in, kernels, kernel size
    pool: Callable[[int], nn.Module]  # by the largest value, with a stride; windows are 2x2
    last: Callable[[int, Style], nn.Module]  # between the last maps, of so many channels, and the head
    signed: bool  # whether feature maps take both signs, whatever the activation
    by_angle: bool  # whether what sees the channels of the depthwise filters compares the strengths of channels


def scs_unit(channels: int, kernels: int, kernel_size: int, style: Style) -> nn.Module:
    """Build a layer of sharpened cosine similarity, with no activation or normalisation after it.

    It has no gain, since batch normalisation follows the filters, or precedes the head, that see it. Its noise floor
    starts near the norms of the patches: far below them, faint patches would count as much as strong ones, and networks
    learn worse (docs/decisions.md has the figures).
    """
    return SharpenedCosineSimilarity2d(channels, kernels, kernel_size, padding="same", q=1.0)


def add_gains(network: nn.Module) -> None:
    """Give every SCS layer of a network a gain, in place, as those have that were trained when there was one."""
    for layer in network.modules():
        if isinstance(layer, SharpenedCosineSimilarity2d):
            layer.gain = nn.Parameter(torch.ones(()))


def convolution_unit(channels: int, kernels: int, kernel_size: int, style: Style) -> nn.Module:
    """Build a convolution with batch normalisation and an activation."""
    return nn.Sequential(
        nn.Conv2d(channels, kernels, kernel_size, padding=kernel_size // 2, bias=False),
        _norm(kernels, style, scaled=False),
        _activation(style),
    )


def depthwise_unit(channels: int, style: Style, by_angle: bool) -> nn.Module:
    """Build a 3x3 depthwise convolution with batch normalisation and an activation, the same in both families.

    A patch of one channel has a strength but hardly a direction, so that comparing it by angle loses more than it gains
    (docs/scs-or-conv.md has the figures). An SCS layer behind it compares the strengths of the channels, so that a lean
    one learns their scales too.
    """
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        _norm(channels, style, scaled=by_angle),
        _activation(style),
    )


def _activation(style: Style) -> nn.Module:
    return Slope() if style.activation == "prelu" else nn.ReLU()


def _norm(channels: int, style: Style, scaled: bool) -> nn.Module:
    """Build a batch normalisation, whose scale stays at 1 where it is redundant and the style is lean.

    A scale is redundant where only a linear layer follows, or, since activations keep factors above 0, where
    filters follow that are normalised in their turn. ``scaled`` says that neither is so.
    """
    norm = nn.BatchNorm2d(channels)
    if style.lean and not scaled:
        del norm.weight
        norm.register_buffer("weight", torch.ones(channels))
    return norm


FAMILIES = {
    "scs": Family(
        scs_unit,
        lambda stride: MaxAbsPool2d(2, stride),
        lambda channels, style: _norm(channels, style, scaled=False),
        signed=True,
        by_angle=True,
    ),
    "conv": Family(
        convolution_unit,
        lambda stride: nn.MaxPool2d(2, stride),
        lambda channels, style: nn.Identity(),
        signed=False,
        by_angle=False,
    ),
}


def blurred(pool: Callable[[int], nn.Module]) -> nn.Module:
    """Build anti-aliased pooling (blur pooling), which blurs feature maps before it halves them.

    The largest of every 2x2 at every place, then two means of 2x2, of which the second halves: together the kernel
    ``[1, 2, 1] / 4`` along either axis, the edge repeated at the border. Sizes are those without a blur.

    Source:
        R. Zhang, "Making Convolutional Networks Shift-Invariant Again" (2019).
    """
    return nn.Sequential(pool(1), nn.AvgPool2d(2, 1, padding=1, count_include_pad=False), nn.AvgPool2d(2))


def _mean(stride: int) -> nn.Module:
    return nn.AvgPool2d(2, stride)


class Network(nn.Module):
    """A fully convolutional classifier: a stem, blocks of depthwise and pointwise layers, a linear head.

    The maps are halved before each stage, which is one block or several. The head is linear at every place of the
    last map and its output, the class map, is averaged, so that the mean of a class's map plus the class's bias is the
    logit, exactly.

    Args:
        family: a key of ``FAMILIES``.
        channels: C of the images, 1 or 3.
        classes: number of classes.
        widths: kernels of the stem, then of each block.
        stem_size: pixels on each side of the stem's kernels, an odd number.
        stages: number of blocks of each stage.
        opening: number of blocks before the first stage, on maps of the picture's size.
        mean: of each channel over the training images, as normalised, on the scale 0 to 1.
        std: likewise, the standard deviation.
        style: what it may differ in from others of its family.
        normalise: how each picture is normalised first, see :mod:`models.normalisation`.

    Raises:
        UnknownNameError: an unknown family.
        OptionError: there are not as many blocks as there are widths beside the stem's, or another
            normalisation.
    """

    def __init__(
        self,
        family: str,
        channels: int,
        classes: int,
        widths: Sequence[int],
        stages: Sequence[int],
        stem_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        style: Style = PLAIN,
        normalise: Normalise = "none",
        opening: int = 0,
    ) -> None:
        super().__init__()
        if family not in FAMILIES:
            raise UnknownNameError(f"a family is one of {', '.join(FAMILIES)}; '{family}' came")
        if opening + sum(stages) != len(widths) - 1:
            raise OptionError(
                f"{len(widths)} widths are a stem's and {len(widths) - 1} blocks'; there are {opening + sum(stages)}"
            )
        if normalise not in NORMALISE:
            raise OptionError(f"pictures are normalised by one of {', '.join(NORMALISE)}; '{normalise}' came")
        made_of = FAMILIES[family]
        self.style, self.normalise = style, normalise
        self.family, self.channels, self.classes, self.widths = family, channels, classes, tuple(widths)
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", 1 / (255 * torch.tensor(std)).view(-1, 1, 1))
        self.register_buffer("shift", -(torch.tensor(mean) / torch.tensor(std)).view(-1, 1, 1))
        self.stem = made_of.unit(channels, widths[0], stem_size, style)
        self.blocks = nn.ModuleList(
            nn.Sequential(depthwise_unit(before, style, made_of.by_angle), made_of.unit(before, after, 1, style))
            for before, after in zip(widths[:-1], widths[1:], strict=True)
        )
        pool = made_of.pool if style.pooling == "largest" else _mean
        self.pool = blurred(pool) if style.blur else pool(2)
        self.stages = tuple(stages)
        self.halved = [opening + sum(stages[:i]) for i in range(len(stages))]  # blocks before which maps are halved
        self.head = nn.Sequential(made_of.last(widths[-1], style), nn.Conv2d(widths[-1], classes, 1, bias=False))
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def layer_names(self) -> list[str]:
        """Names of the layers that :meth:`layers` gives, first to last."""
        return ["stem", *(f"block{i}" for i in range(1, len(self.blocks) + 1)), CLASS_MAP]

    @property
    def signed(self) -> bool:
        """Whether feature maps take both signs; the class map always does."""
        return FAMILIES[self.family].signed or self.style.activation == "prelu"

    @property
    def smallest_image(self) -> int:
        """Smallest side of an image in pixels; pooling leaves nothing of a smaller one."""
        return int(2 ** len(self.stages))

    def layers(self, image: Tensor) -> dict[str, Tensor]:
        """Return the feature maps ``(N, K, H', W')`` of every layer by name, of images ``(N, H, W, C)`` uint8."""
        x = normalised(image.permute(0, 3, 1, 2).to(self.scale.dtype), self.normalise)  # (N, C, H, W)
        x = x * self.scale + self.shift
        x = self.stem(x.contiguous(memory_format=torch.channels_last) if self.training else x)
        maps = {"stem": x}
        for i, block in enumerate(self.blocks):
            x = block(self.pool(x) if i in self.halved else x)
            maps[f"block{i + 1}"] = x
        maps[CLASS_MAP] = self.head(x)
        return maps

    def logits(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the logits ``(N, classes)`` of the feature maps that :meth:`layers` gave."""
        return maps[CLASS_MAP].mean((2, 3)) + self.bias

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits ``(N, classes)`` of uint8 images ``(N, H, W, C)``, of ``smallest_image`` or larger."""
        return self.logits(self.layers(image))
