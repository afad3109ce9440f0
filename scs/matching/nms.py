"""Non-maximum suppression (NMS): of candidates that overlap, keep the one with the highest score.

Candidates are taken best first, and one is kept unless one that was kept before suppresses it. What decides differs:
the intersection over union of windows on a map or of boxes that may be turned, or the distance of centres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scs.errors import OptionError, ShapeError
from scs.matching.boxes import as_boxes, overlap

Scores = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]

_BLOCK = 1024  # candidates of a map that are sorted and looked at together


def check_overlap(most: float) -> None:
    """Check the largest intersection over union of two candidates that may both be kept.

    Raises:
        OptionError: it is not within 0 and 1.
    """
    if not 0 <= most <= 1:
        raise OptionError(f"overlap is a share, 0 to 1; {most} came")


def suppress_windows(scores: Scores, candidates: Indices, window: tuple[int, int], top: int, most: float) -> list[int]:
    """Suppress windows on a score map that overlap a better one by too much (NMS by intersection over union).

    Each window that is kept marks the places on the map where another would overlap it too much. So the time hardly
    grows with the candidates.

    Args:
        scores: ``(H, W)``: the score of a window at each place.
        candidates: places that compete, as indices into the flattened map, ascending.
        window: height and width of the window, in places of the map.
        top: most places to keep.
        most: largest intersection over union, 0 to 1, of two windows that may both be kept.

    Returns:
        The candidates kept, best first; of equal ones the first goes before.
    """
    mark = _overlapping_steps(window, most, scores.shape)
    reach = mark.shape[0] // 2, mark.shape[1] // 2
    # A rim as wide as the mark spares cutting the mark to size.
    taken = np.zeros((scores.shape[0] + 2 * reach[0], scores.shape[1] + 2 * reach[1]), bool)
    width, is_taken = taken.shape[1], taken.ravel().data
    kept: list[int] = []
    for block in _best_first(scores.ravel()[candidates], max(_BLOCK, 4 * top)):
        rows, columns = np.divmod(candidates[block], scores.shape[1])
        places = (rows + reach[0]) * width + columns + reach[1]
        for place in places[~taken.ravel()[places]].tolist():
            if len(kept) == top:
                return kept
            if not is_taken[place]:
                row, column = place // width - reach[0], place % width - reach[1]
                kept.append(row * scores.shape[1] + column)
                taken[row : row + mark.shape[0], column : column + mark.shape[1]] |= mark
    return kept


def suppress_boxes(
    boxes: ArrayLike,
    scores: ArrayLike,
    most: float = 0.3,
    *,
    groups: Sequence[Any] | NDArray[Any] | None = None,
    top: int | None = None,
) -> Indices:
    """Suppress boxes, rotated or not, that overlap a better one by too much (NMS by intersection over union).

    Boxes of every pose and template compete together, unless they have groups: pass each box's template to let one
    template be found on top of another, as detectors do by default with their classes.

    Args:
        boxes: ``(N, 5)``, as :mod:`scs.matching.boxes` has them, their sides > 0.
        scores: ``(N,)``; of equal ones the first goes before.
        most: largest intersection over union, 0 to 1, of two boxes that may both be kept.
        groups: ``(N,)``, whatever can be compared; boxes of different groups do not compete.
        top: most boxes to keep.

    Returns:
        Indices of the boxes kept, best first.

    Raises:
        ShapeError: boxes, scores and groups are not equally many.
        OptionError: an overlap that is not within 0 and 1.
    """
    placed, scored = as_boxes(boxes, empty=True), np.asarray(scores, np.float64)
    grouped = np.zeros(len(placed)) if groups is None else np.asarray(groups)
    if placed.ndim != 2 or scored.shape != (len(placed),) or grouped.shape != scored.shape:
        raise ShapeError(
            f"boxes (N, 5) each have a score and a group; {placed.shape}, {scored.shape} and {grouped.shape} came"
        )
    check_overlap(most)
    reach = np.hypot(placed[:, 2], placed[:, 3]) / 2

    def suppressed(best: np.intp, left: Indices) -> NDArray[np.bool_]:
        step = np.hypot(*(placed[left, :2] - placed[best, :2]).T)
        near: NDArray[np.bool_] = (grouped[left] == grouped[best]) & (step < reach[left] + reach[best])
        near[near] = overlap(placed[best], placed[left[near]]) > most  # those out of reach are not measured
        return near

    return _keep(np.argsort(-scored, kind="stable"), suppressed, top)


def suppress_centres(centres: ArrayLike, distances: ArrayLike) -> Indices:
    """Suppress candidates whose centre is near that of a better one (NMS by distance).

    Args:
        centres: ``(N, 2)``, x and y, best first.
        distances: ``(N,)``: how far away each has to have the others; of two the larger distance counts.

    Returns:
        Indices of those kept, best first.
    """
    placed, reach = np.asarray(centres, np.float64).reshape(-1, 2), np.asarray(distances, np.float64)

    def suppressed(best: np.intp, left: Indices) -> NDArray[np.bool_]:
        near: NDArray[np.bool_] = np.hypot(*(placed[left] - placed[best]).T) < np.maximum(reach[left], reach[best])
        return near

    return _keep(np.arange(len(placed)), suppressed)


def _keep(
    order: Indices, suppressed: Callable[[np.intp, Indices], NDArray[np.bool_]], top: int | None = None
) -> Indices:
    """Keep the first candidate again and again, and drop the later ones that it suppresses (greedy NMS)."""
    left, kept = order, list[int]()
    while left.size and (top is None or len(kept) < top):
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[~suppressed(best, left)]
    return np.array(kept, np.intp)


def _overlapping_steps(window: tuple[int, int], most: float, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Mark the offsets between two windows at which they overlap by too much; offset 0 is in the middle."""
    height, width = window
    reach = [min(size, length) - 1 for size, length in zip(window, shape, strict=True)]
    shared = (height - np.arange(reach[0] + 1))[:, None] * (width - np.arange(reach[1] + 1))
    overlapping: NDArray[np.bool_] = shared / (2 * height * width - shared) > most
    down, right = (np.abs(np.arange(-steps, steps + 1)) for steps in reach)
    return overlapping[down][:, right]


def _best_first(values: Scores, part: int) -> Iterator[Indices]:
    """Indices in blocks, by falling value and then as they came. Of many values only the best are ever sorted."""
    left = np.arange(values.size)
    while left.size:
        among = values[left]
        chosen = among >= (np.partition(among, -part)[-part] if left.size > part else among.min())
        best, left = left[chosen], left[~chosen]
        best = best[np.argsort(-values[best], kind="stable")]
        yield from (best[start : start + _BLOCK] for start in range(0, best.size, _BLOCK))
        part *= 8
