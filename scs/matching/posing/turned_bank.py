"""A bank of rotated templates, compared with every window of a scene of about the same resolution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scs.matching.posing.poses import turn_and_scale
from scs.matching.posing.resolutions import Plane, TemplatePlane
from scs.matching.products import product
from scs.matching.threads import Workers

Indices = NDArray[np.intp]

# Windows at a time: their pixels, side by side, should stay in the cache until they have met every angle.
_WINDOWS = 2000

# Points of a window with weights of its own beyond which a scan takes Fourier transforms, and parts it is done in.
MOST_POINTS = 150
_GROUPS = 16

# A window is flat where its pixels vary by less than this share of the scene's largest contrast.
_FLAT = 1e-3

# A template whose sides differ by more is not shown well enough by the one disc in its middle.
_ROUND = 0.8

# Of the radius of the largest disc inside a template, what a disc elsewhere in it must have; and the share of the
# template's area that such a disc must show.
_NEARLY = 0.9
_TELLING = 1 / 16


@dataclass(frozen=True)
class Scan:
    """The result of a scan: the cosine of every window of a scene with the angle that fits it best.

    Attributes:
        scores: ``(H' - d + 1, W' - d + 1)`` float32 within [-1, 1]; window (row, column) is ``d`` pixels wide and high.
    """

    scores: Plane
    _pixels: Plane
    _floor: float
    _bank: TurnedBank
    _best_angle: Indices | None = None

    def peaks(self, least: float) -> tuple[Indices, Indices]:
        """Find the local maxima of at least ``least``: rows and columns of their windows."""
        highest = cv2.dilate(self.scores, np.ones((3, 3), np.uint8))
        rows, columns = np.nonzero((self.scores >= highest) & (self.scores >= least))
        return rows, columns

    def profiles(self, rows: Indices, columns: Indices) -> Plane:
        """Compute the cosine of each of these windows with each angle, ``(windows, angles)``.

        Where a scan took Fourier transforms, all but the best angle have -1: all would take too long.
        """
        if self._best_angle is None:
            return self._bank.profiles(self._pixels, rows, columns, self._floor)
        profiles = np.full((rows.size, self._bank.angles), -1, np.float32)
        profiles[np.arange(rows.size), self._best_angle[rows, columns]] = self.scores[rows, columns]
        return profiles


class TurnedBank:
    """A template turned by many angles.

    A window's mean and energy do not depend on the angle where the template is looked at through a disc. That is done
    where a disc fills it well; otherwise each angle has its own weights, and costs three times as much.

    Args:
        template: at its full resolution.
        size: side of the square of the template's area, in pixels of the scenes that will be scanned.
        angles: degrees.
        centred: whether a window's mean is taken off.
    """

    def __init__(self, template: TemplatePlane, size: float, angles: Sequence[float], centred: bool) -> None:
        spacing = template.size / size
        height, width = template.pixels.shape
        self.disc = is_round(template)
        reach = min(height, width) if self.disc else math.hypot(height, width)
        self.side = max(2, round(reach / spacing))
        self.centred = centred

        steps = np.arange(self.side) + 0.5 - self.side / 2
        x, y = np.meshgrid(steps, steps)
        self.inside = np.hypot(x, y) <= self.side / 2
        self._runs = [(int(row.argmax()), int(row.sum())) for row in self.inside]
        points = np.stack([x[self.inside], y[self.inside]])
        # The transpose turns back: where in the template is what lies here in the scene?
        turned = np.stack([turn_and_scale(angle, 1).T @ points for angle in angles], 1) * spacing  # (2, angles, points)
        values, weights = template.seen_at(spacing).sampled(*turned)
        if self.disc:
            weights = np.ones_like(values)
        total = np.maximum(weights.sum(1, keepdims=True), 1e-12)
        if centred:
            values = values - (values * weights).sum(1, keepdims=True) / total
        norms = np.sqrt((weights * values**2).sum(1, keepdims=True))
        # Divided by the root of the weights' sum as well, so that a window enters by its mean square.
        self._kernels = np.ascontiguousarray(weights * values / np.maximum(norms * np.sqrt(total), 1e-12), np.float32)
        shares = weights / total
        self._shares = np.ascontiguousarray(shares[:1] if self.disc else shares, np.float32)

    @property
    def angles(self) -> int:
        """How many angles there are."""
        return len(self._kernels)

    def scan(self, pixels: Plane, workers: Workers) -> Scan | None:
        """Compare the bank with every window of a scene; None for a scene that is smaller than a window."""
        rows, columns = (side - self.side + 1 for side in pixels.shape)
        if rows < 1 or columns < 1:
            return None
        if self.centred:
            pixels = pixels - pixels.mean()  # sums of squares then keep their digits in float32
        floor = float(_FLAT * np.abs(pixels).max()) ** 2
        inverse = self._disc_inverse(pixels, floor)[:rows, :columns] if self.disc else None
        if inverse is None and self._kernels.shape[1] > MOST_POINTS:
            scores, best_angle = self._by_transforms(pixels, (rows, columns), floor, workers)
            return Scan(scores, pixels, floor, self, best_angle)
        windows = sliding_window_view(pixels, (rows, columns))  # (side, side, rows, columns)
        scores = np.empty((rows, columns), np.float32)

        def strip(part: slice) -> None:
            gathered = self._gathered(windows[:, :, part])
            if inverse is None:
                scores[part] = self._compare(gathered, floor).max(0).reshape(-1, columns)
            else:
                best = product(self._kernels, gathered).max(0)
                np.multiply(best.reshape(-1, columns), inverse[part], out=scores[part])

        height = max(1, _WINDOWS // columns)
        list(workers(strip, [slice(top, min(top + height, rows)) for top in range(0, rows, height)]))
        return Scan(scores, pixels, floor, self)

    def _by_transforms(
        self, pixels: Plane, places: tuple[int, int], floor: float, workers: Workers
    ) -> tuple[Plane, Indices]:
        """The best cosine and angle of each window by Fourier transforms, whose time does not grow with the window.

        A thin template covers little of the square that holds it in every angle: directly, each window would be
        compared with many zeros.
        """
        shape = cv2.getOptimalDFTSize(pixels.shape[0]), cv2.getOptimalDFTSize(pixels.shape[1])
        seen, squared = (np.fft.rfft2(values, shape) for values in (pixels, pixels * pixels))

        def correlated(spectrum: NDArray[np.complexfloating[Any, Any]], points: Plane) -> Plane:
            kernel = np.zeros((self.side, self.side), np.float32)
            kernel[self.inside] = points
            product = np.fft.irfft2(spectrum * np.conj(np.fft.rfft2(kernel, shape)), shape)
            return np.asarray(product[: places[0], : places[1]], np.float32)

        def best(angles: range) -> tuple[Plane, Indices]:
            highest, which = np.full(places, -1, np.float32), np.zeros(places, np.intp)
            for angle in angles:
                squares = correlated(squared, self._shares[angle])
                if self.centred:
                    squares -= correlated(seen, self._shares[angle]) ** 2
                cosines = correlated(seen, self._kernels[angle]) * _inverse_roots(squares, floor)
                which[cosines > highest] = angle
                np.maximum(highest, cosines, out=highest)
            return highest, which

        scores, angles = np.full(places, -1, np.float32), np.zeros(places, np.intp)
        groups = [range(first, len(self._kernels), _GROUPS) for first in range(_GROUPS)]
        for highest, which in workers(best, groups):
            angles = np.where(highest > scores, which, angles)
            scores = np.maximum(scores, highest)
        return scores, angles

    def profiles(self, pixels: Plane, rows: Indices, columns: Indices, floor: float) -> Plane:
        """Compute the cosine of each of these windows with each angle, ``(windows, angles)``."""
        windows = sliding_window_view(pixels, (self.side, self.side))[rows, columns]
        return self._compare(np.ascontiguousarray(windows[:, self.inside].T), floor).T

    def _gathered(self, windows: Plane) -> Plane:
        """The pixels of every window below one another, ``(points, windows)``."""
        gathered = np.empty((self._kernels.shape[1], *windows.shape[2:]), np.float32)
        first = 0
        for row, (start, length) in enumerate(self._runs):
            gathered[first : first + length] = windows[row, start : start + length]
            first += length
        return gathered.reshape(len(gathered), -1)

    def _compare(self, windows: Plane, floor: float) -> Plane:
        """Cosine of each column of ``(points, windows)`` with each angle, ``(angles, windows)``."""
        multiply = np.matmul if self.disc else product  # a single row of shares is no matter for many threads
        squares = multiply(self._shares, windows * windows)
        if self.centred:
            squares -= multiply(self._shares, windows) ** 2
        return product(self._kernels, windows) * _inverse_roots(squares, floor)

    def _disc_inverse(self, pixels: Plane, floor: float) -> Plane:
        """One over the root mean square of every window's disc, placed at the window's top left."""
        disc = (self.inside / self.inside.sum()).astype(np.float32)

        def mean(values: Plane) -> Plane:
            return cv2.filter2D(values, cv2.CV_32F, disc, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)  # type: ignore[return-value]

        squares = mean(pixels * pixels)
        if self.centred:
            squares -= mean(pixels) ** 2
        return _inverse_roots(squares, floor)


def is_round(template: TemplatePlane) -> bool:
    """Tell whether the largest disc inside a template shows most of it."""
    height, width = template.pixels.shape
    return template.weights is None and min(height, width) >= _ROUND * max(height, width)


def core(template: TemplatePlane) -> tuple[TemplatePlane, tuple[float, float]]:
    """Choose the part of a template to scan for: all of a round one, else the square around its most textured disc.

    Among the discs that lie within the template and its mask and are nearly as large as can be, that is the one whose
    surroundings vary most in the direction in which they vary least.

    Returns:
        The part, and how far its centre lies from the template's, across and down. A template that only small discs
        fit into is returned as a whole.
    """
    shown = np.ones(template.pixels.shape, np.uint8)
    if template.weights is not None:
        shown[template.weights < template.weights.max() / 2] = 0
    radii = cv2.distanceTransform(np.pad(shown, 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    radius = int(_NEARLY * radii.max())
    if is_round(template) or math.pi * radius**2 < _TELLING * shown.sum():
        return template, (0.0, 0.0)
    texture = cv2.cornerMinEigenVal(template.pixels, 2 * radius + 1, borderType=cv2.BORDER_REPLICATE)
    row, column = np.unravel_index(np.where(radii >= radius, texture, -1).argmax(), texture.shape)
    part = template.pixels[row - radius + 1 : row + radius, column - radius + 1 : column + radius]
    height, width = template.pixels.shape
    return TemplatePlane(np.ascontiguousarray(part)), (float(column + 0.5 - width / 2), float(row + 0.5 - height / 2))


def _inverse_roots(squares: Plane, floor: float) -> Plane:
    """One over the root of each value; 0 for a flat window, whose cosine with a template is undefined."""
    textured = squares > max(floor, 1e-30)
    roots = np.sqrt(squares, out=np.ones_like(squares), where=textured)
    return np.divide(1, roots, out=np.zeros_like(squares), where=textured)
