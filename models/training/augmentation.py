"""Random augmentation of a batch of training images, computed on the whole tensor at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


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
    chosen = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(2), images)
