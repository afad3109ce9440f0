"""Class maps from what a network says of a picture with parts of it hidden: Score-CAM and occlusion.

What is hidden is shown in the picture's mean colour. Neither needs anything of the network but its logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from models.runtime.session import Array, Images

Picture = NDArray[np.uint8]  # (H, W, C)
Logits = Callable[[Images], Array]  # images (N, H, W, C) to logits (N, classes)

_CELLS = 16  # of the longer side
_CELLS_HIDDEN = 2  # on either side of what is hidden at a time


def score_cam(logits: Logits, picture: Picture, maps: Array, index: int, batch: int) -> Array:
    """Weight the maps of a layer by what the network says of the picture where each is strong (Score-CAM).

    Each map is enlarged to the picture and scaled to 0 to 1, and says how much of the picture is shown. The weights are
    the softmax of the class's logits.

    Args:
        logits: runs the network.
        picture: ``(H, W, C)``.
        maps: of a layer for this picture, ``(C', H', W')``.
        index: of the class.
        batch: pictures that go through the network together.

    Returns:
        ``(H', W')``, at least 0; in the units of the maps.

    Source:
        H. Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks" (2020).
    """
    height, width = picture.shape[:2]
    rows, columns = _interpolation(maps.shape[1], height), _interpolation(maps.shape[2], width)

    def masked() -> Iterator[Picture]:
        for values in maps:
            large = rows @ values @ columns.T
            low, high = float(large.min()), float(large.max())
            yield _shown(picture, (large - low) / (high - low) if high > low else np.zeros_like(large))

    scores = _scores(logits, masked(), index, batch)
    weights = np.exp(scores - scores.max())
    summed: Array = np.einsum("c,chw->hw", weights / weights.sum(), maps).clip(min=0).astype(np.float32)
    return summed


def count_occluded(height: int, width: int) -> int:
    """Return how many pictures occlusion has the network look at, for a picture of that size."""
    return len(_windows(height, width)) + 1


def occlusion(logits: Logits, picture: Picture, index: int, batch: int) -> Array:
    """Measure how far the logit of a class falls where each part of a picture is hidden (occlusion sensitivity).

    The longer side has sixteen cells, or one a pixel; a square of two by two is hidden at a time.

    Args:
        logits: runs the network.
        picture: ``(H, W, C)``.
        index: of the class.
        batch: pictures that go through the network together.

    Returns:
        ``(rows, columns)`` of cells: by how much the logit fell, in the mean over the squares that hid a cell; negative
        where it rose.

    Source:
        M. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks" (2014).
    """
    height, width = picture.shape[:2]
    windows, cell = _windows(height, width), _cell(height, width)

    def masked() -> Iterator[Picture]:
        yield picture
        for row, column in windows:
            share = np.ones((height, width), np.float32)
            side = _CELLS_HIDDEN * cell
            share[row * cell : row * cell + side, column * cell : column * cell + side] = 0
            yield _shown(picture, share)

    whole, *hidden = _scores(logits, masked(), index, batch)
    fell, times = np.zeros((2, -(-height // cell), -(-width // cell)))
    for (row, column), score in zip(windows, hidden, strict=True):
        where = slice(row, row + _CELLS_HIDDEN), slice(column, column + _CELLS_HIDDEN)
        fell[where] += whole - score
        times[where] += 1
    means: Array = (fell / times).astype(np.float32)
    return means


def _cell(height: int, width: int) -> int:
    return -(-max(height, width) // _CELLS)


def _windows(height: int, width: int) -> list[tuple[int, int]]:
    """Return the first row and column, in cells, of each square that is hidden."""
    cell = _cell(height, width)
    down, across = (max(1, -(-side // cell) - _CELLS_HIDDEN + 1) for side in (height, width))
    return [(row, column) for row in range(down) for column in range(across)]


def _shown(picture: Picture, share: NDArray[np.floating]) -> Picture:
    """Return a picture of which a share (H, W) is shown at each place; the rest is its mean colour."""
    colour = picture.mean((0, 1), dtype=np.float64)
    shown: Picture = np.rint(colour + (picture - colour) * share[..., None]).astype(np.uint8)
    return shown


def _scores(logits: Logits, pictures: Iterator[Picture], index: int, batch: int) -> NDArray[np.float64]:
    """Return the logits of a class for pictures, which are made and run a batch at a time."""
    scores: list[NDArray[np.float64]] = []
    waiting: list[Picture] = []
    for picture in pictures:
        waiting.append(picture)
        if len(waiting) == batch:
            scores.append(logits(np.stack(waiting))[:, index].astype(np.float64))
            waiting = []
    if waiting:
        scores.append(logits(np.stack(waiting))[:, index].astype(np.float64))
    return np.concatenate(scores)


def _interpolation(given: int, wanted: int) -> NDArray[np.float32]:
    """Return the matrix ``(wanted, given)`` of linear interpolation from first to first and from last to last."""
    places = np.linspace(0, given - 1, wanted)[:, None]
    return (1 - np.abs(places - np.arange(given))).clip(min=0).astype(np.float32)
