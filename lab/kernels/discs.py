"""The largest disc inside a window, which a rotation leaves in place, and the norms of a scene within it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.errors import ShapeError
from scs.matching.arrays import Array, as_picture

# Where a window's energy about its mean is below this share of the scene's mean square it is flat: rounding is left.
FLAT = 1e-9


def polar_coordinates(height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute radius, in pixels, and angle, in radians, of every pixel of a window about its middle.

    Angles are counter-clockwise as seen.
    """
    down, right = np.arange(height)[:, None] - (height - 1) / 2, np.arange(width)[None, :] - (width - 1) / 2
    return np.hypot(down, right), np.arctan2(-down, right)


def disc_weights(height: int, width: int) -> NDArray[np.float64]:
    """Weigh the pixels of a window by how far they lie inside its largest disc.

    Returns:
        ``(height, width)`` within 0 and 1; the rim falls from 1 to 0 over a pixel, so that a turn changes little.
    """
    radius, _ = polar_coordinates(height, width)
    return np.clip(min(height, width) / 2 + 0.5 - radius, 0, 1)


def centred_norms(scene: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the norm of every window of a scene after its own weighted mean is removed, channel by channel.

    Args:
        scene: ``(H, W, C)``.
        weights: ``(h, w)``, >= 0, of every window.

    Returns:
        ``(H - h + 1, W - w + 1)``; 0 where a window is flat. The square is ``Σ w s² - (Σ w s)² / Σ w``.
    """
    scene = scene - scene.mean((0, 1))  # the two terms are nearer to each other the brighter the scene is
    sums = window_sums(scene, weights)
    energy = window_sums(np.square(scene).sum(2, keepdims=True), weights)[..., 0]
    energy -= np.square(sums).sum(2) / weights.sum()
    flat = energy <= FLAT * weights.sum() * np.square(scene).sum(2).mean()
    return np.sqrt(np.where(flat, 0, energy))


def window_sums(scene: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the weighted sum of every window, ``(H - h + 1, W - w + 1, C)``, of a scene ``(H, W, C)``."""
    height, width = weights.shape
    sums: NDArray[np.float64] = np.asarray(cv2.filter2D(scene, cv2.CV_64F, weights, borderType=cv2.BORDER_CONSTANT))
    rows, columns = scene.shape[0] - height + 1, scene.shape[1] - width + 1
    return sums.reshape(scene.shape)[height // 2 :, width // 2 :][:rows, :columns]


def as_planes(what: str, pixels: Array) -> NDArray[np.float64]:
    """Convert a picture ``(H, W)`` or ``(H, W, C)`` to float64 ``(H, W, C)``.

    Raises:
        ShapeError: another number of axes, or no pixels.
        OptionError: pixels that are not finite or of another type than `scs.matching.arrays.DTYPES`.
    """
    if np.ndim(pixels) not in (2, 3):
        raise ShapeError(f"a {what} that may be turned or scaled is (H, W) or (H, W, C) but {np.shape(pixels)} came")
    return as_picture(what, pixels).astype(np.float64)
