"""Shift equivariance: the maps of a shifted picture compared with the shifted maps of the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.floating[Any]]  # (N, K, H, W)

_ROUNDING = 100  # units of rounding; some ten were seen in float32 after six layers


def shifted(x: Maps, down: float, right: float) -> Maps:
    """Shift maps circularly: what leaves on one side comes in on the other.

    A whole shift moves values and leaves them as they are. Between places, values are those of the wave of each
    frequency that goes through the samples. For maps that hold no frequency above half a cycle a sample, and so were
    sampled without aliasing, these are the values that were not sampled, exactly.

    Args:
        x: ``(…, H, W)``.
        down: units, whole or not.
        right: likewise.

    Returns:
        As ``x``.

    Source:
        C. E. Shannon, "Communication in the presence of noise" (1949); of the highest frequency of an even number of
        samples, which has no phase, the cosine's share is taken.
    """
    if down == int(down) and right == int(right):
        return np.roll(x, (int(down), int(right)), (-2, -1))
    turns = down * np.fft.fftfreq(x.shape[-2])[:, None] + right * np.fft.fftfreq(x.shape[-1])
    between: Maps = np.fft.ifft2(np.fft.fft2(x) * np.exp(-2j * np.pi * turns)).real.astype(x.dtype)
    return between


class ShiftError:
    """The shift error of a layer: how far it is from shift equivariance, accumulated over batches.

    The error is the root of the mean squared difference between the maps of the shifted pictures and the maps of the
    pictures, shifted, in units of what it would be if the two had nothing to do with each other: the root of twice the
    variance of a channel over pictures and places, channels together. 0: the layer follows. 1: its maps after the
    shift are as unlike those before as the maps of any other picture are. Neither a factor on the maps nor a constant
    in a channel changes it. Differences that are of the size of rounding count as none: what is added up at another
    place is added up in another order.
    """

    def __init__(self) -> None:
        self._differences = 0.0
        self._values = 0  # of a channel
        self._sums: Any = 0.0  # (K,)
        self._squares: Any = 0.0

    def add(self, before: Maps, after: Maps, down: float, right: float) -> None:
        """Add a batch: maps ``(N, K, H, W)`` before and after a shift of the pictures.

        Args:
            before: of the pictures.
            after: of the pictures, shifted.
            down: what the maps should have moved by, in units of their own: the shift in pixels by the layer's stride.
            right: likewise.
        """
        differences = np.abs(after - shifted(before, down, right))
        differences[differences <= _ROUNDING * np.finfo(before.dtype).eps * np.abs(before).max()] = 0
        self._differences += float(np.square(differences, dtype=np.float64).sum())
        self._values += before[:, 0].size
        self._sums += before.sum((0, 2, 3), dtype=np.float64)
        self._squares += np.square(before, dtype=np.float64).sum((0, 2, 3))

    @property
    def error(self) -> float:
        """The error over all batches added, from 0; 0 where maps are constant and stay so."""
        deviations = float(np.sum(self._squares - self._sums**2 / self._values))
        return float(np.sqrt(self._differences / (2 * deviations))) if self._differences else 0.0
