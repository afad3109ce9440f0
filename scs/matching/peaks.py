"""Peaks of a score map: local maxima, refined below the pixel, without those that overlap a better one (NMS)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.errors import ShapeError
from scs.matching.nms import check_overlap, suppress_windows
from scs.matching.threads import available_threads, shared_pool

Scores = NDArray[np.floating[Any]]
Places = NDArray[np.intp]
Result = TypeVar("Result")

# A map of cosines is nearly as band-limited as the scene, so that a windowed sinc finds where it is highest between the
# places; a parabola through three scores is not. Reach in places and shape of the
# Kaiser window are as measured on photographs, sharp and soft, that were moved by a known part of a pixel.
_REACH = 10
_KAISER = 10.0
_STEP = 0.125
_OFFSETS = np.arange(-8, 9) * _STEP
_STRIP = 2**18  # places of a map that are looked at together


@dataclass(frozen=True)
class Peak:
    """A local maximum of a score map.

    ``row`` and ``column`` are those of the window's first pixel, between the pixels where they were refined; ``score``
    is the map's own, at the nearest place that it has.
    """

    row: float
    column: float
    score: float


class Field:
    """The scores of all places, for what a verdict asks of them.

    Args:
        scores: ``(H, W)``.
        maxima: its local maxima above 0, where they are known.
    """

    def __init__(self, scores: Scores, maxima: Places | None = None) -> None:
        self._scores = np.ascontiguousarray(scores)
        self._maxima = local_maxima(scores) if maxima is None else maxima

    def highest(self, window: tuple[int, int], most: int, overlap: float = 0.3) -> list[Peak]:
        """The best places above 0, in whole pixels, whose windows overlap little; see ``find_peaks``."""
        return find_peaks(self._scores, window, most, overlap=overlap, subpixel=False, maxima=self._maxima)

    def sidelobe(self, peaks: Sequence[Peak], window: tuple[int, int]) -> tuple[float, float]:
        """Mean and standard deviation outside the windows around peaks; of nothing they are 0."""
        down, right = (size // 2 for size in window)
        places = np.array([(round(peak.row), round(peak.column)) for peak in peaks], np.intp).reshape(-1, 2)

        def outside(strip: tuple[int, int]) -> tuple[int, float, float]:
            first, last = strip
            return _sums_outside(self._scores[first:last], places - (first, 0), down, right)

        parts = _by_strips(self._scores.shape, outside)
        count = sum(number for number, _, _ in parts)
        if not count:
            return 0.0, 0.0
        mean, square = (sum(part[i] for part in parts) / count for i in (1, 2))
        # What rounding leaves of values that are all one is no deviation.
        variance = square - mean**2
        return mean, math.sqrt(variance) if variance > 1e-14 * square else 0.0


def find_peaks(
    scores: Scores,
    window: tuple[int, int],
    top: int,
    *,
    threshold: float = 0.0,
    overlap: float = 0.3,
    subpixel: bool = True,
    p: float = 1.0,
    maxima: Places | None = None,
) -> list[Peak]:
    """Find the highest local maxima of a score map whose windows overlap little (NMS).

    A local maximum is no lower than its eight neighbours, or those of them that it has: a peak may lie on the rim.
    Every place of a plateau is one, in reading order. Where lower is better, pass ``-scores`` and ``-limit``.
    The scores of a signal are a map of one row.

    Args:
        scores: ``(H, W)``, finite: the score of a window of the given size at each place.
        window: height and width of the window, in places of the map.
        top: most peaks to find.
        threshold: a peak's score is above it.
        overlap: largest intersection over union, 0 to 1, of two windows that may both be kept.
        subpixel: whether to look between the places, for an error of some hundredths of a pixel. Within 10 pixels of
            the rim the map is taken to go on as its mirror image.
        p: exponent > 0 that sharpened the scores. It is undone before looking between the places.
        maxima: what ``local_maxima`` returns, where it is known: it takes most of the time.

    Returns:
        At most ``top`` peaks, best first.

    Raises:
        ShapeError: the map is not two-dimensional, or empty.
        OptionError: an overlap that is not within 0 and 1.
    """
    if scores.ndim != 2 or not scores.size:
        raise ShapeError(f"peaks are found in a map (H, W) with at least one score; {scores.shape} came")
    check_overlap(overlap)
    scores = np.ascontiguousarray(scores)
    if maxima is None:
        maxima = local_maxima(scores, threshold)
    candidates = maxima[scores.ravel()[maxima] > threshold]
    places = suppress_windows(scores, candidates, window, top, overlap)
    width = scores.shape[1]
    if not subpixel:
        return [Peak(place // width, place % width, float(scores[place // width, place % width])) for place in places]
    return [refined(scores, place // width, place % width, p) for place in places]


def local_maxima(scores: Scores, threshold: float = 0.0) -> Places:
    """Find the places of a map that are no lower than their neighbours, as indices into the flattened map, ascending.

    Args:
        scores: ``(H, W)``, finite.
        threshold: what they are above.
    """
    scores = np.ascontiguousarray(scores)
    rows, width = scores.shape

    def highest(strip: tuple[int, int]) -> Places:
        first, last = strip
        before = max(0, first - 1)
        around = cv2.dilate(scores[before : min(rows, last + 1)], np.ones((3, 3), np.uint8))[first - before :]
        part = scores[first:last]
        places: Places = np.flatnonzero((part >= around[: last - first]) & (part > threshold)) + first * width
        return places

    return np.concatenate(_by_strips(scores.shape, highest))


@compiled
def _sums_outside(scores: Scores, peaks: Places, down: int, right: int) -> tuple[int, float, float]:
    """Count the scores outside the windows around peaks, and sum them and their squares."""
    count, total, square = 0, 0.0, 0.0
    free = np.empty(scores.shape[1], np.uint8)
    for row in range(scores.shape[0]):
        values = scores[row]
        free[:] = 1
        for peak in range(len(peaks)):
            if abs(peaks[peak, 0] - row) <= down:
                free[max(0, peaks[peak, 1] - right) : peaks[peak, 1] + right + 1] = 0
        for column in range(values.size):
            value = free[column] * np.float64(values[column])
            count += free[column]
            total += value
            square += value * value
    return count, total, square


def _by_strips(shape: tuple[int, ...], function: Callable[[tuple[int, int]], Result]) -> list[Result]:
    """Apply a function to the first and last row of strips of a map, on all cores; each takes little memory."""
    step = max(1, _STRIP // shape[1])
    strips = [(first, min(shape[0], first + step)) for first in range(0, shape[0], step)]
    if len(strips) == 1:
        return [function(strips[0])]
    return list(shared_pool(available_threads()).map(function, strips))


def refined(scores: Scores, row: int, column: int, p: float = 1.0) -> Peak:
    """Make a peak of a place of a map, moved to where the map is highest between the places; see ``find_peaks``."""
    down, right = _refine(scores, row, column, p)
    last_row, last_column = scores.shape[0] - 1, scores.shape[1] - 1
    return Peak(
        float(np.clip(row + down, 0, last_row)),
        float(np.clip(column + right, 0, last_column)),
        float(scores[row, column]),
    )


def _refine(scores: Scores, row: int, column: int, p: float) -> tuple[float, float]:
    """Steps down and right to where the interpolated map is highest: on a fine grid, then by its curvature there."""
    rows, columns = _mirrored(row, scores.shape[0]), _mirrored(column, scores.shape[1])
    around = scores[rows[:, None], columns].astype(np.float64)
    if p != 1:
        around = np.copysign(np.abs(around) ** (1 / p), around)
    fine = _SINC @ (around - around[_REACH, _REACH]) @ _SINC.T
    middle = len(_OFFSETS) // 2
    i, j = np.unravel_index(int(fine.argmax()), fine.shape)
    if fine[i, j] <= fine[middle, middle]:
        i = j = np.intp(middle)
    i, j = np.clip([i, j], 1, len(_OFFSETS) - 2)
    down, right = _summit(fine[i - 1 : i + 2, j - 1 : j + 2])
    return float(_OFFSETS[i] + down * _STEP), float(_OFFSETS[j] + right * _STEP)


def _mirrored(centre: int, length: int) -> Places:
    """Indices around a place; beyond either end of the axis they run back."""
    period = max(1, 2 * (length - 1))
    indices = np.arange(centre - _REACH, centre + _REACH + 1) % period
    return np.minimum(indices, period - indices) % length


def _summit(near: NDArray[np.float64]) -> tuple[float, float]:
    """Find the maximum, at most a step away, of the quadratic that fits the middle of 3x3 values."""
    slope = (near[2, 1] - near[0, 1]) / 2, (near[1, 2] - near[1, 0]) / 2
    bend = near[2, 1] - 2 * near[1, 1] + near[0, 1], near[1, 2] - 2 * near[1, 1] + near[1, 0]
    twist = (near[2, 2] - near[2, 0] - near[0, 2] + near[0, 0]) / 4
    determinant = bend[0] * bend[1] - twist * twist
    if bend[0] >= 0 or determinant <= 0:
        return 0.0, 0.0
    down = (twist * slope[1] - bend[1] * slope[0]) / determinant
    right = (twist * slope[0] - bend[0] * slope[1]) / determinant
    return float(np.clip(down, -1, 1)), float(np.clip(right, -1, 1))


def _windowed_sinc() -> NDArray[np.float64]:
    """Weights ``(offsets, 2 * reach + 1)`` of a place's neighbours in the value at each offset from it."""
    steps = np.arange(-_REACH, _REACH + 1) - _OFFSETS[:, None]
    fading = np.i0(_KAISER * np.sqrt(np.clip(1 - (steps / (_REACH + 1)) ** 2, 0, 1)))
    weights: NDArray[np.float64] = np.sinc(steps) * fading
    weights /= weights.sum(1, keepdims=True)
    return weights


_SINC = _windowed_sinc()
