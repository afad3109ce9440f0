"""Shrink a picture to averages, each of its part of the picture, which may end between the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.matching.arrays import Array

_WHOLE_SUMS = 257  # bytes whose sum fits 16 bits


def averaged(pixels: Array, size: tuple[int, int]) -> NDArray[np.float32]:
    """Average equal parts of a picture, as OpenCV's ``INTER_AREA`` does, but faster and not rounded to whole numbers.

    Args:
        pixels: ``(H, W, C)``, integers or floats.
        size: rows and columns of the result, no more than the picture has.

    Returns:
        ``(rows, columns, C)``.
    """
    rows, columns, channels = pixels.shape
    if size == (rows, columns):
        return pixels.astype(np.float32)
    small = np.empty((size[0], size[1] * channels), np.float32)
    lines = np.ascontiguousarray(pixels).reshape(rows, columns * channels)
    if rows % size[0] or columns % size[1]:
        _average(lines, channels, small)
    else:
        high, wide = rows // size[0], columns // size[1]
        sums = np.empty(
            columns * channels, np.uint16 if pixels.dtype == np.uint8 and high <= _WHOLE_SUMS else np.float32
        )
        _average_blocks(lines, high, wide, channels, sums, small)
    return small.reshape(*size, channels)


@compiled
def _average_blocks(lines: Array, high: int, wide: int, channels: int, sums: Array, small: NDArray[np.float32]) -> None:
    """Average blocks of whole pixels; sums of whole numbers run in 16 bits."""
    share = np.float32(1 / (high * wide))
    for row in range(small.shape[0]):
        sums[:] = 0
        for i in range(row * high, (row + 1) * high):
            line = lines[i]
            for j in range(sums.size):
                sums[j] += line[j]
        average_along(sums, wide, channels, share, small[row])


@compiled
def average_along(sums: Array, wide: int, channels: int, share: np.float32, averages: NDArray[np.float32]) -> None:
    """Add up so many neighbours of each channel in a row of sums, times their share."""
    if wide * channels == 2:  # known steps are taken several at once
        for j in range(averages.size):
            averages[j] = (np.float32(sums[2 * j]) + np.float32(sums[2 * j + 1])) * share
        return
    for column in range(averages.size // channels):
        for channel in range(channels):
            first, total = column * wide * channels + channel, np.float32(0)
            for k in range(wide):
                total += np.float32(sums[first + k * channels])
            averages[column * channels + channel] = total * share


@compiled
def _average(lines: Array, channels: int, small: NDArray[np.float32]) -> None:
    """Average parts that end between the pixels."""
    rows, columns = small.shape[0], small.shape[1] // channels
    high, wide = lines.shape[0] / rows, lines.shape[1] / channels / columns
    sums = np.empty(lines.shape[1], np.float32)
    for row in range(rows):
        sums[:] = 0
        first, last = row * high, min((row + 1) * high, float(lines.shape[0]))
        for i in range(int(first), int(np.ceil(last))):
            share = np.float32((min(i + 1.0, last) - max(float(i), first)) / high)
            line = lines[i]
            for j in range(sums.size):
                sums[j] += share * np.float32(line[j])
        for column in range(columns):
            left, right = column * wide, min((column + 1) * wide, float(lines.shape[1] // channels))
            from_column, to_column = int(left), int(np.ceil(right))
            before, after = np.float32(left - from_column), np.float32(to_column - right)
            for channel in range(channels):
                total = np.float32(0)
                for k in range(from_column, to_column):
                    total += sums[k * channels + channel]
                total -= before * sums[from_column * channels + channel]
                total -= after * sums[(to_column - 1) * channels + channel]
                small[row, column * channels + channel] = total / np.float32(wide)
