"""The part of a scene that the patches of one block cover, channel by channel."""

from __future__ import annotations

import functools
from typing import Any

import cv2
import numpy as np

from scs.matching.arrays import Array
from scs.matching.scoring.blocks import Block, Size
from scs.matching.scoring.scratch import Scratch

_SPLIT = 4  # channels up to which OpenCV takes pixels apart fastest


class Region:
    """Channels of a part of a scene, each with its mean level, which is subtracted where that keeps numbers small.

    Attributes:
        planes: ``(rows, columns)`` each, uint8, float32 or float64.
        whole: whether they hold whole numbers.
        epsilon: what a pixel's own value may be off by: 0 of whole numbers, else half a step of the largest.
    """

    def __init__(self, planes: list[Array], whole: bool) -> None:
        self.planes = planes
        self.whole = whole
        self.epsilon = 0.0
        if not whole:
            largest = max(float(cv2.norm(plane, cv2.NORM_INF)) for plane in planes)
            self.epsilon = largest * float(np.finfo(planes[0].dtype).eps) / 2
        self._means = [float(cv2.mean(plane)[0]) for plane in planes]
        self.levels = [float(round(mean)) for mean in self._means] if whole else self._means

    @classmethod
    def of(cls, scene: Array, scale: float, block: Block, window: Size) -> Region:
        """Cut out the part of a scene that the patches of a block cover.

        Args:
            scene: ``(H, W, C)``.
            scale: that pixels of floating point are divided by, a power of two.
            block: the places.
            window: height and width of a patch.
        """
        pixels = scene[_reach(block.row, block.rows, window[0]), _reach(block.column, block.columns, window[1])]
        channels = pixels.shape[2]
        if 1 < channels <= _SPLIT:
            planes = list(cv2.split(np.ascontiguousarray(pixels)))
        else:
            planes = [np.ascontiguousarray(pixels[..., channel]) for channel in range(channels)]
        whole = scene.dtype.kind == "u"
        if scene.dtype == np.uint16:
            planes = [plane.astype(np.float32) for plane in planes]
        if not whole and scale != 1:
            planes = [plane * plane.dtype.type(1 / scale) for plane in planes]
        return cls(planes, whole)

    @functools.cached_property
    def energy(self) -> float:
        """Sum of squares of the levelled pixels."""
        return sum(
            float(cv2.norm(plane, cv2.NORM_L2SQR)) - plane.size * level * (2 * mean - level)
            for plane, mean, level in zip(self.planes, self._means, self.levels, strict=True)
        )

    def levelled(self, size: Size | None, dtype: type[np.floating[Any]], scratch: Scratch) -> Array:
        """Subtract from pixels the level of their channel, and pad them with zeros.

        Args:
            size: to pad to; None does not pad.
            dtype: of the result.
            scratch: holds the result.

        Returns:
            ``(C, rows, columns)``.
        """
        rows, columns = self.planes[0].shape
        levelled = scratch.array("levelled", (len(self.planes), *(size or (rows, columns))), dtype)
        levelled[:, rows:] = 0
        levelled[:, :rows, columns:] = 0
        for plane, level, out in zip(self.planes, self.levels, levelled, strict=True):
            np.subtract(plane, dtype(level), out=out[:rows, :columns], casting="same_kind")
        return levelled


def _reach(first: int, places: int, window: int) -> slice:
    return slice(first, first + places + window - 1)
