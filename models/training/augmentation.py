"""Random augmentation of a batch of training images, computed on the whole tensor at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

_LEAST_AREA, _MOST_STRETCH, _MOST_TURN, _MOST_LIGHT = 0.4, 4 / 3, 10.0, 0.25


def shift(images: Tensor, most: int, generator: Generator) -> Tensor:
    """Shift each image at random by up to ``most`` pixels along each axis, with zero padding.

    Args:
        images: ``(N, H, W, C)``.
        most: pixels >= 0.
        generator: where the amounts come from.

    Returns:
        ``(N, H, W, C)``.
    """
    count, height, width, _ = images.shape
    padded = F.pad(images, (0, 0, most, most, most, most))
    down, right = torch.randint(0, 2 * most + 1, (2, count, 1), generator=generator)
    rows = (down + torch.arange(height))[:, :, None]  # (N, H, 1)
    columns = (right + torch.arange(width))[:, None, :]  # (N, 1, W)
    return padded[torch.arange(count)[:, None, None], rows, columns]


def mirror(images: Tensor, generator: Generator) -> Tensor:
    """Flip each image ``(N, H, W, C)`` left to right with a probability of one half."""
    chosen = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(2), images)


def photograph(images: Tensor, size: tuple[int, int], generator: Generator) -> Tensor:
    """Cut a random part out of each photograph, turned a little, and change its light.

    A part has 0.4 to 1 of the area, its sides stretched apart by up to a third; it is turned by up to 10 degrees, and
    what lies outside the photograph is its mirror image. Brightness, contrast and saturation change by up to a quarter.

    Args:
        images: ``(N, H, W, C)``, on any device.
        size: height and width of what is cut out.
        generator: where the amounts come from.

    Returns:
        ``(N, *size, C)``, floating point, 0 to 255.
    """
    count, channels = len(images), images.shape[3]
    luck = torch.rand((8, count), generator=generator).to(images.device)  # one number of each kind for each image
    turned = _affine(luck[:5], size)
    grid = F.affine_grid(turned, [count, channels, *size], align_corners=False)
    pictures = images.permute(0, 3, 1, 2).float()
    parts = F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)
    lit: Tensor = _relit(parts, luck[5:]).clamp(0, 255).permute(0, 2, 3, 1)
    return lit


def _affine(luck: Tensor, new: tuple[int, int]) -> Tensor:
    """Return matrices ``(N, 2, 3)`` from places of the new images to places of the old ones, both from -1 to 1."""
    area, stretch, angle, down, right = luck
    side, ratio = (_LEAST_AREA + (1 - _LEAST_AREA) * area).sqrt(), _MOST_STRETCH ** (2 * stretch - 1)
    across, upright = (side * ratio.sqrt()).clamp(max=1), (side / ratio.sqrt()).clamp(max=1)
    turn = torch.deg2rad(_MOST_TURN * (2 * angle - 1))
    shape = new[1] / new[0]  # a turn is one in pixels, of which -1 to 1 has more along the longer side
    rows = [
        torch.stack([across * turn.cos(), -across * turn.sin() / shape, (1 - across) * (2 * right - 1)], 1),
        torch.stack([upright * turn.sin() * shape, upright * turn.cos(), (1 - upright) * (2 * down - 1)], 1),
    ]
    matrices: Tensor = torch.stack(rows, 1)
    return matrices


def _relit(images: Tensor, luck: Tensor) -> Tensor:
    """Change brightness, contrast and saturation of images ``(N, C, H, W)``."""
    bright, contrast, saturation = (1 + _MOST_LIGHT * (2 * luck - 1))[:, :, None, None, None]
    grey = images.mean(1, keepdim=True)
    mean = grey.mean((2, 3), keepdim=True)
    relit: Tensor = ((grey + (images - grey) * saturation - mean) * contrast + mean) * bright
    return relit
