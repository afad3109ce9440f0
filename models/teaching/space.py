"""The space in which features are compared: centred, scaled and partly decorrelated by the pictures that are taught."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]

_MOST_DIRECTIONS = 256
_NOTHING = 0.02  # of a direction's length: a change that is left out


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a space is made of, whatever its shrinkage.

    Attributes:
        mean: ``(channels,)``, of the pictures.
        scale: ``(channels,)``, the deviation of each channel, and of all of them together as a floor.
        directions: ``(r, channels)``, orthonormal, most varied first, of features that are centred and scaled.
        variances: ``(r,)``, along these.
    """

    mean: Wide
    scale: Wide
    directions: Wide
    variances: Wide

    def space(self, shrinkage: float) -> Space:
        """Return the space in which variances are made equal as far as ``shrinkage`` lets them: 1 leaves them."""
        gains = np.sqrt(shrinkage / ((1 - shrinkage) * self.variances + shrinkage)) - 1
        kept = np.flatnonzero(gains < -_NOTHING)[:_MOST_DIRECTIONS]
        return Space(self.mean, self.scale, self.directions[kept], gains[kept])


@dataclass(frozen=True, eq=False)
class Space:
    """A linear map of features: ``z = (f - mean) / scale``, then ``z + directionsᵀ (gains * directions z)``."""

    mean: Wide
    scale: Wide
    directions: Wide
    gains: Wide

    def place(self, features: NDArray[np.floating]) -> Wide:
        """Map features ``(…, channels)``."""
        return self.turn((features - self.mean) / self.scale)

    def turn(self, vectors: Wide) -> Wide:
        """Apply the second step alone, which is its own transpose."""
        turned: Wide = vectors + ((vectors @ self.directions.T) * self.gains) @ self.directions
        return turned


def spectrum(features: NDArray[np.floating]) -> Spectrum:
    """Find centre, deviations and principal directions of features ``(N, channels)``, N > 0.

    Channels that vary little are not blown up: each deviation has the mean of all channels' variances added. Directions
    come from the products of pictures, of which there are fewer than channels as a rule.
    """
    wide = features.astype(np.float64)
    mean = wide.mean(0)
    variances = wide.var(0)
    scale = np.sqrt(variances + variances.mean()) if variances.any() else np.ones_like(mean)
    centred = (wide - mean) / scale
    dof = max(1, len(wide) - 1)
    if len(wide) <= wide.shape[1]:
        squares, vectors = np.linalg.eigh(centred @ centred.T / dof)
        found = squares > 1e-9 * max(float(squares.max()), 1e-30)
        lengths = np.sqrt(squares[found] * dof)
        directions = (centred.T @ vectors[:, found] / lengths).T
    else:
        squares, vectors = np.linalg.eigh(centred.T @ centred / dof)
        found = squares > 0
        directions = vectors[:, found].T
    return Spectrum(mean, scale, directions[::-1], squares[found][::-1])
