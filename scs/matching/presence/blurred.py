"""Blur a stack of small pictures by a Gaussian, all in one compiled loop."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled

Plane = NDArray[np.float32]

_REACH = 4  # standard deviations at which the kernel ends, as OpenCV's of floating-point pictures


def blurred(stack: NDArray[np.floating], down: float, right: float) -> Plane:
    """Blur each picture of a stack; beyond its rim a picture is taken to go on as its last pixels.

    Args:
        stack: ``(N, h, w, C)``.
        down: standard deviation of the Gaussian in pixels, 0 for none.
        right: likewise.

    Returns:
        ``(N, h, w, C)``.
    """
    count, height, width, channels = stack.shape
    lines = np.ascontiguousarray(stack, np.float32).reshape(count, height, width * channels)
    smooth = np.empty_like(lines)
    _blur(lines, channels, _half_kernel(down), _half_kernel(right), smooth)
    return smooth.reshape(stack.shape)


@functools.cache
def _half_kernel(sigma: float) -> Plane:
    """Weights of the middle and of the pixels on one side of it, an even number of these."""
    side = round(2 * _REACH * sigma + 1) | 1
    half = cv2.getGaussianKernel(side, sigma, cv2.CV_32F).ravel()[side // 2 :]
    return np.append(half, np.zeros(1 - half.size % 2)).astype(np.float32)


@compiled
def _blur(lines: Plane, channels: int, down: Plane, right: Plane, smooth: Plane) -> None:
    count, height, line = lines.shape
    reach = (right.size - 1) * channels
    wide = np.empty(line + 2 * reach, np.float32)
    middle = wide[reach : reach + line]
    for number in range(count):
        picture = lines[number]
        for row in range(height):
            here, share = picture[row], down[0]
            for j in range(line):
                middle[j] = share * here[j]
            for k in range(1, down.size, 2):
                above, below = picture[max(row - k, 0)], picture[min(row + k, height - 1)]
                above2, below2 = picture[max(row - k - 1, 0)], picture[min(row + k + 1, height - 1)]
                share, share2 = down[k], down[k + 1]
                for j in range(line):
                    middle[j] += share * (above[j] + below[j]) + share2 * (above2[j] + below2[j])
            for j in range(reach):
                wide[j] = middle[j % channels]
                wide[reach + line + j] = middle[line - channels + j % channels]
            out, share = smooth[number, row], right[0]
            for j in range(line):
                out[j] = share * middle[j]
            for k in range(1, right.size, 2):
                before, after = wide[reach - k * channels :], wide[reach + k * channels :]
                before2, after2 = wide[reach - (k + 1) * channels :], wide[reach + (k + 1) * channels :]
                share, share2 = right[k], right[k + 1]
                for j in range(line):
                    out[j] += share * (before[j] + after[j]) + share2 * (before2[j] + after2[j])
