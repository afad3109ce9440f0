"""Batches of training images in a random order, each changed at random, and the time that this takes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from models.training import augmentation
from models.training.own_recipes import OwnRecipe
from models.training.recipes import Recipe

_EVALUATED_PIXELS = 500 * 32 * 32  # of a batch that is only looked at
_MOST_EVALUATED = 500


def epoch_batches(
    images: Tensor, labels: Tensor, recipe: Recipe, seed: int, epoch: int, device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the whole batches of an epoch, of images in an order and with changes that the seed decides."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(len(images), generator=generator)
    for start in range(0, len(order) - recipe.batch_size + 1, recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        yield _changed(images[chosen], recipe, generator, device), labels[chosen].to(device)


def _changed(images: Tensor, recipe: Recipe, generator: torch.Generator, device: torch.device) -> Tensor:
    if isinstance(recipe, OwnRecipe) and recipe.photographs:
        x = augmentation.photograph(images.to(device), (recipe.height, recipe.width), generator)
    else:
        x = augmentation.shift(images, recipe.shift, generator).to(device)
    return augmentation.mirror(x, generator) if recipe.mirror else x


def evaluation_batch(pixels: int) -> int:
    """Return how many images of so many pixels go through a network together where nothing is learnt."""
    return max(1, min(_MOST_EVALUATED, _EVALUATED_PIXELS // pixels))


class Timed:
    """An iterator over batches that adds up the seconds they take to come.

    Args:
        batches: what it iterates over.
    """

    def __init__(self, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
        self._batches, self.seconds = batches, 0.0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self

    def __next__(self) -> tuple[Tensor, Tensor]:
        started = time.perf_counter()
        try:
            return next(self._batches)
        finally:
            self.seconds += time.perf_counter() - started
