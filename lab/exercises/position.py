"""When position should matter: a task in which equivariance hurts, one in which it helps, and position channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.drawing import panels, save, show
from lab.tables import Table, percent

SIDE, THING = 16, 5  # pixels of a picture, and of the thing in it
EACH = 400  # pictures to train on, and to test on
NETWORKS = ("convolution", "convolution with position channels", "dense")
# Whether the thing is in the upper half; which thing it is, in the lower half in training and in the upper in the test.
TASKS = ("does it fly?", "cross or ring?")


def pictures(count: int, random: np.random.Generator, half: str) -> tuple[Tensor, Tensor, Tensor]:
    """Draw pictures ``(N, 1, 16, 16)`` of a cross or a ring, whether each flies, and whether it is a cross.

    Args:
        count: of pictures.
        random: decides which and where.
        half: ``"upper"``, ``"lower"`` or ``"any"``, where things are.
    """
    ring = np.pad(np.zeros((THING - 2, THING - 2)), 1, constant_values=1.0)
    cross = np.fmax(np.eye(THING), np.eye(THING)[::-1])
    x = random.normal(0, 0.1, (count, 1, SIDE, SIDE))
    rows = SIDE // 2 - THING + 1  # of places within a half
    flies = {"upper": np.ones(count), "lower": np.zeros(count), "any": random.integers(0, 2, count)}[half]
    crosses = random.integers(0, 2, count)
    for picture, flying, is_cross in zip(x, flies, crosses, strict=True):
        row = int(random.integers(0, rows)) + (0 if flying else SIDE // 2)
        column = int(random.integers(0, SIDE - THING + 1))
        picture[0, row : row + THING, column : column + THING] += cross if is_cross else ring
    return torch.from_numpy(x).float(), torch.from_numpy(flies).long(), torch.from_numpy(crosses).long()


class WithPosition(nn.Module):
    """Add two channels that hold the row and the column of each pixel, -1 to 1 (CoordConv).

    Source:
        R. Liu et al., "An Intriguing Failing of Convolutional Neural Networks and the CoordConv Solution" (2018).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, C + 2, H, W)`` of ``(N, C, H, W)``."""
        rows, columns = (torch.linspace(-1, 1, size) for size in x.shape[2:])
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).expand(len(x), -1, -1, -1)
        return torch.cat([x, grid], 1)


def network(kind: str) -> nn.Sequential:
    """Build one of ``NETWORKS``: two convolutions without borders and the largest over places, or two dense layers."""
    if kind == "dense":
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 16), nn.ReLU(), nn.Linear(16, 2))
    position = [WithPosition()] if kind == NETWORKS[1] else []
    channels = 3 if position else 1
    around: dict[str, Any] = {"padding": 2, "padding_mode": "circular"}
    layers = [nn.Conv2d(channels, 8, 5, **around), nn.ReLU(), nn.Conv2d(8, 8, 5, **around), nn.ReLU()]
    return nn.Sequential(*position, *layers, nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 2))


def accuracy(kind: str, task: str, seed: int, steps: int) -> float:
    """Train a network on a task and return the share of new pictures that it gets right."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    halves, which = (("any", "any"), 1) if task == TASKS[0] else (("lower", "upper"), 2)
    train, test = (pictures(count, random, half) for count, half in zip((EACH, EACH), halves, strict=True))
    net = network(kind)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        chosen = torch.from_numpy(random.integers(0, EACH, 32))
        optimiser.zero_grad()
        F.cross_entropy(net(train[0][chosen]), train[which][chosen]).backward()
        optimiser.step()
    with torch.no_grad():
        return float((net(test[0]).argmax(1) == test[which]).double().mean())


def run(quick: bool) -> dict[str, Any]:
    """Train each network on each task."""
    seeds, steps = (1, 150) if quick else (3, 300)
    found = {
        kind: {task: [accuracy(kind, task, seed, steps) for seed in range(seeds)] for task in TASKS}
        for kind in NETWORKS
    }
    return {"seeds": seeds, "found": found}


def table(figures: dict[str, Any]) -> Table:
    """Make the table: accuracy of each network on each task, the mean over seeds with the lowest and the highest."""
    rows = [
        [
            kind,
            *(f"{percent(float(np.mean(of)))} ({percent(min(of))} to {percent(max(of))})" for of in each.values()),
        ]
        for kind, each in figures["found"].items()
    ]
    return Table(["network", *TASKS], rows)


def draw(figures: dict[str, Any], path: Path) -> Path:
    """Draw pictures of either task, from training and from the test."""
    random = np.random.default_rng(1)
    figure, axes = panels(1, 6, 2.0)
    for half, start in (("any", 0), ("lower", 2), ("upper", 4)):
        x, flies, crosses = pictures(20, random, half)
        answers = flies if half == "any" else crosses
        for i, chosen in enumerate(int(answers.tolist().index(answer)) for answer in (1, 0)):
            thing = "cross" if crosses[chosen] else "ring"
            words = {
                "any": "flies" if flies[chosen] else "does not fly",
                "lower": f"training: {thing}",
                "upper": f"test: {thing}",
            }
            show(axes[start + i], x[chosen, 0].numpy(), words[half])
    return save(figure, path)
