"""Norms of every patch of a scene, with or without the patch's own mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.matching.scoring.blocks import Size
from scs.matching.scoring.scratch import Scratch

Plane = NDArray[Any]
Energies = NDArray[Any]  # float32 or float64

_WHOLE_NUMBERS = 0.25
_FLOAT_ROUNDING = 1e-6
_ROUNDING = 1e-13  # share of a block's energy below which that of a patch is rounding


@dataclass(frozen=True, eq=False)
class PatchNorms:
    """The norms that the patches of a block are divided by.

    Attributes:
        reciprocal: ``(rows, columns)``, one over (norm + q); 0 where the patch is flat.
        flat: how many patches are flat.
    """

    reciprocal: NDArray[np.float32]
    flat: int

    @property
    def largest_reciprocal(self) -> float:
        """The reciprocal of the faintest patch that is not flat."""
        return float(self.reciprocal.max())


def patch_energies(
    planes: Sequence[Plane], window: Size, centred: bool, dtype: type[np.floating[Any]], scratch: Scratch
) -> Energies:
    """Sum the squares of every patch over all channels, in exact arithmetic for whole numbers before rounding.

    Args:
        planes: the channels, ``(H, W)`` each, uint8, float32 or float64.
        window: height and width of a patch.
        centred: less the energy of each channel's mean.
        dtype: of the result.
        scratch: holds the result, too.

    Returns:
        ``(H - h + 1, W - w + 1)``.
    """
    height, width = window
    rows, columns = planes[0].shape
    energy = scratch.array("energy", (rows - height + 1, columns - width + 1), dtype)
    energy[:] = 0
    # Sums of bytes fit 32 bits, those of their squares down one column as well.
    kind, wide = (np.int32, np.int64) if planes[0].dtype == np.uint8 else (np.float64, np.float64)
    of_columns = scratch.array("sums of columns", (2, columns), kind)
    sums, squares = scratch.array("sums", (columns,), kind), scratch.array("squares", (columns,), wide)
    for plane in planes:
        _add_energies(plane, height, width, centred, of_columns, sums, squares, energy)
    return energy


def patch_norms(energy: Energies, q: float, floor: float) -> PatchNorms:
    """Turn energies into norms, in place if they are float32; patches of energy up to ``floor`` are flat."""
    floor = max(floor, float(np.finfo(np.float32).tiny))
    reciprocal = np.ascontiguousarray(energy, np.float32)
    np.maximum(reciprocal, np.float32(floor), out=reciprocal)
    cv2.pow(reciprocal, -0.5, reciprocal)
    flat = _mute(reciprocal, np.float32(q), np.float32(floor**-0.5 * (1 - _FLOAT_ROUNDING)))
    return PatchNorms(reciprocal, flat)


def flat_energy(planes: Sequence[Plane], window: Size, epsilon: float) -> float:
    """Return the energy up to which a patch counts as flat, because it may be rounding error alone.

    Args:
        planes: the channels that energies are taken of.
        window: height and width of a patch.
        epsilon: what the pixels' own values may be off by; 0 where they are whole numbers under no mask, or one of
            zeros and ones, whose energies are 0 or at least 1/2.
    """
    energy = sum(float(cv2.norm(plane, cv2.NORM_L2SQR)) for plane in planes) if epsilon else 0.0
    return flat_limit(window[0] * window[1] * len(planes), energy, epsilon)


def flat_limit(pixels: int, energy: float, epsilon: float) -> float:
    """Return the energy up to which a patch counts as flat, from the energy of its block; see ``flat_energy``.

    Args:
        pixels: of a patch, in all channels.
        energy: of the block.
        epsilon: what the pixels' own values may be off by; 0 for whole numbers.
    """
    return max(pixels * (2 * epsilon) ** 2, _ROUNDING * energy) if epsilon else _WHOLE_NUMBERS


@compiled
def _add_energies(
    plane: Plane,
    height: int,
    width: int,
    centred: bool,
    of_columns: NDArray[Any],
    sums: NDArray[Any],
    squares: NDArray[Any],
    energy: Energies,
) -> None:
    """Add the energies of one channel: sums run down each column, then along each row of the columns' sums."""
    plain, squared = of_columns[0], of_columns[1]
    plain[:] = 0
    squared[:] = 0
    for row in range(height):
        for column in range(plane.shape[1]):
            value = plain.dtype.type(plane[row, column])
            plain[column] += value
            squared[column] += value * value
    share = 1 / (height * width)
    for row in range(energy.shape[0]):
        total, total_squared = sums.dtype.type(0), squares.dtype.type(0)
        for column in range(width - 1):
            total += plain[column]
            total_squared += squared[column]
        for column in range(energy.shape[1]):
            total += plain[column + width - 1]
            total_squared += squared[column + width - 1]
            sums[column] = total
            squares[column] = total_squared
            total -= plain[column]
            total_squared -= squared[column]
        energies = energy[row]
        if centred:
            for column in range(energies.size):
                total_of_patch = np.float64(sums[column])
                energies[column] += squares[column] - total_of_patch * total_of_patch * share
        else:
            for column in range(energies.size):
                energies[column] += squares[column]
        if row + 1 < energy.shape[0]:
            for column in range(plane.shape[1]):
                new = plain.dtype.type(plane[row + height, column])
                old = plain.dtype.type(plane[row, column])
                plain[column] += new - old
                squared[column] += new * new - old * old


@compiled
def _mute(reciprocal: NDArray[np.float32], q: Any, limit: Any) -> int:
    """Set the reciprocals of flat patches to 0 and count them; add q to the norms of the others."""
    muted = 0
    for row in range(reciprocal.shape[0]):
        for column in range(reciprocal.shape[1]):
            value = reciprocal[row, column]
            loud = value < limit
            reciprocal[row, column] = value / (1 + q * value) if loud else np.float32(0)
            muted += 0 if loud else 1
    return muted
