"""Scenes and templates at the same resolution and with the same blur (image pyramid)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

# Standard deviation of a Gaussian, in pixels of whatever resolution. Without it a template with detail in every pixel
# would match only where it lies exactly on the grid, and a search in whole steps would pass it by.
BLUR = 0.7

_ROW = 8192  # points that are sampled in one row

_PIXEL_VARIANCE = 1 / 12  # of a pixel's square, which resizing by area averages over


@dataclass(frozen=True)
class Resized:
    """A scene at a lower resolution.

    Attributes:
        pixels: ``(H', W')`` float32.
        x_factor: W' / W.
        y_factor: H' / H.
    """

    pixels: Plane
    x_factor: float
    y_factor: float


class SceneResolutions:
    """A scene at any resolution up to its own (image pyramid).

    Args:
        scene: ``(H, W)`` float32.
    """

    def __init__(self, scene: Plane) -> None:
        self.scene = scene
        self._rungs: dict[int, Resized] = {}

    def at(self, factor: float) -> Resized:
        """Resize by a factor of at most 1, rounded to whole pixels, and blur."""
        height, width = self.scene.shape
        rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
        pixels = self.scene
        if (rows, columns) != (height, width):
            pixels = np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
        return Resized(blurred(pixels, BLUR), columns / width, rows / height)

    def rung(self, index: int) -> Resized:
        """Resize by ``2 ** (-index / 2)``, and cache the result."""
        if index not in self._rungs:
            self._rungs[index] = self.at(2 ** (-index / 2))
        return self._rungs[index]


def nearest_rungs(factors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the index of the rung that is nearest to each factor."""
    rungs: NDArray[np.int64] = np.maximum(np.rint(-2 * np.log2(factors)), 0).astype(np.int64)
    return rungs


@dataclass(frozen=True)
class TemplatePlane:
    """A template as a single channel.

    Attributes:
        pixels: ``(h, w)`` float32.
        weights: ``(h, w)`` float32 >= 0, or None where every pixel counts the same.
    """

    pixels: Plane
    weights: Plane | None = None

    @property
    def size(self) -> float:
        """Side of the square of the same area."""
        height, width = self.pixels.shape
        return math.sqrt(height * width)

    def seen_at(self, spacing: float) -> TemplatePlane:
        """Blur as much as a scene is blurred that is downsampled to one pixel for this many of the template's."""
        area = _PIXEL_VARIANCE if spacing > 1 else 0
        sigma = spacing * math.sqrt(area + BLUR**2)
        if self.weights is None:
            return TemplatePlane(blurred(self.pixels, sigma))
        seen = blurred(self.weights, sigma)
        mixed = blurred(self.pixels * self.weights, sigma)
        return TemplatePlane(np.divide(mixed, seen, out=np.zeros_like(mixed), where=seen > 0), self.weights)

    def sampled(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[Plane, Plane]:
        """Sample values and weights at points counted from the template's centre; outside of it the weight is zero."""
        height, width = self.pixels.shape
        values = interpolated(self.pixels, x + width / 2, y + height / 2)
        inside = (np.abs(x) <= width / 2) & (np.abs(y) <= height / 2)
        if self.weights is None:
            return values, inside.astype(np.float32)
        return values, interpolated(self.weights, x + width / 2, y + height / 2) * inside


def blurred(plane: Plane, sigma: float) -> Plane:
    """Blur with a Gaussian, replicating the edge."""
    return cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def interpolated(plane: Plane, x: NDArray[np.floating], y: NDArray[np.floating]) -> Plane:
    """Interpolate bilinearly at each point, in the shape of ``x``; pixel i covers [i, i + 1)."""
    # OpenCV samples fewer points than 32,767 in a row.
    count, width = x.size, min(x.size, _ROW)
    places = np.zeros((2, -(-count // width) * width), np.float32)
    for axis, values in zip(places, (x, y), strict=True):
        np.subtract(values.ravel(), 0.5, out=axis[:count], casting="same_kind")
    columns, rows = places.reshape(2, -1, width)
    sampled = cv2.remap(plane, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.float32).ravel()[:count].reshape(x.shape)
