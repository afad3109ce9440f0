"""The places where a map of scores is highest, no two of them for the same thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ScorePeak:
    """A place in a map of scores: row, column and the score there."""

    row: int
    column: int
    score: float


def find_peaks(scores: NDArray[np.float32], window: tuple[int, int], top: int, overlap: float = 0.3) -> list[ScorePeak]:
    """Find the highest scores whose windows overlap little.

    Args:
        scores: ``(H, W)``, the score of a window of the given size at each place.
        window: height and width of the window.
        top: most peaks to find.
        overlap: largest intersection over union of two windows that may both be kept.

    Returns:
        At most ``top`` peaks, best first; scores of zero or less are not peaks.
    """
    left = np.where(scores > 0, scores, 0)
    peaks: list[ScorePeak] = []
    for _ in range(top):
        row, column = np.unravel_index(int(left.argmax()), left.shape)
        if left[row, column] <= 0:
            break
        peaks.append(ScorePeak(int(row), int(column), float(left[row, column])))
        _clear_around(left, int(row), int(column), window, overlap)
    return peaks


def _clear_around(left: NDArray[np.float32], row: int, column: int, window: tuple[int, int], overlap: float) -> None:
    height, width = window
    top, start = max(0, row - height + 1), max(0, column - width + 1)
    near = left[top : row + height, start : column + width]
    rows = height - np.abs(np.arange(top, top + near.shape[0]) - row)[:, None]
    columns = width - np.abs(np.arange(start, start + near.shape[1]) - column)[None, :]
    shared = rows * columns
    near[shared / (2 * height * width - shared) > overlap] = 0
