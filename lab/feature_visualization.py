"""Feature visualization (activation maximization): ascent on the input until a channel of a layer answers most.

On the way pictures are floating point ``(N, C, H, W)`` from 0 to 1; at the end they are bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.runtime.differentiable import Differentiable
from scs.errors import OptionError

STEPS = 256
_RATE = 0.05  # of Adam
_START = 0.01  # standard deviation of what a picture begins as: grey, all but even

# How red, green and blue of photographs go together. The columns are, from strong to faint, about light, blue against
# yellow, and green against purple: a root of the covariance of ImageNet's pixels, as published with the source below.
_COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
_COLOURS = _COLOURS / _COLOURS.norm(dim=0).max()


@dataclass(frozen=True)
class Changes:
    """The random changes of a picture at each step (augmentation): it is moved, scaled and turned by up to these.

    Attributes:
        shift: share of the picture's side, along either axis.
        scale: 0.1 is from 0.9 to 1.1.
        turn: degrees.
    """

    shift: float = 0.04
    scale: float = 0.1
    turn: float = 8.0

    def apply(self, pictures: Tensor, chance: torch.Generator) -> Tensor:
        """Change pictures ``(N, C, H, W)``, all in the same way, with reflected borders."""
        across, down, scale, turn = (2 * torch.rand(4, 1, generator=chance) - 1).expand(4, len(pictures))
        angle, size = math.radians(self.turn) * turn, 1 / (1 + self.scale * scale)
        cosine, sine = size * angle.cos(), size * angle.sin()
        # A picture is 2 long to grid_sample.
        rows = [cosine, -sine, 2 * self.shift * across], [sine, cosine, 2 * self.shift * down]
        way = torch.stack([torch.stack(row, 1) for row in rows], 1)  # (N, 2, 3)
        places = F.affine_grid(way, list(pictures.shape), align_corners=False)
        return F.grid_sample(pictures, places, padding_mode="reflection", align_corners=False)


CHANGES = Changes()


@dataclass(frozen=True)
class Wish:
    """The result of the ascent for one channel.

    Attributes:
        picture: ``(H, W, C)``.
        before: the channel's answer to the picture that the ascent began with.
        after: its answer to this one.
    """

    picture: NDArray[np.uint8]
    before: float
    after: float


def visualize(
    graph: Differentiable,
    tensor: str,
    wanted: Sequence[int],
    *,
    size: int,
    channels: int = 3,
    steps: int = STEPS,
    seed: int = 0,
    unit: bool = False,
    frequencies: bool = True,
    changes: Changes | None = CHANGES,
    on_step: Callable[[int], None] = lambda done: None,
) -> list[Wish]:
    """Find the pictures that channels of a layer answer most, by gradient ascent from grey.

    Ascent on pixels finds noise that no photograph has. Two things keep it to shapes. What is moved is the picture's
    spectrum, in colours that are independent of each other in photographs, with weights by which a step changes a
    broad shape as much as photographs have more of it. And the picture has to stand small changes of place, size and
    turn.

    Args:
        graph: the network.
        tensor: a layer's maps ``(N, K, H', W')``.
        wanted: channels, each from 0 to K - 1.
        size: pixels on each side of the pictures, no fewer than the network takes.
        channels: C of the network's images: 1 is grey, 3 are red, green and blue.
        steps: of the ascent.
        seed: decides the start and the changes.
        unit: let the unit in the middle of the channel answer, alone. Else the channel's mean does; that of a class map
            is the class's logit less its bias.
        frequencies: whether the spectrum is moved, or each pixel by itself.
        changes: what the pictures have to stand; None is nothing.
        on_step: called with the number of steps done so far.

    Returns:
        A picture for each channel that is wanted, in their order.

    Raises:
        ModelError: the graph has no such tensor.
        OptionError: it has no such channel.

    Source:
        C. Olah, A. Mordvintsev and L. Schubert, "Feature Visualization" (2017), and the code published with it.
    """
    chance = torch.Generator().manual_seed(seed)
    draw = _from_frequencies(size) if frequencies else torch.sigmoid
    shape = (channels, size, size // 2 + 1, 2) if frequencies else (channels, size, size)
    # Every channel begins with the same grey and has the same changes: it does not matter which others are wanted.
    moved = _START * torch.randn(shape, generator=chance).repeat(len(wanted), *[1] * len(shape))

    def answers(pictures: Tensor) -> Tensor:
        maps = graph.tensor(tensor, 255 * pictures.permute(0, 2, 3, 1))
        _check(maps, tensor, wanted)
        maps = maps[range(len(wanted)), list(wanted)]  # (N, H', W')
        return maps[:, maps.shape[1] // 2, maps.shape[2] // 2] if unit else maps.mean((1, 2))

    with torch.no_grad():
        before = answers(draw(moved))
    moved.requires_grad_()
    ascent = torch.optim.Adam([moved], lr=_RATE, maximize=True)
    for step in range(steps):
        pictures = draw(moved)
        ascent.zero_grad()
        answers(changes.apply(pictures, chance) if changes else pictures).sum().backward()
        ascent.step()
        on_step(step + 1)
    with torch.no_grad():
        rounded = (255 * draw(moved)).round()
        after = answers(rounded / 255)
    pixels = rounded.permute(0, 2, 3, 1).numpy().astype(np.uint8)
    return [Wish(*each) for each in zip(pixels, before.tolist(), after.tolist(), strict=True)]


def _from_frequencies(size: int) -> Callable[[Tensor], Tensor]:
    """Pictures of spectra ``(N, C, H, W // 2 + 1, 2)``, whose frequencies f weigh 1 / f, as photographs have them."""
    down, across = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)
    weights = 1 / (4 * torch.hypot(down, across).clamp(min=1 / size))

    def draw(spectra: Tensor) -> Tensor:
        planes = torch.fft.irfft2(torch.view_as_complex(spectra) * weights, (size, size), norm="ortho")
        colours = _COLOURS if planes.shape[1] == 3 else torch.ones(1, 1)
        return torch.einsum("rc,nchw->nrhw", colours, planes).sigmoid()

    return draw


def _check(maps: Tensor, tensor: str, wanted: Sequence[int]) -> None:
    for channel in wanted:
        if maps.ndim != 4 or not 0 <= channel < maps.shape[1]:
            raise OptionError(f"'{tensor}' needs a channel {channel}; its maps are {tuple(maps.shape)}")
