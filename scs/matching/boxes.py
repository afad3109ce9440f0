"""Rotated boxes: their corners, and the intersection over union (IoU) of two of them.

A box is five numbers: x and y of its centre, width, height, and an angle in degrees by which it is turned
counter-clockwise as seen on screen; pixel i of an axis covers [i, i + 1). Several boxes are an array ``(N, 5)``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scs.errors import ShapeError

Numbers = NDArray[np.float64]

_ROUNDING = 1e-9  # a share of the boxes' size
_UNIT = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])


def as_boxes(boxes: ArrayLike, empty: bool = False) -> Numbers:
    """Convert boxes to float64 ``(..., 5)``; with ``empty``, anything without numbers becomes ``(0, 5)``.

    Raises:
        ShapeError: a box is not five numbers.
    """
    numbers = np.asarray(boxes, np.float64)
    if empty and not numbers.size:
        return numbers.reshape(0, 5)
    if not numbers.ndim or numbers.shape[-1] != 5:
        raise ShapeError(f"a box is x, y, width, height and angle, an array (..., 5); {numbers.shape} came")
    return numbers


def corners(boxes: ArrayLike) -> Numbers:
    """Find the corners of boxes.

    Args:
        boxes: ``(..., 5)``: x, y, width, height, angle.

    Returns:
        ``(..., 4, 2)``: x and y of what is top left, top right, bottom right and bottom left where the angle is 0.

    Raises:
        ShapeError: a box is not five numbers.

    Example:
        >>> corners([10, 20, 4, 2, 90]).round(6).tolist()
        [[9.0, 22.0], [9.0, 18.0], [11.0, 18.0], [11.0, 22.0]]
    """
    placed = as_boxes(boxes)
    return _turned(_UNIT * placed[..., None, 2:4], placed[..., 4]) + placed[..., None, :2]


def overlap(boxes: ArrayLike, others: ArrayLike) -> Numbers:
    """Measure the intersection over union (IoU) of boxes with others, pair by pair.

    Args:
        boxes: ``(..., 5)``, their sides > 0.
        others: the same, of a shape that broadcasts with it.

    Returns:
        ``(...)`` within 0 and 1.

    Raises:
        ShapeError: a box is not five numbers.
    """
    first, second = np.broadcast_arrays(as_boxes(boxes), as_boxes(others))
    # As the first box sees it: its centre is the origin and its sides are upright.
    step = _turned((second[..., :2] - first[..., :2])[..., None, :], -first[..., 4])
    rectangle = _UNIT * first[..., None, 2:4]
    tilted = _turned(_UNIT * second[..., None, 2:4], second[..., 4] - first[..., 4]) + step
    points, valid = _outline(rectangle, tilted, first[..., 2:4], second[..., 2:4], second[..., 4] - first[..., 4])
    shared = _convex_area(points, valid)
    area = first[..., 2] * first[..., 3] + second[..., 2] * second[..., 3]
    share: Numbers = np.clip(shared / (area - shared), 0, 1)
    return share


def _turned(points: Numbers, angle: Numbers) -> Numbers:
    """Points ``(..., n, 2)`` turned about the origin. The y axis runs down, so that this is counter-clockwise."""
    cosine, sine = np.cos(np.deg2rad(angle))[..., None], np.sin(np.deg2rad(angle))[..., None]
    x, y = points[..., 0], points[..., 1]
    return np.stack([cosine * x + sine * y, cosine * y - sine * x], -1)


def _outline(
    rectangle: Numbers, tilted: Numbers, size: Numbers, other_size: Numbers, angle: Numbers
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Points ``(..., 24, 2)`` among which are the corners of the intersection, and which of them lie in both boxes.

    They are the corners of either box, and the places where the edges of one cross those of the other.
    """
    margin = _ROUNDING * np.maximum(size.max(-1), other_size.max(-1))[..., None]
    middle = tilted.mean(-2, keepdims=True)
    within = np.abs(_turned(rectangle - middle, -angle)) <= other_size[..., None, :] / 2 + margin[..., None]
    inside = np.abs(tilted) <= size[..., None, :] / 2 + margin[..., None]

    start, end = rectangle[..., :, None, :], np.roll(rectangle, -1, -2)[..., :, None, :]
    other_start, other_end = tilted[..., None, :, :], np.roll(tilted, -1, -2)[..., None, :, :]
    edge, other_edge, gap = end - start, other_end - other_start, other_start - start
    parallel = np.abs(_cross(edge, other_edge)) <= _ROUNDING * np.hypot(*np.moveaxis(edge, -1, 0)) * np.hypot(
        *np.moveaxis(other_edge, -1, 0)
    )
    across = np.where(parallel, 1, _cross(edge, other_edge))
    along, other_along = _cross(gap, other_edge) / across, _cross(gap, edge) / across
    crossing = start + along[..., None] * edge
    meets = ~parallel & (along >= 0) & (along <= 1) & (other_along >= 0) & (other_along <= 1)

    shape = (*meets.shape[:-2], 16)
    points = np.concatenate([rectangle, tilted, crossing.reshape(*shape, 2)], -2)
    return points, np.concatenate([within.all(-1), inside.all(-1), meets.reshape(shape)], -1)


def _cross(a: Numbers, b: Numbers) -> Numbers:
    product: Numbers = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product


def _convex_area(points: Numbers, valid: NDArray[np.bool_]) -> Numbers:
    """Area of the polygon around the valid points ``(..., n, 2)``, its corners in any order, some repeated."""
    first = np.take_along_axis(points, valid.argmax(-1)[..., None, None], -2)
    points = np.where(valid[..., None], points, first)
    spokes = points - points.mean(-2, keepdims=True)
    order = np.arctan2(spokes[..., 1], spokes[..., 0]).argsort(-1)
    ordered = np.take_along_axis(spokes, order[..., None], -2)
    area: Numbers = np.abs(_cross(ordered, np.roll(ordered, -1, -2)).sum(-1)) / 2
    return area
