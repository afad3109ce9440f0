"""Shrink a picture to averages, each of its part of the picture, which may end between the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.matching.arrays import Array


def averaged(pixels: Array, size: tuple[int, int]) -> NDArray[np.float32]:
    """Average equal parts of a picture, as OpenCV's ``INTER_AREA`` does, but faster.

    Args:
        pixels: ``(H, W, C)``, integers or floats.
        size: rows and columns of the result, no more than the picture has.

    Returns:
        ``(rows, columns, C)``.
    """
    rows, columns, channels = pixels.shape
    small = np.empty((*size, channels), np.float32)
    _average(np.ascontiguousarray(pixels).reshape(rows, columns * channels), channels, small)
    return small


@compiled
def _average(lines: Array, channels: int, small: NDArray[np.float32]) -> None:
    height, width = lines.shape[0] / small.shape[0], lines.shape[1] / channels / small.shape[1]
    down = np.empty(lines.shape[1], np.float32)
    for row in range(small.shape[0]):
        down[:] = 0
        first, last = row * height, min((row + 1) * height, float(lines.shape[0]))
        for i in range(int(first), int(np.ceil(last))):
            share = np.float32((min(i + 1.0, last) - max(float(i), first)) / height)
            for j in range(lines.shape[1]):
                down[j] += share * np.float32(lines[i, j])
        for column in range(small.shape[1]):
            left, right = column * width, min((column + 1) * width, float(lines.shape[1] // channels))
            from_column, to_column = int(left), int(np.ceil(right))
            before, after = np.float32(left - from_column), np.float32(to_column - right)
            for channel in range(channels):
                total = np.float32(0)
                for j in range(from_column * channels + channel, to_column * channels, channels):
                    total += down[j]
                total -= before * down[from_column * channels + channel]
                total -= after * down[(to_column - 1) * channels + channel]
                small[row, column, channel] = total / np.float32(width)
