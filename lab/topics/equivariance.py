"""Shift equivariance of networks: maps of stacks of layers, for pictures that are shifted pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lab.drawing import BLUE, GREEN, ORANGE, panels, save
from lab.tables import Table, percent
from lab.topics.catalogue import Figures, Step
from models.cards.catalogue import bundled_repository, entries
from scs.nn.layers import SharpenedCosineSimilarity2d
from scs.nn.pooling import max_abs_pool
from scs.shifts import Maps, ShiftError

SIDE = 32  # pixels
SHIFTS = range(9)  # pixels
KERNELS = (8, 8, 8)  # of each layer
MEAN = "mean"  # of the last layer's maps over all places: what a head would look at
COLOURS = {"layer 1": BLUE, "layer 2": GREEN, "layer 3": ORANGE, MEAN: "black"}


@dataclass(frozen=True)
class Stack:
    """Three layers of SCS with 3x3 kernels, drawn at random, and what is done between them.

    Attributes:
        circular: whether a picture goes on around its borders; else there is 0 beyond them.
        stride: by which maps are pooled before the second layer and before the third, 1 or 2.
        blur: whether they are blurred before that.
    """

    circular: bool
    stride: int = 1
    blur: bool = False

    @property
    def strides(self) -> dict[str, int]:
        """Pixels from unit to unit, for each layer."""
        return {f"layer {i + 1}": self.stride**i for i in range(len(KERNELS))}

    @torch.no_grad()
    def maps(self, pictures: Tensor) -> dict[str, Maps]:
        """Compute the maps ``(N, K, H, W)`` of every layer for pictures ``(N, 3, H, W)``.

        The mean of the last is among them, as one unit.
        """
        torch.manual_seed(0)  # every stack has the same kernels
        maps: dict[str, Maps] = {}
        mode: Literal["circular", "zeros"] = "circular" if self.circular else "zeros"
        x = pictures
        for name, kernels in zip(self.strides, KERNELS, strict=True):
            layer = SharpenedCosineSimilarity2d(x.shape[1], kernels, 3, padding="same", padding_mode=mode, gain=True)
            x = layer.to(x.dtype)(self._pooled(x) if maps else x)
            maps[name] = x.numpy()
        maps[MEAN] = maps[name].mean((2, 3), keepdims=True)
        return maps

    def _pooled(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            return x
        if not self.blur:
            return max_abs_pool(x, 2)
        x = max_abs_pool(F.pad(x, (0, 1, 0, 1), mode="circular"), 2, 1)
        return F.avg_pool2d(F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="circular"), 2, 1), 2)


STACKS = {
    "stride 1, circular": Stack(circular=True),
    "stride 1, zeros beyond the border": Stack(circular=False),
    "pooled, circular": Stack(circular=True, stride=2),
    "blurred and pooled, circular": Stack(circular=True, stride=2, blur=True),
}


def leaves(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Draw dead leaves ``(N, 3, 32, 32)``: discs that hide one another, with the edges and sizes of photographs.

    Source:
        A. B. Lee, D. Mumford and J. Huang, "Occlusion models for natural images" (2001): dead leaves.
    """
    rows, columns = np.mgrid[:SIDE, :SIDE]
    pictures = np.zeros((count, 3, SIDE, SIDE))
    for picture in pictures:
        for _ in range(200):
            down, right = (
                np.abs((axis - random.uniform(0, SIDE) + SIDE / 2) % SIDE - SIDE / 2) for axis in (rows, columns)
            )
            radius = 1.5 / np.sqrt(random.uniform(0.01, 1))  # of radius r there are r ** -3
            picture[:, down**2 + right**2 < radius**2] = random.uniform(-1, 1, (3, 1))
    return pictures


def errors(stack: Stack, pictures: NDArray[np.float64], shift: int) -> dict[str, float]:
    """Measure the shift error of every layer, and of the mean, for a shift by so many pixels, down and across."""
    before = stack.maps(torch.from_numpy(pictures))
    found = {name: ShiftError() for name in before}
    for way in ((shift, 0), (0, shift)):
        after = stack.maps(torch.from_numpy(np.roll(pictures, way, (2, 3))))
        for name, error in found.items():
            stride = stack.strides.get(name)
            error.add(before[name], after[name], *((pixels / stride if stride else 0) for pixels in way))
    return {name: error.error for name, error in found.items()}


def run(quick: bool, step: Step) -> Figures:
    """Shift pictures by up to eight pixels, and measure the shift error of each layer of each stack."""
    pictures = leaves(8 if quick else 64, np.random.default_rng(0))
    total = len(STACKS) * len(SHIFTS)
    found: dict[str, dict[str, list[float]]] = {}
    for name, stack in STACKS.items():
        found[name] = {layer: [] for layer in (*stack.strides, MEAN)}
        for shift in SHIFTS:
            for layer, error in errors(stack, pictures, shift).items():
                found[name][layer].append(error)
            step(sum(len(of[MEAN]) for of in found.values()), total)
    return {"pictures": len(pictures), "shifts": list(SHIFTS), "stacks": found}


def tables(figures: Figures) -> dict[str, Table]:
    """Make the table: the shift error of every layer for one pixel."""
    one = figures["shifts"].index(1)
    rows = [
        [name, *("0" if series[one] == 0 else f"{series[one]:.3f}" for series in found.values())]
        for name, found in figures["stacks"].items()
    ]
    return {"pixel": Table(["error for one pixel", *COLOURS], rows)}


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw errors by shift, a panel a stack, and errors for one pixel of the models that come with the package."""
    return [_draw_stacks(figures, folder / "stacks.png"), _draw_models(folder / "models.png")]


def _draw_stacks(figures: Figures, path: Path) -> Path:
    figure, axes = panels(1, len(STACKS), 3.2, share=True)
    for each, (name, found) in zip(axes, figures["stacks"].items(), strict=True):
        for layer, series in found.items():
            each.plot(figures["shifts"], series, "o-", ms=3.5, lw=1.2, color=COLOURS[layer], label=layer)
        each.set_title(name, fontsize=10)
        each.set_xticks(list(figures["shifts"])[::2])
        each.set_xlabel("shift, pixels")
    axes[0].set_ylabel("equivariance error")
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    return save(figure, path)


def _draw_models(path: Path) -> Path:
    cards = [card for entry in entries(bundled_repository()) for card in [entry.card()] if card.equivariance]
    figure, axes = panels(1, len(cards), 3.2, share=True)
    for each, card in zip(axes, cards, strict=True):
        assert card.equivariance is not None
        served, alone = card.equivariance.as_served, card.equivariance.without_borders
        names = [*served.layers, "logits"]
        each.bar(names, [*served.layers.values(), served.logits], color=ORANGE, label="as served")
        each.bar(names, [*alone.layers.values(), alone.logits], color=BLUE, width=0.4, label="without borders")
        each.tick_params("x", rotation=60, labelsize=8)
        each.set_title(f"{card.name}, class kept: {percent(served.class_kept, 1)}", fontsize=10)
    axes[0].set_ylabel("error for one pixel")
    axes[0].legend(frameon=False, fontsize=8, loc="upper right")
    return save(figure, path)
