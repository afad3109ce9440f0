"""Multi-scale matching: the best score of a template over several sizes at every place, and the size it is from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.kernels.discs import as_planes
from scs.errors import OptionError
from scs.matching.arrays import Array

Scorer = Callable[[Array, Array], NDArray[np.float32]]


@dataclass(frozen=True)
class PyramidScores:
    """The best score over the scales at every place.

    Attributes:
        scores: ``(H - h + 1, W - w + 1)`` for a smallest copy of ``(h, w)``; entry (row, column) is for copies whose
            centre is at ``(row + h / 2, column + w / 2)``. Copies that do not fit inside the scene there are left out.
        scales: the same shape, the scale that the score is from.
        window: ``(h, w)``.
    """

    scores: NDArray[np.float32]
    scales: NDArray[np.float32]
    window: tuple[int, int]


def scaled_copy(template: Array, scale: float) -> NDArray[np.float64]:
    """Scale a template about its centre.

    Each pixel is the mean over its square. Sides are cut to the largest that lie inside the scaled template and are odd
    where the template's are: all copies have their centre at the same place within a pixel.

    Args:
        template: ``(h, w)`` or ``(h, w, C)``.
        scale: size of the result by size of the template, > 0.

    Returns:
        ``(h', w', C)``.

    Raises:
        OptionError: a scale that is not finite or leaves less than a pixel.
        ShapeError: the template is not a picture.
    """
    planes = as_planes("template", template)
    height, width = planes.shape[:2]
    rows, columns = (_side(side, scale) for side in (height, width))
    if rows < 1 or columns < 1:
        raise OptionError(
            f"a scale is a finite number that leaves at least a pixel; {scale:g} came, of {width}x{height}"
        )
    fineness = max(1, math.ceil(1 / scale))
    factor = fineness * scale
    # OpenCV counts from the middle of the first pixel.
    matrix = np.array([
        [factor, 0, (fineness * columns - 1) / 2 - factor * (width - 1) / 2],
        [0, factor, (fineness * rows - 1) / 2 - factor * (height - 1) / 2],
    ])  # fmt: skip
    size = (fineness * columns, fineness * rows)
    copies = []
    for channel in range(planes.shape[2]):  # cubic interpolation takes four at most
        plane = np.ascontiguousarray(planes[..., channel], np.float32)  # of doubles OpenCV 5.0.0 drops the fractions
        fine = cv2.warpAffine(plane, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        copies.append(np.asarray(cv2.resize(fine, (columns, rows), interpolation=cv2.INTER_AREA), np.float64))
    return np.stack(copies, -1)


def _side(side: int, scale: float) -> int:
    """Largest side that is no longer than the scaled one and as odd as the side is; 0 or less where there is none."""
    return side + 2 * math.floor((scale * side - side) / 2 + 1e-9) if 0 < scale < math.inf else 0


def pyramid_scores(scene: Array, template: Array, scales: Sequence[float], score: Scorer) -> PyramidScores:
    """Score a template at several sizes, and keep the best at every place.

    Args:
        scene: ``(H, W)`` or ``(H, W, C)``.
        template: ``(h, w)`` or ``(h, w, C)``.
        scales: sizes in the scene by size in the template, each > 0. Those whose copy does not fit inside the scene are
            passed over; the smallest has to fit.
        score: called with ``(H, W, C)`` and ``(h', w', C)``, both in double; answers ``(H - h' + 1, W - w' + 1)``. Its
            scores have to mean the same at every size, as those that are normalised do.

    Returns:
        The best score at every place where the smallest copy fits, and its scale.

    Raises:
        OptionError: no scale, or one that leaves nothing of the template.
        ShapeError: the shapes do not fit; from ``score``.

    Source:
        E. H. Adelson, C. H. Anderson, J. R. Bergen, P. J. Burt and J. M. Ogden, "Pyramid methods in image processing"
        (1984), which scales the scene; here the template is scaled, so that places stay whole pixels of the scene.

    Example:
        >>> from scs.matching.scores import score_map
        >>> scene = np.random.default_rng(0).random((60, 80))
        >>> found = pyramid_scores(scene, scene[20:29, 30:45], [0.5, 1, 2], lambda *pair: score_map(*pair).scores)
        >>> row, column = np.unravel_index(found.scores.argmax(), found.scores.shape)
        >>> float(column + found.window[1] / 2), float(row + found.window[0] / 2), float(found.scales[row, column])
        (37.5, 24.5, 1.0)
    """
    if not scales:
        raise OptionError("a pyramid has at least one scale; none came")
    seen = as_planes("scene", scene)
    ascending = sorted(scales)
    smallest = scaled_copy(template, ascending[0])
    window = (smallest.shape[0], smallest.shape[1])
    best = np.array(score(seen, smallest))
    origin = np.full_like(best, ascending[0])
    for scale in ascending[1:]:
        copy = scaled_copy(template, scale)
        if any(s < t for s, t in zip(seen.shape[:2], copy.shape[:2], strict=True)):
            break
        scores = score(seen, copy)
        row, column = ((side - small) // 2 for side, small in zip(copy.shape[:2], window, strict=True))
        place = np.s_[row : row + scores.shape[0], column : column + scores.shape[1]]
        better = scores > best[place]
        best[place][better], origin[place][better] = scores[better], scale
    return PyramidScores(best, origin, window)
