"""Non-maximum suppression (NMS): of candidates that overlap, keep the one with the highest score.

Candidates are taken best first, and one is kept unless one that was kept before suppresses it. What decides differs:
the intersection over union of windows on a map or of boxes that may be turned, or the distance of centres.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scs.compiled import compiled
from scs.errors import OptionError, ShapeError
from scs.matching.boxes import as_boxes, overlap

Scores = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]

_FIRST = 128  # candidates of a map that are sorted to begin with


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
    reach = _overlapping_reach(window[0], window[1], most)
    taken = np.zeros(scores.shape, bool)
    kept, count = np.empty(min(top, candidates.size), np.intp), 0
    for block in _best_first(scores.ravel()[candidates], max(_FIRST, 4 * top)):
        count = _keep_free(candidates[block], reach, taken, kept, count)
        if count == kept.size:
            break
    kept_places: list[int] = kept[:count].tolist()
    return kept_places


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


@compiled
def _overlapping_reach(height: int, width: int, most: float) -> Indices:
    """How many steps to the side, for each step down from 0, two windows overlap by too much; -1 where at none."""
    reach = np.empty(height, np.intp)
    right = width - 1
    for down in range(height):
        while right >= 0:
            shared = float((height - down) * (width - right))
            if shared > most * (2.0 * height * width - shared):
                break
            right -= 1
        reach[down] = right
    return reach


@compiled
def _keep_free(places: Indices, reach: Indices, taken: NDArray[np.bool_], kept: Indices, count: int) -> int:
    """Keep places that are not taken, and take those around each; the result is how many are kept now."""
    rows, columns = taken.shape
    for place in places:
        if count == kept.size:
            break
        row, column = place // columns, place % columns
        if taken[row, column]:
            continue
        kept[count] = place
        count += 1
        for i in range(max(0, row - reach.size + 1), min(rows, row + reach.size)):
            side = reach[abs(i - row)]
            taken[i, max(0, column - side) : min(columns, column + side + 1)] = True
    return count


def _best_first(values: Scores, part: int) -> Iterator[Indices]:
    """Indices in blocks, by falling value and then as they came. Of many values only the best are ever sorted."""
    left = np.arange(values.size)
    while left.size:
        among = values[left]
        chosen = among >= (np.partition(among, -part)[-part] if left.size > part else among.min())
        best, left = left[chosen], left[~chosen]
        yield best[np.argsort(-values[best], kind="stable")]
        part *= 8
