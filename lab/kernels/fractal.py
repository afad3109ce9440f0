"""Fractal kernels: a kernel made of turned and shrunken copies of itself."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.kernels.discs import as_planes, disc_weights
from scs.errors import OptionError
from scs.matching.arrays import Array
from scs.matching.posing.poses import turn_and_scale


def fractal(
    kernel: Array, depth: int = 2, copies: int = 6, ratio: float = 0.4, twist: float = 0.0
) -> NDArray[np.float64]:
    """Make a kernel out of turned and shrunken copies of itself.

    Depth 0 is the kernel's largest disc, without its mean and with norm 1, ``K``. Each depth sets a ring of copies of
    the one before into it::

        F_0 = K,    F_d = unit(K + unit(Σ_j A_j F_{d-1})),    j = 0 … copies - 1

    where ``unit`` removes the mean over the disc and divides by the norm, and ``A_j`` shrinks by ``ratio`` about the
    centre, moves straight up until the copy touches the rim from within, and turns all of that about the centre by
    ``360 j / copies + twist``. A copy inside a copy has gone through both maps, so that twists add up with depth. With
    growing depth this converges to the fixed point of an iterated function system with condensation.

    A full turn of 360 / copies maps the ring onto itself: it holds circular harmonics only of orders that ``copies``
    divides. What a fractal kernel adds to its kernel is thus a part that such a turn leaves as it is.

    Args:
        kernel: ``(h, w)`` or ``(h, w, C)``.
        depth: rings within rings, >= 0.
        copies: copies in a ring, >= 1.
        ratio: size of a copy by size of what it is a copy of, above 0 and at most 1; at 1 all copies lie at the centre.
        twist: degrees by which each ring is turned against what it is set into, counter-clockwise as seen.

    Returns:
        ``(h, w, C)``, zero outside of the disc. Each channel's mean is 0 and the norm over all of them is 1, but for a
        flat kernel, which gives zeros.

    Raises:
        OptionError: depth, copies or ratio outside of what is said above.
        ShapeError: the kernel is not a picture.

    Source:
        J. E. Hutchinson, "Fractals and self similarity" (1981); M. F. Barnsley, "Fractals Everywhere" (1988), for the
        condensation. As kernels: this project.
    """
    if depth < 0 or copies < 1 or not 0 < ratio <= 1:
        came = f"depth {depth}, copies {copies}, ratio {ratio:g}"
        raise OptionError(f"a fractal has depth >= 0, copies >= 1 and a ratio above 0 and at most 1; {came} came")
    planes = as_planes("kernel", kernel)
    weights = disc_weights(*planes.shape[:2])[..., None]
    ground = _unit(planes, weights)
    result = ground
    for _ in range(depth):
        ring = np.zeros_like(ground)
        for copy in range(copies):
            ring += _turned_copy(result, ratio, 360 * copy / copies + twist)
        result = _unit(ground + _unit(ring, weights), weights)
    return result


def _unit(planes: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Remove each channel's mean over the disc, cut the disc out and divide by the norm."""
    centred = weights * (planes - (weights * planes).sum((0, 1)) / weights.sum())
    norm = float(np.linalg.norm(centred))
    return np.zeros_like(centred) if norm <= 1e-9 * np.abs(planes).max() else centred / norm


def _turned_copy(planes: NDArray[np.float64], ratio: float, angle: float) -> NDArray[np.float64]:
    """Shrink, move up to the rim and turn about the centre; each pixel is the mean over its square."""
    height, width = planes.shape[:2]
    fineness = max(1, math.ceil(1 / ratio))
    forward = turn_and_scale(angle, fineness * ratio)
    up = turn_and_scale(angle, fineness * (1 - ratio)) @ (0, -min(height, width) / 2)
    # OpenCV counts from the middle of the first pixel.
    middle = (fineness * np.array([width, height]) - 1) / 2
    offset = middle + up - forward @ ((width - 1) / 2, (height - 1) / 2)
    matrix = np.column_stack([forward, offset])
    size = (fineness * width, fineness * height)
    fine = cv2.warpAffine(planes, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    copy = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(copy, np.float64).reshape(planes.shape)
