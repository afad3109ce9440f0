"""The method ``pixels``: whether a window has the very same pixels, but for noise, compression and a level of light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array, as_picture, as_weights

Plane = NDArray[np.floating[Any]]

# What counts as the same: contrast within these, and no spot that differs by more than this share of the template's
# range, or of the scene's where the template has next to none. Chosen on screens of widgets in several states.
_LEAST_CONTRAST, _MOST_CONTRAST = 0.85, 1.18
_MOST_DIFFERENCE = 0.2
_LEAST_RANGE = 0.1
_MOST_LEVEL = 0.25  # of the scene's range: one step of light
_EXACT = 5.0
_SPOT = 0.8  # pixels of blur: noise and compression average out, a stroke does not


@dataclass(frozen=True)
class Difference:
    """How a window differs from a template.

    Attributes:
        score: 1 less the largest difference of a spot, by the template's range; 1 where the pixels are the same.
        evidence: above 0 they are the same but for noise, compression and one level of light.
    """

    score: float
    evidence: float


class SamePixels:
    """A template, to be compared with windows by their differences.

    Args:
        template: ``(h, w)``, ``(h, w, C)`` or ``(l,)``.
        mask: weights of its pixels, or None.
        span: range of the scene's values.
    """

    def __init__(self, template: Array, mask: Array | None, span: float) -> None:
        self._unit = 2.0 ** math.floor(math.log2(span)) if span else 1.0  # so that squares stay in range
        self._template = as_picture("template", template).astype(np.float64) / self._unit
        span /= self._unit
        shape = self._template.shape
        weights = np.ones(shape) if mask is None else np.moveaxis(as_weights(mask, shape), 0, 2)
        self._weights = weights / weights.max()
        self._shares = self._weights / self._weights.sum()
        shown = self._template[self._weights > 0]
        self._span = max(float(np.ptp(shown)), _LEAST_RANGE * span) or 1.0
        self._most_level = _MOST_LEVEL * span
        self.flat = float(np.ptp(shown)) == 0

    def exact(self, scene: Array, row: float, column: float) -> float:
        """Evidence where no pixel of a window differs from the template, else minus infinity."""
        height, width = self._template.shape[:2]
        first, left = round(row), round(column)
        window = scene[first : first + height, left : left + width].astype(np.float64) / self._unit
        apart = (window - self._template) * self._weights
        return _EXACT if not apart.any() else -math.inf

    def compare(self, scene: Array, row: int, column: int) -> Difference:
        """Compare the template with a window of a scene ``(H, W, C)``."""
        height, width = self._template.shape[:2]
        window = scene[row : row + height, column : column + width].astype(np.float64) / self._unit
        level = float((self._shares * (window - self._template)).sum())
        mean = float((self._shares * self._template).sum())
        flat = self._template - mean
        energy = float((self._shares * flat**2).sum())
        contrast = float((self._shares * flat * (window - mean - level)).sum()) / energy if energy else 1.0
        contrast = min(max(contrast, _LEAST_CONTRAST), _MOST_CONTRAST)
        level = min(max(level, -self._most_level), self._most_level)
        left = (window - mean - level - contrast * flat) * self._weights
        worst = max(float(np.abs(self._spots(left)).max()) - self._noise(left), 0.0) / self._span
        return Difference(1 - min(worst, 1.0), 10 * (_MOST_DIFFERENCE - worst))

    def _spots(self, left: Plane) -> Plane:
        along = _SPOT if left.shape[0] > 1 else 1e-3
        parts = [
            cv2.GaussianBlur(np.ascontiguousarray(left[..., i]), (0, 0), sigmaX=_SPOT, sigmaY=along)
            for i in range(left.shape[2])
        ]
        return np.stack(parts, 2)

    def _noise(self, left: Plane) -> float:
        """What white noise leaves in its worst spot; by the median, which a difference in one spot does not move."""
        if left.shape[0] > 1 and left.shape[1] > 1:
            finest = (left[:-1, :-1] - left[1:, :-1] - left[:-1, 1:] + left[1:, 1:]) / 2
            kept = 1 / (4 * math.pi * _SPOT**2)
        else:
            line = left.reshape(-1, left.shape[2])
            finest = (line[:-2] - 2 * line[1:-1] + line[2:]) / math.sqrt(6)
            kept = 1 / (2 * math.sqrt(math.pi) * _SPOT)
        deviation = float(np.median(np.abs(finest))) / 0.6745 if finest.size else 0.0
        return deviation * math.sqrt(kept * 2 * math.log(2 + left.size))
