"""Upright search from coarse to fine: a whole scene at a small scale, and its best places at full size.

Where a place of the scene has a score of τ or more at full size, its score at the small scale is bounded from below.
With b the share of the template's norm that shrinking leaves, and λ the angle by which the template at the small scale
turns when it lies between the places there, that is the cosine of ``arccos(sqrt(1 - (1 - τ²) / b²)) + λ``: what
shrinking takes from patch and template is orthogonal to what it leaves (Cauchy-Schwarz), and angles add up at most.
Every place above the bound is followed up, or the search is left to the full map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.matching.arrays import as_picture, check_template
from scs.matching.options import Search
from scs.matching.peaks import Field, Peak, Places, find_peaks, local_maxima, peak_at
from scs.matching.scores import ScoreMap, score_map, score_maps
from scs.matching.threads import available_threads, shared_pool
from scs.matching.verdict import Verdict

Array = NDArray[Any]
Plane = NDArray[np.float32]

_LEAST_SIDE = 12  # pixels that a template keeps
_MOST_HALVINGS = 3
_MOST_CHANNELS = 4  # that OpenCV resizes
_LEAST_PLACES = 200_000  # a scene of fewer is searched at full size as fast
_MOST_TOP = 16  # matches up to which few places are followed up
_SURE = 0.8  # score from which on no match is lost
_FOLLOWED, _MOST_FOLLOWED = 96, 512  # places that are always followed up, and at most
_COARSE_ERROR = 1e-3  # of scores at the small scale
_LEAST_SHARE = 0.7  # of the template's norm that shrinking has to leave
_CLEAR_EVIDENCE = 1.5  # beyond which a verdict is not changed by what was not followed up
_REACH = 16  # places around a match whose scores are computed exactly
_STRAY = 5  # places that a match may have been missed by, on a ridge that is nearly level
_MOST_CLIMBS = 4  # steps of one pixel in which a place is followed up at each scale


class Pyramid:
    """A scene at full size, half, a quarter, and so on; each made when it is first asked for.

    Args:
        scene: ``(H, W, C)``, uint8.
    """

    def __init__(self, scene: Array) -> None:
        self._levels = [scene]

    def level(self, halvings: int) -> Array:
        """The scene after so many halvings; an odd last row or column is dropped each time."""
        while len(self._levels) <= halvings:
            self._levels.append(halved(self._levels[-1]))
        return self._levels[halvings]


class Followed(Field):
    """The places of a scene that were followed up: what a verdict asks of a map, without the map.

    Args:
        rows: of the places, at full size.
        columns: likewise.
        scores: at full size.
        coarse: all scores at the small scale, which tell mean and deviation.
        factor: by which that is smaller.
    """

    def __init__(self, rows: Places, columns: Places, scores: Array, coarse: Array, factor: int) -> None:
        order = np.argsort(-scores, kind="stable")
        self._rows, self._columns, self._scores = rows[order], columns[order], scores[order]
        self._coarse, self._factor = coarse, factor

    def highest(self, window: tuple[int, int], most: int, overlap: float = 0.3) -> list[Peak]:
        """The best places whose windows overlap little; see ``Field``."""
        kept: list[Peak] = []
        free = self._scores > 0
        area = window[0] * window[1]
        for i in range(self._scores.size):
            if len(kept) == most:
                break
            if free[i]:
                kept.append(Peak(float(self._rows[i]), float(self._columns[i]), float(self._scores[i])))
                down = np.maximum(window[0] - np.abs(self._rows - self._rows[i]), 0)
                across = np.maximum(window[1] - np.abs(self._columns - self._columns[i]), 0)
                shared = down * across
                free &= shared / (2 * area - shared) <= overlap
        return kept

    def sidelobe(self, peaks: Sequence[Peak], window: tuple[int, int]) -> tuple[float, float]:
        """Mean and deviation of the scores at the small scale outside the windows; see ``Field``."""
        factor = self._factor
        there = [Peak(peak.row / factor, peak.column / factor, peak.score) for peak in peaks]
        return Field.of_map(self._coarse).sidelobe(there, (window[0] // factor, window[1] // factor))


def halvings_for(scene: Array, template: Array, mask: Array | None, search: Search) -> int:
    """How often scene and template may be halved in a search; 0 where only the full map is to be trusted.

    Args:
        scene: see ``score_map``.
        template: likewise.
        mask: likewise.
        search: its method has to be Pearson's r, or that sharpened; no more is asked for than few matches of the
            template as it is.
    """
    plain = search.method == "ccoeff_normed" or (search.method == "scs_centred" and search.q == 0)
    if not plain or mask is not None or search.device is not None or search.top > _MOST_TOP:
        return 0
    if search.polarity != "same" or search.border != "whole":
        return 0
    pictures = scene.dtype == template.dtype == np.uint8 and scene.ndim == template.ndim and scene.ndim > 1
    if not pictures or (scene.ndim == 3 and scene.shape[2] > _MOST_CHANNELS):
        return 0
    side = min(template.shape[:2])
    places = math.prod(max(0, s - t + 1) for s, t in zip(scene.shape[:2], template.shape[:2], strict=True))
    if side < 2 * _LEAST_SIDE or places < _LEAST_PLACES:
        return 0
    return min(_MOST_HALVINGS, int(math.log2(side / _LEAST_SIDE)))


def follow_up(
    pyramid: Pyramid, templates: Sequence[Array], halvings: int, search: Search
) -> Iterator[tuple[Followed, float] | None]:
    """Search for templates of one size from coarse to fine.

    Args:
        pyramid: of the scene.
        templates: uint8, all to be halved as often.
        halvings: how often.
        search: see ``halvings_for``.

    Returns:
        For each template the places followed up and the share of the small scene that is flat; None where places that
        may score above .8, or the search's threshold, are too many.
    """
    small = pyramid.level(halvings)
    levels = []
    for template in templates:
        check_template(as_picture("template", template), pyramid.level(0))
        levels.append([as_picture("template", template)])
        for _ in range(halvings):
            levels[-1].append(halved(levels[-1][-1]))
    maps = score_maps(small, [each[-1] for each in levels], error=_COARSE_ERROR)
    for each, coarse in zip(levels, maps, strict=True):
        yield _followed(pyramid, each, coarse, search)


def exact_peak(scene: Array, template: Array, place: Peak, search: Search) -> Peak:
    """The exact score of the best place around one, and where between the pixels it is highest.

    Args:
        scene: see ``score_map``.
        template: likewise.
        place: in whole pixels.
        search: the method, its p and its q.
    """
    (top, bottom), (left, right) = (
        (max(0, int(at) - _REACH), min(length, int(at) + size + _REACH))
        for at, length, size in zip((place.row, place.column), scene.shape[:2], template.shape[:2], strict=True)
    )
    around = score_map(scene[top:bottom, left:right], template, search.method, p=search.p, q=search.q).scores
    row, column = max(0, int(place.row) - top - _STRAY), max(0, int(place.column) - left - _STRAY)
    near = around[row : int(place.row) - top + _STRAY + 1, column : int(place.column) - left + _STRAY + 1]
    down, right = divmod(int(near.argmax()), near.shape[1])
    row, column = row + down, column + right
    found = peak_at(around, row, column, search.exponent)
    return Peak(found.row + top, found.column + left, found.score)


def doubtful(told: Sequence[Verdict]) -> bool:
    """Whether verdicts by the places that were followed up may be others than by all places."""
    return any(abs(verdict.evidence) < _CLEAR_EVIDENCE for verdict in told)


def halved(picture: Array) -> Array:
    """Means of blocks of 2x2 pixels ``(H, W, C)``; an odd last row or column is dropped."""
    rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
    smaller = cv2.resize(picture[: 2 * rows, : 2 * columns], (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(smaller).reshape(rows, columns, -1)


def least_coarse_score(template: Array, small: Array, score: float) -> float:
    """The score at a small scale that a place with a given score at full size has at least.

    Args:
        template: ``(h, w, C)``.
        small: the same, shrunk by a whole factor.
        score: within 0 and 1.

    Returns:
        -1 where it may be anything, as too much of the template vanishes when it is shrunk.
    """
    factor = template.shape[0] // small.shape[0]
    kept = _centred(template[: factor * small.shape[0], : factor * small.shape[1]])
    shrunk = _centred(small)
    energy = float(np.square(kept).sum())
    share = factor**2 * float(np.square(shrunk).sum()) / energy if energy else 0.0
    rest = 1 - (1 - score**2) / min(share, 1.0) if share else -1.0
    if share < _LEAST_SHARE**2 or rest <= 0:
        return -1.0
    return math.cos(min(math.acos(math.sqrt(rest)) + _turn(template, small, factor), math.pi))


def _turn(template: Array, small: Array, factor: int) -> float:
    """Angle between a shrunk template and itself half a small pixel away, at the nearer of its neighbours."""
    half = factor // 2
    rows, columns = small.shape[0] - 1, small.shape[1] - 1
    moved = template[half : half + factor * rows, half : half + factor * columns].astype(np.float32)
    between = _centred(cv2.resize(moved, (columns, rows), interpolation=cv2.INTER_AREA).reshape(rows, columns, -1))
    best = max(
        _cosine(between, _centred(small[down : down + rows, right : right + columns]))
        for down in (0, 1)
        for right in (0, 1)
    )
    return math.acos(min(max(best, -1.0), 1.0))


def _cosine(first: Plane, second: Plane) -> float:
    norms = math.sqrt(float(np.vdot(first, first)) * float(np.vdot(second, second)))
    return float(np.vdot(first, second)) / norms if norms else 0.0


def _centred(picture: Array) -> Plane:
    values = picture.astype(np.float32)
    centred: Plane = values - values.mean((0, 1))
    return centred


def _followed(
    pyramid: Pyramid, template: list[Array], coarse: ScoreMap, search: Search
) -> tuple[Followed, float] | None:
    scores, halvings = coarse.scores, len(template) - 1
    wanted = _SURE if search.threshold is None else min(_SURE, max(search.threshold, 0.0) ** (1 / search.exponent))
    least = least_coarse_score(template[0], template[-1], wanted)
    if least <= 0:
        return None
    maxima = local_maxima(scores)
    likely = maxima[scores.ravel()[maxima] >= least]
    if likely.size > _MOST_FOLLOWED:
        return None
    window = template[-1].shape
    apart = max(1, window[0] // 4), max(1, window[1] // 4)
    best = find_peaks(scores, apart, _FOLLOWED, overlap=0, subpixel=False, maxima=maxima)
    listed = np.array([int(peak.row) * scores.shape[1] + int(peak.column) for peak in best], np.intp)
    rows, columns = np.divmod(np.union1d(listed, likely), scores.shape[1])
    found = np.zeros(rows.size)
    for number in range(halvings - 1, -1, -1):
        rows, columns = 2 * rows, 2 * columns
        found = climb(pyramid.level(number), template[number], rows, columns)
    rows, columns, found = _distinct(rows, columns, found)
    if search.exponent != 1:
        found = np.copysign(np.abs(found) ** search.exponent, found)
    return Followed(rows, columns, found, scores, 2**halvings), coarse.flat


def _distinct(rows: Places, columns: Places, scores: Array) -> tuple[Places, Places, Array]:
    _, first = np.unique(np.stack([rows, columns]), axis=1, return_index=True)
    return rows[first], columns[first], scores[first]


def climb(scene: Array, template: Array, rows: Places, columns: Places) -> NDArray[np.float64]:
    """Move places, in place, to where Pearson's r is highest among their neighbours, by a few pixels at most.

    Args:
        scene: ``(H, W, C)``, uint8.
        template: ``(h, w, C)``, uint8.
        rows: of the places.
        columns: likewise.

    Returns:
        The score of each.
    """
    centred = _centred(template)
    centred /= max(float(np.linalg.norm(centred)), 1e-30)
    height, width, channels = template.shape
    flat_scene = np.ascontiguousarray(scene).reshape(scene.shape[0], -1)
    flat_template = centred.reshape(height, width * channels)
    found = np.zeros(rows.size)
    threads = available_threads()
    parts = [slice(first, None, threads) for first in range(threads)]

    def climb_part(part: slice) -> None:
        _climb(flat_scene, flat_template, channels, rows[part], columns[part], found[part])

    list((shared_pool(threads).map if threads > 1 else map)(climb_part, parts))
    return found


@compiled
def _climb(
    scene: Array, template: Plane, channels: int, rows: Places, columns: Places, found: NDArray[np.float64]
) -> None:
    last_row = scene.shape[0] - template.shape[0]
    last_column = (scene.shape[1] - template.shape[1]) // channels
    side = 2 * _MOST_CLIMBS + 3
    known = np.empty((side, side))
    for i in range(rows.size):
        known[:] = 2.0
        first_row, first_column = min(rows[i], last_row), min(columns[i], last_column)
        row, column, best = first_row, first_column, -2.0
        for _ in range(_MOST_CLIMBS + 1):
            best_row, best_column = row, column
            for r in range(max(0, row - 1), min(last_row, row + 1) + 1):
                for c in range(max(0, column - 1), min(last_column, column + 1) + 1):
                    down, right = r - first_row + _MOST_CLIMBS + 1, c - first_column + _MOST_CLIMBS + 1
                    if known[down, right] > 1.5:
                        known[down, right] = _correlation(scene, template, channels, r, c * channels)
                    if known[down, right] > best:
                        best, best_row, best_column = known[down, right], r, c
            if best_row == row and best_column == column:
                break
            row, column = best_row, best_column
        rows[i], columns[i], found[i] = row, column, best


@compiled
def _correlation(scene: Array, template: Plane, channels: int, row: int, first: int) -> float:
    """Pearson's r of one window with a template that is centred and of norm 1."""
    height, width = template.shape
    product, squares, total = 0.0, 0.0, 0.0
    for i in range(height):
        window, weights = scene[row + i, first : first + width], template[i]
        products, energies, sums = np.float32(0), np.float32(0), np.float32(0)
        for j in range(width):
            value = np.float32(window[j])
            products = np.float32(products + value * weights[j])
            energies = np.float32(energies + value * value)
            sums = np.float32(sums + value)
        product += np.float64(products)
        squares += np.float64(energies)
        total += np.float64(sums)
    of_means = total * total / (height * width)
    if channels > 1:
        of_means = _of_channels(scene[row : row + height, first : first + width], channels)
    energy = squares - of_means
    return float(min(max(product / math.sqrt(energy), -1.0), 1.0)) if energy > 0.25 else 0.0


@compiled
def _of_channels(window: Array, channels: int) -> float:
    """Energy of the means of a window's channels."""
    energy = 0.0
    for channel in range(channels):
        total = 0
        for i in range(window.shape[0]):
            for j in range(channel, window.shape[1], channels):
                total += window[i, j]
        energy += float(total) * float(total) * channels / window.size
    return energy
