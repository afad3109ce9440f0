"""A small sliding-window detector of one thing, learned from a few pictures.

It is a stack of sharpened cosine similarity without any padding. So it answers a crop of the size that it sees with one
number and a scene of any size with a map of them, and a map made in tiles is that of the whole scene.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from scs.errors import OptionError, ShapeError
from scs.nn.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d
from scs.tiles import tiled

FIELD, STRIDE = 40, 4  # pixels that an entry of the map sees, and between neighbouring entries
_WIDTHS = 12, 16, 24, 24
_BATCH = 64
_RATE = 0.01  # of Adam
_HARDEST = 24  # places of each scene that a round adds
_SLACK = 2.0  # pixels that a crop may miss its middle by: what lies between two entries of the map

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Places = NDArray[np.float64]


@dataclass(frozen=True)
class Scene:
    """A picture, and the places of the thing to detect in it.

    Attributes:
        pixels: ``(H, W, 3)``, at least ``FIELD`` pixels on either side.
        centres: ``(n, 2)``, x and y of each.
    """

    pixels: Pixels
    centres: Places

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or min(self.pixels.shape[:2]) < FIELD:
            raise ShapeError(f"a scene is (H, W, 3) of at least {FIELD}x{FIELD} pixels; {self.pixels.shape} came")


class Detector(nn.Module):
    """A fully convolutional detector: four layers of SCS with max-abs pooling, and a linear layer for the score."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third, last = _WIDTHS
        self.layers = nn.Sequential(
            _similarity(3, first, 5),
            MaxAbsPool2d(2),
            _similarity(first, second, 5),
            MaxAbsPool2d(2),
            _similarity(second, third, 5),
            _similarity(third, last, 3),
            nn.Conv2d(last, 1, 1),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        """Score pictures ``(N, H, W, 3)``, 0 to 255: ``(N, (H - FIELD) // STRIDE + 1, …)``, above 0 for the thing."""
        x = (pictures.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
        scores: Tensor = self.layers(x)
        return scores[:, 0]

    @torch.inference_mode()
    def map(self, scene: Pixels, tile: int = 256) -> Scores:
        """Score every place of a scene ``(H, W, 3)``, tile by tile.

        Entry (row, column) is for the ``FIELD`` pixels from ``STRIDE * row`` and ``STRIDE * column`` on.
        """

        def scores(part: Pixels) -> Scores:
            return self(torch.from_numpy(np.ascontiguousarray(part))[None])[0].numpy()  # type: ignore[no-any-return]

        return tiled(scores, scene, size=FIELD, stride=STRIDE, tile=tile)


def learn(
    scenes: Sequence[Scene],
    *,
    rounds: int = 3,
    steps: int = 100,
    seed: int = 0,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> Detector:
    """Train a detector on scenes: the thing itself as positives, all other places of the same scenes as negatives.

    After each round the detector looks at the scenes, and the places that it likes best and that are not the thing are
    what it is shown more of in the next (hard negatives). Crops are moved, scaled, turned, mirrored, lit and coloured a
    little by chance.

    Args:
        scenes: at least one, with at least one centre.
        rounds: of learning; with one there are no hard negatives.
        steps: of each round, with 64 crops each, half of them of the thing.
        seed: decides the first weights and all that is by chance.
        on_step: called with the number of steps done so far, and of all.

    Raises:
        OptionError: there is nothing to learn from.

    Source:
        K.-K. Sung and T. Poggio, "Example-based learning for view-based human face detection" (1998), for the rounds.
    """
    wanted = [(scene, centre) for scene in scenes for centre in scene.centres]
    if not wanted:
        raise OptionError("a detector learns from scenes with at least one centre; none came")
    random = np.random.default_rng(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        detector = Detector()
    optimizer = torch.optim.Adam(detector.parameters(), _RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=rounds * steps)
    others = [(scene, place) for scene in scenes for place in _anywhere(scene, random, 4 * _HARDEST)]
    labels = torch.tensor([1.0, 0.0]).repeat_interleave(_BATCH // 2)
    for number in range(rounds):
        if number:
            others += [(scene, place) for scene in scenes for place in _hardest(detector, scene)]
        for step in range(steps):
            drawn = [pool[i] for pool in (wanted, others) for i in random.integers(len(pool), size=_BATCH // 2)]
            crops = torch.from_numpy(np.stack([_crop(scene.pixels, place, random) for scene, place in drawn]))
            loss = F.binary_cross_entropy_with_logits(detector(crops)[:, 0, 0], labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            on_step(number * steps + step + 1, rounds * steps)
    return detector.eval()


def _similarity(channels: int, kernels: int, size: int) -> nn.Module:
    return SharpenedCosineSimilarity2d(channels, kernels, size, q=1.0, gain=True)


def _anywhere(scene: Scene, random: np.random.Generator, count: int) -> list[Places]:
    """Draw random places ``(2,)`` of a scene that are not the thing."""
    height, width = scene.pixels.shape[:2]
    places = random.uniform(FIELD / 2, np.array([width, height]) - FIELD / 2, (count, 2))
    return [place for place in places if not _near(scene, place)]


def _hardest(detector: Detector, scene: Scene) -> list[Places]:
    """Find hard negatives: places of a scene that are not the thing, highest score first; none overlap much."""
    scores = detector.map(scene.pixels)
    highest = cv2.dilate(scores, np.ones((5, 5), np.uint8))
    rows, columns = np.nonzero(scores == highest)
    order = np.argsort(-scores[rows, columns], kind="stable")
    places = STRIDE * np.stack([columns[order], rows[order]], 1) + FIELD / 2
    return [place for place in places if not _near(scene, place)][:_HARDEST]


def _near(scene: Scene, place: Places) -> bool:
    return bool((np.abs(scene.centres - place).max(1) < FIELD / 3).any()) if len(scene.centres) else False


def _crop(pixels: Pixels, centre: Places, random: np.random.Generator) -> Pixels:
    """Crop what a detector sees of a place, with small random changes (augmentation): ``(FIELD, FIELD, 3)``."""
    angle, scale = np.radians(random.uniform(-6, 6)), random.uniform(0.9, 1.1)
    mirrored = random.choice([-1, 1])
    way = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [mirrored, 1]
    middle = centre + random.uniform(-_SLACK, _SLACK, 2) - 0.5 - way @ np.full(2, (FIELD - 1) / 2)
    matrix = np.column_stack([way, middle])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(pixels, matrix, (FIELD, FIELD), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    light = random.uniform(0.8, 1.2) * random.uniform(0.95, 1.05, 3)
    return np.clip(crop * light, 0, 255).astype(np.uint8)
